"""PageRank: how often somebody who follows edges at random, and now and then starts anew, comes to each node.

    x <- d (A' (x / s) + x(nodes without out-edges) / N) + (1 - d) / N     s: out-strengths, d: damping

Brin and Page (1998), Computer Networks 30:107; nodes without out-edges lead everywhere alike, as in networkx.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from theta_ray.network.graph import Graph
from theta_ray.network.hits import EdgeWeights, Vector, adjacency, effective_number

MAX_STEPS = 10_000
DEFINITIONS = {
    "pagerank_steps": "Steps until the L1 distance to the limit was below the tolerance.",
    "pagerank_dangling_share": "Share of the PageRank on nodes without out-edges; NaN without nodes.",
    "pagerank_effective_nodes": "1 / sum of squared scores: so many equal nodes are as concentrated; NaN without any.",
}


@dataclass(frozen=True)
class PageRank:
    """Scores of all nodes, which sum to 1."""

    score: Vector
    num_steps: int
    dangling_share: float


@dataclass(frozen=True)
class Step:
    """What one step gives: the new scores, and two sums over them."""

    score: Vector
    dangling: float
    """Score on nodes without out-edges."""
    change: float
    """Sum of absolute differences from the old scores."""


def pagerank(
    graph: Graph, damping: float = 0.85, weights: EdgeWeights = "binary", *, tolerance: float = 1e-10
) -> PageRank:
    """PageRank of each node, 24 bytes an edge and 40 a node.

    Args:
        graph: edges of an undirected one are followed both ways.
        damping: probability of following an edge, below 1.
        weights: what an edge counts; of several it is followed in proportion.
        tolerance: largest L1 distance to the limit.

    Raises:
        ValueError: the damping is not in [0, 1).
    """
    matrix = adjacency(graph, weights)
    out = np.asarray(matrix.sum(axis=1), np.float64)
    into = matrix if not graph.directed else csr_array(matrix.T)
    is_dangling = out == 0
    per_strength = np.divide(damping, out, out=np.zeros_like(out), where=~is_dangling)

    def step(score: Vector, everywhere: float) -> Step:
        found = np.asarray(into @ (score * per_strength)) + everywhere
        return Step(found, float(found[is_dangling].sum()), float(np.abs(found - score).sum()))

    return stationary(step, graph.num_nodes, float(is_dangling.mean()) if len(out) else 0.0, damping, tolerance)


def stationary(
    step: Callable[[Vector, float], Step], num_nodes: int, dangling: float, damping: float, tolerance: float = 1e-10
) -> PageRank:
    """The limit of steps from the uniform vector, wherever the edges are.

    Args:
        step: from scores and what is added everywhere to the next scores, damping included.
        num_nodes: of the graph.
        dangling: share of the nodes without out-edges.
        damping: of the steps, which bring two vectors nearer by this factor in L1.
        tolerance: largest L1 distance to the limit.
    """
    if not 0 <= damping < 1:
        raise ValueError(f"damping {damping}: it must be at least 0 and below 1")
    found = Step(np.full(num_nodes, 1 / max(num_nodes, 1)), dangling, np.inf)
    num_steps = 0
    while num_nodes and found.change * damping > tolerance * (1 - damping) and num_steps < MAX_STEPS:
        found = step(found.score, (1 - damping + damping * found.dangling) / num_nodes)
        num_steps += 1
    return PageRank(found.score, num_steps, found.dangling)


def pagerank_statistics(found: PageRank) -> dict[str, float]:
    """What `DEFINITIONS` says."""
    return {
        "pagerank_steps": float(found.num_steps),
        "pagerank_dangling_share": found.dangling_share if len(found.score) else float("nan"),
        "pagerank_effective_nodes": effective_number(found.score),
    }
