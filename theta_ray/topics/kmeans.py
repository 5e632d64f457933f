"""k-means for library users: arrays in and out, with the verbs of scikit-learn.

    model = KMeans(100, spherical=True, num_threads=2).fit(vectors)
    model.labels_, model.cluster_centers_, model.predict(others)

Each thread multiplies by itself: set OPENBLAS_NUM_THREADS=1 before numpy is imported when there are several.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from theta_ray.errors import InputError
from theta_ray.topics.array_rows import ArrayRows, of_array
from theta_ray.topics.lloyd import BLOCK_ROWS, Centroids, Int32, Int64, Vectors, unit_vectors
from theta_ray.topics.nested import Fit, Plan, fit
from theta_ray.topics.rows import LEFT_OUT, RowStore
from theta_ray.topics.seeding import SEEDINGS
from theta_ray.topics.worker import Worker
from theta_ray.topics.workers import Data, LocalWorkers

Weights = npt.NDArray[np.integer]
# Where the mean is this much farther from the origin than rows are from the mean (squares), float32 products have few
# digits left for distances, and a copy of the rows is moved to its mean.
FAR_FROM_ORIGIN = 10
ROWS_FOR_MEAN = 10_000


class KMeans:
    """k-means, Euclidean or spherical.

    Args:
        k: how many clusters.
        num_threads: blocks of rows at a time.
        settings: the other fields of `nested.Plan`, such as `spherical` and `seed`.

    Attributes:
        cluster_centers_: [K, D]; fewer than k where there are fewer different rows. Unit vectors when spherical.
        counts_: [K] rows that each centroid is the mean of.
        labels_: [N], the cluster of each row of `fit`; -1 for damaged rows, and for zero rows when spherical.
        inertia_: sum of weight x squared distance to the nearest centroid; 2 - 2 cos when spherical.
        fit_: trace and record of the last `fit`.
    """

    cluster_centers_: Vectors
    counts_: Int64
    labels_: Int32
    inertia_: float
    fit_: Fit

    def __init__(self, k: int = 8, *, num_threads: int = 1, **settings: Any) -> None:
        self.plan, self.num_threads = Plan(k, **settings), num_threads

    def fit(
        self, vectors: npt.NDArray[Any], sample_weight: Weights | None = None, first: Vectors | None = None
    ) -> Self:
        """Centroids of rows [N, D].

        Args:
            vectors: float32 is neither copied nor changed; other types are copied.
            sample_weight: [N] whole numbers, how often each row is there.
            first: [K, D] centroids to start from.

        Raises:
            InputError: no row is usable, or shapes do not agree.
        """
        rows = np.ascontiguousarray(vectors, np.float32)
        origin = None if self.plan.spherical else _origin(rows)
        if origin is not None:
            rows = rows - origin
            first = None if first is None else first - origin
        held = self._held(rows, sample_weight)
        self.fit_ = fit(LocalWorkers([self._worker(held)]), self.plan, first)
        self.cluster_centers_, self.counts_ = self.fit_.centroids, self.fit_.weight
        self.labels_, distances = self._nearest(held, len(rows))
        self.inertia_ = float(distances @ held.weight.astype(np.float64))
        if origin is not None:
            self.cluster_centers_ = self.cluster_centers_ + origin
        return self

    def partial_fit(self, vectors: npt.NDArray[Any], sample_weight: Weights | None = None) -> Self:
        """Moves centroids towards the means of more rows; the first rows choose them.

        Each centroid stays the mean of all rows that were ever assigned to it (Sculley, WWW 2010).
        """
        held = self._held(np.ascontiguousarray(vectors, np.float32), sample_weight)
        data = Data.of(LocalWorkers([self._worker(held)]))
        if not hasattr(self, "cluster_centers_"):
            seeds = SEEDINGS[self.plan.seeding](data, self.plan.k, self.plan.seed, spherical=self.plan.spherical)
            self.cluster_centers_, self.counts_ = seeds.centroids, np.zeros(len(seeds.centroids), np.int64)
        sums = data.step(self.cluster_centers_, 1.0)
        self.counts_ = self.counts_ + sums.weight
        pace = (sums.weight / np.maximum(self.counts_, 1))[:, None]
        moved = ((1 - pace) * self.cluster_centers_ + pace * sums.means(data.grid)).astype(np.float32)
        self.cluster_centers_ = unit_vectors(moved) if self.plan.spherical else moved
        return self

    def predict(self, vectors: npt.NDArray[Any]) -> Int32:
        """[N], the nearest cluster of each row; -1 for damaged rows, and for zero rows when spherical."""
        held = self._held(np.ascontiguousarray(vectors, np.float32), None)
        return self._nearest(held, len(vectors))[0]

    def _held(self, rows: Vectors, weight: Weights | None) -> ArrayRows:
        counts = np.ones(len(rows), np.float32) if weight is None else weight.astype(np.float32)
        if counts.shape != (len(rows),):
            raise InputError(f"sample_weight is {counts.shape} for {len(rows)} rows; give one number a row")
        if weight is not None and not (np.equal(counts, weight).all() and np.equal(counts, np.rint(counts)).all()):
            raise InputError("sample_weight has values that are no whole numbers; give counts")
        return of_array(rows, counts, self.plan.seed, normalise=self.plan.spherical)

    def _worker(self, held: ArrayRows) -> Worker:
        return Worker(RowStore([held.name], lambda _: held), self.plan.spherical, self.num_threads)

    def _nearest(self, held: ArrayRows, num_rows: int) -> tuple[Int32, Vectors]:
        """[num_rows] labels, and [usable rows] squared distances."""
        centroids = Centroids(self.cluster_centers_, self.plan.spherical)
        label, distances = np.full(num_rows, LEFT_OUT, np.int32), np.empty(len(held), np.float32)
        starts = range(0, len(held), BLOCK_ROWS)

        def assign(thread: int) -> None:
            buffer = centroids.new_buffer()
            for start in starts[thread :: self.num_threads]:
                block = slice(start, start + BLOCK_ROWS)
                piece = held.piece(block, 1)
                nearest = centroids.nearest(piece.vectors, buffer)
                label[held.place[block]] = nearest.label
                distances[block] = centroids.squared_distances(piece.norms, nearest.score)

        with ThreadPoolExecutor(self.num_threads) as pool:
            list(pool.map(assign, range(self.num_threads)))
        return label, distances


def _origin(rows: Vectors) -> Vectors | None:
    """[D] where the rows lie, if that is far from zero."""
    some = rows[:: max(1, len(rows) // ROWS_FOR_MEAN)].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    if not len(some):
        return None
    mean = some.mean(axis=0)
    is_far = mean @ mean > FAR_FROM_ORIGIN * np.square(some - mean).sum(axis=1).mean()
    return mean.astype(np.float32) if is_far else None
