"""One Lloyd step on a block of rows: the nearest centroid of each, and what the rows add to their clusters.

    rows [N, D] x centroids [K, D] -> scores of a piece at a time -> label of each row -> sums of each cluster

1. Scores are one matrix product: x.c of unit vectors (spherical), else x.c - |c|^2 / 2, which is largest where the
   distance is smallest. A piece of rows and centroids stays in a core's cache, in one buffer.
2. A block is summed in float32 by cluster, then turned into whole numbers (`Grid`), which can be added in any order
   with the same result: a fit has the same bits on any number of workers as long as its blocks are the same.

Alive: a piece's scores, the float32 sums of a block, and K x D whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Vectors = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
# Rows and centroids that are multiplied at once.
PIECE_ROWS = 2048
TILE = 2048
# Rows that are summed in float32 before they become whole numbers.
BLOCK_ROWS = 16_384
# Whole numbers of this many bits never overflow: one more than a sum needs is left free.
BITS = 62
# Shorter vectors have no direction.
MIN_NORM = 1e-12
# Beyond, a power of two is no longer a float32.
MAX_EXPONENT = 120


@dataclass(frozen=True)
class Grid:
    """Sums in multiples of 2^-exponent.

    A block's sum loses less than one multiple, so over B blocks a coordinate of a sum is off by less than
    B x 2^-exponent, on top of the rounding of float32 within a block.
    """

    sums: int
    sse: int

    @classmethod
    def fitting(cls, max_norm: float, weight: int) -> Grid:
        """The finest grid on which nothing overflows.

        Args:
            max_norm: the largest length of a row.
            weight: the sum of all rows' weights.
        """
        largest = math.frexp(max_norm * max(weight, 1))[1] + 1  # one bit for what float32 rounds up
        farthest = math.frexp(4 * max_norm * max_norm * max(weight, 1))[1] + 1
        return cls(min(BITS - largest, MAX_EXPONENT), min(BITS - farthest, MAX_EXPONENT))


@dataclass
class Sums:
    """What some rows add to K clusters; the same bits in whatever order they are added."""

    sums: Int64
    """[K, D], of weight x row, in multiples of 2^-grid.sums."""
    weight: Int64
    """[K]."""
    sse: Int64
    """[K], of weight x squared distance, in multiples of 2^-grid.sse."""
    num_rows: int = 0
    num_moved: int = 0
    """Rows that have another label than in the step before."""
    num_compared: int = 0
    """Rows whose label in the step before is known."""

    @classmethod
    def zeros(cls, num_clusters: int, dim: int) -> Sums:
        """Nothing added yet."""
        return cls(
            np.zeros((num_clusters, dim), np.int64), np.zeros(num_clusters, np.int64), np.zeros(num_clusters, np.int64)
        )

    def add(self, other: Sums) -> None:
        """Adds what other rows add."""
        self.sums += other.sums
        self.weight += other.weight
        self.sse += other.sse
        self.num_rows += other.num_rows
        self.num_moved += other.num_moved
        self.num_compared += other.num_compared

    def means(self, grid: Grid) -> npt.NDArray[np.float64]:
        """[K, D] mean row of each cluster; zeros where there is none."""
        return np.asarray(self.sums * (2.0**-grid.sums / np.maximum(self.weight, 1))[:, None], np.float64)

    def inertias(self, grid: Grid) -> npt.NDArray[np.float64]:
        """[K] sums of weight x squared distance."""
        return np.asarray(self.sse * 2.0**-grid.sse, np.float64)


def total(parts: Iterable[Sums]) -> Sums:
    """All parts added up; at least one."""
    remaining = iter(parts)
    first = next(remaining)
    whole = Sums.zeros(*first.sums.shape)
    for part in (first, *remaining):
        whole.add(part)
    return whole


@dataclass
class Nearest:
    """The nearest centroid of each row."""

    label: Int32
    score: Vectors
    """x.c, for Euclidean distances x.c - |c|^2 / 2."""
    second: Vectors | None = None
    """The score of the second nearest; minus infinity where there is one centroid only."""

    @classmethod
    def nothing(cls, num_rows: int, *, with_second: bool) -> Nearest:
        """Room for so many rows."""
        score = np.empty((2, num_rows), np.float32)
        return cls(np.empty(num_rows, np.int32), score[0], score[1] if with_second else None)

    def put(self, rows: slice, values: Nearest) -> None:
        """Sets some rows."""
        self.label[rows], self.score[rows] = values.label, values.score
        if self.second is not None and values.second is not None:
            self.second[rows] = values.second

    def take(self, rows: slice) -> Nearest:
        """Some rows."""
        return Nearest(self.label[rows], self.score[rows], None if self.second is None else self.second[rows])


@dataclass
class Centroids:
    """K centroids to which rows are assigned."""

    values: Vectors
    """[K, D]; unit vectors when spherical."""
    spherical: bool = False

    def __post_init__(self) -> None:
        self.values = np.ascontiguousarray(self.values, np.float32)
        num_tiles = math.ceil(len(self.values) / TILE)
        limits = range(0, len(self.values), math.ceil(len(self.values) / num_tiles))
        # [D, at most TILE] each: BLAS multiplies few rows faster by columns that lie side by side
        self._tiles = [np.ascontiguousarray(self.values[start : start + limits.step].T) for start in limits]
        self._starts = list(limits)
        self._half_norms = [] if self.spherical else [np.square(tile).sum(axis=0) / 2 for tile in self._tiles]

    def new_buffer(self) -> Vectors:
        """Room for the scores of a piece, to be used again and again by one thread."""
        return np.empty(PIECE_ROWS * self._tiles[0].shape[1], np.float32)

    def nearest(self, rows: Vectors, buffer: Vectors | None = None, *, with_second: bool = False) -> Nearest:
        """The nearest centroid of each row [N, D]; among equally near ones the first."""
        buffer = self.new_buffer() if buffer is None else buffer
        found = Nearest.nothing(len(rows), with_second=with_second)
        for start in range(0, len(rows), PIECE_ROWS):
            piece = slice(start, start + PIECE_ROWS)
            for tile, first in enumerate(self._starts):
                best = _best(self._scores(rows[piece], tile, buffer), first, with_second=with_second)
                found.put(piece, best if tile == 0 else nearer(found.take(piece), best))
        return found

    def squared_distances(self, norms: Vectors, score: Vectors) -> Vectors:
        """[N] squared distances, from the squared norms [N] of rows and their scores; of spherical ones 2 - 2 cos."""
        doubled = score + score
        return np.maximum(norms - doubled if not self.spherical else norms + 1 - doubled, 0)

    def _scores(self, rows: Vectors, tile: int, buffer: Vectors) -> Vectors:
        columns = self._tiles[tile]
        room = buffer[: len(rows) * columns.shape[1]].reshape(len(rows), columns.shape[1])
        scores = np.dot(rows, columns, out=room)
        if self._half_norms:
            np.subtract(scores, self._half_norms[tile], out=scores)
        return scores


def _best(scores: Vectors, first: int, *, with_second: bool) -> Nearest:
    """The best of some scores [N, centroids]; they are changed when the second is asked for."""
    label = scores.argmax(axis=1)
    flat = np.arange(0, scores.size, scores.shape[1]) + label
    score, second = scores.ravel()[flat], None
    if with_second:
        scores.ravel()[flat] = -np.inf
        second = scores.max(axis=1)
    return Nearest((label + first).astype(np.int32), score, second)


def nearer(one: Nearest, later: Nearest) -> Nearest:
    """The best of two sets of centroids; of equal ones the first set's."""
    label = np.where(later.score > one.score, later.label, one.label)
    second = None
    if one.second is not None and later.second is not None:
        second = np.maximum(np.minimum(one.score, later.score), np.maximum(one.second, later.second))
    return Nearest(label, np.maximum(one.score, later.score), second)


def squared_norms(rows: Vectors) -> Vectors:
    """[N] squared lengths."""
    return np.asarray(np.einsum("nd,nd->n", rows, rows))


def unit_vectors(vectors: Vectors) -> Vectors:
    """[K, D] of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return np.asarray(vectors / np.where(lengths < MIN_NORM, 1, lengths)[:, None], np.float32)


def add_block(sums: Sums, grid: Grid, rows: Vectors, block: Block) -> None:
    """Adds a block of at most `BLOCK_ROWS` rows to the sums of their clusters."""
    if not len(rows):
        return
    num_clusters = len(sums.weight)
    clusters: Any = slice(None)
    label: npt.NDArray[np.integer] = block.label
    by_cluster = block.sums
    if by_cluster is None and len(rows) < num_clusters:  # the work grows with the rows, not with the clusters
        clusters, label = np.unique(label, return_inverse=True)
        num_clusters = len(clusters)
    if by_cluster is None:
        by_cluster = weighted_sums(rows, label, block.weight, num_clusters)
    weighted = block.squared_distance.astype(np.float64) * block.weight
    sums.sums[clusters] += _whole(by_cluster, grid.sums)
    sums.weight[clusters] += _whole(np.bincount(label, block.weight, num_clusters), 0)
    sums.sse[clusters] += _whole(np.bincount(label, weighted, num_clusters), grid.sse)
    sums.num_rows += len(rows)


@dataclass(frozen=True)
class Block:
    """What is known of the N rows of a block."""

    label: Int32
    weight: Vectors
    """Whole numbers: how often the row is there."""
    squared_distance: Vectors
    sums: Vectors | None = None
    """[K, D] of weight x row, where a device has added them up."""


def weighted_sums(rows: Vectors, label: npt.NDArray[np.integer], weight: Vectors, num_clusters: int) -> Vectors:
    """[K, D] sums of weight x row, row after row in float32."""
    places = np.arange(len(rows) + 1, dtype=np.int32)
    one_per_row = sparse.csc_matrix((weight, label.astype(np.int32), places), shape=(num_clusters, len(rows)))
    return np.asarray(one_per_row @ rows)


def _whole(values: npt.NDArray[Any], exponent: int) -> Int64:
    return np.asarray(values * values.dtype.type(2.0**exponent), np.int64)
