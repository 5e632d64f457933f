"""Keys of texts, and which nights' lists of them are read and merged: the pure part of the text index.

A key is 16 bytes of the exact text, since a cased model tells "US" from "us": no text has to be compared again.
Nights are merged as in a log-structured merge tree (O'Neil et al. 1996): a night takes in the nights before it as
long as they are small beside it, so that few lists are left to look into and a row is written O(log nights) times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from theta_ray.corpus.duplicates import Keys, concat, to_keys

ROWS_PER_PART = 2**20
# A night takes in the one before it where that is less than so many times its own size.
GROWTH = 2


def text_digest(text: str) -> bytes:
    """16 bytes of the exact text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def text_keys(texts: Iterable[str], rows: npt.NDArray[np.int32]) -> Keys:
    """Keys of some distinct texts with the row of each, ascending by key."""
    keys = to_keys(b"".join(map(text_digest, texts)), 0)
    return newest_first([Keys(keys.high, keys.low, keys.shard, rows)])


def newest_first(parts: Sequence[Keys]) -> Keys:
    """Each key once, ascending, with the place that the first part which has it gives."""
    keys = concat(list(parts))
    order = np.argsort(keys.high, kind="stable")
    high, low = keys.high[order], keys.low[order]
    same_high = high[1:] == high[:-1]
    if (same_high & (low[1:] != low[:-1])).any():  # two texts share 8 bytes: hardly ever
        order = np.lexsort((keys.low, keys.high))
        high, low = keys.high[order], keys.low[order]
        same_high = high[1:] == high[:-1]
    is_first = np.concatenate([np.ones(len(keys.high[:1]), bool), ~(same_high & (low[1:] == low[:-1]))])
    return keys.take(order[is_first])


def find(wanted: Keys, known: Keys) -> npt.NDArray[np.int64]:
    """For each wanted key its number among the known ones, which are ascending; -1 where it is not there."""
    places = np.searchsorted(known.high, wanted.high).astype(np.int64)
    found = np.full(len(wanted), -1, np.int64)
    open_ = np.flatnonzero(places < len(known))
    while len(open_):
        here = places[open_]
        open_ = open_[known.high[here] == wanted.high[open_]]
        here = places[open_]
        matches = known.low[here] == wanted.low[open_]
        found[open_[matches]] = here[matches]
        open_ = open_[~matches]
        places[open_] += 1  # another text with the same 8 bytes
        open_ = open_[places[open_] < len(known)]
    return found


def num_parts(num_rows: int) -> int:
    """Ranges of keys, a power of two, of about a million rows at most."""
    return 1 << max(0, -(-num_rows // ROWS_PER_PART) - 1).bit_length()


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two ranges of keys have some in common; each is a number and how many equal ranges there are."""
    return one[0] * other[1] < (other[0] + 1) * one[1] and other[0] * one[1] < (one[0] + 1) * other[1]


def not_covered(nights: Iterable[tuple[str, int, dict[str, int]]]) -> list[str]:
    """Days whose lists have to be read: those whose newest version no later list that is read has taken in.

    Args:
        nights: day, newest version, and versions by day of the lists that it has taken in; newest day first.
    """
    read, covered = [], dict[str, int]()
    for day, version, covers in nights:
        if covered.get(day, 0) < version:
            read.append(day)
            covered |= {each: max(number, covered.get(each, 0)) for each, number in covers.items()}
    return read


def num_absorbed(num_rows: int, sizes: Iterable[int]) -> int:
    """How many lists, newest first, a night of so many rows takes in; each that is left is GROWTH times as large."""
    count = 0
    for size in sizes:
        if size >= GROWTH * num_rows:
            break
        num_rows, count = num_rows + size, count + 1
    return count
