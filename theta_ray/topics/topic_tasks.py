"""The tasks of `label_topics`, each a function of a picklable description.

1. `count_shard`: one corpus shard with its assignments becomes staged counts, each sorted by a hash.
2. `rank_bucket`: one range of the hashes of terms, over all shards, gives its best terms of each cluster and bucket.
   `sum_templates`: one range of templates gives how many each cluster has, and the largest of them.
   `sum_clusters`: one range of clusters gives its totals and its chosen documents.
3. `count_together`: one corpus shard again, for which of a topic's terms are in the same documents.

    staging/<digest>/terms/<corpus shard>.parquet       counts.COUNTS, also templates, totals and the roles' documents
                     counted/<corpus shard>.json        its shard is counted when it is there
                     sizes.parquet                      totals of all clusters
                     ranked/00000.parquet               the best of a range; also ranked_buckets, summed_<kind>
                     together/<corpus shard>.parquet    cells of [T, M, M] and how many documents they have
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theta_ray.config_topics import Topics
from theta_ray.corpus import staging
from theta_ray.corpus.staging import in_range, read_rows, write_rows
from theta_ray.errors import StageError
from theta_ray.objects import access, join, open_filesystem
from theta_ray.steps import reached
from theta_ray.store import Partition, read_shard
from theta_ray.topics.cooccurrences import Counter, Terms
from theta_ray.topics.counts import COUNTS, TOTALS, Documents, TermCounter, add_up, buckets_of
from theta_ray.topics.ctfidf import Sizes, rank_terms
from theta_ray.topics.representatives import (
    CANDIDATES,
    TEMPLATES,
    Role,
    add_up_templates,
    choose,
    largest_templates,
    rank_by,
    template_key,
)
from theta_ray.topics.words import lacks_tokenizer, words

BATCH_ROWS = 4096
COLUMNS = ("doc_id", "text", "created_at", "lang")
ROLES: tuple[Role, ...] = get_args(Role)
# Templates of a topic that are shown, and terms of a topic and bucket.
NUM_TEMPLATES, NUM_BUCKET_TERMS = 3, 5
TOGETHER = pa.schema([("cell", pa.int64()), ("documents", pa.int64())])
# Batches that are held apart before they are summed up.
MAX_PARTS = 2**6


@dataclass(frozen=True)
class TopicsJob:
    """What all tasks need: the tables, the rules, and where things go."""

    corpus: Partition
    centroids: Partition
    assignments: Partition
    topics: Partition
    topic_counts: Partition
    settings: Topics
    staging: str = ""
    epoch: int = 0

    def staged(self, kind: str, name: str, suffix: str = "parquet") -> str:
        """Where a staged file lies."""
        return join(self.staging, kind, f"{name}.{suffix}")

    @property
    def num_candidates(self) -> int:
        """Terms of a cluster that are ranked, of which a diverse choice leaves some out."""
        return self.settings.num_terms * (3 if self.settings.diversity else 1)


@dataclass(frozen=True)
class ShardTask:
    """One corpus shard, and the shards that assign its documents."""

    job: TopicsJob
    shard: str
    assigned: tuple[str, ...]
    terms: tuple[Terms, ...] = ()
    """Of each topic, for `count_together`."""


@dataclass(frozen=True)
class BucketTask:
    """One range of hashes over all shards."""

    job: TopicsJob
    bucket: int
    buckets: int
    shards: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"{self.bucket:05d}"

    def read(self, kind: str, schema: pa.Schema) -> list[pa.Table]:
        """This range of a kind of staged files, without the hash where it only says which range a row is in."""
        limits = in_range("hash", self.bucket, self.buckets)
        found = [read_rows(self.job.staged(kind, shard), limits).select(schema.names) for shard in self.shards]
        return found or [schema.empty_table()]


def count_shard(task: ShardTask) -> dict[str, Any]:
    """Stage everything that is counted of one corpus shard; how many rows of each there are."""
    job, uri = task.job, task.job.staged("counted", task.shard, "json")
    summary = staging.read_json(uri)
    if summary is not None:
        return summary
    counter, found = TermCounter(job.settings), _Found(job.settings)
    num_rows, num_without_tokenizer = 0, 0
    for rows in documents_of(task):
        texts, langs, cluster_ids = rows["text"].to_pylist(), rows["lang"].to_pylist(), rows["cluster_id"].to_numpy()
        buckets = buckets_of(rows["created_at"], job.settings.bucket)
        texts = counter.add(Documents(texts, langs, cluster_ids, buckets))
        found.add(rows, texts)
        num_rows += rows.num_rows
        num_without_tokenizer += sum(map(lacks_tokenizer, texts))
    staged = {"terms": counter.counts(), **found.tables(), "totals": _with_hash(counter.totals(), "cluster_id")}
    for kind, table in staged.items():
        write_rows(job.staged(kind, task.shard), table)
    summary = {"num_rows": num_rows, "num_without_tokenizer": num_without_tokenizer}
    summary |= {f"num_{kind}": table.num_rows for kind, table in staged.items()}
    staging.write_json(uri, summary)
    reached("rows_staged", job.topics.table, task.shard)
    return summary


class _Found:
    """Templates and documents that may be shown, of one shard."""

    def __init__(self, settings: Topics) -> None:
        self._limits = limits_of(settings)
        self._max_chars = 0 if settings.labels is None else settings.labels.max_chars
        self._chosen = {role: [CANDIDATES.empty_table()] for role in ROLES}
        self._templates = [TEMPLATES.empty_table()]

    def add(self, rows: pa.Table, texts: list[str]) -> None:
        """Add rows with their plain texts."""
        keys = pa.array([template_key(text) for text in texts], pa.uint64())
        ones = pa.array(np.ones(len(texts), np.int64))
        self._templates.append(pa.table([keys, rows["cluster_id"], rows["doc_id"], ones], schema=TEMPLATES))
        cut = pc.utf8_slice_codeunits(rows["text"], 0, self._max_chars)
        for role, parts in self._chosen.items():
            value = rank_by(rows["similarity"].to_numpy(), rows["margin"].to_numpy(), role)
            columns = [rows["cluster_id"], keys, pa.array(value), rows["doc_id"], cut]
            parts.append(pa.table(columns, schema=CANDIDATES))
        if len(self._templates) == MAX_PARTS:
            self._merge()

    def _merge(self) -> None:
        self._templates = [add_up_templates(self._templates)]
        self._chosen = {role: [choose(parts, self._limits[role])] for role, parts in self._chosen.items()}

    def tables(self) -> dict[str, pa.Table]:
        self._merge()
        chosen: dict[str, pa.Table] = {r: _with_hash(parts[0], "cluster_id") for r, parts in self._chosen.items()}
        return {**chosen, "templates": _with_hash(self._templates[0], "template")}


def limits_of(settings: Topics) -> dict[Role, int]:
    """Documents of a cluster by their role."""
    return {"representative": settings.num_representatives, "borderline": settings.num_borderline}


def _with_hash(table: pa.Table, column: str) -> pa.Table:
    """Rows by a hash of a column, which is put in front."""
    hashes = table[column].to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return table.add_column(0, pa.field("hash", pa.uint64()), pa.array(hashes)).sort_by("hash")


def documents_of(task: ShardTask, columns: Sequence[str] = COLUMNS) -> Iterator[pa.Table]:
    """Documents of a corpus shard that are in a cluster, with columns of both tables, in tables of at most 4,096 rows.

    Raises:
        StageError: an assigned document is not in the shard, or not in the order of the assignments.
    """
    corpus, place = task.job.corpus, 0
    assigned = pa.concat_tables([read_shard(task.job.assignments, name) for name in task.assigned]).combine_chunks()
    uri = corpus.at(f"{task.shard}.parquet")
    fs, path = open_filesystem(uri)
    with access(uri), fs.open(path, "rb") as file, pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[group], columns=list(columns)):
                rows = pa.Table.from_batches([batch]).select(list(columns))
                mine = assigned.slice(place, rows.num_rows)  # both are in the same order
                at = pc.index_in(rows["doc_id"], mine["doc_id"].combine_chunks()).combine_chunks()
                rows, at = rows.filter(at.is_valid()), at.drop_null()
                place += rows.num_rows
                for name in ("cluster_id", "similarity", "margin"):
                    rows = rows.append_column(name, mine[name].take(at))
                yield rows.filter(pc.greater_equal(rows["cluster_id"], 0))
    if place != assigned.num_rows:
        raise StageError(
            f"{task.job.assignments.path}: {assigned.num_rows} documents of {task.shard} have a cluster, {place} of "
            "them are found in the corpus; run jobs/cluster.py again"
        )


def rank_bucket(task: BucketTask) -> dict[str, Any]:
    """Stage the best terms of a range of terms; how many rows it had."""
    job, uri = task.job, task.job.staged("ranked_bucket", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        counts = task.read("terms", COUNTS)
        sizes = Sizes(read_rows(job.staged("sizes", "all")))
        best, best_of_buckets = rank_terms(counts, sizes, job.settings, (job.num_candidates, NUM_BUCKET_TERMS))
        write_rows(job.staged("ranked", task.name), best)
        write_rows(job.staged("ranked_buckets", task.name), best_of_buckets)
        found = {"num_rows": sum(part.num_rows for part in counts)}
        staging.write_json(uri, found)
    return found


def sum_templates(task: BucketTask) -> dict[str, Any]:
    """Stage how many templates of a range each cluster has, and the largest of them; how many there were."""
    job, uri = task.job, task.job.staged("summed_templates", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        templates = add_up_templates(task.read("templates", TEMPLATES))
        write_rows(job.staged("largest_templates", task.name), largest_templates(templates, NUM_TEMPLATES))
        by_cluster = templates.group_by("cluster_id", use_threads=False).aggregate([("template", "count")])
        write_rows(job.staged("num_templates", task.name), by_cluster)
        found = {"num_rows": templates.num_rows}
        staging.write_json(uri, found)
    return found


def sum_clusters(task: BucketTask) -> dict[str, Any]:
    """Stage the totals and the chosen documents of a range of clusters; how many rows of totals there were."""
    job, uri = task.job, task.job.staged("summed_clusters", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        totals = add_up(task.read("totals", TOTALS))
        write_rows(job.staged("summed_totals", task.name), totals)
        for role, limit in limits_of(job.settings).items():
            write_rows(job.staged(f"summed_{role}", task.name), choose(task.read(role, CANDIDATES), limit))
        found = {"num_rows": totals.num_rows}
        staging.write_json(uri, found)
    return found


def count_together(task: ShardTask) -> dict[str, Any]:
    """Stage in how many documents of one corpus shard the terms of each topic are, alone and together."""
    uri = task.job.staged("counted_together", task.shard, "json")
    found = staging.read_json(uri)
    if found is None:
        counter, num_rows = Counter(task.terms, None), 0
        for rows in documents_of(task):
            for text in rows["text"].to_pylist():
                counter.add(words(text))
            num_rows += rows.num_rows
        result = counter.result()
        counts = result.counts_GTMM.reshape(-1)
        cells = np.flatnonzero(counts)
        write_rows(task.job.staged("together", task.shard), pa.table([cells, counts[cells]], schema=TOGETHER))
        found = {"num_rows": num_rows, "num_texts": int(result.windows_G.sum())}
        staging.write_json(uri, found)
    return found


def gather(job: TopicsJob, kind: str, buckets: int) -> pa.Table:
    """What all ranges have staged of a kind."""
    return pa.concat_tables([read_rows(job.staged(kind, f"{bucket:05d}")) for bucket in range(buckets)])
