"""The k-core: what remains of a graph when nodes with fewer than k neighbours are taken away until none is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.reciprocity import dyads

DEFINITIONS = {
    "max_core": "Largest k for which there is a k-core, directions left out (Seidman 1983); NaN without nodes.",
    "max_core_size": "Nodes of that core; NaN without nodes.",
}


def core_number(graph: Graph) -> Nodes:
    """[nodes] largest k whose k-core has the node, directions left out.

    All nodes that cannot be in the next core are taken away at once, round by round, so each edge is looked at twice
    (Batagelj and Zaversnik 2003). 24 bytes an edge.
    """
    matrix = dyads(graph).graph().matrix()
    degree = np.diff(matrix.indptr).astype(np.int64)
    starts, neighbors = matrix.indptr[:-1], matrix.indices
    core = np.zeros(graph.num_nodes, np.int32)
    left = np.arange(graph.num_nodes)
    is_left = np.ones(graph.num_nodes, bool)
    while len(left):
        k = int(degree[left].min())
        going = left[degree[left] == k]
        while len(going):
            core[going] = k
            is_left[going] = False
            met, times = np.unique(_rows(starts, matrix.indptr[1:], neighbors, going), return_counts=True)
            met, times = met[is_left[met]], times[is_left[met]]
            degree[met] -= times
            going = met[degree[met] <= k]
        left = left[is_left[left]]
    return core


def cores(graph: Graph, core: Nodes | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `core` when the core numbers are known already."""
    return core_statistics(core_number(graph) if core is None else core)


def core_statistics(found: Nodes) -> dict[str, float]:
    """The statistics of `DEFINITIONS`, from the core numbers [nodes]."""
    if not len(found):
        return dict.fromkeys(DEFINITIONS, np.nan)
    return {"max_core": int(found.max()), "max_core_size": int((found == found.max()).sum())}


def _rows(
    starts: NDArray[np.int32], ends: NDArray[np.int32], neighbors: NDArray[np.int32], nodes: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Neighbours of some nodes, one list after another."""
    counts = ends[nodes] - starts[nodes]
    before = np.cumsum(counts) - counts
    places = np.repeat(starts[nodes] - before, counts) + np.arange(counts.sum())
    found: NDArray[np.int32] = neighbors[places]
    return found
