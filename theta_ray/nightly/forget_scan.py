"""Which objects hold deleted ids: parquet objects below a root in, counts of each object out. No row leaves a task.

Any column of ids counts (COLUMNS), in whatever table, version or staged file it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.clean_up import Found, list_objects
from theta_ray.corpus.references import WORD, id_of
from theta_ray.corpus.tombstones import Tombstones, digest_of_id
from theta_ray.objects import READERS, TEMPORARY, access, open_filesystem
from theta_ray.store import Partition
from theta_ray.tasks import Executor

KEY = "doc_id"
# What names documents, beside their own rows' key.
COLUMNS = (
    "context_id",
    "parent_id",
    "links",
    "detail",
    "anchor_id",
    "more_anchor_ids",
    "positive_id",
    "negative_ids",
    "representative_ids",
    "borderline_ids",
    "templates",
)
OBJECTS_PER_TASK = 64


@dataclass(frozen=True)
class ScanTask:
    """Some objects of one partition."""

    partition: Partition
    names: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """What one object, or several together, hold of deleted documents."""

    rows: int = 0
    """Rows of such documents themselves."""
    references: int = 0
    """Other values that are their ids."""
    digests: frozenset[bytes] = frozenset()
    """Of their ids."""

    def __add__(self, other: Held) -> Held:
        return Held(self.rows + other.rows, self.references + other.references, self.digests | other.digests)


def scan(partitions: Sequence[Partition], deleted: Tombstones, executor: Executor) -> dict[Partition, dict[str, Held]]:
    """By partition and object, what is held of deleted documents; only what holds some.

    Raises:
        InputError: the store refuses.
    """
    with ThreadPoolExecutor(READERS) as pool:
        tasks = [task for found in pool.map(_tasks, partitions) for task in found]
    held: dict[Partition, dict[str, Held]] = defaultdict(dict)
    shared = executor.share(_itself, deleted)
    for each in executor.map(scan_objects, tasks, shared=shared):
        if each["held"]:
            held[each["partition"]] |= each["held"]
    return dict(held)


def _itself(value: Tombstones) -> Tombstones:
    return value


def _tasks(partition: Partition) -> list[ScanTask]:
    names = sorted(each.name for each in list_objects(partition.path) if _is_readable(each))
    starts = range(0, len(names), OBJECTS_PER_TASK)
    return [ScanTask(partition, tuple(names[start : start + OBJECTS_PER_TASK])) for start in starts]


def _is_readable(found: Found) -> bool:
    return found.name.endswith(".parquet") and TEMPORARY not in found.name


def scan_objects(task: ScanTask, deleted: Tombstones) -> dict[str, Any]:
    """What some objects hold, and how many rows were looked at."""
    held: dict[str, Held] = {}
    num_rows = 0
    for name in task.names:
        found = Held()
        for batch in _batches(task.partition.at(name)):
            num_rows += batch.num_rows
            found += _held(batch, deleted)
        if found.digests:
            held[name] = found
    return {"partition": task.partition, "held": held, "num_rows": num_rows}


def _batches(uri: str) -> Iterator[pa.RecordBatch]:
    """Columns of ids of a parquet object; nothing of one that is damaged, or gone meanwhile."""
    fs, path = open_filesystem(uri)
    try:
        with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
            columns = [name for name in parquet.schema_arrow.names if name == KEY or name in COLUMNS]
            if columns:
                yield from parquet.iter_batches(columns=columns)
    except (FileNotFoundError, pa.ArrowInvalid):
        return


def _held(batch: pa.RecordBatch, deleted: Tombstones) -> Held:
    """What some rows hold; what a deleted document itself names is no reference."""
    found = Held()
    if KEY in batch.schema.names:
        is_gone, digests = _matched(batch[KEY], deleted)
        found = Held(int(pc.sum(is_gone).as_py() or 0), 0, digests)
        batch = batch.filter(pc.invert(is_gone))
    for column in batch.schema.names:
        if column != KEY:
            is_gone, digests = _matched(_ids(column, batch[column]), deleted)
            found += Held(0, int(pc.sum(is_gone).as_py() or 0), digests)
    return found


def _matched(ids: pa.Array, deleted: Tombstones) -> tuple[pa.Array, frozenset[bytes]]:
    """For each id whether it was deleted, and the digests of those that were."""
    different = pc.drop_null(pc.unique(ids))
    gone = different.filter(pa.array(deleted.matches(different)))
    return pc.is_in(ids, gone), frozenset(digest_of_id(doc_id) for doc_id in gone.to_pylist())


def _ids(column: str, values: pa.Array) -> pa.Array:
    """The ids that a column holds."""
    while pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    if pa.types.is_struct(values.type):
        values = pc.struct_field(values, KEY)
    if column == "links":
        return pa.array([word for link in values.to_pylist() for word in WORD.findall(link)], pa.string())
    if column == "detail":
        return pa.array([id_of(detail) for detail in values.to_pylist()], pa.string())
    return values if pa.types.is_string(values.type) else pa.array([], pa.string())
