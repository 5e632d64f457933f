"""The tasks of `mine_pairs` that make pairs, each a function of a picklable description.

`pair_bucket`: one range of the hashes of groups, over all corpus shards, becomes one shard of pairs. Alive in memory:
what is kept of each group, about 2^19 candidates on their way, and 8 bytes for each copy of a text in the corpus.

With hard negatives in between: `stage_bucket`, then negatives.py, then `write_bucket`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from theta_ray.corpus import staging
from theta_ray.errors import StageError
from theta_ray.objects import access, open_filesystem
from theta_ray.schemas import PAIRS
from theta_ray.steps import reached
from theta_ray.store import Record, ShardWriter, find_record
from theta_ray.training.groups import CANDIDATES, CHILD, PARENT, PARENT_LANE, keep_lowest, with_counts
from theta_ray.training.pair_phases import PairsJob
from theta_ray.training.pairing import limits_of, make_pairs
from theta_ray.training.splits import sides

if TYPE_CHECKING:
    from theta_ray.training.negative_files import NegativesJob

# Candidates that are gathered from several shards before the groups are cut to what they keep.
MERGE_ROWS = 2**19


@dataclass(frozen=True)
class PairTask:
    """One bucket of candidates, and the shard of pairs that it becomes."""

    job: PairsJob
    name: str
    bucket: int
    buckets: int
    copies: int
    """Ranges of documents that repeat another."""
    shards: tuple[str, ...]
    limit: int | None
    """Of the split (splits.py)."""


@dataclass(frozen=True)
class WriteTask:
    """A bucket whose pairs are staged, and the negatives that were found for them."""

    pair: PairTask
    negatives: NegativesJob

    @property
    def job(self) -> PairsJob:
        """Of the pairs."""
        return self.pair.job

    @property
    def name(self) -> str:
        """Of the shard."""
        return self.pair.name


def pair_bucket(task: PairTask) -> Record:
    """Create one shard of pairs and its record."""
    job = task.job
    finished = find_record(job.partition, task.name)
    if finished is not None:
        return finished
    pairs, details = _pair(task)
    return _publish(task, pairs, details)


def stage_bucket(task: PairTask) -> dict[str, Any]:
    """Stage the pairs of a bucket; how many there are."""
    uri = task.job.staged("paired", task.name)
    found = staging.read_json(uri)
    if found is None:
        pairs, details = _pair(task)
        with staging.writing(task.job.staged("pairs", task.name, "parquet"), PAIRS) as writer:
            writer.write_table(pairs)
        reached("pairs_staged", task.job.partition.table, task.name)
        found = {"num_rows": pairs.num_rows, "details": details}
        staging.write_json(uri, found)
    return {"num_rows": found["num_rows"]}


def write_bucket(task: WriteTask) -> Record:
    """Create one shard of staged pairs with their negatives, and its record."""
    from theta_ray.training.negatives import read_negatives

    job, name = task.job, task.name
    found, uri = staging.read_json(job.staged("paired", name)), job.staged("pairs", name, "parquet")
    if found is None:
        raise StageError(f"{job.staging}: lost the pairs of {name}; rerun to make them again")
    fs, path = open_filesystem(uri)
    with access(uri):
        pairs = pq.read_table(path, filesystem=fs, partitioning=None)
    place = PAIRS.get_field_index("negative_ids")
    return _publish(
        task.pair, pairs.set_column(place, PAIRS.field(place), read_negatives(task.negatives, uri)), found["details"]
    )


def _publish(task: PairTask, pairs: pa.Table, details: dict[str, Any]) -> Record:
    with ShardWriter(task.job.partition, task.name, PAIRS) as writer:
        writer.write(pairs)
        return writer.publish(details=details, epoch=task.job.epoch)


def _pair(task: PairTask) -> tuple[pa.Table, dict[str, Any]]:
    """Pairs of a bucket, and the counts for its record."""
    job = task.job
    kept, num_candidates, num_copies = _keep(task)
    paired = make_pairs(kept, sides(kept["split"], task.limit), job.pairs)
    paired.dropped["near_duplicate"] = num_copies
    counted = paired.num_in_pairs + paired.dropped.total()
    if counted != num_candidates:
        where = job.partition.at(task.name)
        raise StageError(f"{where}: {num_candidates} candidates in, {counted} counted; report this as a bug")
    return paired.pairs, {"num_candidates": num_candidates, **paired.details()}


def _keep(task: PairTask) -> tuple[pa.Table, int, int]:
    """What the groups of a bucket keep; how many candidates there were, and how many of them are copies."""
    limits, copies = limits_of(task.job.pairs), _read_copies(task)
    kept = with_counts(CANDIDATES.empty_table(), np.zeros(0, dtype=np.int8))
    waiting: list[pa.Table] = []
    num_candidates, num_copies = 0, 0
    for index, shard in enumerate(task.shards):
        found = _read_bucket(task, shard)
        is_child = found["role"].to_numpy() == CHILD
        is_copy = np.isin(_places(index, found["row"].to_numpy()), copies)
        num_candidates += int(is_child.sum())
        num_copies += int((is_child & is_copy).sum())
        found = found.filter(pa.array(~is_copy))
        waiting.append(with_counts(found, _lanes(found, sides(found["split"], task.limit), task.job.pairs.kind)))
        if sum(part.num_rows for part in waiting) >= MERGE_ROWS:
            kept, waiting = keep_lowest(pa.concat_tables([kept, *waiting]), limits), []
    return keep_lowest(pa.concat_tables([kept, *waiting]), limits), num_candidates, num_copies


def _places(shard: int | NDArray[np.int32], row: NDArray[np.int32]) -> NDArray[np.int64]:
    return (np.asarray(shard, dtype=np.int64) << 32) | row


def _read_copies(task: PairTask) -> NDArray[np.int64]:
    """Places of all documents that repeat another."""
    repeats = staging.read_repeats(task.job.staging, "copies", task.copies)
    return _places(repeats.shard, repeats.row)


def _lanes(found: pa.Table, side: NDArray[np.int8], kind: str) -> NDArray[np.int8]:
    if kind == "thread":
        return np.zeros(found.num_rows, dtype=np.int8)  # the earliest posts, on whatever side
    is_parent = found["role"].to_numpy() == PARENT
    return np.where(is_parent, np.int8(PARENT_LANE), side).astype(np.int8)


def _read_bucket(task: PairTask, shard: str) -> pa.Table:
    limits = staging.in_range("key", task.bucket, task.buckets)
    return staging.read_rows(task.job.staged("candidates", shard, "parquet"), limits)
