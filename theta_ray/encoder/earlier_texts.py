"""Texts that an earlier night embedded: found by their keys, their vectors taken from where they lie.

    texts of the shards to make -> keys, staged by shard              (text_index.stage_keys, a task a shard)
    -> looked up in the lists of earlier nights: who wants which row  (find_part, a task a range of keys)
    -> rows of the earlier shards, by who wants them                  (gather, a task some earlier shards)
    -> a worker reads those of its shard                              (read_taken)

A row of a shard that the newest version of its night no longer names, or that is gone, is unknown: its text is
embedded again. The driver sees names and counts only.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.corpus.staging import read_keys, read_rows, remove, write_rows, writing
from theta_ray.encoder.text_index import KeysTask, Segment, partition_of, stage_keys
from theta_ray.encoder.text_keys import find, num_parts
from theta_ray.encoder.tokenized import EarlierTexts, ShardTask
from theta_ray.errors import ConflictError
from theta_ray.manifest import read_manifest
from theta_ray.objects import READERS, access, join, open_filesystem
from theta_ray.store import Partition, digest_of
from theta_ray.tasks import Executor

# A task gathers this many rows at least, and there are so many tasks at most: a worker looks into all of their files.
GATHERED_ROWS, GATHER_TASKS = 2**14, 256
# A worker reads the groups of a file that have rows of its shard.
ROWS_PER_GROUP = 2**10
WANTED = pa.schema([("source", pa.string()), ("row", pa.int32()), ("shard", pa.string()), ("place", pa.int32())])


@dataclass(frozen=True)
class Found:
    """What the earlier nights have of the shards to make."""

    texts: EarlierTexts | None
    """For the workers; None where they have nothing."""
    whole: frozenset[str] = frozenset()
    """Shards all of whose texts they have."""
    finding: str = "no earlier night"


def identity_of(segments: Sequence[Segment]) -> str:
    """12 hex digits over the lists of the earlier nights; none where there is no list."""
    return digest_of([segment.identity for segment in segments])[:12] if segments else ""


def find_earlier(
    places: tuple[Partition, Partition], todo: Sequence[ShardTask], segments: Sequence[Segment], executor: Executor
) -> Found:
    """Look the texts of the shards to make up in the lists of earlier nights, and stage the vectors that they have.

    Args:
        places: the corpus and the embeddings.
        todo: the shards to make.
        segments: from `find_segments`.
        executor: where the tasks run.
    """
    if not segments or not todo:
        return Found(None, finding="no earlier night" if not segments else "no shard to make")
    corpus, embeddings = places
    # a folder of its own for each attempt, which is the one to remove it
    folder = embeddings.at("staging", f"{identity_of(segments)}-{secrets.token_hex(4)}")
    names = tuple(sorted(task.shard for task in todo))
    items = [KeysTask(corpus, task, join(folder, "keys", f"{task.shard}.parquet")) for task in todo]
    num_texts = {found["shard"]: int(found["num_rows"]) for found in executor.map(stage_keys, items)}
    parts = num_parts(max(sum(num_texts.values()), *(segment.manifest["num_rows"] for segment in segments)))
    lists = tuple(segment.without_names() for segment in segments)
    looked_up = executor.map(find_part, [FindTask(folder, names, (part, parts), lists) for part in range(parts)])
    sources = sum((Counter[str](found["sources"]) for found in looked_up), Counter[str]())
    tasks = [
        GatherTask(embeddings.root, folder, parts, number, group) for number, group in enumerate(group_sources(sources))
    ]
    taken: Counter[str] = sum((Counter(found["shards"]) for found in executor.map(gather, tasks)), Counter[str]())
    total = sum(num_texts.values())
    finding = f"{taken.total():,} of {total:,} texts were embedded by earlier nights"
    if not taken:
        remove(folder)
        return Found(None, finding=finding)
    texts = EarlierTexts(folder, len(tasks), identity_of(segments))
    return Found(texts, frozenset(name for name, count in num_texts.items() if count == taken[name]), finding)


@dataclass(frozen=True)
class FindTask:
    """One range of keys to look up."""

    folder: str
    shards: tuple[str, ...]
    """Whose keys are staged, ascending."""
    place: tuple[int, int]
    segments: tuple[Segment, ...]


def find_part(item: FindTask) -> dict[str, Any]:
    """Look a range of keys up, the newest list first, and stage what was found; rows by earlier shard."""
    wanted = read_keys(item.folder, "keys", item.shards, item.place)
    parts = [WANTED.empty_table()]
    for segment in item.segments:
        if not len(wanted):
            break
        try:
            known, paths = segment.read(item.place)
        except ConflictError:  # a deletion took it meanwhile: its texts are unknown
            continue
        places = find(wanted, known)
        is_found = places >= 0
        here, places = wanted.take(is_found), places[is_found]
        sources = pa.array(paths, pa.string()).take(pa.array(known.shard[places]))
        shards = pa.array(item.shards, pa.string()).take(pa.array(here.shard))
        parts.append(pa.table([sources, known.row[places], shards, here.row], schema=WANTED))
        wanted = wanted.take(~is_found)
    table = pa.concat_tables(parts).sort_by([("source", "ascending"), ("row", "ascending"), ("shard", "ascending")])
    write_rows(join(item.folder, "found", f"{item.place[0]:05d}.parquet"), table)
    return {"num_rows": len(table), "sources": _counts(table["source"])}


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {each["values"]: each["counts"] for each in column.value_counts().to_pylist()}


def group_sources(sources: dict[str, int]) -> list[tuple[str, ...]]:
    """Earlier shards by name, in runs of about equal numbers of rows."""
    size, groups, room = max(GATHERED_ROWS, -(-sum(sources.values()) // GATHER_TASKS)), list[list[str]](), 0
    for source in sorted(sources):
        if room <= 0:
            groups.append([])
            room = size
        groups[-1].append(source)
        room -= sources[source]
    return [tuple(group) for group in groups]


@dataclass(frozen=True)
class GatherTask:
    """Some earlier shards, neighbours by name, whose rows are wanted."""

    root: str
    folder: str
    num_found: int
    """Files of `find_part`."""
    number: int
    sources: tuple[str, ...]


@dataclass
class _Versions:
    """Shards that the newest versions of earlier nights name, each looked up once."""

    named: dict[Partition, set[str]] = field(default_factory=dict)

    def name(self, partition: Partition, shard: str) -> bool:
        if partition not in self.named:
            manifest = read_manifest(partition)
            self.named[partition] = {each["shard"] for each in manifest["shards"]} if manifest else set()
        return shard in self.named[partition]


def gather(item: GatherTask) -> dict[str, Any]:
    """Stage the wanted rows of some earlier shards by the shard that wants them; how many each gets."""
    limits = (pc.field("source") >= item.sources[0]) & (pc.field("source") <= item.sources[-1])
    files = [join(item.folder, "found", f"{part:05d}.parquet") for part in range(item.num_found)]
    wanted = pa.concat_tables([read_rows(uri, limits) for uri in files])
    versions, parts = _Versions(), []
    for source in item.sources:
        partition, shard = partition_of(item.root, source)
        if not versions.name(partition, shard):
            continue
        mine = wanted.filter(pc.equal(wanted["source"], source))
        try:
            rows = read_at(partition.at(f"{shard}.parquet"), mine["row"].to_numpy())
        except FileNotFoundError:  # removed since: its texts are unknown
            continue
        night = pa.repeat(source.rpartition("/")[0], len(mine))
        columns = {name: rows[name] for name in rows.column_names}
        parts.append(pa.table({"shard": mine["shard"], "place": mine["place"], "night": night, **columns}))
    if not parts:
        return {"num_rows": 0, "shards": {}}
    table = pa.concat_tables(parts).sort_by([("shard", "ascending"), ("place", "ascending")])
    with writing(_taken_path(item.folder, item.number), table.schema) as writer:
        writer.write_table(table, row_group_size=ROWS_PER_GROUP)
    return {"num_rows": len(table), "shards": _counts(table["shard"])}


def read_at(uri: str, rows: npt.NDArray[np.int32]) -> pa.Table:
    """Some rows of a shard of the embeddings, without their ids, in the order asked for; a row may come twice."""
    fs, path = open_filesystem(uri)
    with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        sizes = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        groups = np.searchsorted(starts, rows, side="right") - 1
        chosen, place = np.unique(groups, return_inverse=True)
        columns = [name for name in parquet.schema_arrow.names if name != "doc_id"]
        table = parquet.read_row_groups(chosen.tolist(), columns=columns)
        first = np.concatenate([[0], np.cumsum(np.asarray(sizes)[chosen])])[place]
        return table.take(pa.array(first + rows - starts[groups])).replace_schema_metadata(None)


def _taken_path(folder: str, number: int) -> str:
    return join(folder, "taken", f"{number:05d}.parquet")


def read_taken(texts: EarlierTexts | None, shard: str, columns: Iterable[str] | None = None) -> pa.Table | None:
    """The texts of a shard that earlier nights embedded, by `place`, the first row that has each; None: none of them.

    Args:
        texts: what the run has found.
        shard: that is to be made.
        columns: `place`, `night`, and those of the embeddings but for the id; absent: all.
    """
    if texts is None:
        return None

    def read(number: int) -> pa.Table | None:
        try:
            wanted = None if columns is None else list(columns)
            return read_rows(_taken_path(texts.folder, number), pc.field("shard") == shard, wanted)
        except FileNotFoundError:  # none of its sources was there any more
            return None

    with ThreadPoolExecutor(READERS) as pool:
        parts = [part for part in pool.map(read, range(texts.num_files)) if part is not None and len(part)]
    return pa.concat_tables(parts).sort_by("place") if parts else None


def taken_rows(texts: EarlierTexts | None, shard: str) -> npt.NDArray[np.int32] | None:
    """The first rows of those texts, ascending."""
    taken = read_taken(texts, shard, ["place"])
    return None if taken is None else taken["place"].to_numpy()
