"""Shards of tables on plain object storage: immutable objects under names that are known beforehand.

    <root>/<table>/<fingerprint>/dt=<day>/part-00000-<digest>.parquet  shards; the digest covers what decides them
                                         /records/<shard>.json         one per finished shard
                                         /plans/<digest>.json          the inputs of a run (corpus/prepare.py)
                                         /manifests/00000001.json      written last; readers see nothing before it
                                         /run_cards/00000001.json      how that version came to be
                                         /lease/                       who is at work (lease.py)

1. A shard is written to a local file and put under its name by an exclusive create.
2. Its record (rows, bytes, SHA-256, quarantined rows, lease epoch) follows, by an exclusive create as
   well. A shard is done when its record is there; without it the shard is computed again.
3. What is found under a name that was to be created is read back: equal content is success, since a
   reply may have been lost or another attempt was first; other content is an error with both hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.errors import StageError
from theta_ray.objects import (
    access,
    create,
    create_from_file,
    get_file,
    join,
    list_names,
    list_sizes,
    open_filesystem,
    read_bytes,
    read_many,
)
from theta_ray.steps import reached

METADATA_KEY = b"theta_ray"
ROWS_PER_GROUP = 1024


@dataclass(frozen=True)
class Partition:
    """One day of one table: the unit that is committed and read."""

    root: str
    table: str
    fingerprint: str
    date: str

    @property
    def path(self) -> str:
        """Folder or URI of the partition."""
        return join(self.root, self.table, self.fingerprint, f"dt={self.date}")

    def at(self, *parts: str) -> str:
        """Path of something inside the partition."""
        return join(self.path, *parts)


@dataclass(frozen=True)
class Record:
    """What is known of one finished shard. `details` holds the stage's own JSON values."""

    shard: str
    num_rows: int
    num_bytes: int
    sha256: str
    quarantined: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    """Lease epoch of the run that made it. Not part of the manifest, whose bytes no accident may change."""

    def facts(self) -> dict[str, Any]:
        """Everything but the epoch: what another attempt must find again."""
        return {name: value for name, value in vars(self).items() if name != "epoch"}


# Tells why the rows of two attempts at a shard are not the same within what the device promises; None: they are.
Difference = Callable[[pa.Table, pa.Table], str | None]


def fingerprint(table: str, schema: pa.Schema, sections: dict[str, Any], inputs: dict[str, str]) -> str:
    """12 hex digits over everything that decides a table: name, schema, recipe sections, inputs."""
    columns = [[f.name, str(f.type), f.nullable] for f in schema]
    identity = {"table": table, "schema": columns, "sections": sections, "inputs": inputs}
    return hashlib.sha256(canonical_json(identity)).hexdigest()[:12]


def digest_of(value: Any) -> str:
    """16 hex digits over a JSON value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def canonical_json(value: Any) -> bytes:
    """The one JSON form of a value: sorted keys, no spaces to choose, UTF-8."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


def create_same(uri: str, data: bytes) -> bytes | None:
    """Create an object; None when it now holds `data`, whoever put it there, else what it holds."""
    if create(uri, data):
        return None
    there = read_bytes(uri)
    return None if there == data else there


class ShardWriter:
    """Writes one shard: row groups into a local file, then the object under its fixed name.

    Used as a context manager; nothing is visible until `publish` has returned. `made_on` names what
    the bytes depend on beside the recipe (device, batch size); it goes into the object's metadata.
    """

    def __init__(
        self, partition: Partition, shard: str, schema: pa.Schema, *, made_on: dict[str, Any] | None = None
    ) -> None:
        self.partition, self.shard, self.num_rows = partition, shard, 0
        identity: dict[str, Any] = {
            "table": partition.table,
            "fingerprint": partition.fingerprint,
            "shard": shard,
        }
        identity |= {"made_on": made_on} if made_on else {}
        self._is_exact = made_on is None or made_on["device"] == "cpu"
        self._schema = schema.with_metadata({METADATA_KEY: canonical_json(identity)})
        self._folder = tempfile.TemporaryDirectory(prefix="theta-ray-")
        self._file = os.path.join(self._folder.name, "shard.parquet")
        with access(self._file):
            self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close()
        except OSError:
            if failure is None:
                raise  # with another failure under way, the file is lost anyway
        finally:
            self._folder.cleanup()

    def write(self, table: pa.Table, *, rows_per_group: int = ROWS_PER_GROUP) -> None:
        """Append rows as row groups of at most 1,024, or so many."""
        table = table.cast(self._schema)
        with access(self._file):
            self._writer.write_table(table, row_group_size=rows_per_group)
        self.num_rows += table.num_rows

    def publish(
        self,
        *,
        quarantined: dict[str, int] | None = None,
        details: dict[str, Any] | None = None,
        epoch: int = 0,
        difference: Difference | None = None,
    ) -> Record:
        """Put the object and its record in place; an attempt that was first wins if it made the same.

        The same is the same bytes; made on something else, what `difference` finds no fault with.

        Raises:
            StageError: an earlier attempt made something else.
        """
        with access(self._file):
            self._writer.close()
        table, uri = self.partition.table, self.partition.at(f"{self.shard}.parquet")
        reached("shard_computed", table, self.shard)
        exact = create_from_file(uri, self._file) or self._take_over(uri, difference)
        reached("shard_created", table, self.shard)
        num_bytes, sha256 = os.path.getsize(self._file), file_sha256(self._file)
        record = Record(self.shard, self.num_rows, num_bytes, sha256, quarantined or {}, details or {}, epoch)
        record = create_record(self.partition, record, exact=exact and self._is_exact)
        reached("record_created", table, self.shard)
        return record

    def _take_over(self, uri: str, difference: Difference | None) -> bool:
        """Go on with what is under our name, if it is what we have made. True: to the byte."""
        there = os.path.join(self._folder.name, "there.parquet")
        get_file(uri, there)
        mine, other = file_sha256(self._file), file_sha256(there)
        if mine == other:
            return True
        same_kind = pq.read_schema(there).metadata == self._schema.metadata
        why: str | None = "other bytes"
        if difference is not None and not (self._is_exact and same_kind):
            why = difference(pq.read_table(self._file), pq.read_table(there))
        if why is not None:
            raise StageError(
                f"{uri}: holds SHA-256 {other} where this attempt made {mine} ({why}); "
                "look at what has changed, remove that object, then rerun"
            )
        os.replace(there, self._file)
        return False


def create_record(partition: Partition, record: Record, *, exact: bool) -> Record:
    """Create the record of a shard; one that is there must say the same, but for its epoch."""
    uri = record_path(partition, record.shard)
    there = create_same(uri, canonical_json(asdict(record)))
    if there is None:
        return record
    other = to_record(there, uri)
    same = other.facts() == record.facts() if exact else other.sha256 == record.sha256
    if not same:
        mine, theirs = (hashlib.sha256(canonical_json(r.facts())).hexdigest() for r in (record, other))
        raise StageError(f"{uri}: is record {theirs} where this attempt has {mine}; remove it with its shard and rerun")
    return other


def file_sha256(path: str) -> str:
    """SHA-256 of a local file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_path(partition: Partition, shard: str) -> str:
    """Where the record of a shard lies."""
    return partition.at("records", f"{shard}.json")


def to_record(data: bytes, uri: str) -> Record:
    """The record that an object holds.

    Raises:
        StageError: it holds something else.
    """
    try:
        return Record(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise StageError(f"{uri}: is no record of a shard ({error}); remove it with its shard and rerun") from error


def finished_shards(partition: Partition) -> set[str]:
    """Names of all shards that have a record and are there: two listings, nothing is read."""
    recorded = {name.removesuffix(".json") for name in list_names(partition.at("records")) if name.endswith(".json")}
    return recorded & {name.removesuffix(".parquet") for name in list_names(partition.path)}


def check_present(partition: Partition, records: Sequence[Record]) -> None:
    """Raise StageError unless every shard is there with the bytes of its record: one listing.

    Somebody may have removed or replaced an object since its record was made.
    """
    sizes = list_sizes(partition.path) if records else {}
    for record in records:
        found = sizes.get(f"{record.shard}.parquet")
        if found != record.num_bytes:
            what = "is gone" if found is None else f"has {found} bytes where its record says {record.num_bytes}"
            uri = partition.at(f"{record.shard}.parquet")
            raise StageError(f"{uri}: {what}; remove it and {record_path(partition, record.shard)}, then rerun")


def read_records(partition: Partition, shards: Sequence[str]) -> list[Record]:
    """Records of these finished shards, in their order."""
    uris = [record_path(partition, shard) for shard in shards]
    return [to_record(data, uri) for uri, data in zip(uris, read_many(uris), strict=True)]


def find_record(partition: Partition, shard: str) -> Record | None:
    """The record of a shard, or None while it is not finished."""
    uri = record_path(partition, shard)
    try:
        return to_record(read_bytes(uri), uri)
    except FileNotFoundError:
        return None


def read_shard(
    partition: Partition, shard: str, *, columns: list[str] | None = None, row_groups: list[int] | None = None
) -> pa.Table:
    """One shard of a table, or some of its columns and row groups."""
    uri = partition.at(f"{shard}.parquet")
    fs, path = open_filesystem(uri)
    with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        groups = row_groups if row_groups is not None else list(range(parquet.num_row_groups))
        return parquet.read_row_groups(groups, columns=columns)
