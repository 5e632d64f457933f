"""Which side of the split a document is on: a number of its own, and one limit for all.

The number is a hash of its author, group or text, or its time. At or above the limit is the test side. A document has
one number, so it is on one side only.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MICROSECONDS_PER_HOUR = 3_600_000_000
# Times before 1970 are negative.
EPOCH = 2**63
TRAIN, TEST, UNKNOWN = 0, 1, -1
NAMES = ("train", "test")


def hash64(seed: int, *parts: str) -> int:
    """An unsigned number of 64 bits over a seed and some texts."""
    whole = "\0".join((str(seed), *parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(whole, digest_size=8).digest(), "big")


def of_time(microseconds: int) -> int:
    """The split number of a time, in microseconds since 1970."""
    return microseconds + EPOCH


def to_hour(number: int) -> int:
    """The hour of such a number, since 1970."""
    return (number - EPOCH) // MICROSECONDS_PER_HOUR


def limit_of_share(test_share: float) -> int | None:
    """The limit that leaves a share of all hashes above; None: nothing is above."""
    return round((1 - test_share) * 2**64) if test_share else None


def limit_of_hours(hours: Counter[int], test_share: float) -> int | None:
    """The limit at the begin of the latest hours that hold at least a share of the documents; None: no test side."""
    needed = hours.total() * test_share
    if not needed:
        return None
    for hour in sorted(hours, reverse=True):
        needed -= hours[hour]
        if needed <= 0:
            break
    return of_time(hour * MICROSECONDS_PER_HOUR)


def sides(numbers: Any, limit: int | None) -> NDArray[np.int8]:
    """[N], 0 for train, 1 for test, -1 where there is no number."""
    known = pc.is_valid(numbers).to_numpy()
    if limit is None or limit >= 2**64:
        test = np.zeros(len(known), dtype=bool)
    else:
        test = pc.greater_equal(pc.fill_null(numbers, 0), pa.scalar(limit, pa.uint64())).to_numpy()
    return np.where(known, test.astype(np.int8), np.int8(UNKNOWN))
