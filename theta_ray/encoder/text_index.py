"""Table `text_index`: where the vector of each text lies that any night has embedded. Committed with the embeddings.

    texts of the shards that no night has indexed -> keys, staged by shard           (stage_keys, a task a shard)
    -> merged with the lists of earlier nights that are small beside them, by range  (write_part, a task a range)
    -> manifest: the shards that are indexed, the nights that it covers

    <root>/text_index/<fingerprint>/dt=<day>/part-00000-<digest>.parquet   ascending keys, one range each

Its fingerprint is of the encoder and of what decides a stored vector, so recipes that read other documents share it.
It is committed before the embeddings: until those are there, nobody takes a row that points to them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.corpus.duplicates import Keys
from theta_ray.corpus.staging import in_range, read_keys, remove, write_keys
from theta_ray.encoder.text_keys import newest_first, not_covered, num_absorbed, num_parts, overlap, text_keys
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.errors import ConflictError
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, identity_of, list_versions, read_manifest
from theta_ray.objects import access, join, list_names, open_filesystem
from theta_ray.schemas import TEXT_INDEX
from theta_ray.store import Partition, Record, ShardWriter, digest_of, read_shard
from theta_ray.tasks import Executor

ROWS_PER_GROUP = 2**17
Manifest = dict[str, Any]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """The list of one night: a version of its partition of the table."""

    partition: Partition
    manifest: Manifest

    @property
    def identity(self) -> dict[str, Any]:
        """What names it, with its day."""
        return {"date": self.partition.date, **identity_of(self.manifest)}

    def without_names(self) -> Segment:
        """What a task needs to read it."""
        return Segment(self.partition, {"shards": self.manifest["shards"]})

    def read(self, place: tuple[int, int]) -> tuple[Keys, list[str]]:
        """Keys of a range (its number, and how many equal ones there are), ascending, and the shards they count by."""
        tables = [
            _read_range(self.partition.at(f"{shard['shard']}.parquet"), place)
            for shard in self.manifest["shards"]
            if overlap(place, (shard["details"]["place"], shard["details"]["parts"]))
        ]
        table = pa.concat_tables(tables).unify_dictionaries() if tables else _read_nothing()
        column = table["shard"].combine_chunks()
        high, low, row = (table[name].to_numpy() for name in ("text_high", "text_low", "row"))
        return Keys(high, low, column.indices.to_numpy().astype(np.int32), row), column.dictionary.to_pylist()


def _read_range(uri: str, place: tuple[int, int]) -> pa.Table:
    fs, path = open_filesystem(uri)
    limits = in_range("text_high", *place)
    try:
        with access(uri):
            return pq.read_table(path, filesystem=fs, filters=limits, partitioning=None, read_dictionary=["shard"])
    except FileNotFoundError as error:
        raise ConflictError(f"{uri}: a deletion has removed it meanwhile; rerun to read what took its place") from error


def _read_nothing() -> pa.Table:
    empty = TEXT_INDEX.empty_table()
    return empty.set_column(2, "shard", empty["shard"].dictionary_encode())


def find_segments(index: Partition, is_left_out: Callable[[Manifest], bool] = lambda _: False) -> list[Segment]:
    """The lists that tell of all texts up to a day, newest first.

    Args:
        index: the partition of the day, committed or not.
        is_left_out: versions of the day itself that do not count.
    """
    days = [name.removeprefix("dt=") for name in list_names(join(index.root, index.table, index.fingerprint))]
    found: dict[str, Segment] = {}

    def look() -> Iterator[tuple[str, int, dict[str, int]]]:
        for day in sorted((day for day in days if day <= index.date), reverse=True):
            partition = Partition(index.root, index.table, index.fingerprint, day)
            for version in reversed(list_versions(partition)):
                manifest = read_manifest(partition, version)
                assert manifest is not None, "it was listed"
                if day == index.date and is_left_out(manifest):
                    continue
                found[day] = Segment(partition, manifest)
                yield day, manifest["version"], manifest["covers"]
                break

    return [found[day] for day in not_covered(look())]


def is_indexed(manifest: Manifest, embeddings: Partition, shards: Sequence[str]) -> bool:
    """Whether a list has the texts of all these shards."""
    return set(shards) <= set(manifest["indexed"].get(embeddings.fingerprint, ()))


@dataclass(frozen=True)
class KeysTask:
    """One shard of the embeddings whose texts are to be hashed, and the staged file that holds their keys."""

    corpus: Partition
    task: ShardTask
    uri: str
    embeddings: Partition | None = None
    """Where rows are counted, for a shard from which some are missing; None: those of the corpus shard's row groups."""


def stage_keys(item: KeysTask) -> dict[str, Any]:
    """Hash the distinct texts of one shard; how many there are."""
    task, columns = item.task, ["text"] if item.embeddings is None else ["doc_id", "text"]
    table = read_shard(item.corpus, task.corpus_shard, columns=columns, row_groups=list(task.row_groups))
    if item.embeddings is not None:
        kept = read_shard(item.embeddings, task.shard, columns=["doc_id"])["doc_id"]
        table = table.filter(pc.is_in(table["doc_id"], value_set=kept.combine_chunks()))
    texts = table["text"].combine_chunks().dictionary_encode()
    _, first = np.unique(texts.indices.to_numpy(), return_index=True)
    write_keys(item.uri, text_keys(texts.dictionary.to_pylist(), first.astype(np.int32)))
    return {"shard": task.shard, "num_rows": len(first)}


@dataclass(frozen=True)
class PartTask:
    """One range of keys of a new version."""

    index: Partition
    shard: str
    place: tuple[int, int]
    staging: str
    own: tuple[str, ...]
    """Shards whose keys are staged."""
    prefix: str
    """Of the paths of those shards."""
    segments: tuple[Segment, ...]
    epoch: int


def write_part(item: PartTask) -> Record:
    """Merge the keys of a range, the newest first, and write their shard."""
    parts, paths = [read_keys(item.staging, "keys", item.own, item.place)], [join(item.prefix, s) for s in item.own]
    parts[0] = newest_first([parts[0]])
    for segment in item.segments:
        keys, shards = segment.read(item.place)
        parts.append(Keys(keys.high, keys.low, keys.shard + np.int32(len(paths)), keys.row))
        paths += shards
    merged = newest_first(parts) if len(parts) > 1 else parts[0]
    return publish_part(item.index, item.shard, (merged, paths), item.place, item.epoch)


def publish_part(
    index: Partition, shard: str, rows: tuple[Keys, list[str]], place: tuple[int, int], epoch: int
) -> Record:
    """Write one range of keys, which are ascending and count by these paths of shards."""
    keys, paths = rows
    shards_of_rows = pa.DictionaryArray.from_arrays(pa.array(keys.shard), pa.array(paths, pa.string()))
    table = pa.table([keys.high, keys.low, shards_of_rows.cast(pa.string()), keys.row], names=TEXT_INDEX.names)
    with ShardWriter(index, shard, TEXT_INDEX) as writer:
        writer.write(table, rows_per_group=ROWS_PER_GROUP)
        return writer.publish(details={"place": place[0], "parts": place[1]}, epoch=epoch)


@dataclass(frozen=True)
class Night:
    """The shards of one version of a night's embeddings, and the table that is to know their texts."""

    index: Partition
    corpus: Partition
    embeddings: Partition
    tasks: tuple[ShardTask, ...]
    missing: frozenset[str]
    """Shards that have quarantined rows."""
    sections: dict[str, Any]
    """What decides the vectors, for the manifest."""

    @property
    def shards(self) -> list[str]:
        """Names of all shards."""
        return [task.shard for task in self.tasks]

    def earlier_segments(self) -> list[Segment]:
        """The lists of earlier nights and of other versions of this day, newest first."""
        return find_segments(self.index, lambda manifest: is_indexed(manifest, self.embeddings, self.shards))


def commit_index(night: Night, executor: Executor) -> None:
    """Add the texts of a night's finished shards to the table; nothing where it knows them all."""
    while True:
        newest = read_manifest(night.index)
        if newest is not None and is_indexed(newest, night.embeddings, night.shards):
            return
        # another recipe may add its texts at this moment, which takes seconds
        with holding(night.index, executor.resources.model_copy(update={"on_conflict": "wait"})) as lease:
            try:
                _add_texts(night, executor, lease)
                return
            except ConflictError:
                if not lease.is_lost():
                    raise
                logger.info("text_index: another run took the lease over; looking at what it has added")


def _add_texts(night: Night, executor: Executor, lease: Lease) -> None:
    segments = find_segments(night.index)
    fingerprint = night.embeddings.fingerprint
    known = {shard for each in segments for shard in each.manifest["indexed"].get(fingerprint, ())}
    own = tuple(task for task in night.tasks if task.shard not in known)
    if own:
        try:
            _commit_version(night, own, segments, (executor, lease))
        finally:
            remove(_staging(night.index, lease))


def _staging(index: Partition, lease: Lease) -> str:
    # a folder of its own for each holder of the lease: one that was taken over may still be at work in its own
    return index.at("staging", f"{lease.epoch:08d}")


def _commit_version(
    night: Night, own: tuple[ShardTask, ...], segments: list[Segment], run: tuple[Executor, Lease]
) -> None:
    index, embeddings, (executor, lease) = night.index, night.embeddings, run
    staging = _staging(index, lease)
    items = [
        KeysTask(
            night.corpus,
            task,
            join(staging, "keys", f"{task.shard}.parquet"),
            embeddings if task.shard in night.missing else None,
        )
        for task in own
    ]
    num_own = sum(found["num_rows"] for found in executor.map(stage_keys, items))
    # an older version of the same day is always taken in: readers see the newest one only
    same = [each for each in segments if each.partition.date == index.date]
    num_rows = num_own + sum(each.manifest["num_rows"] for each in same)
    earlier = segments[len(same) :]
    absorbed = [*same, *earlier[: num_absorbed(num_rows, (each.manifest["num_rows"] for each in earlier))]]
    parts = num_parts(num_own + sum(each.manifest["num_rows"] for each in absorbed))
    decides = digest_of([[task.shard for task in own], _below_root(embeddings), [e.identity for e in absorbed], parts])
    names = tuple(task.shard for task in own)
    tasks = [
        PartTask(
            index,
            f"part-{part:05d}-{decides}",
            (part, parts),
            staging,
            names,
            _below_root(embeddings),
            tuple(each.without_names() for each in absorbed),
            lease.epoch,
        )
        for part in range(parts)
    ]
    records = executor.map(write_part, tasks)
    covers: dict[str, int] = {}
    for segment in reversed(absorbed):
        covers |= segment.manifest["covers"]
    covers |= {each.partition.date: each.manifest["version"] for each in absorbed[len(same) :]}
    indexed: dict[str, list[str]] = dict(same[0].manifest["indexed"]) if same else {}
    indexed[embeddings.fingerprint] = sorted({*indexed.get(embeddings.fingerprint, ()), *night.shards})
    body = {
        "sections": night.sections,
        "inputs": {"absorbed": [each.identity for each in absorbed]},
        "covers": dict(sorted(covers.items())),
        "indexed": indexed,
    }
    lease.check()
    commit(index, TEXT_INDEX, records, body)


def _below_root(partition: Partition) -> str:
    return join(partition.table, partition.fingerprint, f"dt={partition.date}")


def partition_of(root: str, path: str) -> tuple[Partition, str]:
    """The partition and the name of a shard that a row of the table names by its path below the root."""
    table, fingerprint, day, shard = path.split("/")
    return Partition(root, table, fingerprint, day.removeprefix("dt=")), shard
