"""Clusters of two days in, how many documents each topic before and each cluster now have in common, out.

Two nights share documents where dumps overlap or files come late: the same ids with the same texts. A document counts
for the topic that it was in only within the radius of its cluster: one beyond it was nowhere at home, as the first
documents of a topic that is yet to be born are, which would else inherit the id of whatever was nearest.

    assignments of the earlier day, without outliers \\
                                                      hashes of ids and texts -> ranges, joined -> counts
    assignments of today                             /

    staging/<digest>/ids_before/<corpus shard>.parquet   hashes and clusters of its documents; also ids_now
                     shared/00000.parquet                documents of both days by cluster before and now, of a range

The driver holds counts of pairs of clusters only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.corpus import staging
from theta_ray.corpus.duplicates import num_buckets
from theta_ray.corpus.staging import write_rows
from theta_ray.store import Partition, read_shard
from theta_ray.tasks import Executor
from theta_ray.topics.days import Clusters, Day
from theta_ray.topics.topic_tasks import BucketTask, TopicsJob, gather

Kind = Literal["ids_before", "ids_now"]
Counts = npt.NDArray[np.int64]
IDS = pa.schema([("hash", pa.uint64()), ("cluster_id", pa.int32())])
SHARED = pa.schema([("before", pa.int32()), ("now", pa.int32()), ("documents", pa.int64())])
# Below any similarity: of a cluster without a radius, nothing is an outlier.
ANY_SIMILARITY = float("-inf")


@dataclass(frozen=True)
class IdsTask:
    """One corpus shard of either day, and the shards that assign its documents."""

    job: TopicsJob
    kind: Kind
    corpus: Partition
    assignments: Partition
    shard: str
    assigned: tuple[str, ...]
    least_K: npt.NDArray[np.float32] | None = None
    """Similarity, by cluster id, below which a document is an outlier; None: none is."""


@dataclass(frozen=True)
class JoinTask:
    """One range of the hashes of both days."""

    before: BucketTask
    now: BucketTask


def count_shared(job: TopicsJob, day: Day, before: Clusters, executor: Executor) -> Counts | None:
    """[B, T] documents of both days, by topic before and cluster now; None where there is none.

    Args:
        job: of today.
        day: its clusters, T of them.
        before: those of B topics.
        executor: of the stage.
    """
    if not before.shards:
        return None
    least_K = np.full(max(before.least_similarity, default=-1) + 1, ANY_SIMILARITY, np.float32)
    for cluster_id, least in before.least_similarity.items():
        least_K[cluster_id] = least
    tasks = [
        IdsTask(job, "ids_before", before.corpus, before.assignments, *shard, least_K)
        for shard in before.shards.items()
    ]
    tasks += [IdsTask(job, "ids_now", job.corpus, job.assignments, *shard) for shard in day.shards.items()]
    staged = executor.map(stage_ids, tasks)
    count = num_buckets(sum(each["num_rows"] for each in staged))
    joins = [
        JoinTask(
            BucketTask(job, bucket, count, tuple(before.shards)), BucketTask(job, bucket, count, tuple(day.shards))
        )
        for bucket in range(count)
    ]
    executor.map(join_ids, joins)
    found, place_now = gather(job, "shared", count), {cluster_id: t for t, cluster_id in enumerate(day.cluster_ids)}
    if not found.num_rows:
        return None
    shared_BT = np.zeros((len(before.place_of), len(day.cluster_ids)), np.int64)
    for row in found.to_pylist():
        if row["before"] in before.place_of:
            shared_BT[before.place_of[row["before"]], place_now[row["now"]]] += row["documents"]
    return shared_BT


def stage_ids(task: IdsTask) -> dict[str, Any]:
    """Stage the hashes of the documents of one corpus shard that count; how many there are."""
    job, uri = task.job, task.job.staged(f"staged_{task.kind}", task.shard, "json")
    found = staging.read_json(uri)
    if found is None:
        columns = ["doc_id", "cluster_id", "similarity"]
        rows = pa.concat_tables([read_shard(task.assignments, name, columns=columns) for name in task.assigned])
        rows = rows.filter(pc.greater_equal(rows["cluster_id"], 0))
        if task.least_K is not None:
            least_N = task.least_K[rows["cluster_id"].to_numpy()]
            rows = rows.filter(pa.array(rows["similarity"].to_numpy() >= least_N))
        texts = read_shard(task.corpus, task.shard, columns=["doc_id", "text_hash"])
        at = pc.index_in(rows["doc_id"].combine_chunks(), texts["doc_id"].combine_chunks())
        hashed = hash_documents(rows["doc_id"].to_pylist(), texts["text_hash"].take(at).to_pylist())
        write_rows(
            job.staged(task.kind, task.shard), pa.table([hashed, rows["cluster_id"]], schema=IDS).sort_by("hash")
        )
        found = {"num_rows": rows.num_rows}
        staging.write_json(uri, found)
    return found


def hash_documents(doc_ids: Sequence[str], text_hashes: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """[N] hashes of documents by id and text: the same id with another text is another document, or an edited one."""
    digests = (
        blake2b(text_hash + doc_id.encode(), digest_size=8).digest()
        for doc_id, text_hash in zip(doc_ids, text_hashes, strict=True)
    )
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def join_ids(task: JoinTask) -> dict[str, Any]:
    """Stage how many documents of a range of hashes both days have, by their clusters; how many rows were joined."""
    job, uri = task.now.job, task.now.job.staged("joined_ids", task.now.name, "json")
    found = staging.read_json(uri)
    if found is None:
        before, now = (
            pa.concat_tables([IDS.empty_table(), *each.read(kind, IDS)])
            for each, kind in ((task.before, "ids_before"), (task.now, "ids_now"))
        )
        write_rows(job.staged("shared", task.now.name), shared_of(before, now))
        found = {"num_rows": before.num_rows + now.num_rows}
        staging.write_json(uri, found)
    return found


def shared_of(before: pa.Table, now: pa.Table) -> pa.Table:
    """SHARED of two tables of IDS, each of which has a document once."""
    _, left, right = np.intersect1d(before["hash"].to_numpy(), now["hash"].to_numpy(), return_indices=True)
    pairs = np.stack([before["cluster_id"].to_numpy()[left], now["cluster_id"].to_numpy()[right]], axis=1)
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    return pa.table([pairs[:, 0], pairs[:, 1], counts.astype(np.int64)], schema=SHARED)
