"""A graph in blocks on workers: the driver has vectors of nodes, workers have the edges.

    HITS, PageRank            a vector to every worker at each step, each block's rows back
    degrees, reciprocity      once through the edges
    weak components           each worker: a forest of what it connects -> the driver merges forests
    cores                     h-index of neighbours' values, until none falls
    label propagation         votes of neighbours, until none changes

Rows come back in order of blocks, however many workers there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from theta_ray.network.blocks import roots_of
from theta_ray.network.community_quality import Split, together
from theta_ray.network.components import by_size
from theta_ray.network.degrees import Degrees
from theta_ray.network.graph import Nodes
from theta_ray.network.hits import EdgeWeights, Hits, Vector, singular_vectors
from theta_ray.network.label_propagation import propagated
from theta_ray.network.pagerank import PageRank, stationary
from theta_ray.network.reciprocity import DEFINITIONS as OF_RECIPROCITY
from theta_ray.network.reciprocity import reciprocity_of
from theta_ray.topics.workers import Workers


@dataclass(frozen=True)
class Partitioned:
    """A graph in blocks on workers."""

    workers: Workers
    num_nodes: int
    directed: bool

    def degrees(self) -> Degrees:
        """Degrees and strengths of all nodes."""
        outs, ins, heavy_outs, heavy_ins = np.concatenate(self._in_order("degrees"), axis=1)
        outs, ins = outs.astype(np.int64), ins.astype(np.int64)
        if self.directed:
            return Degrees(outs + ins, ins, outs, heavy_outs + heavy_ins, heavy_ins, heavy_outs)
        return Degrees(outs, outs, outs, heavy_outs, heavy_outs, heavy_outs)

    def reciprocity(self) -> dict[str, float]:
        """As `reciprocity.reciprocity`."""
        if not self.directed:
            return dict.fromkeys(OF_RECIPROCITY, np.nan)
        num_edges, weight, both, smaller = np.sum(self._in_order("returned"), axis=0)
        return reciprocity_of(self.num_nodes, int(num_edges), int(both) // 2, float(smaller), float(weight))

    def weak_components(self) -> Nodes:
        """[nodes] component; 0 is the largest."""
        return self._components()

    def core_number(self) -> Nodes:
        """[nodes] core number, directions left out: h-indices of neighbours until none falls (Lü et al. 2016)."""
        values: Nodes = self._rows("num_neighbors")
        while True:
            lowered = self._rows("lowered", values)
            if np.array_equal(lowered, values):
                return values
            values = lowered

    def hits(self, weights: EdgeWeights = "binary") -> Hits:
        """Hub and authority scores."""
        return singular_vectors(_BlockLinks(self, weights))

    def pagerank(self, damping: float = 0.85, weights: EdgeWeights = "binary") -> PageRank:
        """PageRank."""
        return stationary(_BlockLinks(self, weights), self._rows("strengths", weights), damping)

    def label_propagation(self, seed: int = 0) -> Nodes:
        """[nodes] community, directions left out; 0 is the largest."""
        found = propagated(lambda labels: self._rows("votes", labels), self.num_nodes, seed)
        return self._components(found.labels)

    def split(self, labels: Nodes) -> Split:
        """What communities are made of."""
        return together(self._in_order("split", labels))

    def links(self, method: str, x: Vector, weights: EdgeWeights) -> Vector:
        """[nodes] A x or A' x."""
        return np.asarray(self._rows(method, x, weights))

    def _components(self, *labels: Nodes) -> Nodes:
        """[nodes] parts that edges, or those within labels, connect, by size."""
        roots: Nodes = np.arange(self.num_nodes, dtype=np.int32)
        for nodes, smallest in self.workers.each("forest", *labels):
            # a node that is in no tree of this worker's has its root so far twice
            also = roots.copy()
            also[nodes] = smallest
            pairs = np.column_stack([roots, also]).ravel()
            roots = roots_of(self.num_nodes, np.repeat(np.arange(self.num_nodes, dtype=np.int32), 2), pairs)
        return by_size(roots)

    def _rows(self, method: str, *arguments: Any) -> Any:
        """[nodes] of all blocks."""
        return np.concatenate(self._in_order(method, *arguments))

    def _in_order(self, method: str, *arguments: Any) -> list[Any]:
        """The answers of all blocks, in their order."""
        found = {
            number: of_block for answer in self.workers.each(method, *arguments) for number, of_block in answer.items()
        }
        return [found[number] for number in sorted(found)]


@dataclass(frozen=True)
class _BlockLinks:
    """The adjacency matrix that blocks make up."""

    engine: Partitioned
    weights: EdgeWeights

    @property
    def num_nodes(self) -> int:
        return self.engine.num_nodes

    def forward(self, x: Vector) -> Vector:
        return self.engine.links("forward", x, self.weights)

    def backward(self, x: Vector) -> Vector:
        return self.engine.links("backward", x, self.weights)
