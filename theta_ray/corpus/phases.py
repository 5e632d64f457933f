"""The tasks of `prepare`, each a function of a picklable description: read, resolve, write.

1. `read_shard` reads a shard's units into staged rows, keys and quarantined rows. Alive: 4,096 rows, 36 bytes a row.
2. `resolve_bucket` finds the repeats within one range of keys, over all shards: about 4 million keys.
3. `write_shard` leaves the repeats out and creates the shard. Alive: two batches of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.config import Corpus
from theta_ray.corpus import damage, gone_authors, staging, tombstones
from theta_ray.corpus.document import Rejected, Unit
from theta_ray.corpus.drift import ColumnKinds
from theta_ray.corpus.duplicates import digests_by_shard, find_repeats, sort, to_keys, without
from theta_ray.corpus.listing import check_identity
from theta_ray.corpus.readers import READERS
from theta_ray.corpus.rows import STAGED, CorpusRow, RowBuilder, num_chars, quarantine_row, to_table
from theta_ray.errors import StageError
from theta_ray.objects import join
from theta_ray.schemas import CORPUS, QUARANTINE
from theta_ray.steps import reached
from theta_ray.store import ROWS_PER_GROUP, Partition, Record, ShardWriter, digest_of, find_record

BATCH_ROWS = 4096
# Rows of long texts are staged before there are 4,096 of them.
BATCH_CHARS = 2**25
# A row group of the corpus is smaller than 1,024 rows where texts are long.
MAX_GROUP_BYTES = 2**26
REPEATS = {"ids": "id_repeats", "texts": "text_repeats"}


@dataclass(frozen=True)
class ShardTask:
    """One shard: what to read, by which rules, and where things go."""

    index: int
    shard: str
    units: tuple[Unit, ...]
    corpus: Corpus
    partition: Partition
    staging: str
    epoch: int = 0
    deleted: str = ""
    """Identity of the lists of deleted ids (tombstones.identify)."""
    key: bytes | None = field(default=None, repr=False)
    """Key of the author pseudonyms. Not shown, not stored."""

    def staged(self, kind: str, suffix: str = "parquet") -> str:
        """Where this shard's staged file of a kind lies."""
        return join(self.staging, kind, f"{self.shard}.{suffix}")


@dataclass(frozen=True)
class BucketTask:
    """One range of keys: `ids` first; `texts` then leaves out the rows whose ids repeat."""

    kind: str
    bucket: int
    buckets: int
    shards: tuple[str, ...]
    staging: str
    has_id_repeats: bool = False


@dataclass(frozen=True)
class WriteTask:
    """A shard with what was resolved: its name, and numbers of bucket files; 0 where no row is turned away for that."""

    read: ShardTask
    name: str
    units: str
    id_buckets: int
    text_buckets: int


class _Staged:
    """Rows of one shard on their way to the staged files, and what is counted on the way."""

    def __init__(self, task: ShardTask, rows: pq.ParquetWriter, rejected: pq.ParquetWriter) -> None:
        self._task, self._rows_file, self._rejected_file = task, rows, rejected
        self._rows: list[CorpusRow] = []
        self._units, self._places = list[int](), list[int]()
        self._rejected: list[tuple[str, str, str, str]] = []
        self.doc_ids, self.text_hashes = list[bytes](), list[bytes]()
        self.num_rows, self._num_chars = 0, 0
        self.quarantined: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.columns = ColumnKinds()
        self.deleted, self.masked = list[tuple[int, int]](), list[tuple[int, int, str]]()
        self.of_authors, self.examples = list[str](), dict[str, str]()

    def add(self, row: CorpusRow, unit: int, place: int) -> None:
        self._rows.append(row)
        self._units.append(unit)
        self._places.append(place)
        self._num_chars += num_chars(row)
        if len(self._rows) == BATCH_ROWS or self._num_chars >= BATCH_CHARS:
            self.flush()

    def reject(self, rejected: Rejected, unit: int) -> None:
        """Do with a rejected row what the recipe says."""
        if rejected.reason == "deleted_id":
            self.deleted.append((unit, rejected.place))
        uri, policy = self._task.units[unit].uri, damage.policy_of(self._task.corpus, rejected.reason)
        if policy == "fail":
            raise damage.failure(rejected.reason, uri, rejected.place, rejected.detail)
        if policy == "skip":
            self.skipped[rejected.reason] += 1
            return
        row = quarantine_row(rejected, uri)
        self._rejected.append(row)
        self.quarantined[rejected.reason] += 1
        self.examples.setdefault(rejected.reason, row[1])
        if len(self._rejected) == BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._rows_file.write_table(to_table(self._rows, self._units, self._places))
            self.doc_ids += [blake2b(row[0].encode(), digest_size=16).digest() for row in self._rows]
            self.text_hashes += [row[2] for row in self._rows]
            self.num_rows += len(self._rows)
        if self._rejected:
            self._rejected_file.write_table(_quarantine_table(self._rejected))
        for values in (self._rows, self._units, self._places, self._rejected):
            values.clear()
        self._num_chars = 0

    def summary(self) -> dict[str, Any]:
        """The counts, and an example place by reason."""
        return {
            "num_rows_in": self.num_rows + self.quarantined.total() + self.skipped.total(),
            "num_rows": self.num_rows,
            "quarantined": dict(self.quarantined),
            "skipped": dict(self.skipped),
            "columns": self.columns.seen,
            "shard": self._task.index,
            "deleted": digest_of([self.deleted, self.masked]) if self.deleted or self.masked else "",
            "of_authors": self.of_authors,
            "examples": self.examples,
        }


def read_shard(task: ShardTask) -> dict[str, Any]:
    """Stage one shard's rows; returns counts, examples of rejections, and new documents of forgotten authors."""
    summary = staging.read_json(task.staged("read", "json"))
    if summary is not None:
        return summary
    with (
        staging.writing(task.staged("rows"), STAGED) as rows,
        staging.writing(task.staged("rejected"), QUARANTINE) as rejected,
    ):
        staged = _Staged(task, rows, rejected)
        _read_units(task, staged)
        staged.flush()
    staging.write_keys(task.staged("ids"), sort(to_keys(b"".join(staged.doc_ids), task.index)))
    staging.write_keys(task.staged("texts"), sort(to_keys(b"".join(staged.text_hashes), task.index)))
    summary = staged.summary()
    staging.write_json(task.staged("read", "json"), summary)
    reached("rows_staged", task.partition.table, task.shard)
    return summary


def _read_units(task: ShardTask, staged: _Staged) -> None:
    known = task.partition.root, task.deleted
    authors = gone_authors.read_in_worker(*known, task.key)
    builder = RowBuilder(task.corpus, task.key, tombstones.read_in_worker(*known), authors)
    for number, unit in enumerate(task.units):
        spec = task.corpus.inputs[unit.input_index]
        check_identity(unit)
        staged.columns.add(unit, spec)
        for place, row in builder.build_all(READERS[spec.reader](unit, spec), spec.source or spec.reader):
            if isinstance(row, Rejected):
                staged.reject(row, number)
            else:
                staged.add(row, number, place)
        check_identity(unit)
        staged.masked += [(number, *each) for each in builder.masked]
        builder.masked.clear()
    staged.of_authors = sorted({tombstones.digest_of_id(doc_id).hex() for doc_id in builder.of_authors})


def resolve_bucket(task: BucketTask) -> dict[str, Any]:
    """Find the repeats of one bucket; returns how many keys there were, how many repeat, and a digest by shard."""
    keys = staging.read_keys(task.staging, task.kind, task.shards, (task.bucket, task.buckets))
    if task.kind == "texts" and task.has_id_repeats:
        keys = without(keys, staging.read_repeats(task.staging, "id_repeats", task.buckets))
    repeats = find_repeats(keys)
    staging.write_repeats(join(task.staging, REPEATS[task.kind], f"{task.bucket:05d}.parquet"), repeats)
    counts = {"bucket": task.bucket, "keys": len(keys), "repeats": len(repeats)}
    return {**counts, "digests": digests_by_shard(repeats)}


def write_shard(task: WriteTask) -> Record:
    """Create one shard without its repeats, after the quarantined rows, and its record."""
    read = task.read
    finished = find_record(read.partition, task.name)
    if finished is not None:
        return finished
    summary = staging.read_json(read.staged("read", "json"))
    if summary is None:
        raise StageError(f"{read.staging}: lost the counts of {read.shard}; rerun to read it again")
    repeats = {
        "duplicate_id": staging.read_repeats(read.staging, "id_repeats", task.id_buckets, read.index).row,
        "duplicate_text": staging.read_repeats(read.staging, "text_repeats", task.text_buckets, read.index).row,
    }
    counts = {**summary["quarantined"], **{reason: len(rows) for reason, rows in repeats.items() if len(rows)}}
    with (
        ShardWriter(read.partition, task.name, CORPUS) as corpus,
        ShardWriter(quarantine_of(read.partition), task.name, QUARANTINE) as quarantine,
    ):
        for table in staging.batches(read.staged("rejected"), BATCH_ROWS):
            quarantine.write(table)
        groups = _Groups(corpus)
        start = 0
        for table in staging.batches(read.staged("rows"), BATCH_ROWS):
            keep = np.ones(table.num_rows, dtype=bool)
            for reason, rows in repeats.items():
                local = rows[(rows >= start) & (rows < start + table.num_rows)] - start
                keep[local] = False
                if len(local):
                    quarantine.write(_repeated(table.take(local), reason, read))
            groups.add(table.filter(pa.array(keep)).select(CORPUS.names))
            start += table.num_rows
        groups.finish()
        num_rows_in, skipped = summary["num_rows_in"], summary["skipped"]
        num_rows_out = corpus.num_rows + quarantine.num_rows + sum(skipped.values())
        if num_rows_in != num_rows_out or quarantine.num_rows != sum(counts.values()):
            where = read.partition.at(task.name)
            raise StageError(f"{where}: {num_rows_in} rows in, {num_rows_out} out; remove {read.staging} and rerun")
        if quarantine.num_rows:
            quarantine.publish(quarantined=counts, epoch=read.epoch)
        details = {"num_rows_in": num_rows_in, "skipped": skipped, "units": task.units, **groups.details()}
        return corpus.publish(quarantined=counts, details=details, epoch=read.epoch)


def quarantine_of(partition: Partition) -> Partition:
    """The partition of the rows that a corpus partition turned away."""
    return replace(partition, table="quarantine")


class _Groups:
    """Cuts rows into full row groups, the last one smaller, and keeps the figures of each."""

    def __init__(self, writer: ShardWriter) -> None:
        self._writer = writer
        self._pending: list[pa.Table] = []
        self._groups: list[dict[str, int]] = []
        self._hashes: list[pa.ChunkedArray] = []
        self._languages: Counter[str] = Counter()

    def add(self, table: pa.Table) -> None:
        self._pending.append(table)
        while self._is_full():
            self._write(pa.concat_tables(self._pending))

    def _is_full(self) -> bool:
        num_rows = sum(part.num_rows for part in self._pending)
        num_bytes = int(sum(part.nbytes for part in self._pending))
        return num_rows >= ROWS_PER_GROUP or (num_rows > 0 and num_bytes >= MAX_GROUP_BYTES)

    def finish(self) -> None:
        if sum(part.num_rows for part in self._pending):
            self._write(pa.concat_tables(self._pending))

    def _write(self, rows: pa.Table) -> None:
        group, self._pending = rows.slice(0, ROWS_PER_GROUP), [rows.slice(ROWS_PER_GROUP)]
        self._writer.write(group)
        text = group["text"]
        chars, num_bytes = pc.sum(pc.utf8_length(text)).as_py(), pc.sum(pc.binary_length(text)).as_py()
        self._groups.append({"num_rows": group.num_rows, "text_chars": chars, "text_bytes": num_bytes})
        self._hashes.append(group["text_hash"])
        for count in pc.value_counts(group["lang"]).to_pylist():
            self._languages[count["values"] or "unknown"] += count["counts"]

    def details(self) -> dict[str, Any]:
        """Row groups, distinct texts and rows by language, for the shard's record."""
        hashes = pa.chunked_array([chunk for array in self._hashes for chunk in array.chunks], type=pa.binary(16))
        num_texts = len(hashes.unique())
        return {"row_groups": self._groups, "num_texts": num_texts, "languages": dict(self._languages)}


def _repeated(rows: pa.Table, reason: str, task: ShardTask) -> pa.Table:
    values = zip(*(rows[name].to_pylist() for name in ("unit", "place", "doc_id")), strict=True)
    found = ((Rejected(reason, f"doc_id {doc_id}", place), unit) for unit, place, doc_id in values)
    return _quarantine_table([quarantine_row(rejected, task.units[unit].uri) for rejected, unit in found])


def _quarantine_table(rows: list[tuple[str, str, str, str]]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=QUARANTINE)
