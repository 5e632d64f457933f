"""Groups of candidates, larger than memory or not: the lowest hashes stay, and a ring makes pairs of them.

1. Candidates arrive in parts. After each part a group keeps those of the lowest order, and counts the others.
2. What is kept does not depend on how the candidates were cut into parts, since the lowest of all are the lowest of
   each part that they are in.
3. The kept ones of a group, in the order of their hashes, stand in a circle; each is paired with the next, then with
   the one after it, until the group has its pairs or has no others. So no document is preferred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Indices = NDArray[np.int64]
PARENT, CHILD = 0, 1
# Lanes of a group have limits of their own: the sides of the split, and the one parent of replies.
PARENT_LANE = 2

CANDIDATES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # hash of the group: decides the bucket
        pa.field("group", pa.string(), nullable=False),
        pa.field("role", pa.int8(), nullable=False),
        pa.field("order", pa.uint64(), nullable=False),  # a hash, or a time
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),  # in its corpus shard
        pa.field("split", pa.uint64()),  # see splits.py
        pa.field("thread", pa.string()),
    ]
)


@dataclass(frozen=True)
class Limits:
    """How many candidates a group keeps in each lane."""

    train: int
    test: int

    def by_lane(self) -> Indices:
        """[3], for train, test and parent."""
        return np.array([self.train, self.test, 1], dtype=np.int64)


def with_counts(candidates: pa.Table, lanes: NDArray[np.int8]) -> pa.Table:
    """Fresh candidates with their lanes, whose groups have turned nobody away."""
    candidates = candidates.append_column("lane", pa.array(lanes, pa.int8()))
    return candidates.append_column("evicted", pa.array(np.zeros(len(lanes), dtype=np.int64)))


def keep_lowest(candidates: pa.Table, limits: Limits) -> pa.Table:
    """Of each group and lane the candidates of the lowest order, sorted by group.

    Args:
        candidates: columns of CANDIDATES with `lane` and `evicted`: how many candidates its group has turned away,
            which the rows of a group sum up to. A parent is no candidate.
        limits: how many stay.
    """
    by = [(name, "ascending") for name in ("group", "role", "order", "doc_id")]
    candidates = candidates.sort_by(by).combine_chunks()
    if not candidates.num_rows:
        return candidates
    group, lanes = codes(candidates), candidates["lane"].to_numpy()
    kept = ranks(group, lanes) < limits.by_lane()[lanes]
    starts = np.flatnonzero(changes(group))  # of rank 0, so they stay
    evicted = np.zeros(len(group), dtype=np.int64)
    evicted[starts] = np.add.reduceat(candidates["evicted"].to_numpy() + ~kept, starts)
    place = candidates.schema.get_field_index("evicted")
    return candidates.set_column(place, "evicted", pa.array(evicted)).filter(pa.array(kept))


def codes(candidates: pa.Table) -> Indices:
    """[N], a number for each group, equal within it."""
    column = candidates["group"].combine_chunks()
    return np.asarray(column.dictionary_encode().indices, dtype=np.int64)


def changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """[N], where a value differs from the one before; true at the first."""
    return np.concatenate([np.ones(min(1, len(values)), dtype=bool), values[1:] != values[:-1]])


def ranks(group: Indices, lanes: NDArray[np.int8]) -> Indices:
    """[N], how many rows of the same group and lane come before a row."""
    order = np.lexsort((np.arange(len(group)), lanes, group))
    starts = changes(group[order]) | changes(lanes[order])
    places = np.arange(len(group))
    begin = np.maximum.accumulate(np.where(starts, places, 0))
    found = np.empty(len(group), dtype=np.int64)
    found[order] = places - begin
    return found


def num_pairs(sizes: Indices, width: int) -> Indices:
    """How many different pairs circles of so many documents have, with `width` documents to an anchor."""
    if width == 1:
        return sizes * (sizes - 1) // 2
    return sizes * np.maximum(sizes - width, 0)


def ring(starts: Indices, sizes: Indices, counts: Indices, width: int = 1) -> tuple[Indices, Indices]:
    """The first `counts` pairs of each circle, as row numbers: anchors [P, width], positives [P].

    Pair k of a circle of n begins at document k mod n; its positive is k // n + 1 documents after the last of the
    anchor. No pair repeats, in either order where `width` is 1, and no positive is in its anchor.

    Args:
        starts: [S], row of each circle's first document.
        sizes: [S], documents of each circle.
        counts: [S], pairs of each; at most `num_pairs`.
        width: documents of an anchor.
    """
    segment = np.repeat(np.arange(len(sizes)), counts)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    size, start = sizes[segment], starts[segment]
    place, step = number % np.maximum(size, 1), number // np.maximum(size, 1) + 1
    anchors = start[:, None] + (place[:, None] + np.arange(width)) % size[:, None]
    return anchors, start + (place + width - 1 + step) % size
