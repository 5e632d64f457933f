"""Table `text_index` without the rows of shards that are gone: a deleted document's text leaves no hash behind.

    rows of each list, by the shard that they point to -> those whose shard is there -> a new version of the list

Shards are gone where a deletion has removed them (nightly/forget.py); texts that other documents of such a shard share
were indexed again with the shard that took its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from theta_ray.clean_up import key_of, removable, remove_objects
from theta_ray.encoder.text_index import Segment, partition_of, publish_part
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, read_manifest
from theta_ray.objects import join, list_names
from theta_ray.schemas import TEXT_INDEX
from theta_ray.store import Partition, Record, digest_of, finished_shards
from theta_ray.tasks import Executor

TABLE = "text_index"


@dataclass(frozen=True)
class DropTask:
    """One shard of a list, as its manifest has it."""

    index: Partition
    shard: dict[str, Any]
    epoch: int


def drop_gone(root: str, executor: Executor) -> int:
    """Commit each list below a root without the rows of shards that are gone, and remove what it was; rows dropped."""
    dropped = 0
    for name in list_names(join(root, TABLE)):
        newer: dict[str, tuple[int, int]] = {}
        for index in _days(root, name):
            dropped += _drop_of_day(index, newer, executor)
    return dropped


def _days(root: str, name: str) -> Iterator[Partition]:
    for day in sorted(list_names(join(root, TABLE, name))):
        if day.startswith("dt="):
            yield Partition(root, TABLE, name, day.removeprefix("dt="))


def _drop_of_day(index: Partition, newer: dict[str, tuple[int, int]], executor: Executor) -> int:
    """Do so for one day; `newer` gets its version before and now, which the lists of later days name."""
    with holding(index, executor.resources.model_copy(update={"on_conflict": "wait"}), shareable=False) as lease:
        before = read_manifest(index)
        if before is None:
            return 0
        now = _commit_without(index, before, newer, (executor, lease))
        newer[index.date] = before["version"], now["version"]
        remove_objects(index, removable(index, {(*key_of(index), now["version"]): now}))
        return int(before["num_rows"] - now["num_rows"])


def _commit_without(
    index: Partition, before: dict[str, Any], newer: dict[str, tuple[int, int]], run: tuple[Executor, Lease]
) -> dict[str, Any]:
    executor, lease = run
    tasks = [DropTask(index, shard, lease.epoch) for shard in before["shards"]]
    records = [Record(**found["record"]) for found in executor.map(drop_rows, tasks)]
    covers = {
        day: newer[day][1] if day in newer and newer[day][0] == version else version
        for day, version in before["covers"].items()
    }
    indexed = {
        name: sorted(set(shards) & set(finished_shards(Partition(index.root, "embeddings", name, index.date))))
        for name, shards in before["indexed"].items()
    }
    body = {"sections": before["sections"], "inputs": before["inputs"], "covers": covers, "indexed": indexed}
    lease.check()
    return commit(index, TEXT_INDEX, records, body)


def drop_rows(task: DropTask) -> dict[str, Any]:
    """Write a shard of a list again without the rows of shards that are gone; its record, the old one if none is."""
    details = task.shard["details"]
    place = details["place"], details["parts"]
    keys, paths = Segment(task.index, {"shards": [task.shard]}).read(place)
    finished: dict[Partition, set[str]] = {}
    gone = []
    for path in paths:
        partition, shard = partition_of(task.index.root, path)
        if partition not in finished:
            finished[partition] = set(finished_shards(partition))
        if shard not in finished[partition]:
            gone.append(path)
    is_kept = ~np.isin(np.asarray(paths, object)[keys.shard].astype(str), gone)
    if is_kept.all():
        return {"num_rows": len(keys), "record": {**task.shard, "epoch": task.epoch}}
    name = f"part-{place[0]:05d}-{digest_of([task.shard['shard'], sorted(gone)])}"
    record = publish_part(task.index, name, (keys.take(is_kept), paths), place, task.epoch)
    return {"num_rows": record.num_rows, "record": asdict(record)}
