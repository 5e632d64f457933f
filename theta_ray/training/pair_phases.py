"""The tasks of `mine_pairs` that read the corpus, each a function of a picklable description.

1. `read_patterns` (dictionaries that are expanded): the terms with a wildcard of one corpus shard.
2. `find_candidates`: one corpus shard becomes staged candidates, sorted by the hash of their groups.
3. `resolve_copies`: one range of the hashes of words over all shards; all but the first document of the same words go,
   whatever their groups, so that no text is on both sides of a split.

What follows them is in pair_buckets.py.

    staging/<digest>/patterns/<corpus shard>.json    terms with a wildcard
                     candidates/<corpus shard>.parquet
                     words/<corpus shard>.parquet    keys of the words, sorted
                     found/<corpus shard>.json       counts; its shard is read when it is there
                     copies/00000.parquet            places of documents that repeat another, by range
                     resolved/00000.json             counts; its range is resolved when it is there
                     pairs/<shard>.parquet           pairs that wait for their negatives
                     paired/<shard>.json             counts; its shard is paired when it is there
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from theta_ray.config_pairs import Pairs
from theta_ray.corpus import staging
from theta_ray.corpus.duplicates import find_repeats, sort
from theta_ray.errors import StageError
from theta_ray.objects import access, join, open_filesystem
from theta_ray.steps import reached
from theta_ray.store import Partition
from theta_ray.training.candidates import COLUMNS, Candidate, Finder, hours_of, keys_of, rows_of, to_table
from theta_ray.training.dictionary import Forms, Pattern
from theta_ray.training.groups import CANDIDATES
from theta_ray.training.splits import limit_of_share

BATCH_ROWS = 4096


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
    index: int
    shard: str
    pattern_shards: tuple[str, ...] = ()


@dataclass(frozen=True)
class CopiesTask:
    """One range of the words of all shards."""

    job: PairsJob
    bucket: int
    buckets: int
    shards: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"{self.bucket:05d}"


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
        for number, row in enumerate(rows_of(batch), start=num_rows):
            found += finder.find(row, number)
        num_rows += batch.num_rows
    table = to_table(found)
    with staging.writing(job.staged("candidates", task.shard, "parquet"), CANDIDATES) as writer:
        writer.write_table(table, row_group_size=staging.KEYS_PER_GROUP)
    staging.write_keys(job.staged("words", task.shard, "parquet"), sort(keys_of(finder.digests, task.index)))
    summary = {
        "num_rows": num_rows,
        "num_staged": table.num_rows,
        "num_keys": len(finder.digests),
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


def resolve_copies(task: CopiesTask) -> dict[str, Any]:
    """Stage the places of documents whose words an earlier one has; how many documents there were."""
    uri = task.job.staged("resolved", task.name)
    found = staging.read_json(uri)
    if found is None:
        keys = staging.read_keys(task.job.staging, "words", task.shards, (task.bucket, task.buckets))
        staging.write_repeats(task.job.staged("copies", task.name, "parquet"), find_repeats(keys))
        found = {"num_rows": len(keys)}
        staging.write_json(uri, found)
    return found


def count_hours(summaries: list[dict[str, Any]]) -> Counter[int]:
    """Candidates of all shards by the hour of their times."""
    hours: Counter[int] = Counter()
    for summary in summaries:
        hours.update({hour: count for hour, count in summary["hours"]})
    return hours
