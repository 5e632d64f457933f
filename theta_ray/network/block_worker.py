"""What the engine asks of a worker that holds blocks of a graph; answers say which block they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.blocks import Block, members_of, roots_of
from theta_ray.network.community_quality import Split, split
from theta_ray.network.edge_files import EdgeFiles
from theta_ray.network.graph import Nodes
from theta_ray.network.hits import EdgeWeights, Vector

Found = TypeVar("Found")


@dataclass(frozen=True)
class BlockJob:
    """What every worker needs to know."""

    files: EdgeFiles
    limits: tuple[int, ...]
    """Nodes at which blocks begin, and the number of nodes."""
    spread: str
    """Folder of the edges by block."""


@dataclass
class BlockWorker:
    """Some blocks; they are read when first needed, so that a worker may be started again at any time."""

    job: BlockJob
    numbers: tuple[int, ...]

    @cached_property
    def blocks(self) -> dict[int, Block]:
        """By number."""
        job = self.job
        return {number: job.files.block(job.limits, number, job.spread) for number in self.numbers}

    def _each(self, function: Callable[[Block], Found]) -> dict[int, Found]:
        return {number: function(block) for number, block in self.blocks.items()}

    def forward(self, x: Vector, weights: EdgeWeights) -> dict[int, Vector]:
        """A x."""
        return self._each(lambda block: block.forward(x, weights))

    def backward(self, x: Vector, weights: EdgeWeights) -> dict[int, Vector]:
        """A' x."""
        return self._each(lambda block: block.backward(x, weights))

    def strengths(self, weights: EdgeWeights) -> dict[int, Vector]:
        """[rows] sums of A."""
        return self._each(lambda block: np.asarray(block.counted(weights)[0].sum(axis=1)))

    def degrees(self) -> dict[int, NDArray[np.float64]]:
        """As `Block.degrees`."""
        return self._each(Block.degrees)

    def returned(self) -> dict[int, NDArray[np.float64]]:
        """As `Block.returned`."""
        return self._each(Block.returned)

    def split(self, labels: Nodes) -> dict[int, Split]:
        """What communities are made of, in the edges of each block."""
        return self._each(lambda block: split(block.own_edges(), labels))

    def votes(self, labels: Nodes) -> dict[int, Nodes]:
        """As `Block.votes`."""
        members = members_of(labels)
        return self._each(lambda block: block.votes(labels, members))

    def num_neighbors(self) -> dict[int, Nodes]:
        """[rows] neighbours, directions left out."""
        return self._each(lambda block: np.diff(block.neighbors.indptr).astype(np.int32))

    def lowered(self, values: Nodes) -> dict[int, Nodes]:
        """As `Block.lowered`."""
        return self._each(lambda block: block.lowered(values))

    def forest(self, labels: Nodes | None = None) -> tuple[Nodes, Nodes]:
        """Nodes that edges of these blocks connect to a smaller one (with the same label), and the smallest such."""
        edges = [block.own_edges() for _, block in sorted(self.blocks.items())]
        source, target = (np.concatenate([getattr(graph, side) for graph in edges]) for side in ("source", "target"))
        if labels is not None:
            inner = labels[source] == labels[target]
            source, target = source[inner], target[inner]
        roots = roots_of(self.job.files.num_nodes, source, target)
        nodes = np.flatnonzero(roots != np.arange(len(roots), dtype=np.int32)).astype(np.int32)
        return nodes, roots[nodes]
