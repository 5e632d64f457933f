"""One interface to what is asked of a graph: a graph in memory, or workers that hold its blocks.

    up to `max_edges`   a Graph of this process: SciPy and NetworKit
    above               blocks on workers; vectors of nodes are here, and go to every worker at each step

Both give the same numbers: degrees, components, cores and labels to the bit, HITS and PageRank as well, since what a
node gets is summed in one place and in one order (blocks.py). One task is faster as long as the graph fits, and only
there are Leiden and triangles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from theta_ray.config import Resources
from theta_ray.network.blocks import Block, members_of
from theta_ray.network.communities import connected_parts
from theta_ray.network.community_quality import Split, split
from theta_ray.network.components import by_size, weak_components
from theta_ray.network.cores import core_number
from theta_ray.network.degrees import Degrees, degrees
from theta_ray.network.edge_files import EdgeFiles
from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.graph_actors import block_workers
from theta_ray.network.hits import EdgeWeights, Hits, hits
from theta_ray.network.label_propagation import propagated
from theta_ray.network.pagerank import PageRank, pagerank
from theta_ray.network.partitioned import Partitioned
from theta_ray.network.reciprocity import reciprocity


@dataclass(frozen=True)
class EngineSettings:
    """Where a graph is kept."""

    max_edges: int = 10**8
    """Of a graph in one task: 24 bytes each, and 100 while communities are looked for."""
    edges_per_block: int = 2**23
    """48 bytes each, and about 150 while a block is read."""


class Engine(Protocol):
    """Answers of a graph, wherever its edges are."""

    def degrees(self) -> Degrees:
        """Degrees and strengths of all nodes."""
        ...

    def reciprocity(self) -> dict[str, float]:
        """As `reciprocity.reciprocity`."""
        ...

    def weak_components(self) -> Nodes:
        """[nodes] component; 0 is the largest."""
        ...

    def core_number(self) -> Nodes:
        """[nodes] core number, directions left out."""
        ...

    def hits(self, weights: EdgeWeights = "binary") -> Hits:
        """Hub and authority scores."""
        ...

    def pagerank(self, damping: float = 0.85, weights: EdgeWeights = "binary") -> PageRank:
        """PageRank."""
        ...

    def label_propagation(self, seed: int = 0) -> Nodes:
        """[nodes] community, directions left out; 0 is the largest."""
        ...

    def split(self, labels: Nodes) -> Split:
        """What communities are made of."""
        ...


@dataclass(frozen=True)
class Whole:
    """A graph in this process."""

    graph: Graph

    def degrees(self) -> Degrees:
        """Degrees and strengths of all nodes."""
        return degrees(self.graph)

    def reciprocity(self) -> dict[str, float]:
        """As `reciprocity.reciprocity`."""
        return reciprocity(self.graph)

    def weak_components(self) -> Nodes:
        """[nodes] component; 0 is the largest."""
        return weak_components(self.graph)

    def core_number(self) -> Nodes:
        """[nodes] core number, directions left out."""
        return core_number(self.graph)

    def hits(self, weights: EdgeWeights = "binary") -> Hits:
        """Hub and authority scores."""
        return hits(self.graph, weights)

    def pagerank(self, damping: float = 0.85, weights: EdgeWeights = "binary") -> PageRank:
        """PageRank."""
        return pagerank(self.graph, damping, weights)

    def label_propagation(self, seed: int = 0) -> Nodes:
        """[nodes] community, directions left out; 0 is the largest."""
        block = Block.of(self.graph, 0, self.graph.num_nodes)
        found = propagated(lambda labels: block.votes(labels, members_of(labels)), self.graph.num_nodes, seed)
        return by_size(connected_parts(self.graph, found.labels))

    def split(self, labels: Nodes) -> Split:
        """What communities are made of."""
        return split(self.graph, labels)


@contextmanager
def engine_for(
    files: EdgeFiles,
    scratch: str,
    resources: Resources,
    settings: EngineSettings | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Engine]:
    """The engine for as many edges as there are, for the time of a `with` block.

    Args:
        files: the edges.
        scratch: folder or URI that all workers reach, for the edges by block.
        resources: where workers run; a cluster is there already.
        settings: sizes.
        check: called before each question to workers, and may raise: a lease's own.
    """
    settings = settings or EngineSettings()
    if files.num_edges <= settings.max_edges:
        yield Whole(files.graph())
        return
    num_blocks = -(-files.num_edges // settings.edges_per_block)
    with block_workers(files, num_blocks, scratch, resources, check) as workers:
        yield Partitioned(workers, files.num_nodes, files.directed)
