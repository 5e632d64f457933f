"""Clusters and topics of the earlier model's vectors become those of the new fingerprint, so that ids go on.

    centroids of each earlier day        --the chosen map--> version 1 of the same day under the new fingerprint
    topics and topic_counts of that day  --as they are-----> likewise, without ids of documents

The next `cluster` takes them for the centroids of an earlier day, and `label_topics` for its topics: a later day starts
from the newest, and a day that is embedded again from its own. Readers find a topic's earlier nights under the new
fingerprint. Their manifests say `carried_from`; no vector is made by a map.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config import Config
from theta_ray.encoder.stored import to_column
from theta_ray.errors import StageError
from theta_ray.lease import holding
from theta_ray.manifest import CARRIED_FROM, carried_over, commit, identity_of, list_versions, read_manifest
from theta_ray.nightly.compare_models import read_map
from theta_ray.nightly.maps import AffineMap, map_centroids
from theta_ray.objects import join, list_names
from theta_ray.schemas import TOPIC_COUNTS, TOPICS, centroids_schema
from theta_ray.store import Partition, Record, ShardWriter, digest_of, find_record, read_shard
from theta_ray.tasks import Executor
from theta_ray.topics.cluster import partitions_of
from theta_ray.topics.fitted import Committed
from theta_ray.topics.label_topics import job_of
from theta_ray.topics.topic_tasks import TopicsJob

# Of a manifest: what its own commit says.
OF_COMMIT = ("version", "parent", "table", "fingerprint", "date", "schema", "num_rows", "shards")
FURTHEST = 2.0  # that 1 - cosine can be
IDS_OF_DOCUMENTS = ("representative_ids", "borderline_ids", "templates")
Lengths = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """The clusters of the earlier embeddings of a day, and the topics that were made of them."""

    job: TopicsJob
    """Their tables."""
    manifest: dict[str, Any]
    """Of the centroids."""
    topics: dict[str, Any] | None
    """Manifest of the topics; None: they have none."""

    @property
    def inputs(self) -> dict[str, Any]:
        """What names them in a manifest."""
        return {"centroids": identity_of(self.manifest)}


@dataclass(frozen=True)
class Carrying:
    """What all days need."""

    config: Config
    """Of the new recipe."""
    newest: Clusters
    """Of the day of the anchors, by which the maps were judged."""
    job: TopicsJob
    """The tables of that day under the new fingerprint."""
    maps: Partition
    manifest: dict[str, Any]
    """Of the maps."""

    def tables_of(self, day: str) -> tuple[TopicsJob, TopicsJob]:
        """A day's tables of the earlier fingerprint and of the new one."""
        before, now = (_of_day(job, day) for job in (self.newest.job, self.job))
        return before, now

    def is_done(self) -> bool:
        """Whether all days are carried over by this version of the maps: the newest is the last."""
        return is_carried(self, self.newest, self.job)


@dataclass(frozen=True)
class CarryTask:
    """One day."""

    carrying: Carrying
    day: str


def find_clusters(config: Config, corpus: Partition, embeddings: Partition, dim: int) -> Clusters | None:
    """The clusters of these embeddings on their day, or on the newest one before; None: there are none."""
    if config.recipe.cluster is None:
        return None
    job = topics_job(config, corpus, embeddings, dim)
    found = (clusters_of(_of_day(job, day)) for day in reversed(_days(job.centroids)) if day <= embeddings.date)
    return next((each for each in found if each is not None), None)


def clusters_of(job: TopicsJob) -> Clusters | None:
    """The clusters of a day, those that its topics are of where it has any; None: there are none."""
    topics = read_manifest(job.topics)
    version = topics["inputs"]["centroids"]["version"] if topics is not None else None
    manifest = read_manifest(job.centroids, version)
    return None if manifest is None else Clusters(job, manifest, topics)


def topics_job(config: Config, corpus: Partition, embeddings: Partition, dim: int) -> TopicsJob:
    """Where the clusters and topics of some embeddings are, or will be."""
    centroids, assignments = partitions_of(config, embeddings, dim)
    return job_of(config, replace(corpus, date=embeddings.date), centroids, assignments)


def _of_day(job: TopicsJob, day: str) -> TopicsJob:
    tables = ("corpus", "centroids", "assignments", "topics", "topic_counts")
    return replace(job, **{name: replace(getattr(job, name), date=day) for name in tables})


def own_day(centroids: Partition) -> str | None:
    """The first day for which `cluster` has made centroids by itself; None: all there are were carried over."""
    for day in _days(centroids):
        manifest = read_manifest(replace(centroids, date=day))
        if manifest is not None and CARRIED_FROM not in manifest:
            return day
    return None


def _days(partition: Partition) -> list[str]:
    folder = join(partition.root, partition.table, partition.fingerprint)
    return sorted(name.removeprefix("dt=") for name in list_names(folder) if name.startswith("dt="))


def is_carried(carrying: Carrying, before: Clusters, job: TopicsJob) -> bool:
    """Whether these clusters and topics are there under the new fingerprint, by this version of the maps."""
    centroids, topics = carried_over(job.centroids), carried_over(job.topics)
    if centroids is None or centroids["inputs"] != _inputs(carrying, before):
        return False
    return before.topics is None or (topics is not None and topics["inputs"]["centroids"] == identity_of(centroids))


def carry_days(carrying: Carrying, executor: Executor) -> None:
    """Commit the mapped centroids of all days up to the newest, and topics and counts where they have any.

    Raises:
        StageError: a mapped centroid has no direction.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    newest = carrying.job.centroids.date
    days = [day for day in _days(carrying.newest.job.centroids) if day < newest]
    if days:
        executor.map(carry_day, [CarryTask(carrying, day) for day in days])
    executor.map(carry_day, [CarryTask(carrying, newest)])


def carry_day(task: CarryTask) -> dict[str, Any]:
    """Commit the mapped centroids of a day, and its topics and counts where it has any; how many clusters it has."""
    carrying = task.carrying
    before_job, job = carrying.tables_of(task.day)
    before = clusters_of(before_job)
    if before is None:
        return {"num_rows": 0}
    if not is_carried(carrying, before, job):
        resources = carrying.config.resources
        with ExitStack() as stack:
            epochs = [stack.enter_context(holding(each, resources)).epoch for each in (job.centroids, job.topics)]
            centroids = _carry_centroids(carrying, before, replace(job, epoch=epochs[0]))
            if before.topics is not None:
                _carry_topics(carrying, before, replace(job, epoch=epochs[1]), centroids)
    return {"num_rows": before.manifest["num_rows"]}


def mapped_table(before: Committed, found: AffineMap, maps: dict[str, Any], length_K: Lengths | None) -> pa.Table:
    """Rows of the centroids table for the new vectors: the same ids and sizes, radii as the anchors have them.

    Args:
        before: centroids of the old vectors.
        found: the map.
        maps: manifest of the maps.
        length_K: of `lengths_of`; None: centroids are means.
    """
    mapped_KE, has_direction_K = map_centroids(found, before.centroids, length_K)
    if not has_direction_K.all():
        raise StageError(
            f"migrate: cluster {int(np.argmin(has_direction_K))} of {before.date} has no direction under map "
            f"{found.method}; raise migrate.min_overlap, and topics begin anew"
        )
    radius_K = before.radius_K * maps["radius_factor"]
    columns = {
        "cluster_id": np.arange(len(mapped_KE), dtype=np.int32),
        "centroid": to_column(mapped_KE),
        "size": before.size_K,
        "radius": (radius_K if length_K is None else np.minimum(radius_K, FURTHEST)).astype(np.float32),
    }
    return pa.table(columns, schema=centroids_schema(mapped_KE.shape[1]))


def lengths_of(before: Committed, newest: Committed, maps: dict[str, Any]) -> Lengths:
    """How far the mean of a cluster's rows reaches along its unit centroid, by the anchors.

    They know the clusters of the newest day, which are those of all days since its fit. A cluster of another fit is
    taken to reach as far as those do in the mean.
    """
    length_K = np.array([each["length"] for each in maps["clusters"]], np.float64)
    if np.array_equal(before.centroids, newest.centroids):
        return length_K
    return np.full(len(before.centroids), np.average(length_K, weights=np.maximum(newest.size_K, 1)))


def _inputs(carrying: Carrying, before: Clusters) -> dict[str, Any]:
    return {**before.manifest["inputs"], "embedding_maps": identity_of(carrying.manifest)}


def _carry_centroids(carrying: Carrying, clusters: Clusters, job: TopicsJob) -> dict[str, Any]:
    config, maps, settings = carrying.config, carrying.manifest, carrying.config.recipe.cluster
    assert settings is not None, "there are clusters"
    before, newest = (Committed.of(each.job.centroids, each.manifest) for each in (clusters, carrying.newest))
    length_K = lengths_of(before, newest, maps) if settings.metric == "cosine" else None
    table = mapped_table(before, read_map(carrying.maps, maps, maps["chosen"]), maps, length_K)
    body = {
        **_body(clusters.manifest),
        "inputs": _inputs(carrying, clusters),
        "sections": config.sections("cluster"),
        "mode": "migrate",
        "reason": f"mapped by {maps['chosen']} from the vectors of {clusters.job.centroids.fingerprint}",
        **{name: None for name in ("drift", "earlier", "fit")},
        "fitted_on": job.centroids.date,
    }
    record = _publish(job.centroids, table, body["inputs"], job.epoch)
    return commit(job.centroids, table.schema, [record], body)


def _carry_topics(carrying: Carrying, before: Clusters, job: TopicsJob, centroids: dict[str, Any]) -> None:
    """Commit the counts and then the topics: whoever finds the topics finds the counts."""
    assert before.topics is not None, "there are topics"
    newest, counts = carrying.newest.topics or before.topics, _counts_of(before)
    changes = {
        "inputs": {**before.topics["inputs"], "centroids": identity_of(centroids)},
        "sections": carrying.config.sections("topics"),
        # a topic that is found in the day when it is embedded again has no id that a later day has given
        "next_id": max(before.topics["next_id"], newest["next_id"]),
    }
    if counts is not None:
        rows = _read(before.job.topic_counts, counts)
        record = _publish(job.topic_counts, rows.cast(TOPIC_COUNTS), changes["inputs"], job.epoch)
        commit(job.topic_counts, TOPIC_COUNTS, [record], {**_body(counts), **changes})
    rows = _read(before.job.topics, before.topics)
    for name in IDS_OF_DOCUMENTS:  # what the next day needs of a topic is none of its documents
        none = pa.array([[]] * rows.num_rows, TOPICS.field(name).type)
        rows = rows.set_column(rows.schema.get_field_index(name), TOPICS.field(name), none)
    record = _publish(job.topics, rows.cast(TOPICS), changes["inputs"], job.epoch)
    commit(job.topics, TOPICS, [record], {**_body(before.topics), **changes})


def _counts_of(clusters: Clusters) -> dict[str, Any] | None:
    """The manifest of the counts that were committed with the topics."""
    assert clusters.topics is not None, "there are topics"
    place = clusters.job.topic_counts
    found = (read_manifest(place, version) for version in reversed(list_versions(place)))
    return next((each for each in found if each is not None and each["inputs"] == clusters.topics["inputs"]), None)


def _read(partition: Partition, manifest: dict[str, Any]) -> pa.Table:
    return pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])


def _body(manifest: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in manifest.items() if name not in OF_COMMIT}
    return {**kept, CARRIED_FROM: identity_of(manifest)}


def _publish(partition: Partition, table: pa.Table, inputs: dict[str, Any], epoch: int) -> Record:
    shard = f"part-00000-{digest_of([CARRIED_FROM, inputs])}"
    record = find_record(partition, shard)
    if record is None:
        with ShardWriter(partition, shard, table.schema) as writer:
            writer.write(table)
            record = writer.publish(epoch=epoch)
    return record
