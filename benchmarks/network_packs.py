"""The statistics of a comment graph in three libraries, for `networks_vs_peers.py`: each value has one definition.

A pack is named steps in order: `build` makes the graph, every other step gives values to compare. Directions are left
out where a statistic has none, and that conversion is in its time; ours are `pairs`, found once, as are `weak`
components.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from network_data import Arrays

Steps = dict[str, Callable[[], Any]]
# Nodes from which the steps to all others are counted; lists of igraph are taken this many at a time.
NUM_SOURCES, AT_ONCE = 64, 16


def drawn(largest: np.ndarray) -> np.ndarray:
    """The nodes of the largest component that `theta_ray.network.paths` draws."""
    return largest[np.sort(np.random.default_rng(0).choice(len(largest), NUM_SOURCES, replace=False))]


def ours(arrays: Arrays, triads: bool) -> Steps:
    from theta_ray.network.assortativity import degree_assortativity
    from theta_ray.network.clustering import clustering
    from theta_ray.network.communities import communities
    from theta_ray.network.components import strong_components, weak_components
    from theta_ray.network.cores import core_number
    from theta_ray.network.degrees import degrees
    from theta_ray.network.graph import Graph
    from theta_ray.network.hits import hits
    from theta_ray.network.pagerank import pagerank
    from theta_ray.network.paths import paths
    from theta_ray.network.reciprocity import dyads, reciprocity
    from theta_ray.network.triads import triad_census
    from theta_ray.network.triangles import count_triangles

    num_nodes, source, target, weight = arrays
    has: dict[str, Any] = {}

    def build() -> None:
        has["graph"] = Graph.of(num_nodes, source, target, weight, directed=True)

    def pairs() -> None:
        has["pairs"] = dyads(has["graph"])
        has["simple"] = has["pairs"].graph()

    def weak() -> None:
        has["weak"] = weak_components(has["graph"])

    def degrees_found() -> list[float]:
        found = degrees(has["graph"])
        of_nodes = (found.in_degree, found.out_degree, found.in_strength, found.out_strength)
        return [float(values.max()) for values in of_nodes]

    def dyads_counted() -> list[float]:
        found = reciprocity(has["graph"], has["pairs"])
        return [found[name] for name in ("reciprocity", "num_mutual_dyads", "num_asymmetric_dyads")]

    def found_hits() -> tuple[Any, Any]:
        found = hits(has["graph"])
        return found.hub, found.authority

    def clusterings() -> list[float]:
        pairs = has["pairs"]
        triangles = count_triangles(pairs)
        found = clustering(has["simple"], triangles)
        sets = triad_census(has["graph"], pairs, triangles) if triads else {}
        return [found["transitivity"], found["average_clustering"], *sets.values()]

    def searched() -> tuple[Any, float]:
        found = communities(has["graph"], [0], pairs=has["pairs"], weak=has["weak"])
        return found.label, found.modularity[0]

    return {
        "build": build,
        "pairs": pairs,
        "weak": weak,
        "degrees, strengths": degrees_found,
        "dyads": dyads_counted,
        "components": lambda: [int(each.max()) + 1 for each in (has["weak"], strong_components(has["graph"]))],
        "pagerank": lambda: pagerank(has["graph"]).score,
        "hits": found_hits,
        "cores": lambda: core_number(has["simple"]),
        "clustering": clusterings,
        "assortativity": lambda: list(degree_assortativity(has["graph"], has["simple"]).values()),
        "paths": lambda: paths(has["simple"], has["weak"], num_sources=NUM_SOURCES).counts.sum(axis=0),
        "communities": searched,
    }


def igraph(arrays: Arrays, triads: bool) -> Steps:
    from igraph import Graph

    num_nodes, source, target, weight = arrays
    has: dict[str, Any] = {}

    def build() -> None:
        edges = np.stack([source, target], axis=1)
        has["graph"] = Graph(n=num_nodes, edges=edges, directed=True, edge_attrs={"weight": weight})
        has["simple"] = has["graph"].as_undirected(combine_edges="sum")

    def degrees_found() -> list[float]:
        graph, modes = has["graph"], ("in", "out")
        counts = [max(graph.degree(mode=mode)) for mode in modes]
        return counts + [max(graph.strength(mode=mode, weights="weight")) for mode in modes]

    def clusterings() -> list[float]:
        simple, sets = has["simple"], has["graph"].triad_census() if triads else []
        return [simple.transitivity_undirected(), simple.transitivity_avglocal_undirected(mode="zero"), *sets]

    def assortativities() -> list[float]:
        graph = has["graph"]
        ends = {"out": graph.outdegree(), "in": graph.indegree()}
        ways = (("out", "in"), ("out", "out"), ("in", "in"), ("in", "out"))
        found = [graph.assortativity(ends[one], ends[other]) for one, other in ways]
        return [has["simple"].assortativity_degree(directed=False), *found]

    def components() -> list[int]:
        has["weak"] = has["graph"].connected_components("weak")
        return [len(has["weak"]), len(has["graph"].connected_components("strong"))]

    def steps_apart() -> list[int]:
        membership = np.asarray(has["weak"].membership)
        sources = drawn(np.flatnonzero(membership == np.bincount(membership).argmax()))
        counts: Counter[float] = Counter()
        for begin in range(0, NUM_SOURCES, AT_ONCE):
            for row in has["simple"].distances(source=sources[begin : begin + AT_ONCE].tolist()):
                counts.update(row)
        counts.pop(float("inf"), None)
        return [counts[steps] for steps in range(int(max(counts)) + 1)]

    def searched() -> tuple[Any, float]:
        found = has["simple"].community_leiden("modularity", "weight", n_iterations=-1)
        return found.membership, has["simple"].modularity(found.membership, "weight")

    return {
        "build": build,
        "degrees, strengths": degrees_found,
        "dyads": lambda: [has["graph"].reciprocity(), *tuple(has["graph"].dyad_census())[:2]],
        "components": components,
        "pagerank": lambda: has["graph"].pagerank(),
        "hits": lambda: (has["graph"].hub_score(), has["graph"].authority_score()),
        "cores": lambda: has["simple"].coreness(),
        "clustering": clusterings,
        "assortativity": assortativities,
        "paths": steps_apart,
        "communities": searched,
    }


def networkx(arrays: Arrays, triads: bool) -> Steps:
    import networkx as nx

    has: dict[str, Any] = {}

    def build() -> None:
        has["graph"], has["simple"] = _networkx_graphs(arrays)

    def degrees_found() -> list[float]:
        found = (has["graph"].in_degree, has["graph"].out_degree)
        return [max(dict(of(weight=name)).values()) for name in (None, "count") for of in found]

    def dyads_counted() -> list[float]:
        graph, pairs = has["graph"], has["simple"].number_of_edges()
        mutual = graph.number_of_edges() - pairs
        return [nx.overall_reciprocity(graph), mutual, pairs - mutual]

    def components() -> list[int]:
        has["largest"] = max(nx.weakly_connected_components(has["graph"]), key=len)
        graph = has["graph"]
        return [nx.number_weakly_connected_components(graph), nx.number_strongly_connected_components(graph)]

    def clusterings() -> list[float]:
        sets = nx.triadic_census(has["graph"]).values() if triads else []
        return [nx.transitivity(has["simple"]), nx.average_clustering(has["simple"]), *sets]

    def assortativities() -> list[float]:
        ways = (("out", "in"), ("out", "out"), ("in", "in"), ("in", "out"))
        found = [nx.degree_assortativity_coefficient(has["graph"], one, other) for one, other in ways]
        return [nx.degree_assortativity_coefficient(has["simple"]), *found]

    def steps_apart() -> list[int]:
        counts: Counter[int] = Counter()
        for node in drawn(np.sort(np.fromiter(has["largest"], int))):
            counts.update(nx.single_source_shortest_path_length(has["simple"], int(node)).values())
        return [counts[steps] for steps in range(max(counts) + 1)]

    return {
        "build": build,
        "degrees, strengths": degrees_found,
        "dyads": dyads_counted,
        "components": components,
        "pagerank": lambda: list(nx.pagerank(has["graph"], tol=1e-14, max_iter=1000).values()),
        "hits": lambda: [list(scores.values()) for scores in nx.hits(has["graph"])],
        "cores": lambda: list(nx.core_number(has["simple"]).values()),
        "clustering": clusterings,
        "assortativity": assortativities,
        "paths": steps_apart,
        "communities": lambda: _louvain(has["simple"]),
    }


def _networkx_graphs(arrays: Arrays) -> tuple[Any, Any]:
    import networkx as nx

    num_nodes, source, target, weight = arrays
    graph, simple = nx.DiGraph(), nx.Graph()
    for each in (graph, simple):
        each.add_nodes_from(range(num_nodes))
    rows = list(zip(source.tolist(), target.tolist(), weight.tolist(), strict=True))
    # another name than "weight", which hits would take without being asked
    graph.add_weighted_edges_from(rows, weight="count")
    for a, b, count in rows:
        simple.add_edge(a, b, count=count + (simple[a][b]["count"] if simple.has_edge(a, b) else 0))
    return graph, simple


def _louvain(simple: Any) -> tuple[Any, float]:
    import networkx as nx

    of_node, found = np.empty(len(simple), int), nx.community.louvain_communities(simple, "count", seed=0)
    for place, part in enumerate(found):
        of_node[list(part)] = place
    return of_node, nx.community.modularity(simple, found, "count")


PACKS: dict[str, Callable[[Arrays, bool], Steps]] = {"ours": ours, "igraph": igraph, "networkx": networkx}
