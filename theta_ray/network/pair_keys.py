"""Pairs of actors as integers: made, sorted, and runs of equal ones read as edges.

An integer is, from the highest bit: row of the first actor in its block, second actor, weight class. It has 32 bits
where they fit, since these sort twice as fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.segments import Places, first_at_least, places_of

Ids = NDArray[np.int32]
Doubles = NDArray[np.float64]
Keys = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Edges:
    """Pairs of actors that share contexts, in order of source and target; source < target. 28 bytes each."""

    source: Ids
    target: Ids
    num_shared: Ids
    """[E] contexts in which both were seen; of a sample or thinned contexts, those in which the pair was drawn."""
    weight: Doubles
    """[E]"""
    variance: Doubles
    """[E] estimated variance of the weight; 0 where every context was taken whole."""

    def __len__(self) -> int:
        return len(self.source)

    def select(self, kept: NDArray[Any]) -> Edges:
        """Some of the edges, by mask or by place."""
        return Edges(*(array[kept] for array in self._arrays()))

    @staticmethod
    def concatenate(parts: list[Edges]) -> Edges:
        """The edges of some blocks."""
        ids, values = np.empty(0, np.int32), np.empty(0)
        empty = Edges(ids, ids, ids, values, values)
        return Edges(*map(np.concatenate, zip(*(part._arrays() for part in [empty, *parts]), strict=True)))

    def _arrays(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Layout:
    """Bits of the integers of a block."""

    target_bits: int
    class_bits: int
    dtype: type[np.uint32 | np.uint64]

    @classmethod
    def of(cls, num_rows: int, num_actors: int, num_classes: int) -> Layout:
        """The narrowest layout.

        Raises:
            ValueError: a block has too many rows.
        """
        row, target, classes = (max(0, count - 1).bit_length() for count in (num_rows, num_actors, num_classes))
        total = row + target + classes
        if total > 64:
            raise ValueError(
                f"a block of {num_rows:,} rows of {num_actors:,} actors: its pairs have {total} bits; 64 fit"
            )
        return cls(target, classes, np.uint32 if total <= 32 else np.uint64)

    def base(self, row: Places, kind: Ids) -> Keys:
        """[participations] the integers of pairs with actor 0."""
        shifted = row.astype(np.uint64) << np.uint64(self.target_bits + self.class_bits)
        return (shifted | kind.astype(np.uint64)).astype(self.dtype)

    def with_target(self, base: Keys, target: Ids) -> Keys:
        """[pairs] the integers of pairs with these actors."""
        keys: Keys = target.astype(self.dtype)
        if self.class_bits:
            keys <<= self.dtype(self.class_bits)
        keys |= base
        return keys


@dataclass(frozen=True)
class Rows:
    """Participations of a block whose pairs are to be read."""

    base: Keys
    starts: Places
    """Where the members after the actor begin."""
    ends: Places

    @property
    def num_pairs(self) -> int:
        """Of all rows."""
        return int((self.ends - self.starts).sum())

    def keys(self, members: Ids, layout: Layout) -> Keys:
        """[pairs] their integers, in no order."""
        sizes = self.ends - self.starts
        targets = members[places_of(self.starts, sizes)]
        return layout.with_target(np.repeat(self.base, sizes), targets)

    def pieces(self, members: Ids, low: int, high: int, limit: int) -> Iterator[tuple[Rows, int, int]]:
        """Parts with targets from `low` to `high` (not included), of about `limit` pairs each; none spans a target."""
        if self.num_pairs <= limit or high - low <= 1:
            yield self, low, high
            return
        middle = (low + high) // 2
        cut = first_at_least(members, self.starts, self.ends, middle)
        yield from Rows(self.base, self.starts, cut).pieces(members, low, middle, limit)
        yield from Rows(self.base, cut, self.ends).pieces(members, middle, high, limit)


def edges_of(keys: Keys, layout: Layout, table: tuple[Doubles, Doubles], actors: Places, min_shared: int) -> Edges:
    """The edges of a block: runs of at least `min_shared` pairs with equal ends.

    Args:
        keys: [pairs], sorted here in place.
        layout: of the keys.
        table: weight and variance that each class adds.
        actors: [rows] of the block.
        min_shared: 1 or more.
    """
    keys.sort()
    ends = keys >> layout.dtype(layout.class_bits) if layout.class_bits else keys
    # a pair that equals the one `min_shared` - 1 further on: of the few that are left, runs are read
    run = np.flatnonzero(ends[min_shared - 1 :] == ends[: len(ends) - min_shared + 1])
    of_run = ends[run]
    is_first = np.ones(len(run), bool)
    np.not_equal(of_run[1:], of_run[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    num_shared = np.diff(starts, append=len(run)) + (min_shared - 1)
    found = of_run[starts]
    row, target = found >> layout.dtype(layout.target_bits), found & layout.dtype(2**layout.target_bits - 1)
    if layout.class_bits:
        places = places_of(run[starts], num_shared)
        kinds = (keys[places] & layout.dtype(2**layout.class_bits - 1)).astype(np.int64)
        edge_starts = np.cumsum(num_shared) - num_shared
        # classes are in order within an edge: sums do not depend on which contexts had which numbers
        sums = [_sums(values, kinds, edge_starts) for values in table]
    else:
        sums = [num_shared * values[0] if len(values) else np.empty(0) for values in table]
    source = actors[row.astype(np.int64)].astype(np.int32)
    return Edges(source, target.astype(np.int32), num_shared.astype(np.int32), sums[0], sums[1])


def _sums(values: Doubles, kinds: Places, starts: Places) -> Doubles:
    """[edges] sums over the pairs of each edge of what their classes add."""
    if not len(starts) or not values.any():
        return np.zeros(len(starts))
    return np.asarray(np.add.reduceat(values[kinds], starts))
