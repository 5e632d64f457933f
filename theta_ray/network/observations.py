"""Whole numbers of which some are missing, and how often each occurs: what statistics of people in time are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

MISSING = int(np.iinfo(np.int64).min)
"""A time (microseconds since 1970) or a score that is not known."""
SECOND = 10**6
HOUR = 3600 * SECOND
DAY = 24 * HOUR


class Histogram(NamedTuple):
    """How often each value occurs, values ascending. Those of parts merge into that of the whole, exactly."""

    value: Integers
    frequency: Integers

    @property
    def size(self) -> int:
        """Values, repeated ones included."""
        return int(self.frequency.sum())

    def with_zeros(self, size: int) -> Histogram:
        """The same with so many zeros that there are `size` values.

        Raises:
            ValueError: there are more values already.
        """
        if size < self.size:
            raise ValueError(f"{self.size} values are more than {size}: count all authors, not only active ones")
        zeros = Histogram(np.zeros(1, np.int64), np.array([size - self.size], np.int64))
        return merged([self, zeros])


def histogram(values: ArrayLike) -> Histogram:
    """How often each value occurs; missing ones are left out. 16 bytes a distinct value."""
    array = np.asarray(values, np.int64)
    value, count = np.unique(array[array != MISSING], return_counts=True)
    return Histogram(value, count.astype(np.int64))


def merged(parts: Iterable[Histogram]) -> Histogram:
    """The histogram of all values of some histograms; values that occur no more are left out."""
    found = list(parts)
    empty = np.zeros(0, np.int64)
    value, place = np.unique(np.concatenate([empty, *(part.value for part in found)]), return_inverse=True)
    count = np.zeros(len(value), np.int64)
    np.add.at(count, place, np.concatenate([empty, *(part.frequency for part in found)]))
    return Histogram(value[count > 0], count[count > 0])


def quantile(values: Histogram, share: float) -> float:
    """The smallest value that at least this share of the values do not exceed, NaN where there is none.

    The median of an even number of values is the mean of the middle two, as everywhere.
    """
    size = values.size
    if not size:
        return float("nan")
    ends = np.cumsum(values.frequency)
    if share == 0.5 and size % 2 == 0:
        middle = np.searchsorted(ends, [size // 2, size // 2 + 1])
        return float(values.value[middle].mean())
    return float(values.value[np.searchsorted(ends, max(1, int(np.ceil(share * size))))])


def known(times: Integers, end: int) -> Flags:
    """Which times are known and not after the end of the observation."""
    found: Flags = (times != MISSING) & (times <= end)
    return found
