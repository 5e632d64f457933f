"""PageRank: how often somebody who follows edges at random, and now and then starts anew, comes to each node.

    x <- d (A' (x / s) + x(nodes without out-edges) / N) + (1 - d) / N     s: out-strengths, d: damping

Brin and Page (1998), Computer Networks 30:107; nodes without out-edges lead everywhere alike, as in networkx.
Each step starts from the mean of the last ones, with the weights that would have left the least change (Anderson 1965,
J. ACM 12:547): the limit is the same, and is reached in about half of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theta_ray.network.graph import Graph
from theta_ray.network.hits import EdgeWeights, Links, Matrix, Vector, adjacency, effective_number

MAX_STEPS = 10_000
# Steps that a mean is made of, 16 bytes a node each. More save few steps, and each costs more.
NUM_KEPT = 3
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


def pagerank(
    graph: Graph, damping: float = 0.85, weights: EdgeWeights = "binary", *, tolerance: float = 1e-10
) -> PageRank:
    """PageRank of each node, 24 bytes an edge and 100 a node.

    Args:
        graph: edges of an undirected one are followed both ways.
        damping: probability of following an edge, below 1.
        weights: what an edge counts; of several it is followed in proportion.
        tolerance: largest L1 distance to the limit.

    Raises:
        ValueError: the damping is not in [0, 1).
    """
    matrix = adjacency(graph, weights)
    links = Matrix(matrix, symmetric=not graph.directed)
    return stationary(links, np.asarray(matrix.sum(axis=1), np.float64), damping, tolerance)


def stationary(links: Links, out_strength: Vector, damping: float, tolerance: float = 1e-10) -> PageRank:
    """PageRank wherever the edges are; `out_strength` [nodes] are the row sums of the links."""
    if not 0 <= damping < 1:
        raise ValueError(f"damping {damping}: it must be at least 0 and below 1")
    num_nodes, num_steps, change = links.num_nodes, 0, np.inf
    is_dangling = out_strength == 0
    rate = np.divide(damping, out_strength, out=np.zeros(num_nodes), where=~is_dangling)
    point = score = np.full(num_nodes, 1 / max(num_nodes, 1))
    kept: list[tuple[Vector, Vector]] = []
    # a step brings any two vectors nearer by the damping, so the last change bounds what is left
    while num_nodes and change * damping > tolerance * (1 - damping) and num_steps < MAX_STEPS:
        everywhere = (1 - damping + damping * point[is_dangling].sum()) / num_nodes
        score = links.backward(point * rate) + everywhere
        moved = score - point
        last, change = change, float(np.abs(moved).sum())
        # a mean that was no better is forgotten
        kept = [*kept[1 - NUM_KEPT :], (score, moved)] if change < last else [(score, moved)]
        point = _mean(kept)
        num_steps += 1
    return PageRank(score, num_steps, float(score[is_dangling].sum()))


def _mean(kept: list[tuple[Vector, Vector]]) -> Vector:
    """Of vectors, with weights that sum to 1 and make the same mean of their changes the shortest."""
    score, moved = kept[-1]
    if len(kept) == 1:
        return score
    scores, moves = np.stack([each for each, _ in kept[:-1]]) - score, np.stack([each for _, each in kept[:-1]]) - moved
    weights = np.linalg.lstsq(moves @ moves.T, -(moves @ moved))[0]
    return np.asarray(score + weights @ scores)


def pagerank_statistics(found: PageRank) -> dict[str, float]:
    """What `DEFINITIONS` says."""
    return {
        "pagerank_steps": float(found.num_steps),
        "pagerank_dangling_share": found.dangling_share if len(found.score) else float("nan"),
        "pagerank_effective_nodes": effective_number(found.score),
    }
