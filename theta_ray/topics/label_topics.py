"""Stage `label_topics`: clusters become topics, with terms, documents, an identity and a label.

1. Count: each corpus shard with its assignments becomes staged counts (topic_tasks.py).
2. Sum: each range of terms gives its best of every cluster; ranges of templates and of clusters are summed up.
3. Count together: in which documents the best terms of a topic meet, for coherence and diversity.
4. Describe: terms are chosen, topics get the ids of the day before (align.py) by what they are and by the documents
   that both days have (shared_documents.py), labels are asked for where the recipe has an endpoint.
5. Commit: every document that has a cluster is in the counts.

The driver sees what is shown of the topics only. A rerun takes up what an interrupted run has staged; labels of a model
are staged before they are used, so that a rerun has the same.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa

from theta_ray.config import Config
from theta_ray.corpus import staging
from theta_ray.corpus.survey import Survey, partition_of
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, read_manifest
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card, printable, versions
from theta_ray.runtime import cluster
from theta_ray.schemas import TOPIC_COUNTS, TOPICS
from theta_ray.stale import against_other_fingerprints
from theta_ray.store import Partition, ShardWriter, digest_of, find_record, fingerprint, read_shard
from theta_ray.tasks import Executor
from theta_ray.topics import cluster as clustering
from theta_ray.topics.align import Alignment
from theta_ray.topics.days import Day, find_identity, keep_identity, read_day, topic_set, topics_before
from theta_ray.topics.described import Described, Summed, quality_of, to_topic_counts, to_topics
from theta_ray.topics.labels import ask_for_labels
from theta_ray.topics.shared_documents import count_shared
from theta_ray.topics.topic_phases import check_counts, describe, has_current_words, keep_words, sum_up
from theta_ray.topics.topic_tasks import ShardTask, TopicsJob, count_shard

logger = logging.getLogger(__name__)
STAGE = "label_topics"
# Where labels are asked for and how long, not what they are.
HOW = ("endpoint", "seconds", "tries")
# Topics of a run card, and characters of each.
NUM_SHOWN, LABEL_WIDTH = 20, 60
# What the terms depend on.
WORD_PACKAGES = ("icu4py", "regex", "rjieba", "stopwordsiso")


def make_job(config: Config, day: str) -> TopicsJob:
    """The tables of a day.

    Raises:
        ConfigError: the recipe has no section `cluster`.
    """
    made = clustering.make_job(config, day)
    return job_of(config, partition_of(config, day), made.centroids, made.assignments)


def job_of(config: Config, corpus: Partition, centroids: Partition, assignments: Partition) -> TopicsJob:
    """The work on clusters that are, or will be, committed."""
    inputs = {"corpus": corpus.fingerprint, "assignments": assignments.fingerprint}
    sections = config.sections("topics")
    labels = sections["topics"]["labels"]
    if labels is not None:
        sections["topics"]["labels"] = {name: value for name, value in labels.items() if name not in HOW}
    topics, topic_counts = (
        replace(assignments, table=name, fingerprint=fingerprint(name, schema, sections, inputs))
        for name, schema in (("topics", TOPICS), ("topic_counts", TOPIC_COUNTS))
    )
    return TopicsJob(corpus, centroids, assignments, topics, topic_counts, config.recipe.topics)


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why: the clusters first where they are missing."""
    before, job, settings = clustering.plan(config, day), make_job(config, day), config.recipe.topics
    figures: dict[str, Any] = {"terms": settings.num_terms, "bucket": settings.bucket}
    if settings.labels is not None:
        figures["labels_from"] = settings.labels.endpoint
    status, reasons = "would run after cluster", ["the assignments are not committed in this version"]
    if before.steps[-1].status.startswith("nothing to do"):
        found = read_day(job)
        figures["documents"] = found.assignments["num_rows"]
        settings_of_day = {"sections": config.sections("topics"), "inputs": found.inputs}
        other = against_other_fingerprints(job.topics, settings_of_day)
        status, reasons = "would run", other or ["nothing is committed for these clusters"]
        if _committed(job, found) is not None:
            status, reasons = "nothing to do: committed", []
    step = PlanStep(STAGE, job.topics.path, status, figures, reasons)
    return Plan([*before.steps, step], {**before.recipe, **config.sections("topics")})


def committed(config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
    """The newest topics, where they are of exactly the clusters of now; None where `run` has something to do."""
    if clustering.committed(config, day, found) is None:
        return None
    job = make_job(config, day)
    return _committed(job, read_day(job))


def run(config: Config, day: str, found: Survey | None = None) -> RunCard:
    """Commit the topics of a day's clusters, which are made first where they are missing.

    Args:
        config: recipe, resources and root.
        day: YYYY-MM-DD.
        found: what `look` has found a moment ago; absent: look now.

    Raises:
        ConfigError: the recipe has no section `cluster`, or its endpoint of labels refuses the request.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    with cluster(config.resources):
        upstream = clustering.run(config, day, found)
        card = label(config, make_job(config, day))
    card.upstream = [upstream] if upstream.status == "committed" else upstream.upstream
    return card


def label(config: Config, job: TopicsJob) -> RunCard:
    """Commit the topics of clusters that are committed.

    Raises:
        InputError: the clusters are not of the committed corpus.
    """
    phases = Phases()
    with phases.measure("list"):
        day = read_day(job)
    manifest = _committed(job, day)
    if manifest is not None:
        return _nothing_to_do(config, job, manifest)
    with holding(job.topics, config.resources) as lease, cluster(config.resources):
        manifest = _committed(job, day)  # another run may have been first while this one waited
        if manifest is not None:
            return _nothing_to_do(config, job, manifest)
        return _make(config, replace(job, epoch=lease.epoch), day, (lease, phases))


def _committed(job: TopicsJob, day: Day) -> dict[str, Any] | None:
    """The newest topics, where they are of the current clusters."""
    manifest = read_manifest(job.topics)
    if manifest is None or manifest["inputs"] != day.inputs or not has_current_words(job, manifest):
        return None
    return manifest


def _nothing_to_do(config: Config, job: TopicsJob, manifest: dict[str, Any]) -> RunCard:
    staging.remove_left(job.topics)
    return finished_card(_to_card(config, job, manifest), job.topics, manifest["version"])


def _make(config: Config, job: TopicsJob, day: Day, run: tuple[Lease, Phases]) -> RunCard:
    lease, phases = run
    before = topics_before(job, day.centroids.shape[1])
    earlier = before.identity if before else None
    of_words = {name: importlib.metadata.version(name) for name in WORD_PACKAGES}
    digest = digest_of([day.inputs, earlier, of_words])
    job = replace(job, staging=job.topics.at("staging", digest))
    executor = Executor(STAGE, config.resources, lease.check)
    tasks = [ShardTask(job, shard, assigned) for shard, assigned in day.shards.items()]
    with phases.measure("count"):
        counted = executor.map(count_shard, tasks)
    check_counts(job, day, counted)
    unread = sum(each["num_without_tokenizer"] for each in counted)
    if unread:
        logger.warning(
            "%s: %d documents are in scripts without a tokenizer; terms are pairs of characters", STAGE, unread
        )
    with phases.measure("sum"):
        summed = sum_up(job, tasks, counted, executor)
    with phases.measure("count together"):
        topics = describe(job, day, summed, (tasks, executor))
    with phases.measure("label"):
        labels = _labels(job, topics, summed)
    topics = [replace(topic, label=found or topic.label) for topic, found in zip(topics, labels, strict=True)]
    with phases.measure("compare days"):
        shared_BT = count_shared(job, day, before.clusters, executor) if before else None
    alignment = keep_identity(job, day, [topic.cluster_id for topic in topics])
    if alignment is None:
        alignment = find_identity(topic_set(topics, day, summed.totals), before, job.settings, shared_BT)
    topics, has_words = keep_words(job, topics, alignment, summed.totals, earlier)
    tables = {"topics": to_topics(topics, alignment, summed)}
    tables["topic_counts"] = to_topic_counts({t.cluster_id: t.topic_id for t in alignment.topics}, summed)
    lease.check()
    with phases.measure("commit"):
        body = {
            "sections": config.sections("topics"),
            "inputs": day.inputs,
            "before": earlier,
            **({"words_from": earlier} if has_words else {}),
            "versions": of_words,
            "counts": {
                **_counts(alignment, counted, labels),
                "num_shared": 0 if shared_BT is None else int(shared_BT.sum()),
                **quality_of(tables["topics"]),
            },
            "next_id": alignment.next_id,
            "ended": [{"topic_id": e.topic_id, "event": e.event, "next_ids": [*e.next_ids]} for e in alignment.ended],
        }
        manifest = _commit(job, tables, digest_of([digest, labels]), body)
    card = _to_card(config, job, manifest)
    card.seconds = phases.seconds
    card.save(job.topics, manifest["version"])
    staging.remove(job.topics.at("staging"))
    return card


def _labels(job: TopicsJob, topics: list[Described], summed: Summed) -> list[str | None]:
    """Labels that a model gives, the same in every attempt; None where the recipe asks none or it gave none."""
    if job.settings.labels is None:
        return [None] * len(topics)
    uri = job.staged("labels", "all", "json")
    found = staging.read_json(uri)
    if found is None:
        texts = dict[int, list[str]]()
        for row in summed.representative.select(["cluster_id", "text"]).to_pylist():
            texts.setdefault(row["cluster_id"], []).append(row["text"])
        asked = [([term for term, _ in topic.terms], texts.get(topic.cluster_id, [])) for topic in topics]
        staging.write_json(uri, {"labels": ask_for_labels(asked, job.settings.labels)})
        found = staging.read_json(uri)
        assert found is not None, "it was written"
    labels: list[str | None] = found["labels"]
    return labels


def _commit(job: TopicsJob, tables: dict[str, pa.Table], digest: str, body: dict[str, Any]) -> dict[str, Any]:
    """Commit both tables, topics last: readers of theirs find the counts. The manifest of the topics."""
    schemas = {"topic_counts": (job.topic_counts, TOPIC_COUNTS), "topics": (job.topics, TOPICS)}
    manifest: dict[str, Any] = {}
    for name, (partition, schema) in schemas.items():
        shard = f"part-00000-{digest}"
        record = find_record(partition, shard)
        if record is None:
            with ShardWriter(partition, shard, schema) as writer:
                writer.write(tables[name])
                record = writer.publish(epoch=job.epoch)
        manifest = commit(partition, schema, [record], body)
    return manifest


def _counts(alignment: Alignment, counted: list[dict[str, Any]], labels: list[str | None]) -> dict[str, Any]:
    return {
        "num_documents": sum(each["num_rows"] for each in counted),
        "num_without_tokenizer": sum(each["num_without_tokenizer"] for each in counted),
        "num_labels_of_a_model": sum(label is not None for label in labels),
        "events": dict(sorted(Counter(topic.event for topic in alignment.topics).items())),
        "ended": dict(sorted(Counter(topic.event for topic in alignment.ended).items())),
    }


def _to_card(config: Config, job: TopicsJob, manifest: dict[str, Any]) -> RunCard:
    counts = manifest["counts"]
    figures = {
        "documents": counts["num_documents"],
        "topics": manifest["num_rows"],
        **counts["events"],
        **{f"ended_{event}": count for event, count in counts["ended"].items()},
        "ids_from": manifest["before"]["date"] if manifest["before"] else "first day",
        "documents_of_both_days": counts["num_shared"],
        "mean_coherence": counts["mean_coherence"],
        "duplicate_share": counts["duplicate_share"],
        "documents_without_tokenizer": counts["num_without_tokenizer"],
        **_largest_topics(job, manifest),
        "topic_counts": job.topic_counts.path,
    }
    if job.settings.labels is not None:
        figures["labels_of_a_model"] = counts["num_labels_of_a_model"]
    return RunCard.of(
        STAGE,
        job.topics,
        figures,
        recipe=config.sections("topics"),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        versions=versions() | manifest["versions"],
    )


def _largest_topics(job: TopicsJob, manifest: dict[str, Any]) -> dict[str, str]:
    """A line for each of the largest topics: its documents, and its label or terms."""
    shards = [read_shard(job.topics, s["shard"], columns=["topic_id", "size", "label"]) for s in manifest["shards"]]
    rows = pa.concat_tables(shards).sort_by([("size", "descending"), ("topic_id", "ascending")])
    return {
        f"topic_{row['topic_id']}": f"{row['size']:,}  {printable(row['label'], LABEL_WIDTH)}"
        for row in rows.slice(0, NUM_SHOWN).to_pylist()
    }
