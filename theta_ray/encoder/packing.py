"""Sequence lengths in, packs of a token budget out. A pack has no padding: its sequences lie end to end.

Sequences are sorted by length, so that a pack holds few different lengths: those of equal length
are attended to in one call. The plan depends on the lengths and the budget alone: the same shard
always makes the same packs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Pack:
    """Sequences of one forward pass, longest first."""

    sequences_B: npt.NDArray[np.int64]
    """Indices of B sequences."""
    lengths_B: npt.NDArray[np.int64]
    """Tokens of each, descending and positive."""

    @cached_property
    def num_tokens(self) -> int:
        """Tokens of all sequences, T below."""
        return int(self.lengths_B.sum())

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Start of each sequence, and the end of the last: B + 1 values."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths_B)])

    @cached_property
    def positions_T(self) -> npt.NDArray[np.int64]:
        """Place of each token in its own sequence, from 0."""
        return np.arange(self.num_tokens) - np.repeat(self.offsets[:-1], self.lengths_B)

    @cached_property
    def groups(self) -> list[tuple[int, int]]:
        """Runs of sequences of equal length, in order: how many, and of how many tokens."""
        ends = np.flatnonzero(np.diff(self.lengths_B, append=0))
        counts = np.diff(ends, prepend=-1)
        return list(zip(counts.tolist(), self.lengths_B[ends].tolist(), strict=True))

    def split(self, max_tokens: int) -> tuple[Pack, Pack]:
        """The pack in two, the first of as many sequences as `max_tokens` hold, and of one at least."""
        count = max(1, int(np.searchsorted(self.offsets[1:], max_tokens, side="right")))
        first, rest = slice(None, count), slice(count, None)
        return Pack(self.sequences_B[first], self.lengths_B[first]), Pack(self.sequences_B[rest], self.lengths_B[rest])


def plan_packs(lengths_S: npt.NDArray[np.int64], max_tokens: int) -> list[Pack]:
    """Packs that hold each of S sequences once, longest first so that memory peaks at once.

    Args:
        lengths_S: tokens of each sequence; those without any are in no pack.
        max_tokens: budget of a pack; a single longer sequence makes a pack of its own.
    """
    order_S = np.argsort(-lengths_S, kind="stable")
    order_S = order_S[lengths_S[order_S] > 0]
    sorted_S = lengths_S[order_S]
    ends_S = np.cumsum(sorted_S)
    packs, start, before = [], 0, 0
    while start < len(order_S):
        end = max(start + 1, int(np.searchsorted(ends_S, before + max_tokens, side="right")))
        packs.append(Pack(order_S[start:end], sorted_S[start:end]))
        start, before = end, int(ends_S[end - 1])
    return packs
