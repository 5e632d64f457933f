"""Everything that is said of one graph: its statistics, nodes, communities and curves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theta_ray.config_network import Backbone, Network
from theta_ray.network import components, cores, degrees
from theta_ray.network import structure as structures
from theta_ray.network.communities import Search, communities, community_statistics
from theta_ray.network.community_quality import Split, community_quality, split
from theta_ray.network.disparity import Ends
from theta_ray.network.engines import Engine
from theta_ray.network.false_discoveries import benjamini_hochberg
from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.hits import hits, hits_statistics, hits_statistics_of
from theta_ray.network.pagerank import pagerank, pagerank_statistics
from theta_ray.network.reciprocity import dyads
from theta_ray.network.statistic import Statistic, statistics_of

Array = NDArray[Any]
DEFINITIONS = {
    "backbone_edges": "Edges that are more than chance, by the recipe's `backbone`; NaN where no p-value is known.",
    "backbone_share": "Of all edges; NaN without edges or p-values.",
    "backbone_largest_p": "Largest p-value of an edge that is kept. Of SDSM, false discoveries are controlled over all "
    "pairs of nodes (Benjamini and Hochberg 1995); of the disparity filter it is at most alpha.",
    "one_seed_modularity": "Modularity of what one search finds: for comparison with random graphs, which are searched "
    "once as well.",
}


@dataclass(frozen=True)
class Measured:
    """What is said of a graph."""

    statistics: list[Statistic]
    nodes: dict[str, Array]
    """[nodes] columns of table `nodes`."""
    communities: Split
    curves: dict[str, structures.Curve] = field(default_factory=dict)
    is_kept: NDArray[np.bool_] | None = None
    """[edges], in the order given: the backbone; None where there is none."""


def measure(graph: Graph, kept: Graph | None, settings: Network, threads: int = 1) -> Measured:
    """Statistics of a graph in memory.

    Args:
        graph: any.
        kept: its backbone, of the same nodes.
        settings: of the recipe.
        threads: parts of the work that go beside each other. The result is the same.
    """
    rules = settings.communities
    weights = sorted({"binary", "log1p", "raw", settings.hits_weights})
    searched = kept if kept is not None and rules.on_backbone else graph
    seeds = range(settings.seed, settings.seed + rules.num_seeds)
    with ThreadPoolExecutor(threads) as pool:
        pairs, weak = pool.submit(dyads, graph), pool.submit(components.weak_components, graph)
        ranked = pool.submit(pagerank, graph)
        known = structures.Known(pairs.result(), weak.result())
        shared = known._asdict() if searched is graph else {}
        # the longest first
        asked = pool.submit(communities, searched, seeds, _search(settings), **shared)
        of_structure = pool.submit(structures.structure, graph, known, seed=settings.seed)
        of_hits = {each: pool.submit(hits, graph, each) for each in weights}
        groups, found = asked.result(), of_structure.result()
        ranks, scores = ranked.result(), {each: later.result() for each, later in of_hits.items()}
    parts = split(searched, groups.label)
    # the first of the searches, unless these saw the backbone only
    alone = {"one_seed_modularity": groups.modularity[0]} if searched is graph else one_seed(graph, settings)
    statistics = [
        *found.statistics,
        *statistics_of(hits_statistics(graph, scores), "nodes with an edge", graph.num_nodes - _isolates(found)),
        *statistics_of(pagerank_statistics(ranks), "nodes", graph.num_nodes),
        *statistics_of(community_statistics(groups), "nodes of the largest component", parts.num_nodes),
        *statistics_of(community_quality(parts, rules.resolution), "communities", int((parts.size > 0).sum())),
        *statistics_of(alone, "nodes of the largest component", parts.num_nodes),
    ]
    mine = scores[settings.hits_weights]
    nodes = {**found.nodes, "hub": mine.hub, "authority": mine.authority, "pagerank": ranks.score}
    return Measured(statistics, {**nodes, "community_id": groups.label}, parts, found.curves)


def measure_large(engine: Engine, settings: Network, *, directed: bool) -> Measured:
    """Statistics of a graph that workers hold: what does not need all edges in one place."""
    of_nodes, weak, core = engine.degrees(), engine.weak_components(), engine.core_number()
    label, count = engine.label_propagation(settings.seed), len(of_nodes.degree)
    weights = sorted({"binary", "log1p", "raw", settings.hits_weights})
    scores, ranks = {each: engine.hits(each) for each in weights}, engine.pagerank()
    parts, tied = engine.split(label), np.stack([of_nodes.out_degree > 0, of_nodes.in_degree > 0])
    of_all = {
        **degrees.size_of(of_nodes, directed=directed),
        **components.sizes("weak", weak),
        **cores.core_statistics(core),
        **structures.tails_of(of_nodes, directed, seed=settings.seed),
        **pagerank_statistics(ranks),
    }
    statistics = [
        *statistics_of(of_all, "nodes", count),
        *statistics_of(engine.reciprocity(), "edges", parts.num_edges),
        *statistics_of(hits_statistics_of(tied, scores), "nodes with an edge", int(tied.any(axis=0).sum())),
        *statistics_of(community_quality(parts, settings.communities.resolution), "communities", len(parts.size)),
    ]
    mine = scores[settings.hits_weights]
    nodes = {
        **of_nodes._asdict(),
        "component_id": weak,
        "core": core,
        "hub": mine.hub,
        "authority": mine.authority,
        "pagerank": ranks.score,
        "community_id": label,
    }
    return Measured(statistics, nodes, parts, structures.degree_curves(of_nodes, directed))


def null_statistics(graph: Graph, settings: Network) -> dict[str, float]:
    """What is put beside random graphs: all that degrees do not decide."""
    known = structures.Known.of(graph)
    return {**structures.tie_statistics(graph, known), **one_seed(graph, settings, known)}


def one_seed(graph: Graph, settings: Network, known: structures.Known | None = None) -> dict[str, float]:
    """The modularity that one search finds."""
    found = communities(graph, [settings.seed], _search(settings), **(known._asdict() if known else {}))
    return {"one_seed_modularity": found.modularity[0]}


def is_significant(
    backbone: Backbone, ends: tuple[Nodes, Nodes], weight: Array, p_value: Array, num_nodes: int
) -> tuple[NDArray[np.bool_] | None, Array, dict[str, float]]:
    """Which edges are more than chance, the p-value of each, and statistics. None where no p-value is known.

    Args:
        backbone: of the recipe.
        ends: source and target [edges].
        weight: [edges]
        p_value: [edges] of SDSM; NaN where it was not computed.
        num_nodes: of the graph.
    """
    if backbone.method == "disparity":
        p_value = Ends.of(num_nodes, *ends, weight).alpha(*ends, weight)
        limit = backbone.alpha
        is_kept = p_value < limit
    elif np.isnan(p_value).any() or not len(p_value):
        return None, p_value, dict.fromkeys(("backbone_edges", "backbone_share", "backbone_largest_p"), np.nan)
    else:
        limit = benjamini_hochberg(p_value, num_nodes * (num_nodes - 1) // 2, backbone.alpha)
        is_kept = p_value <= limit
    largest = float(p_value[is_kept].max(initial=0.0)) if is_kept.any() else np.nan
    share = float(is_kept.mean()) if len(is_kept) else np.nan
    values = {"backbone_edges": float(is_kept.sum()), "backbone_share": share, "backbone_largest_p": largest}
    return is_kept, p_value, values


def _search(settings: Network) -> Search:
    return Search(settings.communities.method, settings.communities.resolution)


def _isolates(found: structures.Structure) -> int:
    return int(found.values["num_isolates"])
