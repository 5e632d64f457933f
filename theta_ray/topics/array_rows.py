"""Rows of an array that stays where it is: samples are drawn from it, passes over all rows follow its own order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theta_ray.topics.lloyd import BLOCK_ROWS, MIN_NORM, Int64, Vectors, squared_norms
from theta_ray.topics.rows import MAX_NORM, Piece, Rows

# Drawn rows that are kept from one step to the next; those beyond are drawn again.
KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ArrayRows(Rows):
    """M rows of an array, as the only file of a worker; `vectors` is the whole array, `place` says which rows count."""

    lengths: Vectors | None
    """[M], by which rows are divided."""
    order: Int64
    """[M], in which rows are drawn."""
    kept: dict[int, Vectors]
    """Drawn blocks, by their start."""

    def __len__(self) -> int:
        return len(self.place)

    def first(self, share: float) -> Vectors:
        """[rows of the share, D], drawn at random."""
        return self._take(self.order[: self.prefix(share)])

    def piece(self, block: slice, share: float) -> Piece:
        """A block of the drawn rows; of the array itself when the share is everything."""
        if share == 1:
            return Piece(self._take(block), self.norms[block], self.weight[block], "array")
        drawn = self.order[block]
        vectors = self.kept.get(block.start)
        if vectors is None or len(vectors) < len(drawn):
            vectors = self._take(drawn)
            if block.stop * vectors[0].nbytes <= KEPT_BYTES:
                self.kept[block.start] = vectors
        return Piece(vectors[: len(drawn)], self.norms[drawn], self.weight[drawn], "drawn")

    def _take(self, rows: Int64 | slice) -> Vectors:
        is_whole = len(self.place) == len(self.vectors)
        vectors = self.vectors[rows if is_whole else self.place[rows]]
        return vectors if self.lengths is None else vectors / self.lengths[rows, None]


def of_array(vectors: Vectors, weight: Vectors, seed: int, *, normalise: bool) -> ArrayRows:
    """The rows of an array.

    Args:
        vectors: [N, D] float32; neither copied nor changed.
        weight: [N] whole numbers, how often each row is there.
        seed: of the order in which rows are drawn.
        normalise: rows count as unit vectors; those shorter than `MIN_NORM` are left out, as damaged ones are.
    """
    norms = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK_ROWS):
        with np.errstate(over="ignore", invalid="ignore"):  # such rows are left out
            norms[start : start + BLOCK_ROWS] = squared_norms(vectors[start : start + BLOCK_ROWS])
    finite = norms < MAX_NORM**2  # nor is NaN
    usable = finite & (norms >= MIN_NORM**2) if normalise else finite
    place = np.flatnonzero(usable).astype(np.int32)
    return ArrayRows(
        name="array",
        vectors=vectors,
        weight=weight[place],
        norms=np.ones(len(place), np.float32) if normalise else norms[place],
        place=place,
        num_zero=int((finite & ~usable).sum()),
        num_non_finite=int((~finite).sum()),
        lengths=np.sqrt(norms[place]) if normalise else None,
        order=np.random.default_rng(seed).permutation(len(place)),
        kept={},
    )
