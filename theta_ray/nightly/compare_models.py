"""The task that sees the vectors of both models: maps are fitted, judged and written; figures come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.config_evaluation import Evaluation
from theta_ray.corpus import staging
from theta_ray.manifest import read_manifest
from theta_ray.nightly.anchors import Anchors, MigrateJob, read_anchors
from theta_ray.nightly.cluster_map import map_clusters
from theta_ray.nightly.map_quality import Drift, Judged, Judgement, judge
from theta_ray.nightly.maps import AffineMap, Vectors
from theta_ray.schemas import EMBEDDING_MAPS
from theta_ray.store import Partition, Record, ShardWriter, find_record, read_shard
from theta_ray.topics.fitted import Committed
from theta_ray.training.bootstrap import Estimate

DECIMALS = 6


@dataclass(frozen=True)
class CompareTask:
    """The shards of the anchors' new embeddings, and which version of the earlier centroids counts."""

    job: MigrateJob
    shards: tuple[str, ...]
    centroids_version: int | None
    shard: str
    """Name of the shard of maps to write."""


def compare_models(task: CompareTask) -> dict[str, Any]:
    """Publish the maps; their record, and the figures of a manifest."""
    job, uri = task.job, task.job.staged("counts", "compared", "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    anchors = read_anchors(job, task.shards)
    resampling = Evaluation(seed=abs(job.settings.seed))
    judgement = judge(anchors.old_ND, anchors.new_NE, job.settings.num_neighbours, resampling)
    found = {
        "num_rows": len(anchors.old_ND),
        "record": asdict(_write_maps(job.maps, task.shard, judgement)),
        "chosen": judgement.chosen.map.method,
        "maps": [_figures(each) for each in judgement.maps],
        "drift": _drift(judgement.drift),
        "tokens_per_text": round(float(anchors.num_tokens_N.mean()), 3),
        **_clusters(task, anchors, judgement, resampling),
    }
    staging.write_json(uri, found)
    return found


def read_map(maps: Partition, manifest: dict[str, Any], method: str) -> AffineMap:
    """One map of a committed version."""
    (shard,) = manifest["shards"]
    rows = read_shard(maps, shard["shard"], columns=["method", "source_mean", "matrix", "target_mean"])
    (row,) = [rows.slice(place, 1) for place, name in enumerate(rows["method"].to_pylist()) if name == method]
    source, matrix, target = (_values(row[name]) for name in ("source_mean", "matrix", "target_mean"))
    assert source is not None, "its column has no nulls"
    assert target is not None, "its column has no nulls"
    return AffineMap(method, source, None if matrix is None else matrix.reshape(len(source), len(target)), target)


def _values(column: pa.ChunkedArray) -> Vectors | None:
    array = column.combine_chunks()
    return None if array.null_count else np.asarray(array.flatten().to_numpy(), np.float32)


def _write_maps(maps: Partition, shard: str, judgement: Judgement) -> Record:
    record = find_record(maps, shard)
    if record is not None:
        return record
    with ShardWriter(maps, shard, EMBEDDING_MAPS) as writer:
        for each in judgement.maps:
            writer.write(pa.table(_columns(each, each is judgement.chosen), schema=EMBEDDING_MAPS))
        return writer.publish()


def _columns(judged: Judged, is_chosen: bool) -> dict[str, Any]:
    found, (overlap, low, high) = judged.map, judged.overlap
    return {
        "method": [found.method],
        "is_chosen": [is_chosen],
        "overlap": [overlap],
        "overlap_low": [low],
        "overlap_high": [high],
        "cosine": [judged.cosine.value],
        "num_held_out": [len(judged.overlap_Q)],
        "source_mean": _one_list(found.source_mean),
        "matrix": _one_list(found.matrix),
        "target_mean": _one_list(found.target_mean),
    }


def _one_list(values: Vectors | None) -> pa.Array:
    if values is None:
        return pa.nulls(1, pa.list_(pa.float32()))
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)


def _figures(judged: Judged) -> dict[str, Any]:
    return {
        "method": judged.map.method,
        "overlap": rounded(judged.overlap),
        "cosine": rounded(judged.cosine),
        "num_held_out": len(judged.overlap_Q),
    }


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        "cosine": None if drift.cosine is None else rounded(drift.cosine),
        "shift": None if drift.shift is None else round(drift.shift, DECIMALS),
        "overlap": rounded(drift.overlap),
    }


def rounded(found: Estimate | Sequence[float]) -> list[float]:
    """Value, low and high: last bits depend on the processor, and a manifest's bytes must not."""
    return [round(float(value), DECIMALS) for value in found]


def _clusters(task: CompareTask, anchors: Anchors, judgement: Judgement, resampling: Evaluation) -> dict[str, Any]:
    job = task.job
    if job.centroids is None or task.centroids_version is None:
        return {"clusters": None}
    manifest = read_manifest(job.centroids, task.centroids_version)
    assert manifest is not None, "a version that is not there is an error"
    before = Committed.of(job.centroids, manifest)
    vectors = (anchors.old_ND, anchors.new_NE, anchors.num_tokens_N)
    found = map_clusters(vectors, (before.centroids, before.radius_K), judgement, job.metric, resampling)
    return {
        "clusters": found.rows(before.size_K),
        "radius_factor": round(found.radius_factor, 9),
        "agreement": rounded(found.agreement),
    }
