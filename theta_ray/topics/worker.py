"""What a fit asks of the rows that one worker holds; nothing here knows how many workers there are.

A worker is restartable: it is made from its files and the seed alone, and every answer depends on these and on the
arguments of the call. The labels of the step before are kept to count the rows that moved; a worker that lost them
says that it compared fewer rows, and centroids are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from theta_ray.topics.lloyd import Block, Centroids, Grid, Int32, Sums, Vectors, add_block, total
from theta_ray.topics.rows import LEFT_OUT, Piece, Rows, RowStore, blocks

T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What there is on a worker."""

    num_rows: int
    """Different rows of each file."""
    weight: int
    """Rows, copies counted."""
    dim: int
    max_norm: float
    num_zero: int
    num_non_finite: int


@dataclass(frozen=True)
class Far:
    """The rows of a cluster that are farthest from its centroid, farthest first."""

    squared_distance: Vectors
    name: list[str]
    """The file of each."""
    place: list[int]
    """Where it is held."""
    vectors: Vectors
    """[N, D]."""

    @classmethod
    def nothing(cls, dim: int) -> Far:
        """No rows."""
        return cls(np.empty(0, np.float32), [], [], np.empty((0, dim), np.float32))


@dataclass(frozen=True)
class Assigned:
    """The clusters of a file's rows, in the order of the file."""

    label: Int32
    """`LEFT_OUT` for rows that belong nowhere: zero rows that cannot be normalised, and damaged ones."""
    similarity: Vectors
    """The cosine with the centroid; of Euclidean fits minus the distance. NaN where the row is left out."""
    margin: Vectors
    """Similarity less that to the second nearest centroid; infinite where there is one centroid only."""


@dataclass
class Worker:
    """The files of one worker.

    Args:
        store: its files.
        spherical: rows are unit vectors, and cosines decide.
        device: of torch, such as `cuda`, for steps; without one NumPy computes them.
        products: torch's type for scores on that device, such as `bfloat16`; sums are float32.
        num_threads: blocks at a time. BLAS should then have one thread (OPENBLAS_NUM_THREADS=1).
    """

    store: RowStore
    spherical: bool = False
    num_threads: int = 1
    device: str | None = field(default=None, kw_only=True)
    products: str = field(default="float32", kw_only=True)

    def __post_init__(self) -> None:
        self._labels: dict[tuple[str, str, int], Int32] = {}
        self._num_clusters = 0

    def facts(self) -> Facts:
        """Counts, and the length of the longest row."""
        files = [
            Facts(
                len(rows),
                int(rows.weight.sum(dtype=np.float64)),
                rows.dim,
                float(np.sqrt(rows.norms.max(initial=0))),
                rows.num_zero,
                rows.num_non_finite,
            )
            for rows in self.store
        ]
        return together(files)

    def sample(self, share: float) -> dict[str, Vectors]:
        """The first share of each file's rows: a uniform sample."""
        return {rows.name: rows.first(share) for rows in self.store}

    def step(self, centroids: Vectors, share: float, grid: Grid) -> Sums:
        """Assigns the first share of each file's rows [.., D] to centroids [K, D] and adds them up."""
        if len(centroids) != self._num_clusters:
            self._labels, self._num_clusters = {}, len(centroids)
        prepared = Centroids(centroids, self.spherical)
        on_device = self._on_device(prepared)
        waiting = _Shared((rows, block) for rows in self.store for block in blocks(rows, share))

        def add_up(_: int) -> Sums:
            sums, buffer = Sums.zeros(*centroids.shape), prepared.new_buffer()
            for rows, block in waiting:
                piece = rows.piece(block, share)
                found = on_device(piece) if on_device else _block(prepared, piece, buffer)
                add_block(sums, grid, piece.vectors, found)
                self._count_moved(sums, (rows.name, piece.order, block.start), found.label)
            return sums

        return total(self._parallel(add_up))

    def farthest(self, centroids: Vectors, share: float, cluster: int, count: int) -> Far:
        """At most so many rows of a cluster, among the first share of each file, by distance, file and place."""
        prepared, found = Centroids(centroids, self.spherical), Far.nothing(centroids.shape[1])
        buffer = prepared.new_buffer()
        for rows in self.store:
            for block in blocks(rows, share):
                piece = rows.piece(block, share)
                nearest = prepared.nearest(piece.vectors, buffer)
                members = np.flatnonzero(nearest.label == cluster)
                distance = prepared.squared_distances(piece.norms[members], nearest.score[members])
                first = np.argsort(-distance, kind="stable")[:count]
                row = members[first]
                here = Far(distance[first], [rows.name] * len(row), (row + block.start).tolist(), piece.vectors[row])
                found = farthest_of([found, here], count)
        return found

    def assign(self, name: str, centroids: Vectors) -> Assigned:
        """The clusters of the rows of a file."""
        return assign(self.store.rows(name), Centroids(centroids, self.spherical))

    def _on_device(self, centroids: Centroids) -> Callable[[Piece], Block] | None:
        if self.device is None:
            return None
        import torch

        from theta_ray.topics.device_lloyd import DeviceCentroids

        return DeviceCentroids(centroids, self.device, getattr(torch, self.products)).block

    def _count_moved(self, sums: Sums, key: tuple[str, str, int], label: Int32) -> None:
        before = self._labels.get(key, label[:0])
        sums.num_compared += min(len(before), len(label))
        sums.num_moved += int((before[: len(label)] != label[: len(before)]).sum())
        self._labels[key] = label

    def _parallel(self, function: Callable[[int], Sums]) -> Sequence[Sums]:
        if self.num_threads == 1:
            return [function(0)]
        with ThreadPoolExecutor(self.num_threads) as pool:
            return list(pool.map(function, range(self.num_threads)))


def together(facts: Sequence[Facts]) -> Facts:
    """What there is on several workers, or in several files; at least one."""
    return Facts(
        sum(part.num_rows for part in facts),
        sum(part.weight for part in facts),
        max(part.dim for part in facts),
        max(part.max_norm for part in facts),
        sum(part.num_zero for part in facts),
        sum(part.num_non_finite for part in facts),
    )


def farthest_of(parts: Sequence[Far], count: int) -> Far:
    """At most so many of the rows of all parts; equally far ones by file and place."""
    distance = np.concatenate([part.squared_distance for part in parts])
    names = [name for part in parts for name in part.name]
    places = [place for part in parts for place in part.place]
    order = sorted(range(len(names)), key=lambda row: (-distance[row], names[row], places[row]))[:count]
    vectors = np.concatenate([part.vectors for part in parts])
    return Far(distance[order], [names[row] for row in order], [places[row] for row in order], vectors[order])


def assign(rows: Rows, centroids: Centroids) -> Assigned:
    """The clusters of the rows of a file, in the order of the file."""
    nearest = centroids.nearest(rows.vectors, with_second=True)
    similarity, second = nearest.score, nearest.second
    assert second is not None  # it was asked for
    if not centroids.spherical:
        similarity, second = (
            -np.sqrt(centroids.squared_distances(rows.norms, score)) for score in (similarity, second)
        )
    return Assigned(
        rows.in_file_order(nearest.label, LEFT_OUT),
        rows.in_file_order(similarity, np.nan),
        rows.in_file_order(similarity - second, np.nan),
    )


def _block(centroids: Centroids, piece: Piece, buffer: Vectors) -> Block:
    nearest = centroids.nearest(piece.vectors, buffer)
    return Block(nearest.label, piece.weight, centroids.squared_distances(piece.norms, nearest.score))


class _Shared(Generic[T]):
    """What several threads take from, one at a time."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items, self._lock = iter(items), Lock()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._lock:
                try:
                    item = next(self._items)
                except StopIteration:
                    return
            yield item
