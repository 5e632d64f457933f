"""Centroids of a day: those that are committed, and how they come about.

mode and the newest earlier centroids -> how the day lies about those -> taken as they are, moved on, or fitted anew

Where nothing but deleted documents has left a day since its centroids were made, they stay as they are: other documents
keep their clusters. What the deleted ones had added to a mean stays in it: at most their share of the cluster.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.config_cluster import Cluster
from theta_ray.errors import InputError
from theta_ray.manifest import carried_over, identity_of, list_versions, read_manifest
from theta_ray.objects import join, list_names
from theta_ray.store import Partition, read_shard
from theta_ray.topics.cluster_worker import ClusterJob, Day, radii, reach
from theta_ray.topics.drift import DaySums, Drift, measure
from theta_ray.topics.lloyd import Int64, Vectors
from theta_ray.topics.nested import Fit, Plan, fit
from theta_ray.topics.workers import Data

logger = logging.getLogger(__name__)
RADIUS_SHARE = 0.99
"""Of a cluster's rows at the fit, which its radius holds."""


@dataclass(frozen=True)
class Committed:
    """Centroids that a day has committed."""

    date: str
    fitted_on: str
    """The day of the fit that they come from."""
    centroids: Vectors
    size_K: Int64
    radius_K: Vectors
    identity: dict[str, Any]

    @classmethod
    def of(cls, partition: Partition, manifest: dict[str, Any]) -> Committed:
        """Read the centroids of one version."""
        rows = pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])
        column = rows["centroid"].combine_chunks()
        values = column.flatten().to_numpy().reshape(-1, column.type.list_size)
        sizes, radius = (rows[name].to_numpy() for name in ("size", "radius"))
        return cls(partition.date, manifest["fitted_on"], values, sizes, radius, identity_of(manifest))


def newest_before(partition: Partition) -> Committed | None:
    """The newest committed centroids of an earlier day of the same table, or of this day if they were carried over."""
    folder = join(partition.root, partition.table, partition.fingerprint)
    days = sorted(name.removeprefix("dt=") for name in list_names(folder) if name.startswith("dt="))
    for day in reversed([day for day in days if day <= partition.date]):
        earlier = Partition(partition.root, partition.table, partition.fingerprint, day)
        manifest = read_manifest(earlier) if day < partition.date else carried_over(earlier)
        if manifest is not None and manifest["num_rows"]:
            return Committed.of(earlier, manifest)
    return None


@dataclass
class Found:
    """The centroids of a day, and why they are these."""

    mode: str
    """What was done: `assign`, `fit` or `warm`."""
    reason: str
    centroids: Vectors
    day: Day
    """How its rows lie about them."""
    radius_K: Vectors
    earlier: Committed | None
    drift: Drift | None = None
    """From the day of the fit; None where nothing was compared."""
    fit: Fit | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Everything but the arrays, for a manifest: no times."""
        told = self.fit.record() if self.fit is not None else None
        if told is not None:
            told["seeding"].pop("seconds", None)
            for step in told["trace"]:
                step.pop("seconds")
        return {
            "mode": self.mode,
            "reason": self.reason,
            "drift": asdict(self.drift) if self.drift is not None else None,
            "fit": told,
            "earlier": self.earlier.identity if self.earlier is not None and self.mode != "fit" else None,
        }


def find_centroids(job: ClusterJob, data: Data, settings: Cluster) -> Found:
    """The centroids of a day, by the recipe's mode.

    Args:
        job: of the day.
        data: its rows.
        settings: the recipe's section.

    Raises:
        InputError: there is no row, or mode `assign` or `warm` has nothing to start from.
    """
    earlier = newest_before(job.centroids)
    if settings.mode in ("assign", "warm") and earlier is None:
        raise InputError(
            f"cluster.mode {settings.mode}: no centroids of a day before {job.centroids.date} are in "
            f"{join(job.centroids.root, 'centroids', job.centroids.fingerprint)}; run that day first, or mode fit"
        )
    if earlier is None or settings.mode == "fit":
        why = "there are no earlier centroids" if earlier is None else "the recipe says so"
        return _fitted(data, settings, None, earlier, why)
    if settings.mode == "warm":
        return _fitted(data, settings, earlier.centroids, earlier, "the recipe says so")
    day = _look(data, settings, earlier.centroids, earlier.radius_K)
    drift = measure(settings.metric, earlier.centroids, _sizes_at_fit(job, earlier), _sums_of(day, data))
    beyond, num_clusters = drift.beyond(settings.drift), len(earlier.centroids)
    few = f"{data.facts.num_rows} different rows are too few to fit {num_clusters} clusters anew"
    if settings.mode == "assign" or not beyond or data.facts.num_rows < num_clusters:
        why = "the recipe says so" if settings.mode == "assign" else f"like {earlier.fitted_on}" if not beyond else few
        return Found("assign", why, earlier.centroids, day, earlier.radius_K, earlier, drift)
    first = earlier.centroids if settings.on_drift == "warm" else None
    found = _fitted(data, settings, first, earlier, f"unlike {earlier.fitted_on}: {'; '.join(beyond)}")
    found.drift = drift
    return found


def of_no_documents(job: ClusterJob, dim: int) -> Found:
    """The centroids of a day without documents: the earlier ones go on, whatever the mode; before the first fit, none.

    Args:
        job: of the day.
        dim: values of a centroid.
    """
    earlier = newest_before(job.centroids)
    centroids = np.empty((0, dim), np.float32) if earlier is None else earlier.centroids
    radius_K = np.empty(0, np.float32) if earlier is None else earlier.radius_K
    why = "the day has no documents"
    return Found("assign", why, centroids, Day.zeros(*centroids.shape), radius_K, earlier)


def without_deleted(partition: Partition, corpus: dict[str, Any], sections: dict[str, Any]) -> Committed | None:
    """The newest centroids of a day, where the corpus has lost deleted documents since and is the same otherwise.

    Args:
        partition: of the centroids.
        corpus: its day's newest manifest.
        sections: of the recipe, as a manifest of centroids holds them.
    """
    manifest = read_manifest(partition)
    if manifest is None or manifest.get("sections") != sections:
        return None
    then = _input_of(partition, manifest, "embeddings")
    then = _input_of(partition, then, "corpus") if then is not None else None
    if then is None or then["tombstones"] == corpus["tombstones"]:
        return None
    same = all(then[name] == corpus[name] for name in ("inputs", "versions"))
    return Committed.of(partition, manifest) if same else None


def _input_of(partition: Partition, manifest: dict[str, Any], table: str) -> dict[str, Any] | None:
    """The manifest that another one names as its input, where it is still there."""
    identity = manifest["inputs"].get(table)
    if identity is None:
        return None
    place = replace(partition, table=table, fingerprint=identity["fingerprint"])
    return read_manifest(place, identity["version"]) if identity["version"] in list_versions(place) else None


def keep_centroids(data: Data, settings: Cluster, kept: Committed) -> Found:
    """The day's own centroids again, and how the documents that are left lie about them."""
    day = _look(data, settings, kept.centroids, kept.radius_K)
    why = "deleted documents have left"
    return Found("assign", why, kept.centroids, day, kept.radius_K, kept)


def _fitted(data: Data, settings: Cluster, first: Vectors | None, earlier: Committed | None, why: str) -> Found:
    if first is not None and len(first) != settings.num_clusters:
        why = f"{why}; the earlier centroids are {len(first)} only"
        first = None
    found = fit(data.workers, to_plan(settings), first)
    if len(found.centroids) < settings.num_clusters:
        logger.warning(
            "cluster: %d different rows make %d clusters, not %d; lower cluster.num_clusters",
            found.facts.num_rows,
            len(found.centroids),
            settings.num_clusters,
        )
    day = _look(data, settings, found.centroids, None)
    radius_K = radii(day.steps_KS, reach(settings.metric, data.facts.max_norm), RADIUS_SHARE)
    return Found("warm" if first is not None else "fit", why, found.centroids, day, radius_K, earlier, fit=found)


def to_plan(settings: Cluster) -> Plan:
    """The fit that a recipe asks for."""
    return Plan(
        settings.num_clusters,
        spherical=settings.metric == "cosine",
        seed=settings.seed,
        seeding=settings.seeding,
        eps=settings.tolerance,
        max_steps=settings.max_steps,
        max_share=settings.max_cluster_share or 1.0,
        restarts=settings.restarts,
    )


def _look(data: Data, settings: Cluster, centroids: Vectors, radius_K: Vectors | None) -> Day:
    furthest = reach(settings.metric, data.facts.max_norm)
    day = Day.zeros(*centroids.shape)
    for part in data.workers.each("look", centroids, data.grid, furthest, radius_K):
        day.add(part)
    return day


def _sums_of(day: Day, data: Data) -> DaySums:
    rows = day.sums
    sums_KD = rows.sums.astype(np.float64) * 2.0**-data.grid.sums
    return DaySums(rows.weight, sums_KD, rows.inertias(data.grid), day.num_outside)


def _sizes_at_fit(job: ClusterJob, earlier: Committed) -> Int64:
    """[K] rows of each cluster on the day of the fit; of the newest day where that one is gone."""
    if earlier.fitted_on == earlier.date:
        return earlier.size_K
    partition = Partition(job.centroids.root, "centroids", job.centroids.fingerprint, earlier.fitted_on)
    manifest = read_manifest(partition)
    return earlier.size_K if manifest is None else Committed.of(partition, manifest).size_K


def to_table(found: Found, schema: pa.Schema) -> pa.Table:
    """The rows of the centroids table."""
    flat = pa.array(np.ascontiguousarray(found.centroids, np.float32).reshape(-1))
    columns = {
        "cluster_id": np.arange(len(found.centroids), dtype=np.int32),
        "centroid": pa.FixedSizeListArray.from_arrays(flat, found.centroids.shape[1]),
        "size": found.day.sums.weight,
        "radius": found.radius_K,
    }
    return pa.table(columns, schema=schema)
