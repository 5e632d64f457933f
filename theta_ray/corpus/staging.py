"""What lies between the phases of `prepare`: parquet files below the partition, removed after its commit.

    staging/<digest of the input listing>/rows/part-00000.parquet      rows before repeats are known
                                          rejected/part-00000.parquet  quarantined rows so far
                                          ids/part-00000.parquet       keys of doc_id, sorted
                                          texts/part-00000.parquet     keys of text_hash, sorted
                                          read/part-00000.json         counts; its shard is read when it is there
                                          id_repeats/00000.parquet     places of rows to turn away, by bucket
                                          text_repeats/00000.parquet

Content depends on the inputs alone and files are created whole, so whoever writes a file first is right.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.corpus.duplicates import Keys, bucket_range, concat
from theta_ray.lease import is_held
from theta_ray.objects import access, create, create_from_file, join, list_names, open_filesystem, read_bytes
from theta_ray.store import Partition, canonical_json

KEYS_SCHEMA = pa.schema([("high", pa.uint64()), ("low", pa.uint64()), ("row", pa.int32())])
REPEATS_SCHEMA = pa.schema([("shard", pa.int32()), ("row", pa.int32())])
# Small row groups let a bucket skip the keys of the others.
KEYS_PER_GROUP = 2**14


@contextmanager
def writing(uri: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A parquet writer whose file is put under `uri` at the end."""
    with tempfile.TemporaryDirectory(prefix="theta-ray-") as folder:
        local = os.path.join(folder, "part.parquet")
        with access(local), pq.ParquetWriter(local, schema, compression="lz4") as writer:
            yield writer
        create_from_file(uri, local)  # one that is there already came from the same inputs


def write_json(uri: str, value: dict[str, Any]) -> None:
    """Put a small JSON object, whole or not at all: it is what says that the files before it are whole."""
    create(uri, canonical_json(value))


def read_json(uri: str) -> dict[str, Any] | None:
    """A JSON object, or None where there is none."""
    try:
        return dict(json.loads(read_bytes(uri)))
    except FileNotFoundError:
        return None


def batches(uri: str, num_rows: int) -> Iterator[pa.Table]:
    """A parquet file in tables of at most `num_rows` rows."""
    fs, path = open_filesystem(uri)
    with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):  # together, groups of long texts would make one huge batch
            for batch in parquet.iter_batches(num_rows, row_groups=[group]):
                yield pa.Table.from_batches([batch])


def write_keys(uri: str, keys: Keys) -> None:
    """Keys of one shard, which must be sorted."""
    with writing(uri, KEYS_SCHEMA) as writer:
        table = pa.table([keys.high, keys.low, keys.row], schema=KEYS_SCHEMA)
        writer.write_table(table, row_group_size=KEYS_PER_GROUP)


def read_keys(staging: str, kind: str, shards: tuple[str, ...], bucket: tuple[int, int]) -> Keys:
    """One bucket (its number, and how many there are) of the keys of all shards."""
    limits = in_range("high", *bucket)
    parts = []
    for index, shard in enumerate(shards):
        table = read_rows(join(staging, kind, f"{shard}.parquet"), limits)
        number = np.full(table.num_rows, index, dtype=np.int32)
        parts.append(Keys(table["high"].to_numpy(), table["low"].to_numpy(), number, table["row"].to_numpy()))
    return concat(parts)


def write_repeats(uri: str, keys: Keys) -> None:
    """Places of rows to turn away, by shard and row."""
    with writing(uri, REPEATS_SCHEMA) as writer:
        table = pa.table([keys.shard, keys.row], schema=REPEATS_SCHEMA)
        writer.write_table(table, row_group_size=KEYS_PER_GROUP)


def read_repeats(staging: str, kind: str, buckets: int, shard: int | None = None) -> Keys:
    """Places from all buckets, of one shard or of all; their keys are zeros."""
    limits = pc.field("shard") == shard if shard is not None else None
    tables = [read_rows(join(staging, kind, f"{bucket:05d}.parquet"), limits) for bucket in range(buckets)]
    table = pa.concat_tables(tables) if tables else REPEATS_SCHEMA.empty_table()
    zeros = np.zeros(table.num_rows, dtype=np.uint64)
    return Keys(zeros, zeros, table["shard"].to_numpy(), table["row"].to_numpy())


def read_rows(uri: str, limits: pc.Expression | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """A staged file, or some of its rows and columns."""
    fs, path = open_filesystem(uri)
    # no partitioning: `dt=...` in the path is no column
    with access(uri):
        return pq.read_table(path, filesystem=fs, filters=limits, columns=columns, partitioning=None)


def write_rows(uri: str, table: pa.Table) -> None:
    """Put a staged file, in groups so small that a range of its rows is read without the others."""
    with writing(uri, table.schema) as writer:
        writer.write_table(table, row_group_size=KEYS_PER_GROUP)


def in_range(column: str, place: int, ranges: int) -> pc.Expression:
    """Rows whose unsigned 64-bit `column` is in one of so many equal ranges."""
    start, stop = bucket_range(place, ranges)
    limits = pc.field(column) >= pa.scalar(start, pa.uint64())
    return limits if stop is None else limits & (pc.field(column) < pa.scalar(stop, pa.uint64()))


def remove_left(partition: Partition) -> None:
    """Remove what a run that was killed after its commit has left below a partition that nobody holds."""
    if list_names(partition.at("staging")) and not is_held(partition):
        remove(partition.at("staging"))


def remove(uri: str) -> None:
    """Remove a folder with all in it; none there is fine."""
    fs, path = open_filesystem(uri)
    with access(uri):
        if fs.exists(path):
            fs.rm(path, recursive=True)
