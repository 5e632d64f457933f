"""Whether nodes are tied to nodes like them: correlation over edges (Newman 2003)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theta_ray.network.degrees import Degrees, degrees
from theta_ray.network.graph import Graph
from theta_ray.network.reciprocity import dyads

DEFINITIONS = {
    "degree_assortativity": "Correlation of the degrees at both ends over the edges, directions left out, each edge "
    "both ways (Newman 2002, eq. 4); NaN where all ends have the same degree, as for all of these.",
    "degree_assortativity_out_in": "Correlation over edges of the out-degree of the source with the in-degree of the "
    "target (Newman 2003, eq. 25); NaN where undirected, as for the others with directions (Foster et al. 2010).",
    "degree_assortativity_out_out": "The same of the out-degrees of source and target.",
    "degree_assortativity_in_in": "The same of the in-degrees of source and target.",
    "degree_assortativity_in_out": "The same of the in-degree of the source with the out-degree of the target.",
}


def degree_assortativity(graph: Graph, simple: Graph | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `simple` is the graph without directions when it is known already."""
    simple = simple or dyads(graph).graph()
    found = {"degree_assortativity": numeric_assortativity(simple, degrees(simple).degree)}
    sides: dict[str, Callable[[Degrees], NDArray[np.int64]]] = {
        "in": lambda of_nodes: of_nodes.in_degree,
        "out": lambda of_nodes: of_nodes.out_degree,
    }
    of_nodes = degrees(graph)
    for name in list(DEFINITIONS)[1:]:
        *_, of_source, of_target = name.split("_")
        values = (sides[of_source](of_nodes), sides[of_target](of_nodes))
        found[name] = numeric_assortativity(graph, *values) if graph.directed else np.nan
    return found


def numeric_assortativity(graph: Graph, values: ArrayLike, of_target: ArrayLike | None = None) -> float:
    """Correlation over edges of a value of the source with a value of the target (Newman 2003, eq. 21 and 25).

    Args:
        graph: an undirected one has each edge in both directions.
        values: [nodes] of a node as a source.
        of_target: [nodes] of a node as a target; absent: the same.

    Returns:
        -1 to 1; NaN where a side does not vary.
    """
    first = np.asarray(values, np.float64)
    second = first if of_target is None else np.asarray(of_target, np.float64)
    x, y = first[graph.source], second[graph.target]
    if not graph.directed:
        x, y = np.concatenate([x, first[graph.target]]), np.concatenate([y, second[graph.source]])
    if not len(x) or x.min() == x.max() or y.min() == y.max():
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / np.sqrt((x @ x) * (y @ y)))


def attribute_assortativity(graph: Graph, labels: ArrayLike) -> float:
    """How much more often than by chance ties are between nodes of one label (Newman 2003, eq. 2).

    (Tr e - sum of e^2) / (1 - sum of e^2) with e the matrix of the shares of edges between labels.

    Args:
        graph: an undirected one has each edge in both directions.
        labels: [nodes] of any type that can be sorted.

    Returns:
        1 where all ties are within labels; NaN where all ends have one label or there are no edges.
    """
    if not graph.num_edges:
        return float("nan")
    _, label = np.unique(np.asarray(labels), return_inverse=True)
    source, target = label[graph.source], label[graph.target]
    within = float((source == target).mean())
    starts, ends = np.bincount(source, minlength=label.max() + 1), np.bincount(target, minlength=label.max() + 1)
    if not graph.directed:
        starts = ends = starts + ends
    by_chance = float((starts / starts.sum()) @ (ends / ends.sum()))
    return (within - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
