"""Tables on plain object storage: immutable objects, created once, published by a manifest.

    <root>/<table>/<fingerprint>/dt=<day>/part-00000.parquet     shards, named before the work starts
                                         /records/part-00000.json one per finished shard
                                         /manifest.json           written last; readers see nothing before it
                                         /run_card.json           how it went

1. A shard is written to a local file and put under its name by an exclusive create.
2. Its record (rows, bytes, SHA-256, quarantined rows) follows, by an exclusive create as well. A
   shard counts as done when its record is there; without it the shard is computed again, and an
   object that is already under its name is taken over as it is.
3. The manifest lists all records and is created last. Its bytes depend on recipe and input only.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.errors import InputError, StageError
from theta_ray.objects import access, create, create_from_file, join, open_filesystem, read_bytes
from theta_ray.schemas import check_schema

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


def fingerprint(table: str, schema: pa.Schema, sections: dict[str, Any], inputs: dict[str, str]) -> str:
    """12 hex digits over everything that decides a table: name, schema, recipe sections, inputs."""
    columns = [[f.name, str(f.type), f.nullable] for f in schema]
    identity = {"table": table, "schema": columns, "sections": sections, "inputs": inputs}
    return hashlib.sha256(canonical_json(identity)).hexdigest()[:12]


def canonical_json(value: Any) -> bytes:
    """The one JSON form of a value: sorted keys, no spaces to choose, UTF-8."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1).encode() + b"\n"


class ShardWriter:
    """Writes one shard: row groups into a local file, then the object under its fixed name.

    Used as a context manager; nothing is visible until `publish` has returned.
    """

    def __init__(self, partition: Partition, shard: str, schema: pa.Schema) -> None:
        self.partition, self.shard, self.num_rows = partition, shard, 0
        identity = {"table": partition.table, "fingerprint": partition.fingerprint, "shard": shard}
        self._schema = schema.with_metadata({METADATA_KEY: canonical_json(identity)})
        self._folder = tempfile.TemporaryDirectory(prefix="theta-ray-")
        self._file = os.path.join(self._folder.name, "shard.parquet")
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._folder.cleanup()

    def write(self, table: pa.Table) -> None:
        """Append rows as row groups of at most 1,024."""
        table = table.cast(self._schema)
        self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        self.num_rows += table.num_rows

    def publish(self, *, quarantined: dict[str, int] | None = None, details: dict[str, Any] | None = None) -> Record:
        """Put the object and its record in place; an attempt that was first wins."""
        self._writer.close()
        uri = self.partition.at(f"{self.shard}.parquet")
        if not create_from_file(uri, self._file):
            fs, path = open_filesystem(uri)
            with access(uri):
                fs.get_file(path, self._file)
        record = Record(
            shard=self.shard,
            num_rows=self.num_rows,
            num_bytes=os.path.getsize(self._file),
            sha256=file_sha256(self._file),
            quarantined=quarantined or {},
            details=details or {},
        )
        actual_rows = pq.read_metadata(self._file).num_rows
        if actual_rows != self.num_rows:
            raise StageError(f"{uri}: holds {actual_rows} rows where {self.num_rows} were made; remove it and rerun")
        create(self.partition.at("records", f"{self.shard}.json"), canonical_json(asdict(record)))
        return record


def file_sha256(path: str) -> str:
    """SHA-256 of a local file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_records(partition: Partition) -> dict[str, Record]:
    """Records of all finished shards, by shard name."""
    fs, path = open_filesystem(partition.at("records"))
    with access(partition.path):
        try:
            names = sorted(name for name in fs.ls(path, detail=False) if name.endswith(".json"))
        except FileNotFoundError:
            return {}
        contents = fs.cat(names) if names else {}
    records = [Record(**json.loads(contents[name])) for name in names]
    return {record.shard: record for record in records}


def commit(partition: Partition, schema: pa.Schema, records: list[Record], body: dict[str, Any]) -> dict[str, Any]:
    """Create the manifest over `records`; an equal one that is there already is success.

    Raises:
        StageError: another manifest, with other content, was committed first.
    """
    manifest = {
        "table": partition.table,
        "fingerprint": partition.fingerprint,
        "date": partition.date,
        "schema": {f.name: str(f.type) for f in schema},
        "num_rows": sum(record.num_rows for record in records),
        "shards": [asdict(record) for record in sorted(records, key=lambda record: record.shard)],
        **body,
    }
    data = canonical_json(manifest)
    uri = partition.at("manifest.json")
    if not create(uri, data):
        there = read_bytes(uri)
        if there != data:
            mine, other = hashlib.sha256(data).hexdigest()[:12], hashlib.sha256(there).hexdigest()[:12]
            raise StageError(f"{uri}: another run committed {other} where this run has {mine}; use another --root")
    return manifest


def read_manifest(partition: Partition) -> dict[str, Any] | None:
    """The manifest of a committed partition, or None."""
    try:
        return dict(json.loads(read_bytes(partition.at("manifest.json"))))
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


def open_table(partition: Partition, schema: pa.Schema) -> Any:
    """A pyarrow dataset of exactly the committed shards.

    Raises:
        InputError: nothing is committed there.
        SchemaError: the shards have other columns than `schema`.
    """
    import pyarrow.dataset as ds

    manifest = read_manifest(partition)
    if manifest is None:
        raise InputError(f"{partition.path}: not committed; run its job for {partition.date} first")
    fs, _ = open_filesystem(partition.path)
    paths = [open_filesystem(partition.at(f"{shard['shard']}.parquet"))[1] for shard in manifest["shards"]]
    dataset = ds.dataset(paths, filesystem=fs, format="parquet", schema=None if paths else schema)
    check_schema(dataset.schema, schema, partition.path)
    return dataset
