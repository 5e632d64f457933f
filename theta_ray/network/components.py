"""Connected components: sets of nodes that reach each other."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from theta_ray.network.graph import Graph, Nodes

DEFINITIONS = {
    "num_weak_components": "Sets of nodes that reach each other over edges of either direction; an isolate is one.",
    "largest_weak_component": "Nodes of the largest weak component; NaN without nodes.",
    "largest_weak_share": "The same over all nodes.",
    "num_strong_components": "Sets of nodes that reach each other along directions; NaN where undirected.",
    "largest_strong_component": "Nodes of the largest strong component; NaN where undirected or without nodes.",
    "largest_strong_share": "The same over all nodes.",
}


def weak_components(graph: Graph) -> Nodes:
    """[nodes] component over edges of either direction: 0 is the largest, of equal ones that with the smallest node."""
    return _components(graph, "weak")


def strong_components(graph: Graph) -> Nodes:
    """[nodes] component along directions, numbered as `weak_components` (Pearce 2005)."""
    return _components(graph, "strong")


def components(graph: Graph, weak: Nodes | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `weak` when the weak components are known already."""
    found = weak_components(graph) if weak is None else weak
    strong = strong_components(graph) if graph.directed else None
    return {**sizes("weak", found), **sizes("strong", strong)}


def _components(graph: Graph, connection: str) -> Nodes:
    starts = np.zeros(graph.num_nodes + 1, np.int32)
    np.cumsum(np.bincount(graph.source, minlength=graph.num_nodes), out=starts[1:])
    present = np.ones(graph.num_edges)  # the search takes no other type: others are copied
    matrix = csr_array((present, graph.target, starts), shape=(graph.num_nodes, graph.num_nodes))
    if not graph.num_nodes:
        return np.empty(0, np.int32)
    _, labels = connected_components(matrix, directed=True, connection=connection)
    return by_size(labels)


def by_size(labels: Nodes) -> Nodes:
    """[nodes] the same parts, of labels from 0; 0 is the largest, of equal ones that with the smallest node."""
    size = np.bincount(labels)
    first = np.full(len(size), len(labels))
    first[labels[::-1]] = np.arange(len(labels))[::-1]  # the last to be written stays
    rank = np.empty(len(size), np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(size), dtype=np.int32)
    return np.asarray(rank[labels])


def sizes(name: str, labels: Nodes | None) -> dict[str, float]:
    """How many components there are, and how large the largest is, from their labels.

    Args:
        name: `weak` or `strong`.
        labels: [nodes] component; 0 is the largest. None: of undirected graphs, strong ones are not told apart.
    """
    names = (f"num_{name}_components", f"largest_{name}_component", f"largest_{name}_share")
    if labels is None:
        return dict.fromkeys(names, np.nan)
    if not len(labels):
        return dict(zip(names, (0, np.nan, np.nan), strict=True))
    counts = np.bincount(labels)
    return dict(zip(names, (len(counts), int(counts[0]), float(counts[0] / len(labels))), strict=True))
