"""A graph as three arrays: what every statistic of a network takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

Nodes = NDArray[np.int32]
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Graph:
    """Distinct edges between nodes 0 to `num_nodes` - 1, without loops, in order of source and target.

    An edge of an undirected graph is there once, with its smaller node as its source. 16 bytes an edge.
    Isolates are nodes without an edge: whether they count is the caller's population, so `num_nodes` says it.
    """

    num_nodes: int
    source: Nodes
    target: Nodes
    weight: Weights
    directed: bool

    @classmethod
    def of(
        cls, num_nodes: int, source: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None, *, directed: bool
    ) -> Graph:
        """The graph of some ties: loops are dropped, the weights of equal edges summed (1 each when absent).

        Args:
            num_nodes: of the graph, isolates included.
            source: [ties] node each tie comes from.
            target: [ties] node it goes to.
            weight: [ties] positive weights.
            directed: whether the direction of a tie means anything.

        Raises:
            ValueError: a node is not in the graph.
        """
        rows, columns = np.asarray(source, np.int64), np.asarray(target, np.int64)
        weights = np.ones(len(rows)) if weight is None else np.asarray(weight, np.float64)
        if len(rows):
            first, last = min(rows.min(), columns.min()), max(rows.max(), columns.max())
            if not 0 <= first <= last < num_nodes:
                raise ValueError(f"nodes {first} to {last}: the graph has 0 to {num_nodes - 1}")
        if not directed:
            rows, columns = np.minimum(rows, columns), np.maximum(rows, columns)
        kept = rows != columns
        # sorted by counting, which is three times as fast as by comparing
        tie_ends = (rows[kept].astype(np.int32), columns[kept].astype(np.int32))
        edges = coo_array((weights[kept], tie_ends), shape=(num_nodes, num_nodes)).tocsr()
        edges.sum_duplicates()
        ordered = np.repeat(np.arange(num_nodes, dtype=np.int32), np.diff(edges.indptr))
        return cls(num_nodes, ordered, edges.indices.astype(np.int32, copy=False), edges.data, directed)

    @property
    def num_edges(self) -> int:
        """Distinct edges."""
        return len(self.source)

    def matrix(self, *, weighted: bool = False) -> csr_array:
        """[nodes, nodes] adjacency, float64, row = source; symmetric where the graph is undirected."""
        values = self.weight if weighted else np.ones(self.num_edges)
        shape = (self.num_nodes, self.num_nodes)
        # edges are in order of rows and columns: the CSR form is theirs
        starts = np.zeros(self.num_nodes + 1, np.int64)
        np.cumsum(np.bincount(self.source, minlength=self.num_nodes), out=starts[1:])
        one_way = csr_array((values, self.target, starts), shape=shape)
        return one_way if self.directed else csr_array(one_way + one_way.T)

    def undirected(self) -> Graph:
        """The graph without directions: weights of both directions are summed."""
        if not self.directed:
            return self
        return Graph.of(self.num_nodes, self.source, self.target, self.weight, directed=False)
