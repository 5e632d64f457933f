"""The tasks of `mine_pairs`, each a function of a picklable description: read, then pair.

1. `read_patterns` (dictionaries that are expanded): the terms with a wildcard of one corpus shard.
2. `find_candidates`: one corpus shard becomes staged candidates, sorted by the hash of their groups.
3. `pair_bucket`: one range of these hashes over all shards becomes one shard of pairs. Alive in memory: what is kept of
   each group, and about 2^19 candidates on their way.
   With hard negatives in between: `stage_bucket`, then negatives.py, then `write_bucket`.

    staging/<digest>/patterns/<corpus shard>.json    terms with a wildcard
                     candidates/<corpus shard>.parquet
                     found/<corpus shard>.json       counts; its shard is read when it is there
                     pairs/<shard>.parquet           pairs that wait for their negatives
                     paired/<shard>.json             counts; its shard is paired when it is there
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from theta_ray.config_pairs import Pairs
from theta_ray.corpus import staging
from theta_ray.corpus.duplicates import bucket_range
from theta_ray.errors import StageError
from theta_ray.objects import access, join, open_filesystem
from theta_ray.schemas import PAIRS
from theta_ray.steps import reached
from theta_ray.store import Partition, Record, ShardWriter, find_record
from theta_ray.training.candidates import COLUMNS, Candidate, Finder, hours_of, rows_of, to_table
from theta_ray.training.dictionary import Forms, Pattern
from theta_ray.training.groups import CANDIDATES, PARENT, PARENT_LANE, keep_lowest, with_counts
from theta_ray.training.pairing import limits_of, make_pairs
from theta_ray.training.splits import limit_of_share, sides

BATCH_ROWS = 4096
if TYPE_CHECKING:
    from theta_ray.training.negative_files import NegativesJob

# Candidates that are gathered from several shards before the groups are cut to what they keep.
MERGE_ROWS = 2**19


@dataclass(frozen=True)
class PairsJob:
    """What all tasks need: the corpus to read, the rules, and where things go."""

    corpus: Partition
    partition: Partition
    pairs: Pairs
    embeddings: Partition | None = None
    """Where hard negatives are looked for; None: there are none."""
    staging: str = ""
    epoch: int = 0

    def staged(self, kind: str, shard: str, suffix: str = "json") -> str:
        """Where a staged file of a shard lies."""
        return join(self.staging, kind, f"{shard}.{suffix}")


@dataclass(frozen=True)
class ReadTask:
    """One corpus shard, and the shards whose patterns are forms to look for."""

    job: PairsJob
    shard: str
    pattern_shards: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairTask:
    """One bucket of candidates, and the shard of pairs that it becomes."""

    job: PairsJob
    name: str
    bucket: int
    buckets: int
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


def read_patterns(task: ReadTask) -> dict[str, Any]:
    """Stage the terms with a wildcard of one corpus shard; how many rows it has."""
    uri = task.job.staged("patterns", task.shard)
    found = staging.read_json(uri)
    if found is None:
        patterns: set[tuple[str, str]] = set()
        num_rows = 0
        for batch in _batches(task.job.corpus, task.shard, ["text", "label"]):
            num_rows += batch.num_rows
            rows = zip(batch["text"].to_pylist(), batch["label"].to_pylist(), strict=True)
            patterns |= {(text, label) for text, label in rows if label is not None and "*" in text}
        found = {"patterns": sorted(patterns), "num_rows": num_rows}
        staging.write_json(uri, found)
    return {"num_rows": found["num_rows"]}


def find_candidates(task: ReadTask) -> dict[str, Any]:
    """Stage the candidates of one corpus shard; counts, and candidates by hour where times decide the split."""
    job, uri = task.job, task.job.staged("found", task.shard)
    summary = staging.read_json(uri)
    if summary is not None:
        return summary
    limit = None if job.pairs.split_by == "time" else limit_of_share(job.pairs.split.test_share)
    finder = Finder(job.pairs, limit, _forms(task))
    found: list[Candidate] = []
    num_rows = 0
    for batch in _batches(job.corpus, task.shard, list(COLUMNS)):
        num_rows += batch.num_rows
        for row in rows_of(batch):
            found += finder.find(row)
    table = to_table(found)
    with staging.writing(job.staged("candidates", task.shard, "parquet"), CANDIDATES) as writer:
        writer.write_table(table, row_group_size=staging.KEYS_PER_GROUP)
    summary = {
        "num_rows": num_rows,
        "num_staged": table.num_rows,
        "num_candidates": finder.num_candidates,
        "dropped": dict(finder.dropped),
        "hours": sorted(hours_of(table).items()) if job.pairs.split_by == "time" else [],
    }
    staging.write_json(uri, summary)
    reached("rows_staged", job.partition.table, task.shard)
    return summary


def _forms(task: ReadTask) -> Forms | None:
    if not task.pattern_shards:
        return None
    patterns: list[Pattern] = []
    for shard in task.pattern_shards:
        found = staging.read_json(task.job.staged("patterns", shard))
        if found is None:
            raise StageError(f"{task.job.staging}: lost the patterns of {shard}; rerun to read them again")
        patterns += [Pattern(text, category) for text, category in found["patterns"]]
    return Forms(patterns)


def _batches(corpus: Partition, shard: str, columns: list[str]) -> Iterator[pa.Table]:
    """Some columns of a corpus shard, in tables of at most 4,096 rows."""
    uri = corpus.at(f"{shard}.parquet")
    fs, path = open_filesystem(uri)
    with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                yield pa.Table.from_batches([batch]).select(columns)


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
    kept, num_candidates = _keep(task)
    paired = make_pairs(kept, sides(kept["split"], task.limit), job.pairs)
    counted = paired.num_in_pairs + paired.dropped.total()
    if counted != num_candidates:
        where = job.partition.at(task.name)
        raise StageError(f"{where}: {num_candidates} candidates in, {counted} counted; report this as a bug")
    return paired.pairs, {"num_candidates": num_candidates, **paired.details()}


def _keep(task: PairTask) -> tuple[pa.Table, int]:
    """What the groups of a bucket keep, and how many candidates there were."""
    limits = limits_of(task.job.pairs)
    kept = with_counts(CANDIDATES.empty_table(), np.zeros(0, dtype=np.int8))
    waiting: list[pa.Table] = []
    num_candidates = 0
    for shard in task.shards:
        found = _read_bucket(task, shard)
        found = with_counts(found, _lanes(found, sides(found["split"], task.limit), task.job.pairs.kind))
        num_candidates += int(pc.sum(found["copies"]).as_py() or 0)
        waiting.append(found)
        if sum(part.num_rows for part in waiting) >= MERGE_ROWS:
            kept, waiting = keep_lowest(pa.concat_tables([kept, *waiting]), limits), []
    return keep_lowest(pa.concat_tables([kept, *waiting]), limits), num_candidates


def _lanes(found: pa.Table, side: NDArray[np.int8], kind: str) -> NDArray[np.int8]:
    if kind == "thread":
        return np.zeros(found.num_rows, dtype=np.int8)  # the earliest posts, on whatever side
    is_parent = found["role"].to_numpy() == PARENT
    return np.where(is_parent, np.int8(PARENT_LANE), side).astype(np.int8)


def _read_bucket(task: PairTask, shard: str) -> pa.Table:
    uri = task.job.staged("candidates", shard, "parquet")
    start, stop = bucket_range(task.bucket, task.buckets)
    limits = pc.field("key") >= pa.scalar(start, pa.uint64())
    if stop is not None:
        limits &= pc.field("key") < pa.scalar(stop, pa.uint64())
    fs, path = open_filesystem(uri)
    with access(uri):
        return pq.read_table(path, filesystem=fs, filters=limits, partitioning=None)


def count_hours(summaries: list[dict[str, Any]]) -> Counter[int]:
    """Candidates of all shards by the hour of their times."""
    hours: Counter[int] = Counter()
    for summary in summaries:
        hours.update({hour: count for hour, count in summary["hours"]})
    return hours
