"""The tasks of `choose_k`, each a function of a picklable description.

1. `draw_rows`: of one shard of embeddings, its part of the sample: vectors, and labels where the corpus has them.
2. `measure_k`: the whole sample and one number of clusters become a point of the curve (k_curve.py).

    staging/<digest>/sample/<shard>.parquet    vectors and labels
                     drawn/<shard>.json        counts; its shard is drawn when it is there
                     points/000100.json        of k = 100
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_cluster import Metric
from theta_ray.config_quality import ChooseK
from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.encoder.stored import from_column, read_vectors, to_column
from theta_ray.objects import join
from theta_ray.store import Partition, read_shard
from theta_ray.topics.k_curve import Measure, Point, measure
from theta_ray.topics.kmeans import KMeans
from theta_ray.topics.lloyd import MIN_NORM

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ChooseKJob:
    """What all tasks need."""

    corpus: Partition
    embeddings: Partition
    curve: Partition
    settings: ChooseK
    metric: Metric
    columns: tuple[str, ...]
    """Of the embeddings, those that hold vectors."""
    staging: str = ""
    epoch: int = 0

    def staged(self, kind: str, name: str, suffix: str = "parquet") -> str:
        """Where a staged file lies."""
        return join(self.staging, kind, f"{name}.{suffix}")


@dataclass(frozen=True)
class DrawTask:
    """One shard of embeddings, and how many of its rows are drawn."""

    job: ChooseKJob
    shard: str
    count: int


@dataclass(frozen=True)
class MeasureTask:
    """One number of clusters, and the shards of the sample."""

    job: ChooseKJob
    num_clusters: int
    shards: tuple[str, ...]

    @property
    def uri(self) -> str:
        """Where the point is staged."""
        return self.job.staged("points", f"{self.num_clusters:06d}", "json")


def share_out(num_rows: Sequence[int], wanted: int) -> list[int]:
    """Rows of each shard in a sample of so many: in proportion, and all together as many as are wanted and there."""
    ends = np.cumsum(num_rows)
    total = int(ends[-1]) if len(ends) else 0
    drawn = [end * min(wanted, total) // max(1, total) for end in ends.tolist()]
    return [int(count) for count in np.diff(drawn, prepend=0)]


def draw_rows(task: DrawTask) -> dict[str, Any]:
    """Stage the sample's rows of a shard; how many rows there are, and how many of the drawn ones are usable."""
    job, uri = task.job, task.job.staged("drawn", task.shard, "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    table = read_shard(job.embeddings, task.shard, columns=["doc_id", *job.columns])
    number = int.from_bytes(hashlib.blake2b(task.shard.encode(), digest_size=8).digest())
    generator = np.random.default_rng([job.settings.seed, number])
    chosen = table.take(np.sort(generator.choice(table.num_rows, task.count, replace=False)))
    vectors, is_usable = usable(read_vectors(chosen.select(list(job.columns))), is_spherical=job.metric == "cosine")
    labels = _labels(job.corpus, task.shard, chosen["doc_id"].filter(pa.array(is_usable)))
    write_rows(job.staged("sample", task.shard), pa.table({"vector": to_column(vectors), "label": labels}))
    found = {"num_rows": table.num_rows, "num_drawn": task.count, "num_usable": len(vectors)}
    staging.write_json(uri, found)
    return found


def usable(vectors_ND: Vectors, *, is_spherical: bool) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Finite rows, as unit vectors and without zero ones where clusters are spherical; and which these are."""
    lengths_N = np.linalg.norm(vectors_ND.astype(np.float64), axis=1)
    is_usable_N = np.isfinite(lengths_N) & (lengths_N >= MIN_NORM if is_spherical else True)
    kept = vectors_ND[is_usable_N]
    return (kept / lengths_N[is_usable_N, None]).astype(np.float32) if is_spherical else kept, is_usable_N


def _labels(corpus: Partition, shard: str, doc_ids: pa.ChunkedArray) -> pa.Array:
    """Labels of documents; empty where there is none. A shard of embeddings is a part of a corpus shard."""
    rows = read_shard(corpus, shard.rpartition("-")[0], columns=["doc_id", "label"])
    label_of = dict(zip(rows["doc_id"].to_pylist(), rows["label"].to_pylist(), strict=True))
    return pa.array([label_of.get(doc_id) or "" for doc_id in doc_ids.to_pylist()], pa.string())


def read_sample(job: ChooseKJob, shards: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.str_]]:
    """[N, D] vectors and [N] labels of the sample."""
    rows = pa.concat_tables([read_rows(job.staged("sample", shard)) for shard in shards])
    return from_column(rows["vector"]), np.array(rows["label"].to_pylist(), str)


def measure_k(task: MeasureTask) -> dict[str, Any]:
    """Stage the point of one number of clusters; it, as JSON values."""
    found = staging.read_json(task.uri)
    if found is not None:
        return found
    job = task.job
    vectors, labels = read_sample(job, task.shards)

    def fit(rows: Vectors, weights: npt.NDArray[np.int64], k: int, seed: int) -> Vectors:
        spherical = job.metric == "cosine"
        return KMeans(k, spherical=spherical, seed=seed, restarts=1).fit(rows, weights).cluster_centers_

    found = {"num_rows": len(vectors), **to_json(measure(vectors, task.num_clusters, fit, job.settings, labels))}
    staging.write_json(task.uri, found)
    return found


def to_json(point: Point) -> dict[str, Any]:
    """A point as JSON values; NaN is null."""
    measures = [{name: _or_none(value) for name, value in asdict(each).items()} for each in point.measures]
    return {
        "num_clusters": point.num_clusters,
        "measures": measures,
        "gain": _or_none(point.gain),
        "standard_error": _or_none(point.standard_error),
    }


def from_json(found: dict[str, Any]) -> Point:
    """The point that `to_json` was given."""
    cleared: list[dict[str, Any]] = [
        {name: math.nan if value is None else value for name, value in each.items()} for each in found["measures"]
    ]
    gain, error = (math.nan if found[name] is None else found[name] for name in ("gain", "standard_error"))
    return Point(found["num_clusters"], tuple(Measure(**each) for each in cleared), gain, error)


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
