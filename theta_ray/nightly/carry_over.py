"""Centroids and topics of the earlier model's vectors become those of the new fingerprint, so that ids go on.

    centroids of the newest earlier day --the chosen map--> version 1 of the same day under the new fingerprint
    topics of that day                  --as they are-----> likewise, without ids of documents

The next `cluster` takes them for the centroids of an earlier day, and `label_topics` for its topics: a later day starts
from them, and so does the same day when it is embedded again. Their manifests say `carried_from`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.config import Config
from theta_ray.errors import StageError
from theta_ray.lease import holding
from theta_ray.manifest import CARRIED_FROM, carried_over, commit, identity_of, read_manifest
from theta_ray.nightly.compare_models import read_map
from theta_ray.nightly.maps import AffineMap, map_centroids
from theta_ray.objects import join, list_names
from theta_ray.schemas import TOPICS, centroids_schema
from theta_ray.store import Partition, Record, ShardWriter, digest_of, find_record, read_shard
from theta_ray.topics.cluster import partitions_of
from theta_ray.topics.fitted import Committed
from theta_ray.topics.label_topics import job_of
from theta_ray.topics.topic_tasks import TopicsJob

# Of a manifest: what its own commit says.
OF_COMMIT = ("version", "parent", "table", "fingerprint", "date", "schema", "num_rows", "shards")
FURTHEST = 2.0  # that 1 - cosine can be
IDS_OF_DOCUMENTS = ("representative_ids", "borderline_ids", "templates")


@dataclass(frozen=True)
class Clusters:
    """The newest clusters of the earlier embeddings, and the topics that were made of them."""

    centroids: Partition
    manifest: dict[str, Any]
    """Of the centroids."""
    topics: Partition
    topics_manifest: dict[str, Any] | None

    @property
    def inputs(self) -> dict[str, Any]:
        """What names them in a manifest."""
        return {"centroids": identity_of(self.manifest)}


def find_clusters(config: Config, corpus: Partition, embeddings: Partition, dim: int) -> Clusters | None:
    """The clusters of these embeddings on their day, or on the newest one before; None: there are none.

    Where a day has topics, its centroids are those that the topics are of.
    """
    if config.recipe.cluster is None:
        return None
    for day in reversed(_days(partitions_of(config, embeddings, dim)[0])):
        if day > embeddings.date:
            continue
        job = topics_job(config, corpus, replace(embeddings, date=day), dim)
        topics = read_manifest(job.topics)
        version = topics["inputs"]["centroids"]["version"] if topics is not None else None
        manifest = read_manifest(job.centroids, version)
        if manifest is not None:
            return Clusters(job.centroids, manifest, job.topics, topics)
    return None


def topics_job(config: Config, corpus: Partition, embeddings: Partition, dim: int) -> TopicsJob:
    """Where the clusters and topics of some embeddings are, or will be."""
    centroids, assignments = partitions_of(config, embeddings, dim)
    return job_of(config, replace(corpus, date=embeddings.date), centroids, assignments)


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


def is_carried(clusters: Clusters, job: TopicsJob, maps: dict[str, Any]) -> bool:
    """Whether these clusters and topics are there under the new fingerprint, by this version of the maps."""
    centroids, topics = carried_over(job.centroids), carried_over(job.topics)
    if centroids is None or centroids["inputs"] != _inputs(clusters, maps):
        return False
    if clusters.topics_manifest is None:
        return True
    return topics is not None and topics["inputs"]["centroids"] == identity_of(centroids)


def carry(config: Config, clusters: Clusters, job: TopicsJob, maps: tuple[Partition, dict[str, Any]]) -> None:
    """Commit the mapped centroids, and the topics where there are any.

    Args:
        config: of the new recipe.
        clusters: of the earlier embeddings.
        job: the same day's tables under the new fingerprint.
        maps: the committed maps.

    Raises:
        StageError: a mapped centroid has no direction.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    with ExitStack() as stack:
        epochs = [stack.enter_context(holding(each, config.resources)).epoch for each in (job.centroids, job.topics)]
        centroids = _carry_centroids(config, clusters, replace(job, epoch=epochs[0]), maps)
        if clusters.topics_manifest is not None:
            _carry_topics(config, clusters, replace(job, epoch=epochs[1]), centroids)


def mapped_table(before: Committed, found: AffineMap, maps: dict[str, Any], metric: str) -> pa.Table:
    """Rows of the centroids table for the new vectors: the same ids and sizes, radii as the anchors have them."""
    spherical = metric == "cosine"
    length_K = np.array([each["length"] for each in maps["clusters"]], np.float64) if spherical else None
    mapped_KE, has_direction_K = map_centroids(found, before.centroids, length_K)
    if not has_direction_K.all():
        raise StageError(
            f"migrate: cluster {int(np.argmin(has_direction_K))} has no direction under map {found.method}; "
            "raise migrate.min_overlap, and topics begin anew"
        )
    radius_K = before.radius_K * maps["radius_factor"]
    flat = pa.array(np.ascontiguousarray(mapped_KE, np.float32).ravel())
    columns = {
        "cluster_id": np.arange(len(mapped_KE), dtype=np.int32),
        "centroid": pa.FixedSizeListArray.from_arrays(flat, mapped_KE.shape[1]),
        "size": before.size_K,
        "radius": (np.minimum(radius_K, FURTHEST) if spherical else radius_K).astype(np.float32),
    }
    return pa.table(columns, schema=centroids_schema(mapped_KE.shape[1]))


def _inputs(clusters: Clusters, maps: dict[str, Any]) -> dict[str, Any]:
    return {**clusters.manifest["inputs"], "embedding_maps": identity_of(maps)}


def _carry_centroids(
    config: Config, clusters: Clusters, job: TopicsJob, maps: tuple[Partition, dict[str, Any]]
) -> dict[str, Any]:
    (partition, found), before = maps, Committed.of(clusters.centroids, clusters.manifest)
    settings = config.recipe.cluster
    assert settings is not None, "there are clusters"
    table = mapped_table(before, read_map(partition, found, found["chosen"]), found, settings.metric)
    body = {
        **_body(clusters.manifest, identity_of(clusters.manifest)),
        "inputs": _inputs(clusters, found),
        "sections": config.sections("cluster"),
        "mode": "migrate",
        "reason": f"mapped by {found['chosen']} from the vectors of {clusters.centroids.fingerprint}",
        **{name: None for name in ("drift", "earlier", "fit")},
        "fitted_on": job.centroids.date,
    }
    record = _publish(job.centroids, table, body["inputs"], job.epoch)
    return commit(job.centroids, table.schema, [record], body)


def _carry_topics(config: Config, clusters: Clusters, job: TopicsJob, centroids: dict[str, Any]) -> None:
    before = clusters.topics_manifest
    assert before is not None, "there are topics"
    rows = pa.concat_tables([read_shard(clusters.topics, shard["shard"]) for shard in before["shards"]])
    for name in IDS_OF_DOCUMENTS:  # what the next day needs of a topic is none of its documents
        none = pa.array([[]] * rows.num_rows, TOPICS.field(name).type)
        rows = rows.set_column(rows.schema.get_field_index(name), TOPICS.field(name), none)
    body = {
        **_body(before, identity_of(before)),
        "inputs": {**before["inputs"], "centroids": identity_of(centroids)},
        "sections": config.sections("topics"),
    }
    record = _publish(job.topics, rows.cast(TOPICS), body["inputs"], job.epoch)
    commit(job.topics, TOPICS, [record], body)


def _body(manifest: dict[str, Any], carried_from: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in manifest.items() if name not in OF_COMMIT}, CARRIED_FROM: carried_from}


def _publish(partition: Partition, table: pa.Table, inputs: dict[str, Any], epoch: int) -> Record:
    shard = f"part-00000-{digest_of([CARRIED_FROM, inputs])}"
    record = find_record(partition, shard)
    if record is None:
        with ShardWriter(partition, shard, table.schema) as writer:
            writer.write(table)
            record = writer.publish(epoch=epoch)
    return record
