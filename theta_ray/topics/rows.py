"""The rows that a worker holds: float32, exact copies collapsed, in a random order that (seed, file) decides.

A prefix of a file is a uniform sample of its rows, so a growing sample costs no random access.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from theta_ray.topics.lloyd import BLOCK_ROWS, MIN_NORM, Int32, Int64, Vectors, squared_norms

# The squares of longer vectors are no float32.
MAX_NORM = 1e18
LEFT_OUT = -1
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Piece:
    """N rows that follow one another in some order."""

    vectors: Vectors
    """[N, D]."""
    norms: Vectors
    """[N] squared lengths."""
    weight: Vectors
    """[N] whole numbers."""
    order: str = "held"
    """Places in one order say nothing about those in another."""


@dataclass(frozen=True)
class Rows:
    """M different rows of one file, permuted."""

    name: str
    vectors: Vectors
    """[M, D]."""
    weight: Vectors
    """[M] whole numbers: how often a row is in the file."""
    norms: Vectors
    """[M] squared lengths."""
    place: Int32
    """[rows of the file], which of the M each one is; `LEFT_OUT` for zero and damaged rows."""
    num_zero: int
    """Zero rows that cannot be normalised."""
    num_non_finite: int
    """Rows with NaN or infinite values, or longer than `MAX_NORM`."""

    def __len__(self) -> int:
        return len(self.vectors)

    def prefix(self, share: float) -> int:
        """How many rows the first share has: at least that share."""
        return min(len(self), math.ceil(share * len(self)))

    @property
    def dim(self) -> int:
        """Values of a row."""
        return int(self.vectors.shape[1])

    def first(self, share: float) -> Vectors:
        """The vectors of a prefix."""
        return self.vectors[: self.prefix(share)]

    def piece(self, block: slice, share: float) -> Piece:
        """A block of a prefix."""
        del share  # the order is the same for all
        return Piece(self.vectors[block], self.norms[block], self.weight[block])

    def in_file_order(self, of_held: npt.NDArray[Scalar], left_out: object) -> npt.NDArray[Scalar]:
        """Values of the M rows as values of the file's rows, with `left_out` for those that are not held."""
        values = np.append(of_held, np.asarray([left_out], of_held.dtype))
        return values[self.place]  # LEFT_OUT is -1: the last value


def hold(name: str, vectors: Vectors, seed: int, *, normalise: bool, collapse: bool = True) -> Rows:
    """The rows of a file as a worker holds them.

    Args:
        name: of the file; decides the order together with the seed.
        vectors: [R, D] float32; it is not changed.
        seed: of the order.
        normalise: rows become unit vectors; those shorter than `MIN_NORM` are left out.
        collapse: exact copies become one row with their number as its weight.
    """
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    finite = lengths < MAX_NORM  # nor is NaN
    usable = finite & (lengths >= MIN_NORM) if normalise else finite
    kept = np.flatnonzero(usable)
    first, copy_of = _distinct(vectors[kept] if len(kept) < len(vectors) else vectors, collapse=collapse)
    order = np.random.default_rng([seed, _number(name)]).permutation(len(first))
    held = vectors[kept[first[order]]]
    if normalise:
        held /= lengths[kept[first[order]]].astype(np.float32)[:, None]
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    place = np.full(len(vectors), LEFT_OUT, np.int32)
    place[kept] = rank[copy_of]
    weight = np.bincount(place[kept], minlength=len(held)).astype(np.float32)
    return Rows(
        name, held, weight, squared_norms(held), place, int((finite & ~usable).sum()), int(len(finite) - finite.sum())
    )


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def _distinct(vectors: Vectors, *, collapse: bool) -> tuple[Int64, Int64]:
    """The first row of each kind, ascending, and for every row its place among these."""
    every = np.arange(len(vectors))
    if not collapse or len(vectors) < 2:
        return every, every
    _, first, kind = np.unique(_hashes(vectors), return_index=True, return_inverse=True)
    original = first[kind]
    suspects = np.flatnonzero(original != every)
    # rows of one hash that are not the same stay apart
    same = (vectors[suspects] == vectors[original[suspects]]).all(axis=1)
    original[suspects[~same]] = suspects[~same]
    kept = np.flatnonzero(original == every)
    return kept, np.searchsorted(kept, original)


def _hashes(vectors: Vectors) -> npt.NDArray[np.uint64]:
    odd = np.random.default_rng(0).integers(2**63, size=vectors.shape[1], dtype=np.uint64) * 2 + np.uint64(1)
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), 1024):
        bits = (vectors[start : start + 1024] + np.float32(0)).view(np.uint32)  # + 0: minus zero is zero
        hashes[start : start + 1024] = np.einsum("nd,d->n", bits, odd, dtype=np.uint64, casting="unsafe")
    return hashes


@dataclass
class RowStore:
    """The files of one worker: in memory, then on local disk, then read again whenever they are asked for.

    Args:
        names: of the files.
        read: gives the Rows of a file, the same ones at each call.
        memory_bytes: vectors beyond are mapped from the disk.
        folder: on local disk, for this worker alone; without one, what memory has no room for is read again.
        disk_bytes: vectors beyond are read again.
    """

    names: Sequence[str]
    read: Callable[[str], Rows]
    memory_bytes: float = math.inf
    folder: Path | None = None
    disk_bytes: float = math.inf

    def __post_init__(self) -> None:
        self._held: dict[str, Rows] = {}
        self._lengths: dict[str, int] = {}
        self._in_memory = self._on_disk = 0

    def rows(self, name: str) -> Rows:
        """The rows of a file."""
        if name in self._held:
            return self._held[name]
        rows = self.read(name)
        self._lengths[name] = len(rows)
        size = rows.vectors.nbytes
        if self._in_memory + size <= self.memory_bytes:
            self._in_memory += size
            self._held[name] = rows
        elif self.folder is not None and self._on_disk + size <= self.disk_bytes:
            self._on_disk += size
            rows = self._held[name] = replace(rows, vectors=_mapped(rows, self.folder))
        return rows

    def __iter__(self) -> Iterator[Rows]:
        for name in self.names:
            yield self.rows(name)

    @property
    def places(self) -> dict[str, int]:
        """How many files are in memory, on disk, and read at each pass, as far as they were read."""
        on_disk = sum(isinstance(rows.vectors, np.memmap) for rows in self._held.values())
        return {
            "memory": len(self._held) - on_disk,
            "disk": on_disk,
            "streamed": len(self._lengths) - len(self._held),
        }


def _mapped(rows: Rows, folder: Path) -> Vectors:
    if not len(rows):  # nothing can be mapped
        return rows.vectors
    path = folder / f"{_number(rows.name):016x}.npy"
    np.save(path, rows.vectors)
    mapped: Vectors = np.load(path, mmap_mode="r")
    return mapped


def blocks(rows: Rows, share: float) -> Iterator[slice]:
    """The blocks of a prefix; where they begin does not depend on its length."""
    stop = rows.prefix(share)
    for start in range(0, stop, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, stop))
