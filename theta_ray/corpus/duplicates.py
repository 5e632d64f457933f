"""Which rows repeat an earlier row's key: the pure part, on arrays.

A key is 16 bytes, held as two unsigned 64-bit numbers (`high`, `low`); a row's place is its shard's
number and its number in the shard. The earliest place keeps the key. Keys are cut into ranges
(buckets) of about equal size, so that each can be resolved apart from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

BUCKET_KEYS = 4_000_000
UInt64 = NDArray[np.uint64]
Int32 = NDArray[np.int32]


@dataclass(frozen=True)
class Keys:
    """N keys with the places of their rows; all arrays have length N."""

    high: UInt64
    low: UInt64
    shard: Int32
    row: Int32

    def __len__(self) -> int:
        return len(self.high)

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Keys:
        """The keys under a mask or at indices."""
        return Keys(self.high[which], self.low[which], self.shard[which], self.row[which])


def to_keys(digests: bytes, shard: int) -> Keys:
    """Keys of one shard from N digests of 16 bytes each, in row order."""
    halves = np.frombuffer(digests, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    rows = np.arange(len(halves), dtype=np.int32)
    return Keys(halves[:, 0], halves[:, 1], np.full(len(halves), shard, dtype=np.int32), rows)


def concat(parts: list[Keys]) -> Keys:
    """All keys of several lists."""
    if not parts:
        return to_keys(b"", 0)
    return Keys(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("high", "low", "shard", "row")))


def sort(keys: Keys) -> Keys:
    """By key, then by place."""
    return keys.take(np.lexsort((keys.row, keys.shard, keys.low, keys.high)))


def find_repeats(keys: Keys) -> Keys:
    """All but the earliest row of each key, by shard and row."""
    ordered = sort(keys)
    same = (ordered.high[1:] == ordered.high[:-1]) & (ordered.low[1:] == ordered.low[:-1])
    repeats = ordered.take(np.flatnonzero(same) + 1)
    return repeats.take(np.lexsort((repeats.row, repeats.shard)))


def digests_by_shard(repeats: Keys) -> dict[int, str]:
    """For each shard that has repeats, 16 hex digits over their rows. `repeats` come by shard and row."""
    if not len(repeats):
        return {}
    shards, starts = np.unique(repeats.shard, return_index=True)
    rows = np.split(repeats.row.astype("<i4"), starts[1:])
    digests = (blake2b(mine.tobytes(), digest_size=8).hexdigest() for mine in rows)
    return dict(zip(shards.tolist(), digests, strict=True))


def without(keys: Keys, dropped: Keys) -> Keys:
    """The keys whose rows are not among those of `dropped`; the keys of `dropped` do not matter."""
    return keys.take(~np.isin(_places(keys), _places(dropped)))


def _places(keys: Keys) -> NDArray[np.int64]:
    return (keys.shard.astype(np.int64) << 32) | keys.row


def num_buckets(num_rows: int) -> int:
    """Buckets of about 4 million keys."""
    return max(1, -(-num_rows // BUCKET_KEYS))


def bucket_range(bucket: int, buckets: int) -> tuple[int, int | None]:
    """First `high` of a bucket, and of the one after it (None for the last)."""
    stop = (bucket + 1) * 2**64 // buckets
    return bucket * 2**64 // buckets, stop if stop < 2**64 else None
