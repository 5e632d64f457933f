"""Size of a graph, and the degrees and strengths of its nodes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.graph import Graph, Weights

Counts = NDArray[np.int64]

DEFINITIONS = {
    "num_nodes": "Nodes of the graph, isolates included where the graph has them.",
    "num_edges": "Distinct edges without loops: ordered pairs of a directed graph, unordered ones of an undirected.",
    "num_isolates": "Nodes without an edge.",
    "total_weight": "Sum of the weights of all edges, each once.",
    "density": "Edges over possible ones: m / (n (n - 1)) directed, 2 m / (n (n - 1)) undirected; NaN below two nodes.",
    "mean_degree": "Edges at a node, both directions: 2 m / n over all nodes; NaN without nodes.",
    "median_degree": "Median over all nodes of the edges at a node, both directions; NaN without nodes.",
    "max_degree": "Most edges at one node, both directions; NaN without nodes.",
    "median_in_degree": "Median over all nodes of the edges that end there; NaN where undirected or without nodes.",
    "max_in_degree": "Most edges that end at one node; NaN where undirected or without nodes.",
    "share_without_in": "Share of all nodes at which no edge ends; NaN where undirected or without nodes.",
    "median_out_degree": "Median over all nodes of the edges that start there; NaN where undirected or without nodes.",
    "max_out_degree": "Most edges that start at one node; NaN where undirected or without nodes.",
    "share_without_out": "Share of all nodes at which no edge starts; NaN where undirected or without nodes.",
    "mean_strength": "Weight of the edges at a node, both directions: mean over all nodes; NaN without nodes.",
    "median_strength": "Median over all nodes of the weight of the edges there, both directions; NaN without nodes.",
    "max_strength": "Largest weight of the edges at one node, both directions; NaN without nodes.",
}


class Degrees(NamedTuple):
    """[nodes] edges of each node and their weight. A directed graph's `degree` is in and out together.

    All three degrees of an undirected graph are the same, and so are its strengths.
    """

    degree: Counts
    in_degree: Counts
    out_degree: Counts
    strength: Weights
    in_strength: Weights
    out_strength: Weights


def degrees(graph: Graph) -> Degrees:
    """Degrees and strengths of all nodes: 48 bytes a node."""

    def sums(ends: NDArray[np.int32], weights: Weights | None = None) -> NDArray[np.generic]:
        return np.bincount(ends, weights, minlength=graph.num_nodes)

    ins, outs = sums(graph.target).astype(np.int64), sums(graph.source).astype(np.int64)
    # of no edges at all, the sum of the weights has integers
    heavy_ins, heavy_outs = (sums(e, graph.weight).astype(np.float64) for e in (graph.target, graph.source))
    every, heavy = ins + outs, heavy_ins + heavy_outs
    if graph.directed:
        return Degrees(every, ins, outs, heavy, heavy_ins, heavy_outs)
    return Degrees(every, every, every, heavy, heavy, heavy)


def size(graph: Graph, of_nodes: Degrees | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `of_nodes` when they are known already."""
    return size_of(of_nodes or degrees(graph), directed=graph.directed)


def size_of(found: Degrees, *, directed: bool) -> dict[str, float]:
    """The statistics of `DEFINITIONS`, from the nodes alone."""
    # each edge of an undirected graph is at two nodes
    ends = 1 if directed else 2
    n, m = len(found.degree), int(found.out_degree.sum()) // ends
    possible = n * (n - 1) / ends
    return {
        "num_nodes": n,
        "num_edges": m,
        "num_isolates": int((found.degree == 0).sum()),
        "total_weight": float(found.out_strength.sum()) / ends,
        "density": m / possible if possible else np.nan,
        **_of_values("degree", found.degree),
        **_of_direction("in", found.in_degree, directed),
        **_of_direction("out", found.out_degree, directed),
        **_of_values("strength", found.strength),
    }


def _of_values(name: str, values: Counts | Weights) -> dict[str, float]:
    known = len(values) > 0
    return {
        f"mean_{name}": float(values.mean()) if known else np.nan,
        f"median_{name}": float(np.median(values)) if known else np.nan,
        f"max_{name}": float(values.max()) if known else np.nan,
    }


def _of_direction(name: str, values: Counts, directed: bool) -> dict[str, float]:
    known = directed and len(values) > 0
    return {
        f"median_{name}_degree": float(np.median(values)) if known else np.nan,
        f"max_{name}_degree": float(values.max()) if known else np.nan,
        f"share_without_{name}": float((values == 0).mean()) if known else np.nan,
    }
