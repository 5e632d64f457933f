"""Which objects hold deleted ids: parquet objects below a root in, counts of each object out. No row leaves a task.

Any column of ids counts (COLUMNS, and AUTHOR_COLUMNS for those of authors), in whatever table, version or staged file
it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.clean_up import Found, list_objects
from theta_ray.corpus.gone_authors import GoneAuthors, digests_of
from theta_ray.corpus.references import WORD, accounts_in, id_of
from theta_ray.corpus.tombstones import Tombstones
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
AUTHOR, LINKS = "author_id", "links"
# What names authors; an address may name one as well.
AUTHOR_COLUMNS = (AUTHOR, "parent_author_id", "mention_ids", "source_id", "target_id")
OBJECTS_PER_TASK = 64


@dataclass(frozen=True)
class ScanTask:
    """Some objects of one partition."""

    partition: Partition
    names: tuple[str, ...]


@dataclass(frozen=True)
class Gone:
    """What must not be held."""

    documents: Tombstones
    authors: GoneAuthors


@dataclass(frozen=True)
class Held:
    """What one object, or several together, hold of deleted documents and forgotten authors."""

    rows: int = 0
    """Rows of such documents themselves."""
    references: int = 0
    """Other values that are ids of them."""
    digests: frozenset[bytes] = frozenset()
    """Of ids of such documents."""
    authors: frozenset[bytes] = frozenset()
    """Digests by which the authors are known."""

    def __add__(self, other: Held) -> Held:
        rows, references = self.rows + other.rows, self.references + other.references
        return Held(rows, references, self.digests | other.digests, self.authors | other.authors)


def scan(partitions: Sequence[Partition], gone: Gone, executor: Executor) -> dict[Partition, dict[str, Held]]:
    """By partition and object, what is held of deleted documents and forgotten authors; only what holds some.

    Raises:
        InputError: the store refuses.
    """
    held: dict[Partition, dict[str, Held]] = defaultdict(dict)
    shared = executor.share(_itself, gone)
    for each in executor.map(scan_objects, tasks_of(partitions), shared=shared):
        if each["held"]:
            held[each["partition"]] |= each["held"]
    return dict(held)


def _itself(value: Gone) -> Gone:
    return value


def tasks_of(partitions: Sequence[Partition]) -> list[ScanTask]:
    """All parquet objects of some partitions, listed beside each other."""
    with ThreadPoolExecutor(READERS) as pool:
        return [task for found in pool.map(_tasks, partitions) for task in found]


def _tasks(partition: Partition) -> list[ScanTask]:
    names = sorted(each.name for each in list_objects(partition.path) if _is_readable(each))
    starts = range(0, len(names), OBJECTS_PER_TASK)
    return [ScanTask(partition, tuple(names[start : start + OBJECTS_PER_TASK])) for start in starts]


def _is_readable(found: Found) -> bool:
    return found.name.endswith(".parquet") and TEMPORARY not in found.name


def scan_objects(task: ScanTask, gone: Gone) -> dict[str, Any]:
    """What some objects hold, and how many rows were looked at."""
    held: dict[str, Held] = {}
    num_rows = 0
    columns = {KEY, *COLUMNS, *(AUTHOR_COLUMNS if gone.authors else ())}
    for name in task.names:
        found = Held()
        for batch in batches_of(task.partition.at(name), columns):
            num_rows += batch.num_rows
            found += _held(batch, gone)
        if found.digests or found.authors:
            held[name] = found
    return {"partition": task.partition, "held": held, "num_rows": num_rows}


def batches_of(uri: str, wanted: Container[str]) -> Iterator[pa.RecordBatch]:
    """Some columns of a parquet object, where it has any; nothing of one that is damaged, or gone meanwhile."""
    fs, path = open_filesystem(uri)
    try:
        with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
            columns = [name for name in parquet.schema_arrow.names if name in wanted]
            if columns:
                yield from parquet.iter_batches(columns=columns)
    except (FileNotFoundError, pa.ArrowInvalid):
        return


def _held(batch: pa.RecordBatch, gone: Gone) -> Held:
    """What some rows hold; what a deleted document itself names is no reference."""
    found = Held()
    if AUTHOR in batch.schema.names:
        found = Held(authors=_matched(batch[AUTHOR], gone.authors)[1])
    if KEY in batch.schema.names:
        is_gone, digests = _matched(batch[KEY], gone.documents)
        found += Held(int(pc.sum(is_gone).as_py() or 0), 0, digests)
        batch = batch.filter(pc.invert(is_gone))
    for column in batch.schema.names:
        if column in COLUMNS:
            is_gone, digests = _matched(_ids(column, batch[column], WORD.findall), gone.documents)
            found += Held(0, int(pc.sum(is_gone).as_py() or 0), digests)
        if gone.authors and (column in AUTHOR_COLUMNS or column == LINKS):
            is_gone, digests = _matched(_ids(column, batch[column], accounts_in), gone.authors)
            found += Held(0, int(pc.sum(is_gone).as_py() or 0), authors=digests)
    return found


def _matched(ids: pa.Array, gone: Tombstones | GoneAuthors) -> tuple[pa.Array, frozenset[bytes]]:
    """For each id whether it is gone, and the digests by which those that are may be known."""
    different = pc.drop_null(pc.unique(ids))
    found = different.filter(pa.array(gone.matches(different)))
    key = gone.key if isinstance(gone, GoneAuthors) else None
    return pc.is_in(ids, found), frozenset(digest for each in found.to_pylist() for digest in digests_of(each, key))


def _ids(column: str, values: pa.Array, in_link: Callable[[str], list[str]]) -> pa.Array:
    """The ids that a column holds; of addresses those that `in_link` finds."""
    while pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    if pa.types.is_struct(values.type):
        values = pc.struct_field(values, KEY)
    if column == LINKS:
        return pa.array([word for link in values.to_pylist() for word in in_link(link)], pa.string())
    if column == "detail":
        return pa.array([id_of(detail) for detail in values.to_pylist()], pa.string())
    return values if pa.types.is_string(values.type) else pa.array([], pa.string())
