"""Many runs of a long array at once, without a loop over them.

A segment is a run of an array, from `start` up to `end`, not included; an empty one has both equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


def places_of(starts: Places, sizes: Places) -> Places:
    """Places of all segments, one after another: starts[0], starts[0] + 1, ... so many, then those of starts[1]."""
    ends = np.cumsum(sizes)
    found: Places = np.repeat(starts - (ends - sizes), sizes)
    found += np.arange(len(found))
    return found


def first_at_least(values: NDArray[Any], starts: Places, ends: Places, wanted: Any) -> Places:
    """The first place of each segment whose value is `wanted` or more; its end, where none is.

    Args:
        values: in ascending order within every segment.
        starts: [segments]
        ends: [segments]
        wanted: one value for all segments, or [segments].
    """
    low, high = starts.copy(), ends.copy()
    wanted = np.broadcast_to(wanted, low.shape)
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        is_before = values[middle] < wanted[open_]
        low[open_[is_before]] = middle[is_before] + 1
        high[open_[~is_before]] = middle[~is_before]
        open_ = open_[low[open_] < high[open_]]
    return low
