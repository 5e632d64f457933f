"""Small graphs whose statistics are known or can be had from networkx and igraph."""

from __future__ import annotations

from typing import Any

import igraph
import networkx as nx
import numpy as np

from theta_ray.network.graph import Graph

# Comments of six people, commenter to author; the last is one on an own post.
COMMENTS = [(0, 1), (0, 1), (1, 0), (2, 0), (3, 0), (3, 1), (4, 3), (5, 4), (4, 5), (2, 2)]


def comment_graph() -> Graph:
    source, target = np.array(COMMENTS).T
    return Graph.of(6, source, target, directed=True)


def of_networkx(graph: Any, weight: str | None = None) -> Graph:
    """The same graph, its nodes numbered in their order."""
    place = {node: number for number, node in enumerate(graph)}
    ends = [(place[a], place[b], 1 if weight is None else data[weight]) for a, b, data in graph.edges(data=True)]
    source, target, weights = np.array(ends, float).reshape(-1, 3).T
    return Graph.of(len(place), source.astype(int), target.astype(int), weights, directed=graph.is_directed())


def to_networkx(graph: Graph) -> Any:
    found = nx.DiGraph() if graph.directed else nx.Graph()
    found.add_nodes_from(range(graph.num_nodes))
    edges = zip(graph.source.tolist(), graph.target.tolist(), graph.weight.tolist(), strict=True)
    found.add_weighted_edges_from(edges)
    return found


def to_igraph(graph: Graph) -> igraph.Graph:
    edges = np.stack([graph.source, graph.target], axis=1).tolist()
    return igraph.Graph(n=graph.num_nodes, edges=edges, directed=graph.directed)


def small_graphs() -> list[Graph]:
    """Fifty with weights: random ones of all densities, in several components, and those with hardly anything."""
    generator = np.random.default_rng(7)
    found = []
    for directed in (True, False):
        for num_nodes, ties in (
            (0, []),
            (1, []),
            (2, [(0, 1)]),
            (3, [(1, 0), (0, 1)]),
            (5, []),
            (7, [(i, (i + 1) % 7) for i in range(7)]),
            (6, [(0, i) for i in range(1, 6)]),
            (5, [(i, j) for i in range(5) for j in range(5) if i != j]),
        ):
            source, target = np.array(ties, int).reshape(-1, 2).T
            found.append(Graph.of(num_nodes, source, target, directed=directed))
        for number in range(17):
            num_nodes = int(generator.integers(4, 40))
            reach = num_nodes if number % 3 else num_nodes // 2 + 1  # else the rest are isolates
            ends = generator.integers(0, reach, (2, int(generator.integers(1, 5 * num_nodes))))
            if number % 4 == 0:  # even nodes with even ones: two components or more
                ends[1] = ends[1] // 2 * 2 - ends[0] % 2
                ends = np.abs(ends)
            weights = generator.integers(1, 9, len(ends[0])).astype(float)
            found.append(Graph.of(num_nodes, *ends, weights, directed=directed))
    return found


def relabelled(graph: Graph, seed: int) -> tuple[Graph, Any]:
    """The same graph with its rows in another order and its nodes numbered otherwise, and the new number of each."""
    generator = np.random.default_rng(seed)
    number = generator.permutation(graph.num_nodes)
    rows = generator.permutation(graph.num_edges)
    ends = (number[graph.source[rows]], number[graph.target[rows]])
    return Graph.of(graph.num_nodes, *ends, graph.weight[rows], directed=graph.directed), number
