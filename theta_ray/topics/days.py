"""The committed tables of a day that topics are made of, and the topics of the day before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_topics import Topics
from theta_ray.encoder.stored import from_column
from theta_ray.errors import ConfigError, InputError
from theta_ray.manifest import carried_over, identity_of, list_versions, read_manifest
from theta_ray.objects import join, list_names
from theta_ray.store import Partition, read_shard
from theta_ray.topics.align import Aligned, Alignment, Ended, TopicSet, align
from theta_ray.topics.described import Described, sizes_of
from theta_ray.topics.topic_tasks import TopicsJob

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Day:
    """The clusters of a day."""

    inputs: dict[str, Any]
    """What the topics are made of, as their manifest holds it."""
    assignments: dict[str, Any]
    """Their manifest."""
    cluster_ids: list[int]
    centroids: npt.NDArray[np.float32]
    """[K, D], in the order of the ids."""
    shards: dict[str, tuple[str, ...]]
    """Each shard of the corpus, with the shards that assign its documents, in the order of the documents."""


@dataclass(frozen=True)
class Clusters:
    """The documents that topics of an earlier day were made of."""

    corpus: Partition
    assignments: Partition
    shards: dict[str, tuple[str, ...]]
    """As `Day.shards`; none where they are no longer there."""
    place_of: dict[int, int]
    """Cluster id -> place of its topic."""
    least_similarity: dict[int, float]
    """Cluster id -> similarity at its radius."""


@dataclass(frozen=True)
class Before:
    """The topics of an earlier day."""

    topics: TopicSet
    next_id: int
    identity: dict[str, Any]
    """Of their manifest, with its day."""
    clusters: Clusters
    """Whose documents they have."""


def read_day(job: TopicsJob) -> Day:
    """Find the committed clusters of a day.

    Raises:
        InputError: nothing is committed, or it is of another version of the corpus.
    """
    corpus, assignments = read_manifest(job.corpus), read_manifest(job.assignments)
    if corpus is None or assignments is None:
        missing = job.corpus if corpus is None else job.assignments
        raise InputError(f"{missing.path}: not committed; run jobs/cluster.py for {job.topics.date} first")
    centroids = read_manifest(job.centroids, assignments["inputs"]["centroids"]["version"])
    assert centroids is not None, "a version that is not there is an error"
    shards = _by_corpus_shard(assignments)
    unknown = shards.keys() - {shard["shard"] for shard in corpus["shards"]}
    if unknown:
        raise InputError(
            f"{job.assignments.path}: is of another version of the corpus, which has no {min(unknown)}; "
            f"run jobs/cluster.py for {job.topics.date} first"
        )
    cluster_ids, values = _read_centroids(job.centroids, centroids)
    found = {"corpus": corpus, "centroids": centroids, "assignments": assignments}
    inputs = {name: identity_of(manifest) for name, manifest in found.items()}
    return Day(inputs, assignments, cluster_ids, values, shards)


def _by_corpus_shard(assignments: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    # a shard of embeddings is a part of a corpus shard, its name and a number; of assignments, that and a digest
    shards: dict[str, tuple[str, ...]] = {}
    for shard in sorted(shard["shard"] for shard in assignments["shards"]):
        of_corpus = shard.rsplit("-", 2)[0]
        shards[of_corpus] = (*shards.get(of_corpus, ()), shard)
    return shards


def topics_before(job: TopicsJob, width: int) -> Before | None:
    """The topics of the newest earlier day that has any, or of this day if they were carried over; None on the first.

    Args:
        job: of today.
        width: values of a centroid.

    Raises:
        ConfigError: the recipe names topics that are not there, or of other embeddings.
    """
    found = _newest_first(job)
    first = next(found, None)
    if first is None and job.settings.previous is not None:
        raise ConfigError(
            f"topics.previous {job.settings.previous}: no topics of a day before {job.topics.date} are committed there"
        )
    if first is None:
        return None
    before = _read_before(*first, width)
    if first[0].date == job.topics.date:
        # a day that is embedded again: the one before it was too, and may have found topics
        _, earlier = next(found, first)
        before = replace(before, next_id=max(before.next_id, earlier["next_id"]))
    return before


def _newest_first(job: TopicsJob) -> Iterator[tuple[Partition, dict[str, Any]]]:
    """Earlier topics with their manifests; of today those that were carried over."""
    name = job.settings.previous or job.topics.fingerprint
    names = list_names(join(job.topics.root, "topics", name))
    for day in sorted((each.removeprefix("dt=") for each in names if each.startswith("dt=")), reverse=True):
        if day > job.topics.date:
            continue
        partition = Partition(job.topics.root, "topics", name, day)
        manifest = read_manifest(partition) if day < job.topics.date else carried_over(partition)
        if manifest is not None:
            yield partition, manifest


def _read_before(partition: Partition, manifest: dict[str, Any], width: int) -> Before:
    rows = pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]]).to_pylist()
    source = manifest["inputs"]["centroids"]
    place = Partition(partition.root, "centroids", source["fingerprint"], partition.date)
    centroids = read_manifest(place, source["version"])
    assert centroids is not None, "a version that is not there is an error"
    cluster_ids, values = _read_centroids(place, centroids)
    of_topic = [row["cluster_id"] for row in rows]
    if values.shape[1] != width:
        raise ConfigError(
            f"topics.previous: the topics of {partition.date} are of vectors of {values.shape[1]} values, today's of "
            f"{width}; leave it out, and run jobs/migrate.py for ids to go on"
        )
    at = {cluster_id: row for row, cluster_id in enumerate(cluster_ids)}
    topics = TopicSet(
        [row["topic_id"] for row in rows],
        values[[at[cluster_id] for cluster_id in of_topic]],
        [{term["term"]: term["score"] for term in row["terms"]} for row in rows],
        [row["size"] for row in rows],
    )
    place_of = {cluster_id: number for number, cluster_id in enumerate(of_topic)}
    known = _clusters_of(partition, manifest["inputs"], place_of)
    return Before(topics, manifest["next_id"], {"date": partition.date, **identity_of(manifest)}, known)


def _clusters_of(topics: Partition, inputs: dict[str, Any], place_of: dict[int, int]) -> Clusters:
    corpus, assignments = (
        Partition(topics.root, table, inputs[table]["fingerprint"], topics.date) for table in ("corpus", "assignments")
    )
    is_there = all(inputs[each.table]["version"] in list_versions(each) for each in (corpus, assignments))
    manifest = read_manifest(assignments, inputs["assignments"]["version"]) if is_there else None
    # those that the documents were assigned to: topics that were carried over have mapped ones
    source = manifest["inputs"]["centroids"] if manifest is not None else inputs["centroids"]
    place = replace(assignments, table="centroids", fingerprint=source["fingerprint"])
    centroids = read_manifest(place, source["version"]) if source["version"] in list_versions(place) else None
    if manifest is None or centroids is None:
        return Clusters(corpus, assignments, {}, place_of, {})
    return Clusters(corpus, assignments, _by_corpus_shard(manifest), place_of, _least_similarity(place, centroids))


def _least_similarity(partition: Partition, manifest: dict[str, Any]) -> dict[int, float]:
    """Of each cluster, the similarity that a document at its radius has."""
    rows = pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])
    is_euclidean = manifest.get("sections", {}).get("cluster", {}).get("metric") == "euclidean"
    nearest = 0.0 if is_euclidean else 1.0
    radii = zip(rows["cluster_id"].to_pylist(), rows["radius"].to_pylist(), strict=True)
    return {cluster_id: nearest - radius for cluster_id, radius in radii}


def _read_centroids(partition: Partition, manifest: dict[str, Any]) -> tuple[list[int], npt.NDArray[np.float32]]:
    """Cluster ids and their centroids, by id."""
    rows = pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])
    rows = rows.sort_by("cluster_id")
    return rows["cluster_id"].to_pylist(), from_column(rows["centroid"])


def find_identity(now: TopicSet, before: Before | None, settings: Topics, shared_BT: Counts | None) -> Alignment:
    """Ids of a day's topics: those of the day before go on where the topics do.

    Args:
        now: today's clusters.
        before: the topics of the day before.
        settings: of the recipe.
        shared_BT: documents that both days have (shared_documents.py).
    """
    if before is None:
        return align(now, None, settings.identity)
    return align(now, before.topics, settings.identity, shared_BT=shared_BT, next_id=before.next_id)


def keep_identity(job: TopicsJob, day: Day, cluster_ids: list[int]) -> Alignment | None:
    """The day's own topics of these clusters again, where its newest ones are of the same centroids; else None.

    Deleted documents leave a day without a new fit (fitted.py), so that each cluster is the topic that it was.
    """
    manifest = read_manifest(job.topics)
    if manifest is None or not _are_of(job.centroids, day.inputs["centroids"], manifest["inputs"]["centroids"]):
        return None
    rows = pa.concat_tables([read_shard(job.topics, shard["shard"]) for shard in manifest["shards"]]).to_pylist()
    known = {
        row["cluster_id"]: Aligned(row["cluster_id"], row["topic_id"], row["event"], tuple(row["previous_ids"]), 1.0)
        for row in rows
    }
    if not known.keys() >= set(cluster_ids):
        return None
    topics = [known[cluster_id] for cluster_id in cluster_ids]
    ended = [Ended(each["topic_id"], each["event"], tuple(each["next_ids"])) for each in manifest["ended"]]
    return Alignment(tuple(topics), tuple(ended), manifest["next_id"])


def _are_of(centroids: Partition, now: dict[str, Any], then: dict[str, Any]) -> bool:
    """Whether a version of a day's centroids is another one of the same day, taken as it is, maybe several times."""
    while now["version"] in list_versions(centroids):
        manifest = read_manifest(centroids, now["version"])
        assert manifest is not None, "it was listed"
        earlier = manifest["earlier"]
        if identity_of(manifest) != now or manifest["mode"] != "assign":
            return False
        if earlier == then:
            return True
        now = earlier
    return False


def topic_set(topics: list[Described], day: Day, totals: pa.Table) -> TopicSet:
    """Today's clusters as `align` takes them."""
    sizes = sizes_of(totals)
    return TopicSet(
        [topic.cluster_id for topic in topics],
        day.centroids,
        [dict(topic.terms) for topic in topics],
        [sizes.get(topic.cluster_id, 0) for topic in topics],
    )
