"""Which pairs the steps of a training run see, in an order that depends on the seed and the epoch alone.

A run of W workers, or one that goes on with another number after a kill, sees the same global batches. The order is a
permutation that is computed place by place, so that no list of a hundred million pairs is ever made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROUNDS = 6
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The global batches of a run over `num_pairs` pairs."""

    num_pairs: int
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches: what does not fill one at the end of an epoch comes in another, as each has its own order."""
        return max(1, self.num_pairs // self.batch_size)

    def num_steps(self, epochs: float) -> int:
        """Optimizer steps of so many epochs."""
        return max(1, math.ceil(epochs * self.steps_per_epoch))

    def batch(self, step: int) -> Places:
        """[B], the places of a step's pairs in the table; B is smaller than the batch size in tables that are."""
        epoch, place = divmod(step, self.steps_per_epoch)
        size = min(self.batch_size, self.num_pairs)
        places = np.arange(place * size, (place + 1) * size, dtype=np.int64)
        return permuted(places, self.num_pairs, (self.seed, epoch))


def permuted(places: Places, size: int, key: tuple[int, int]) -> Places:
    """Where a keyed permutation of 0..size-1 takes each place, by a Feistel network with cycle walking.

    Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (2002), section 4. The halves have equal bits, so the
    domain is less than four times `size`, and a place walks fewer than four times on average.
    """
    bits = max(1, math.ceil(math.log2(max(size, 2)) / 2))
    keys = np.random.default_rng(key).integers(0, 2**64, ROUNDS, dtype=np.uint64)
    values = _feistel(places.astype(np.uint64), bits, keys)
    while (outside := values >= size).any():
        values[outside] = _feistel(values[outside], bits, keys)
    return values.astype(np.int64)


def _feistel(values: npt.NDArray[np.uint64], bits: int, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mask, shift = np.uint64(2**bits - 1), np.uint64(bits)
    left, right = values >> shift, values & mask
    for key in keys:
        left, right = right, left ^ (mixed(right + key) & mask)
    return (left << shift) | right


def mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014): each bit of the input reaches each of the output."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
