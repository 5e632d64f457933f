"""Whether nodes are tied to nodes like them: correlation over edges (Newman 2003)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theta_ray.network.graph import Graph, Weights
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
    degree = _degrees(simple)[0]
    found = {"degree_assortativity": _correlation(simple, (degree, degree), degree, degree)}
    ends = _degrees(graph)
    of_nodes = dict(zip(("out", "in"), ends, strict=True))
    for name in list(DEFINITIONS)[1:]:
        *_, of_source, of_target = name.split("_")
        values = (of_nodes[of_source], of_nodes[of_target])
        found[name] = _correlation(graph, ends, *values) if graph.directed else np.nan
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
    return _correlation(
        graph, _degrees(graph), first, first if of_target is None else np.asarray(of_target, np.float64)
    )


def _degrees(graph: Graph) -> tuple[Weights, Weights]:
    """[nodes] edges from each node and to it; both are its degree where the graph is undirected."""
    outs, ins = (
        np.bincount(each, minlength=graph.num_nodes).astype(np.float64) for each in (graph.source, graph.target)
    )
    return (outs, ins) if graph.directed else (outs + ins, outs + ins)


def _correlation(graph: Graph, degrees: tuple[Weights, Weights], first: Weights, second: Weights) -> float:
    """Of `first` of the sources with `second` of the targets."""
    starts, ends = degrees
    used_first, used_second = first[starts > 0], second[ends > 0]
    if not graph.num_edges or np.ptp(used_first) == 0 or np.ptp(used_second) == 0:
        return float("nan")
    # a node's value counts as often as it is an end, so only products of both ends need the edges
    x, y = first - np.average(first, weights=starts), second - np.average(second, weights=ends)
    together = x[graph.source] @ y[graph.target]
    if not graph.directed:
        together += together if first is second else x[graph.target] @ y[graph.source]
    return float(together / np.sqrt((starts @ x**2) * (ends @ y**2)))


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
