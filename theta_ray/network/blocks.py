"""Part of a graph: a range of nodes with all edges that leave or reach them.

    A  = rows of the nodes' out-edges       A x and A' x of these nodes need the vector of all nodes and no other block
    A' = rows of the nodes' in-edges        both directions of a pair meet here, so reciprocity is counted here too

Each edge lies in two blocks. In return nothing is summed over blocks: what a node gets is summed in one place, in order
of its neighbours, so that any number of blocks and workers gives the bits of a single one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from theta_ray.network.graph import Graph, Nodes, Weights
from theta_ray.network.hits import EdgeWeights, Vector

Counts = NDArray[np.int64]
Limits = NDArray[np.int64]
NUM_BINS = 2**16


def bin_width(num_nodes: int) -> int:
    """Nodes of a bin: edges are counted by bin, and blocks begin where bins do."""
    return max(1, -(-num_nodes // NUM_BINS))


def limits_of(num_ends: Counts, num_nodes: int, num_blocks: int) -> Limits:
    """[blocks + 1] nodes at which blocks with about equal numbers of edges begin, and the number of nodes.

    Args:
        num_ends: [bins] edges at the nodes of each bin, both directions.
        num_nodes: of the graph.
        num_blocks: at most; a node with very many edges has a block of its own, and so there may be fewer.
    """
    width = bin_width(num_nodes)
    before = np.concatenate([[0], np.cumsum(num_ends + width)])  # an isolate costs something, too
    shares = np.linspace(0, before[-1], num_blocks + 1)
    return np.minimum(np.unique(np.searchsorted(before, shares)) * width, num_nodes)


@dataclass
class Block:
    """Nodes `first` up to `last` and their edges: 48 bytes an edge of a graph with directions, over all blocks."""

    first: int
    last: int
    num_nodes: int
    directed: bool
    leaving: csr_array
    """[rows, nodes] weights of out-edges, columns in order; all edges of a graph without directions."""
    reaching: csr_array
    """[rows, nodes] weights of in-edges; the same object as `leaving` where there are no directions."""
    _counted: dict[EdgeWeights, tuple[csr_array, csr_array]] = field(default_factory=dict)

    @classmethod
    def of(cls, ties: Graph, first: int, last: int) -> Block:
        """The block of some nodes; `ties` has at least all their edges."""
        from_here = (ties.source >= first) & (ties.source < last)
        to_here = (ties.target >= first) & (ties.target < last)
        out = ties.source[from_here], ties.target[from_here], ties.weight[from_here]
        into = ties.target[to_here], ties.source[to_here], ties.weight[to_here]
        shape = (first, last, ties.num_nodes)
        if ties.directed:
            return cls(*shape, True, _rows(*out, shape), _rows(*into, shape))
        # smaller neighbours first: columns are in order, as `_rows` wants them
        rows, columns = (np.concatenate([into[side], out[side]]) for side in (0, 1))
        both = _rows(rows, columns, np.concatenate([into[2], out[2]]), shape)
        return cls(*shape, False, both, both)

    def counted(self, weights: EdgeWeights) -> tuple[csr_array, csr_array]:
        """`leaving` and `reaching` with what an edge counts; those asked for last are kept."""
        if weights == "raw":
            return self.leaving, self.reaching
        if weights not in self._counted:
            leaving = _counting(self.leaving, weights)
            reaching = _counting(self.reaching, weights) if self.directed else leaving
            self._counted = {weights: (leaving, reaching)}
        return self._counted[weights]

    def forward(self, x: Vector, weights: EdgeWeights) -> Vector:
        """[rows] what the targets of each node have, of a vector [nodes]."""
        return np.asarray(self.counted(weights)[0] @ x)

    def backward(self, x: Vector, weights: EdgeWeights) -> Vector:
        """[rows] what the sources of each node have."""
        return np.asarray(self.counted(weights)[1] @ x)

    def degrees(self) -> NDArray[np.float64]:
        """[4, rows] out-degree, in-degree, out-strength, in-strength."""
        sides = self.leaving, self.reaching
        return np.array([np.diff(s.indptr) for s in sides] + [np.asarray(s.sum(axis=1)) for s in sides], np.float64)

    def returned(self) -> NDArray[np.float64]:
        """Edges from here, their weight, edges whose reverse is an edge, and the smaller weights of both directions."""
        both = self.leaving.minimum(self.reaching)
        return np.array([self.leaving.nnz, self.leaving.sum(), both.nnz, both.sum()], np.float64)

    def own_edges(self) -> Graph:
        """The edges that start here, each edge of a graph in one block: an undirected one where its smaller node is."""
        source = np.repeat(np.arange(self.first, self.last, dtype=np.int32), np.diff(self.leaving.indptr))
        target, weight = self.leaving.indices, self.leaving.data
        if not self.directed:
            kept = source < target
            source, target, weight = source[kept], target[kept], weight[kept]
        return Graph(self.num_nodes, source, target, weight, directed=self.directed)

    @cached_property
    def neighbors(self) -> csr_array:
        """[rows, nodes] weights of both directions together: 24 bytes an edge more."""
        return csr_array(self.leaving + self.reaching) if self.directed else self.leaving

    def votes(self, labels: Nodes, members: csr_array) -> Nodes:
        """[rows] label with the most weight among each node's neighbours; of equal ones its own, else the smallest.

        Args:
            labels: [nodes] of all nodes.
            members: `members_of(labels)`.
        """
        found = csr_array(self.neighbors @ members)  # for each node the weight of each label near it
        rows = np.flatnonzero(np.diff(found.indptr))
        starts, counts = found.indptr[rows], np.diff(found.indptr)[rows]
        voted: Nodes = labels[self.first : self.last].copy()
        if not len(rows):
            return voted
        is_best = found.data == np.repeat(np.maximum.reduceat(found.data, starts), counts)
        keeps = np.logical_or.reduceat(is_best & (found.indices == np.repeat(voted[rows], counts)), starts)
        smallest = np.minimum.reduceat(np.where(is_best, found.indices, self.num_nodes), starts)
        voted[rows] = np.where(keeps, voted[rows], smallest)
        return voted

    def lowered(self, values: Nodes) -> Nodes:
        """[rows] largest h so that h neighbours of a node have h or more, and at most what it has."""
        starts = self.neighbors.indptr
        has: Nodes = values[self.first : self.last].copy()
        counts = np.diff(starts)
        of_neighbor = values[self.neighbors.indices]
        reaches = of_neighbor >= np.repeat(has, counts)
        before = np.concatenate([[0], np.cumsum(reaches)])
        # only nodes with too few such neighbours have to be looked at
        falling = np.flatnonzero(before[starts[1:]] - before[starts[:-1]] < has)
        many = counts[falling]
        place = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        row, met = np.repeat(falling, many), of_neighbor[np.repeat(starts[falling], many) + place]
        met = met[np.lexsort((-met, row))]  # rows are in order already: each one's values, from the largest
        has[falling] = np.bincount(row[met > place], minlength=len(has))[falling]
        return has


def members_of(labels: Nodes) -> csr_array:
    """[nodes, nodes] 1 where a node has a label."""
    count = len(labels)
    return csr_array((np.ones(count), labels, np.arange(count + 1)), shape=(count, count))


def roots_of(num_nodes: int, source: Nodes, target: Nodes) -> Nodes:
    """[nodes] smallest node that each is connected to by some edges, itself without any; `source` is in order."""
    if not num_nodes:
        return np.empty(0, np.int32)
    starts = np.zeros(num_nodes + 1, np.int32 if len(source) < 2**31 else np.int64)
    np.cumsum(np.bincount(source, minlength=num_nodes), out=starts[1:])
    # ones of this type: others are copied
    matrix = csr_array((np.ones(len(target)), target, starts), shape=(num_nodes, num_nodes))
    count, label = connected_components(matrix, directed=False)
    smallest: Nodes = np.empty(count, np.int32)
    smallest[label[::-1]] = np.arange(num_nodes, dtype=np.int32)[::-1]  # the last to be written stays
    return np.asarray(smallest[label])


def _rows(rows: Nodes, columns: Nodes, weight: Weights, shape: tuple[int, int, int]) -> csr_array:
    """Edges by row, which is linear as the columns of each row are in order."""
    first, last, num_nodes = shape
    return csr_array((weight, (rows - first, columns)), shape=(last - first, num_nodes))


def _counting(matrix: csr_array, weights: EdgeWeights) -> csr_array:
    values = np.ones(matrix.nnz) if weights == "binary" else np.log1p(matrix.data)
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
