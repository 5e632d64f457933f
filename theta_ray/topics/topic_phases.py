"""The phases of `label_topics` after the count of each shard: tasks are run, what they have staged is gathered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.corpus.duplicates import num_buckets
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.errors import StageError
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.store import read_shard
from theta_ray.tasks import Executor
from theta_ray.topics.align import Alignment
from theta_ray.topics.ctfidf import best
from theta_ray.topics.days import Day
from theta_ray.topics.described import Described, Summed, choose_terms, sizes_of, terms_of
from theta_ray.topics.representatives import largest_templates
from theta_ray.topics.topic_tasks import (
    NUM_BUCKET_TERMS,
    NUM_TEMPLATES,
    BucketTask,
    ShardTask,
    TopicsJob,
    count_together,
    gather,
    rank_bucket,
    sum_clusters,
    sum_templates,
)


def check_counts(job: TopicsJob, day: Day, counted: list[dict[str, Any]]) -> None:
    """Raise StageError unless every document that has a cluster was counted."""
    num_rows, left_out = sum(each["num_rows"] for each in counted), day.assignments["counts"]["num_left_out"]
    if num_rows + left_out != day.assignments["num_rows"]:
        raise StageError(
            f"{job.topics.path}: {day.assignments['num_rows']} assignments, {num_rows} documents counted and "
            f"{left_out} in no cluster; use another --root and report this as a bug"
        )


def sum_up(job: TopicsJob, tasks: list[ShardTask], counted: list[dict[str, Any]], executor: Executor) -> Summed:
    """Sum up what all shards have staged, each range by a task of its own."""
    shards = tuple(task.shard for task in tasks)

    def buckets_of(kind: str) -> list[BucketTask]:
        count = num_buckets(sum(each[f"num_{kind}"] for each in counted))
        return [BucketTask(job, bucket, count, shards) for bucket in range(count)]

    terms, templates, clusters = (buckets_of(kind) for kind in ("terms", "templates", "totals"))
    executor.map(sum_clusters, clusters)
    totals = gather(job, "summed_totals", len(clusters))
    write_rows(job.staged("sizes", "all"), totals)
    executor.map(rank_bucket, terms)
    executor.map(sum_templates, templates)
    by_cluster = gather(job, "num_templates", len(templates)).group_by("cluster_id", use_threads=False)
    num_templates = by_cluster.aggregate([("template_count", "sum")])
    return Summed(
        totals,
        best(gather(job, "ranked", len(terms)), job.num_candidates),
        best(gather(job, "ranked_buckets", len(terms)), NUM_BUCKET_TERMS),
        gather(job, "summed_representative", len(clusters)),
        gather(job, "summed_borderline", len(clusters)),
        dict(zip(*(num_templates[name].to_pylist() for name in num_templates.column_names), strict=True)),
        largest_templates(gather(job, "largest_templates", len(templates)), NUM_TEMPLATES),
    )


def describe(job: TopicsJob, day: Day, summed: Summed, work: tuple[list[ShardTask], Executor]) -> list[Described]:
    """Terms of all clusters, in the order of their ids."""
    tasks, executor = work
    candidates = terms_of(summed.ranked, day.cluster_ids)
    names = tuple(tuple(term for term, _ in terms) for terms in candidates)
    counted = executor.map(count_together, [replace(task, terms=names) for task in tasks])
    width = max(map(len, names), default=0)
    counts = np.zeros(len(names) * width * width, np.int64)
    for task in tasks:
        found = read_rows(job.staged("together", task.shard))
        counts[found["cell"].to_numpy()] += found["documents"].to_numpy()
    counts_TMM = counts.reshape(len(names), width, width)
    num_texts = sum(each["num_texts"] for each in counted)
    described = choose_terms(candidates, num_texts, counts_TMM, job.settings)
    return [replace(each, cluster_id=day.cluster_ids[each.cluster_id]) for each in described]


def keep_words(
    job: TopicsJob, topics: list[Described], alignment: Alignment, totals: pa.Table, before: dict[str, Any] | None
) -> tuple[list[Described], bool]:
    """Topics that go on without a document today have the terms and the label of the night before.

    Args:
        job: of today.
        topics: of all clusters.
        alignment: their ids, in the same order.
        totals: documents of clusters, as summed up.
        before: the topics of the night before, with their date; None on the first night.

    Returns:
        The topics, and whether any of them has its words from there.
    """
    sizes = sizes_of(totals)
    without = {t.topic_id for t in alignment.topics if t.event == "kept" and not sizes.get(t.cluster_id, 0)}
    if before is None or not without:
        return topics, False
    place = replace(job.topics, fingerprint=before["fingerprint"], date=before["date"])
    manifest = read_manifest(place, before["version"])
    assert manifest is not None, "a version that is not there is an error"
    columns = ["topic_id", "label", "terms"]
    rows = [row for s in manifest["shards"] for row in read_shard(place, s["shard"], columns=columns).to_pylist()]
    known = {row["topic_id"]: row for row in rows if row["topic_id"] in without and row["terms"]}
    kept = [
        replace(
            topic,
            label=known[aligned.topic_id]["label"],
            terms=[(term["term"], term["score"]) for term in known[aligned.topic_id]["terms"]],
        )
        if aligned.topic_id in known
        else topic
        for topic, aligned in zip(topics, alignment.topics, strict=True)
    ]
    return kept, bool(known)


def has_current_words(job: TopicsJob, manifest: dict[str, Any]) -> bool:
    """Whether the words that a version has from the night before, if any, are still those of that night."""
    source = manifest.get("words_from")
    if source is None or source["date"] == job.topics.date:  # carried over from another model's
        return True
    newest = read_manifest(replace(job.topics, fingerprint=source["fingerprint"], date=source["date"]))
    return newest is not None and source == {"date": source["date"], **identity_of(newest)}
