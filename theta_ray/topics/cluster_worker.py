"""What stage `cluster` asks of a worker beside the steps of a fit: how a day lies about given centroids, and its table.

files -> rows (rows.py) -> steps of the fit (worker.py)
      -> nearest and second nearest of the final centroids -> sums of the day; one shard of assignments per file
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from theta_ray.config_cluster import Metric
from theta_ray.encoder.processor import available_memory, usable_cores
from theta_ray.encoder.stored import read_vectors
from theta_ray.schemas import ASSIGNMENTS
from theta_ray.store import Partition, Record, ShardWriter, digest_of, find_record, read_shard
from theta_ray.topics.lloyd import Block, Centroids, Grid, Int64, Sums, Vectors, add_block
from theta_ray.topics.rows import Rows, RowStore, blocks, hold
from theta_ray.topics.worker import Worker

# Distances of a cluster's rows are counted in so many steps; its radius is the upper edge of one.
NUM_STEPS = 512
# Of the memory that is there; the rest is for sums, scores and other processes.
MEMORY_SHARE = 0.5
SHORTEST = 1e-30  # a reach above 0, where all rows are zero


@dataclass(frozen=True)
class ClusterJob:
    """What every worker needs to know."""

    embeddings: Partition
    centroids: Partition
    assignments: Partition
    metric: Metric
    seed: int
    shards: tuple[str, ...]
    """Of the embeddings, in their order."""
    columns: tuple[str, ...]
    """Of the embeddings, those that hold vectors."""
    epoch: int = 0
    """Lease epoch of this run."""

    @property
    def is_spherical(self) -> bool:
        """Whether rows and centroids are unit vectors."""
        return self.metric == "cosine"


@dataclass
class Day:
    """How the rows of a day lie about given centroids; sums, the same in whatever order parts are added."""

    sums: Sums
    steps_KS: Int64
    """[K, NUM_STEPS] rows by distance from their centroid, in equal steps up to `reach`."""
    num_outside: int = 0
    """Rows beyond the radius of their cluster; 0 where no radii were given."""
    num_left_out: int = 0
    """Rows in no cluster."""

    @classmethod
    def zeros(cls, num_clusters: int, dim: int) -> Day:
        """Nothing added yet."""
        return cls(Sums.zeros(num_clusters, dim), np.zeros((num_clusters, NUM_STEPS), np.int64))

    def add(self, other: Day) -> None:
        """Adds what other rows add."""
        self.sums.add(other.sums)
        self.steps_KS += other.steps_KS
        self.num_outside += other.num_outside
        self.num_left_out += other.num_left_out


def reach(metric: Metric, max_norm: float) -> float:
    """The largest distance that a row may have from a mean of rows: 1 - cosine, or Euclidean."""
    return 2.0 if metric == "cosine" else max(2.0 * max_norm, SHORTEST)


def radii(steps_KS: Int64, reach: float, share: float) -> Vectors:
    """[K] distances within which each cluster has at least that share of its rows; 0 for a cluster without any."""
    upto_KS = steps_KS.cumsum(axis=1)
    enough_KS = upto_KS >= np.ceil(share * upto_KS[:, -1:])
    step_K = enough_KS.argmax(axis=1) + 1
    found: Vectors = np.where(upto_KS[:, -1] > 0, step_K * (reach / steps_KS.shape[1]), 0).astype(np.float32)
    return found


@dataclass
class ClusterWorker(Worker):
    """The files of one worker of the stage."""

    job: ClusterJob | None = None
    folder: tempfile.TemporaryDirectory[str] | None = None
    """Of rows that memory has no room for; goes with the worker."""

    def look(self, centroids: Vectors, grid: Grid, reach: float, radius_K: Vectors | None) -> Day:
        """How this worker's rows lie about centroids [K, D]."""
        prepared = Centroids(centroids, self.spherical)
        day = Day.zeros(*centroids.shape)
        for rows in self.store:
            nearest = prepared.nearest(rows.vectors)
            label, squared = nearest.label, prepared.squared_distances(rows.norms, nearest.score)
            distance = squared / 2 if self.spherical else np.sqrt(squared)  # of unit vectors 1 - cosine
            step = np.minimum((distance * (NUM_STEPS / reach)).astype(np.int64), NUM_STEPS - 1)
            cell = label.astype(np.int64) * NUM_STEPS + step
            counts = np.bincount(cell, rows.weight, day.steps_KS.size)
            day.steps_KS += counts.astype(np.int64).reshape(day.steps_KS.shape)
            if radius_K is not None:
                day.num_outside += int(rows.weight[distance > radius_K[label]].sum(dtype=np.float64))
            day.num_left_out += rows.num_zero + rows.num_non_finite
            for block in blocks(rows, 1.0):
                add_block(day.sums, grid, rows.vectors[block], Block(label[block], rows.weight[block], squared[block]))
        return day

    def write(self, centroids: Vectors, centroids_sha256: str) -> list[Record]:
        """Publish the assignments of all files of this worker, but for those that are there."""
        return [self._write_file(name, centroids, centroids_sha256) for name in self.store.names]

    def _write_file(self, name: str, centroids: Vectors, centroids_sha256: str) -> Record:
        assert self.job is not None, "set by make_worker"
        shard = shard_of(name, centroids_sha256)
        there = find_record(self.job.assignments, shard)
        if there is not None:
            return there
        found = self.assign(name, centroids)
        ids = read_shard(self.job.embeddings, name, columns=["doc_id"])["doc_id"]
        is_in = found.label >= 0
        columns = {
            "doc_id": ids,
            "cluster_id": found.label,
            "similarity": np.where(is_in, found.similarity, 0).astype(np.float32),
            "margin": np.where(is_in, found.margin, 0).astype(np.float32),
        }
        with ShardWriter(self.job.assignments, shard, ASSIGNMENTS) as writer:
            writer.write(pa.table(columns, schema=ASSIGNMENTS))
            return writer.publish(details={"num_left_out": int((~is_in).sum())}, epoch=self.job.epoch)


def shard_of(name: str, centroids_sha256: str) -> str:
    """Name of the assignments of one shard of embeddings: its own, and which centroids they are of."""
    return f"{name}-{digest_of(centroids_sha256)}"


def make_worker(job: ClusterJob, names: tuple[str, ...], threads: int, device: str | None = None) -> ClusterWorker:
    """The worker of some shards; what memory has no room for lies in a temporary folder of this process.

    With a device, the steps of a fit multiply there in 16 bits; how the day lies about the centroids that were found,
    and each document's cluster, is computed in float32 by NumPy in any case.
    """
    cores = max(threads, usable_cores())
    folder = tempfile.TemporaryDirectory(prefix="theta-ray-cluster-")
    store = RowStore(
        names,
        lambda name: read_rows(job, name),
        memory_bytes=MEMORY_SHARE * available_memory() * threads / cores,
        folder=Path(folder.name),
    )
    # values of unit vectors are within the range of float16, which has more digits
    products = "float16" if job.is_spherical else "bfloat16"
    return ClusterWorker(store, job.is_spherical, threads, job, folder, device=device, products=products)


def read_rows(job: ClusterJob, name: str) -> Rows:
    """The rows of one shard of embeddings."""
    vectors = read_vectors(read_shard(job.embeddings, name, columns=list(job.columns)))
    return hold(name, vectors, job.seed, normalise=job.is_spherical)
