"""Sequence lengths in, batches of a token budget out.

Sequences are sorted by length, so that a batch holds near-equal lengths and little padding; a
batch's padded size (sequences x longest) stays within the budget. The plan depends on the lengths
and the budget alone: the same shard always makes the same batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def plan_batches(lengths_S: npt.NDArray[np.int64], batch_tokens: int) -> list[npt.NDArray[np.int64]]:
    """Indices of the sequences of each batch, longest batch first so that memory peaks at once.

    Args:
        lengths_S: tokens of each of S sequences, all positive.
        batch_tokens: budget of padded tokens; a single longer sequence makes a batch of its own.
    """
    order_S = np.argsort(-lengths_S, kind="stable")
    batches, start = [], 0
    while start < len(order_S):
        longest = int(lengths_S[order_S[start]])
        size = max(1, batch_tokens // longest)
        batches.append(order_S[start : start + size])
        start += size
    return batches


def padded_tokens(lengths_S: npt.NDArray[np.int64], batches: list[npt.NDArray[np.int64]]) -> int:
    """Tokens that the batches compute, padding included."""
    return sum(int(lengths_S[batch].max()) * len(batch) for batch in batches)
