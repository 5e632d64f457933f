"""What all tasks of `analyze_network` need, and where they stage their rows.

staging/<digest>/<kind>/<corpus shard>.parquet   rows of one corpus shard, sorted by a hash of what they are joined on
                 read/<corpus shard>.json        its counts; the shard is read when it is there
                 resolved/00000.parquet          ties of one range of the hashes of documents
                 authors/00000.parquet           authors of one range of theirs; also tied, threads, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.config_network import Network
from theta_ray.corpus.staging import in_range, read_rows
from theta_ray.objects import join
from theta_ray.store import Partition

HASH = pa.field("hash", pa.uint64())
TIME = pa.timestamp("us", tz="UTC")
# Of a tie between two authors: how often, and when first and last.
TIES = pa.schema(
    [
        ("graph", pa.string()),
        ("source_id", pa.string()),
        ("target_id", pa.string()),
        ("num_events", pa.int64()),
        ("first_at", TIME),
        ("last_at", TIME),
    ]
)


@dataclass(frozen=True)
class NetworkJob:
    """The tables, the rules, and where things go."""

    corpus: Partition
    tables: dict[str, Partition]
    """By name."""
    settings: Network
    topics: Partition | None = None
    """Of the same corpus, where they are committed."""
    assignments: Partition | None = None
    topic_of_cluster: tuple[tuple[int, int], ...] = ()
    staging: str = ""
    epoch: int = 0
    last_time: int = 2**62
    """Microseconds since 1970: the end of the day. Later times are wrong."""
    end: int = 0
    """The last time that is right: the end of the observation."""

    def staged(self, kind: str, name: str, suffix: str = "parquet") -> str:
        """Where a staged file lies."""
        return join(self.staging, kind, f"{name}.{suffix}")


@dataclass(frozen=True)
class ReadTask:
    """One corpus shard, and the shards that assign its documents to clusters."""

    job: NetworkJob
    shard: str
    assigned: tuple[str, ...] = ()


@dataclass(frozen=True)
class RangeTask:
    """One range of hashes over all that was staged of some kinds."""

    job: NetworkJob
    place: int
    ranges: int
    names: tuple[str, ...]
    """Of the staged files."""
    more_names: tuple[str, ...] = ()
    """Of staged ranges that are read beside them."""

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"{self.place:05d}"

    def read(self, kind: str, *, keep_hash: bool = False) -> pa.Table:
        """This range of a kind of staged files, without the hash."""
        limits = in_range("hash", self.place, self.ranges)
        rows = pa.concat_tables([read_rows(self.job.staged(kind, name), limits) for name in self.names])
        return rows if keep_hash else rows.drop(["hash"])


def with_hash(table: pa.Table, *columns: str) -> pa.Table:
    """Rows by a hash of some columns of strings, which is put in front. Equal values have equal hashes everywhere."""
    hashes = np.zeros(table.num_rows, np.uint64)
    for column in columns:
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + _hashes(table[column])
    return table.add_column(0, HASH, pa.array(hashes)).sort_by("hash")


def numbers_of(column: pa.ChunkedArray) -> pa.Array:
    """A number of 63 bits for each string, the same everywhere; null where there is none."""
    known = column.drop_null()
    found = np.zeros(len(column), np.int64)
    found[column.is_valid().to_numpy()] = (_hashes(known) >> np.uint64(1)).astype(np.int64)
    return pa.array(found, mask=column.is_null().to_numpy())


def _hashes(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.uint64]]:
    coded = column.combine_chunks().dictionary_encode()
    values = [blake2b(value.encode(), digest_size=8).digest() for value in coded.dictionary.to_pylist()]
    hashes = np.frombuffer(b"".join(values), ">u8").astype(np.uint64)
    return np.asarray(hashes[coded.indices.to_numpy()])


def add_up(ties: pa.Table) -> pa.Table:
    """One row for each graph, source and target, in their order."""
    keys = ["graph", "source_id", "target_id"]
    sums = [("num_events", "sum"), ("first_at", "min"), ("last_at", "max")]
    found = ties.group_by(keys, use_threads=False).aggregate(sums)
    found = found.rename_columns(
        [name.removesuffix("_sum").removesuffix("_min").removesuffix("_max") for name in found.column_names]
    )
    return found.select(TIES.names).cast(TIES).sort_by([(key, "ascending") for key in keys])
