"""The first centroids of a fit.

ward        over-seed and merge: several random rows for each wanted cluster, a few Lloyd steps, then Ward's merging of
            centroids down to k. Every cluster has a seed at first, and merging is the step that Lloyd cannot do.
            Beyond `MAX_AT_ONCE` clusters in two levels: within few wide clusters first, then all together.
k-means++   greedy, as in scikit-learn (Arthur and Vassilvitskii, SODA 2007), on a sample.
k-means||   candidates in a few rounds, k of them chosen by k-means++ (Bahmani et al., VLDB 2012), on a sample.
random      rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.topics.lloyd import Centroids, Int64, Vectors, unit_vectors
from theta_ray.topics.plus_plus import parallel_candidates, plus_plus
from theta_ray.topics.rows import RowStore, hold
from theta_ray.topics.ward import Merges, cut, merges, together
from theta_ray.topics.worker import Worker
from theta_ray.topics.workers import Data, LocalWorkers

# Seeds for each wanted cluster, and rows for each seed.
SEEDS_PER_CLUSTER = 8
ROWS_PER_SEED = 10
STEPS = 3
# Above, two levels cost half as much and end 0.2 % lower; below, borders of wide clusters cut too much.
MAX_AT_ONCE = 299
# Of two levels, the most that are merged across the borders of wide clusters: 1.6 GB of costs.
MAX_MERGED = 20_000
# Of two levels: rows for each cluster that one process draws, fewer beyond the first million, and for each seed.
ROWS_HERE, MANY_ROWS, FEWER_ROWS = 80, 1_000_000, 20
ROWS_PER_SEED_HERE = 8
# Rows for each cluster that k-means++ and k-means|| draw.
ROWS_PER_CLUSTER = 40


@dataclass
class Seeds:
    """Centroids to start from, and how they were chosen."""

    centroids: Vectors
    """[at most k, D]."""
    record: dict[str, Any]


def over_seed(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """Many random rows, a few Lloyd steps, and the centroids merged to k by Ward's method.

    Alive: K' x K' merge costs in float32 and K' x D centroids, for K' = 8 k seeds.
    """
    if k > MAX_AT_ONCE:
        return two_levels(data, k, seed, spherical=spherical)
    means, weight, record = _spread(data, SEEDS_PER_CLUSTER * k, seed, spherical=spherical)
    cluster = cut(merges(means, weight), len(means), min(k, len(means)))
    merged = weighted_means(means, cluster, weight)
    return Seeds(unit_vectors(merged) if spherical else merged, {"method": "ward", **record})


def two_levels(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """Over-seeding within about the root of k wide clusters, whose cheapest merges leave 2 k; these are merged to k.

    How many each wide cluster keeps follows from the costs of merging.
    Alive: 80 k rows, and the costs of 2 k centroids or of the widest cluster's seeds.
    """
    wide = over_seed(data, math.isqrt(k), seed, spherical=spherical)
    rows = data.sample(min(ROWS_HERE * k, MANY_ROWS + FEWER_ROWS * k), seed)
    label = Centroids(wide.centroids, spherical).nearest(rows).label
    parts = [
        _spread(_here(own, seed, spherical), math.ceil(len(own) / ROWS_PER_SEED_HERE), seed, spherical=spherical)
        for own in (rows[label == cluster] for cluster in range(len(wide.centroids)))
        if len(own)
    ]
    means, weight = (np.concatenate([part[column] for part in parts]) for column in (0, 1))
    record = {"method": "ward, two levels", "seed": seed, "share": data.share(len(rows)), "wide": wide.record}
    record |= {"num_seeds": len(means)}
    means, weight = _merged(
        means, weight, together([merges(*part[:2]) for part in parts]), max(k, min(2 * k, MAX_MERGED))
    )
    if len(means) <= MAX_MERGED:  # what lies across the borders of wide clusters
        means, weight = _merged(means, weight, merges(means, weight), k)
    return Seeds(unit_vectors(means) if spherical else means, record)


def _merged(means: Vectors, weight: Int64, merged: Merges, k: int) -> tuple[Vectors, Int64]:
    """[k, D] means and [k] weights after the cheapest merges."""
    cluster = cut(merged, len(means), min(k, len(means)))
    return weighted_means(means, cluster, weight), np.bincount(cluster, weight).astype(np.int64)


def _spread(data: Data, count: int, seed: int, *, spherical: bool) -> tuple[Vectors, Int64, dict[str, Any]]:
    """Means [K', D] and weights [K'] of the clusters that random rows have after a few steps."""
    means = _different(data.sample(count, seed, ROWS_PER_SEED))
    share = data.share(ROWS_PER_SEED * len(means))
    record = {"seed": seed, "num_seeds": len(means), "share": share}
    for _ in range(STEPS):
        sums = data.step(unit_vectors(means) if spherical else means, share)
        used = sums.weight > 0
        weight, means = sums.weight[used], sums.means(data.grid)[used].astype(np.float32)
    return means, weight, {**record, "num_merged": len(means)}


def _different(rows: Vectors) -> Vectors:
    """Rows without repeats, in their order: of two equal centroids rounding would choose, on some processors."""
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def _here(rows: Vectors, seed: int, spherical: bool) -> Data:
    """Some rows as all there is."""
    held = hold("some", rows, seed, normalise=False)
    return Data.of(LocalWorkers([Worker(RowStore([held.name], lambda _: held), spherical)]))


def random_rows(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """Random rows."""
    del spherical  # rows of such data are unit vectors already
    rows = data.sample(k, seed, ROWS_PER_CLUSTER)
    return Seeds(rows, {"method": "random", "seed": seed, "share": data.share(ROWS_PER_CLUSTER * k)})


def greedy(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """Greedy k-means++ on 40 k rows."""
    del spherical
    rows = data.sample(ROWS_PER_CLUSTER * k, seed)
    chosen = plus_plus(rows, np.ones(len(rows)), k, seed)
    return Seeds(rows[chosen], {"method": "k-means++", "seed": seed, "share": data.share(ROWS_PER_CLUSTER * k)})


def scalable(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """k-means|| on 40 k rows."""
    del spherical
    rows = data.sample(ROWS_PER_CLUSTER * k, seed)
    candidates = rows[parallel_candidates(rows, k, seed)]
    weight = np.bincount(Centroids(candidates).nearest(rows).label, minlength=len(candidates))
    chosen = plus_plus(candidates, weight.astype(np.float64), k, seed)
    record = {"method": "k-means||", "seed": seed, "share": data.share(len(rows)), "num_candidates": len(candidates)}
    return Seeds(candidates[chosen], record)


def weighted_means(rows: Vectors, cluster: Int64, weight: npt.NDArray[np.integer]) -> Vectors:
    """[clusters, D] weighted means of rows [N, D]; every cluster has rows."""
    sums = np.zeros((cluster.max() + 1, rows.shape[1]))
    np.add.at(sums, cluster, rows * weight[:, None].astype(np.float64))
    return np.asarray(sums / np.bincount(cluster, weight)[:, None], np.float32)


SEEDINGS: dict[str, Callable[..., Seeds]] = {
    "ward": over_seed,
    "k-means++": greedy,
    "k-means||": scalable,
    "random": random_rows,
}
