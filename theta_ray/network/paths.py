"""How many steps apart nodes are. A weight says how much two nodes had to do with each other and is no length: a graph
library that takes it for one makes busy ties long. Here weights cannot come in: searches take edges alone.

Sixty-four searches run at once, one bit of a word each (Then et al. 2014, PVLDB 8:449).
Shapes: N nodes of the component, S sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import stdtrit

from theta_ray.network.components import weak_components
from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.reciprocity import dyads

DEFINITIONS = {
    "average_shortest_path_length": "Mean number of edges on shortest paths between two nodes of the largest weak "
    "component, directions and weights left out; exact over all pairs where the component has no more nodes than "
    "there are sources, else a mean over drawn sources with its Student interval; NaN where the component is one node.",
    "diameter": "Most edges on a shortest path between two nodes of that component; where sources are drawn "
    "the largest distance met, a lower bound, and twice the smallest eccentricity is the upper end of its interval.",
    "num_path_sources": "Nodes whose distances to all others were measured.",
}
NUM_SOURCES = 256
AT_ONCE = 64

Distances = NDArray[np.int64]


@dataclass(frozen=True)
class Paths:
    """Distances in the largest component from some of its nodes, or all."""

    num_nodes: int
    counts: Distances
    """[S, longest + 1] nodes at each distance from a source, itself at 0."""
    longest: int
    """Largest distance met."""

    @property
    def is_exact(self) -> bool:
        """Whether the sources are all nodes."""
        return len(self.counts) == self.num_nodes

    def statistics(self) -> dict[str, float]:
        """The statistics of `DEFINITIONS`."""
        means = self._means()
        return {
            "average_shortest_path_length": float(means.mean()) if len(means) else np.nan,
            "diameter": self.longest if self.num_nodes > 1 else np.nan,
            "num_path_sources": len(self.counts),
        }

    def intervals(self, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
        """Low and high end of both estimates; both the value where it is exact."""
        found = self.statistics()
        mean, longest = found["average_shortest_path_length"], found["diameter"]
        if self.is_exact or self.num_nodes < 2:
            return {"average_shortest_path_length": (mean, mean), "diameter": (longest, longest)}
        reach = self._reach(confidence)
        most = min(2 * int(self._eccentricities().min()), self.num_nodes - 1)
        return {"average_shortest_path_length": (mean - reach, mean + reach), "diameter": (longest, most)}

    def _means(self) -> NDArray[np.float64]:
        """[S] mean distance to the other nodes."""
        if self.num_nodes < 2:
            return np.empty(0)
        return self.counts @ np.arange(self.counts.shape[1]) / (self.num_nodes - 1)

    def _eccentricities(self) -> Distances:
        last: Distances = self.counts.shape[1] - 1 - (self.counts[:, ::-1] > 0).argmax(axis=1)
        return last

    def _reach(self, confidence: float) -> float:
        means, drawn = self._means(), len(self.counts)
        if drawn < 2:
            return float("nan")
        # without replacement: all nodes would leave no doubt
        error = means.std(ddof=1) * np.sqrt((1 - drawn / self.num_nodes) / drawn)
        return float(stdtrit(drawn - 1, (1 + confidence) / 2) * error)


def paths(graph: Graph, weak: Nodes | None = None, *, num_sources: int = NUM_SOURCES, seed: int = 0) -> Paths:
    """Distances from drawn nodes of the largest weak component, directions and weights left out.

    Time is edges x diameter for 64 sources; memory 16 bytes an edge and 40 a node.

    Args:
        graph: any.
        weak: weak components when they are known already.
        num_sources: nodes to draw without replacement; as many as the component has, or more, give exact values.
        seed: of the draw. Another numbering of the nodes draws others.
    """
    labels = weak_components(graph) if weak is None else weak
    matrix = _largest(graph, labels)
    n = matrix.shape[0]
    if n < 2:
        return Paths(n, np.ones((n, 1), np.int64), 0)
    drawn = np.arange(n)
    if num_sources < n:
        drawn = np.sort(np.random.default_rng(seed).choice(n, num_sources, replace=False))
    found: list[Distances] = []
    farthest = drawn
    for begin in range(0, len(drawn), AT_ONCE):
        counts, last = _search(matrix, drawn[begin : begin + AT_ONCE])
        if counts.shape[1] > max((other.shape[1] for other in found), default=0):
            farthest = last
        found.append(counts)
    longest = max(counts.shape[1] for counts in found) - 1
    if num_sources < n:  # nodes far from one node are the ends of long paths (Magnien et al. 2009)
        longest = max(longest, _search(matrix, farthest[:AT_ONCE])[0].shape[1] - 1)
    width = max(counts.shape[1] for counts in found)
    padded = [np.pad(counts, ((0, 0), (0, width - counts.shape[1]))) for counts in found]
    return Paths(n, np.concatenate(padded), longest)


def _largest(graph: Graph, labels: Nodes) -> csr_array:
    """Adjacency of the largest component."""
    nodes = labels == 0
    place = (np.cumsum(nodes) - 1).astype(np.int32)
    simple = dyads(graph).graph()
    kept = nodes[simple.source]
    source, target = place[simple.source[kept]], place[simple.target[kept]]
    return Graph(int(nodes.sum()), source, target, simple.weight[kept], directed=False).matrix()


def _search(matrix: csr_array, sources: NDArray[np.int64]) -> tuple[Distances, NDArray[np.int64]]:
    """[S, levels] nodes at each distance from up to 64 sources, and the nodes of the last level."""
    levels, last = [], sources
    for frontier in _frontiers(matrix, sources):
        last = np.flatnonzero(frontier)
        bits = np.unpackbits(frontier[last].astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
        levels.append(bits[:, : len(sources)].sum(axis=0, dtype=np.int64))
    return np.stack(levels, axis=1), last


def _frontiers(matrix: csr_array, sources: NDArray[np.int64]) -> Iterator[NDArray[np.uint64]]:
    """[N] at each distance, the searches that reach a node there, as bits. Every node has a neighbour."""
    frontier = np.zeros(matrix.shape[0], np.uint64)
    frontier[sources] = np.uint64(1) << np.arange(len(sources), dtype=np.uint64)
    seen = frontier.copy()
    while frontier.any():
        yield frontier
        frontier = np.bitwise_or.reduceat(frontier[matrix.indices], matrix.indptr[:-1]) & ~seen
        seen |= frontier
