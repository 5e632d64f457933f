"""All statistics of the structure of one graph in one call, each of its parts found once.

pairs of nodes (dyads) -> reciprocity, triangles -> clustering, triads;  cores, assortativity, components
distances from drawn nodes; tails of degrees                              what random graphs are not made for
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network import assortativity, clustering, components, cores, degrees, paths, reciprocity, tails, triads
from theta_ray.network.degrees import Degrees
from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.paths import NUM_SOURCES, Paths
from theta_ray.network.reciprocity import Dyads
from theta_ray.network.statistic import Statistic, statistics_of
from theta_ray.network.tails import NUM_SAMPLES
from theta_ray.network.triangles import count_triangles

Array = NDArray[np.generic]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

# What a tail is fitted to; to strengths where all of them are whole numbers, as events are and `newman` weights not.
OF_DIRECTED = ("in_degree", "out_degree", "in_strength", "out_strength")
OF_UNDIRECTED = ("degree", "strength")

_TIES = {
    "edges": {**reciprocity.DEFINITIONS, **assortativity.DEFINITIONS},
    "nodes": {**components.DEFINITIONS, **cores.DEFINITIONS, **clustering.DEFINITIONS, **triads.DEFINITIONS},
}
_TAILS = {
    f"{of}_{name}": f"Of the {of.replace('_', '-')}s of all nodes, NaN where {where}: {text}"
    for kinds, where in ((OF_DIRECTED, "undirected"), (OF_UNDIRECTED, "directed"))
    for of in kinds
    for name, text in tails.DEFINITIONS.items()
}
DEFINITIONS = {**degrees.DEFINITIONS, **_TIES["edges"], **_TIES["nodes"], **paths.DEFINITIONS, **_TAILS}


class Known(NamedTuple):
    """What several parts of the work need of a graph, found once."""

    pairs: Dyads
    weak: Nodes
    """[nodes] weak component."""

    @classmethod
    def of(cls, graph: Graph) -> Known:
        """Of any graph."""
        pairs = reciprocity.dyads(graph)
        return cls(pairs, components.weak_components(pairs.graph()))


@dataclass(frozen=True)
class Structure:
    """Statistics of a graph, values of its nodes, and curves."""

    values: dict[str, float]
    """As `DEFINITIONS` says."""
    statistics: list[Statistic]
    """The same with populations and intervals."""
    nodes: dict[str, Array]
    """[nodes] degrees, strengths, `component_id`, `core`."""
    curves: dict[str, Curve]
    """x and y: the share of nodes with at least x edges, or weight; the share of pairs x steps apart."""


def tie_statistics(graph: Graph, known: Known | None = None) -> dict[str, float]:
    """Statistics that the degrees of a graph do not decide: those to compare with random graphs (nulls.py)."""
    return _ties(graph, known or Known.of(graph))[0]


def structure(
    graph: Graph,
    known: Known | None = None,
    *,
    num_sources: int = NUM_SOURCES,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
) -> Structure:
    """Statistics of one graph.

    Args:
        graph: directed or not; weights count in strengths and weighted reciprocity only.
        known: of the graph, when it is known already.
        num_sources: nodes whose distances are measured (paths.py).
        num_samples: of fitted models behind the p-value of a tail (tails.py).
        seed: of both.
    """
    of_nodes = degrees.degrees(graph)
    size = degrees.size(graph, of_nodes)
    known = known or Known.of(graph)
    ties, nodes = _ties(graph, known)
    distances = paths.paths(known.pairs.graph(), known.weak, num_sources=num_sources, seed=seed)
    fitted = tails_of(of_nodes, graph.directed, num_samples, seed)
    num_pairs = len(distances.counts) * max(0, distances.num_nodes - 1)
    statistics = statistics_of({**size, **fitted}, "nodes", graph.num_nodes)
    for population, count in (("edges", graph.num_edges), ("nodes", graph.num_nodes)):
        statistics += statistics_of({name: ties[name] for name in _TIES[population]}, population, count)
    steps = distances.statistics()
    statistics += statistics_of(steps, "pairs of nodes", num_pairs, distances.intervals())
    return Structure(
        {**size, **ties, **steps, **fitted},
        statistics,
        {**of_nodes._asdict(), **nodes},
        {**degree_curves(of_nodes, graph.directed), "path_length": _path_lengths(distances)},
    )


def _ties(graph: Graph, known: Known) -> tuple[dict[str, float], dict[str, NDArray[np.int32]]]:
    pairs, weak = known
    triangles = count_triangles(pairs)
    simple = pairs.graph()
    core = cores.core_number(simple)
    found = {
        **reciprocity.reciprocity(graph, pairs),
        **assortativity.degree_assortativity(graph, simple),
        **components.components(graph, weak),
        **cores.cores(graph, core),
        **clustering.clustering(simple, triangles),
        **triads.triad_census(graph, pairs, triangles),
    }
    return found, {"component_id": weak, "core": core}


def _fitted_to(of_nodes: Degrees, directed: bool) -> dict[str, Array]:
    """What is fitted to: values by name, whole numbers only."""
    found = {of: getattr(of_nodes, of) for of in (OF_DIRECTED if directed else OF_UNDIRECTED)}
    return {of: values for of, values in found.items() if np.array_equal(values, np.rint(values))}


def tails_of(of_nodes: Degrees, directed: bool, num_samples: int = NUM_SAMPLES, seed: int = 0) -> dict[str, float]:
    """What is fitted to the degrees and strengths of a graph."""
    found = dict.fromkeys(_TAILS, np.nan)
    for of, values in _fitted_to(of_nodes, directed).items():
        fitted = tails.tail(values, num_samples=num_samples, seed=seed)
        found |= {f"{of}_{name}": value for name, value in fitted.items()}
    return found


def degree_curves(of_nodes: Degrees, directed: bool) -> dict[str, Curve]:
    """The share of nodes with at least x edges, and with edges of at least so much weight."""
    return {f"{of}_ccdf": tails.ccdf(values) for of, values in _fitted_to(of_nodes, directed).items()}


def _path_lengths(distances: Paths) -> Curve:
    apart = distances.counts.sum(axis=0)[1:].astype(np.float64)
    return np.arange(1.0, len(apart) + 1), apart / max(1.0, apart.sum())
