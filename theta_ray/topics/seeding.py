"""The first centroids of a fit.

ward        over-seed and merge: several random rows for each wanted cluster, a few Lloyd steps, then Ward's merging of
            centroids down to k. Every cluster has a seed at first, and merging is the step that Lloyd cannot do.
k-means++   Arthur and Vassilvitskii (SODA 2007), greedy as in scikit-learn, on a sample.
k-means||   Bahmani et al. (VLDB 2012), on a sample, its candidates chosen from by k-means++.
random      rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.topics.lloyd import Int64, Vectors, unit_vectors
from theta_ray.topics.ward import cut, merges
from theta_ray.topics.workers import Data

# Seeds for each wanted cluster, and at most; rows for each seed.
SEEDS_PER_CLUSTER = 8
MAX_SEEDS = 20_000
ROWS_PER_SEED = 10
STEPS = 3


@dataclass
class Seeds:
    """Centroids to start from, and how they were chosen."""

    centroids: Vectors
    """[at most k, D]."""
    record: dict[str, Any]


def over_seed(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """Many random rows, a few Lloyd steps, and the centroids merged to k by Ward's method.

    Alive: K' x K' merge costs in float32 and K' x D centroids, K' = min(8 k, 20,000) seeds.
    """
    means = data.sample(min(SEEDS_PER_CLUSTER * k, MAX_SEEDS), seed)
    record = {"method": "ward", "seed": seed, "num_seeds": len(means)}
    share = data.share(ROWS_PER_SEED * len(means))
    for _ in range(STEPS):
        sums = data.step(unit_vectors(means) if spherical else means, share)
        used = sums.weight > 0
        weight, means = sums.weight[used], sums.means(data.grid)[used].astype(np.float32)
    cluster = cut(merges(means, weight), min(k, len(means)))
    merged = weighted_means(means, cluster, weight)
    record |= {"share": share, "num_merged": len(means)}
    return Seeds(unit_vectors(merged) if spherical else merged, record)


def weighted_means(rows: Vectors, cluster: Int64, weight: npt.NDArray[np.integer]) -> Vectors:
    """[clusters, D] weighted means of rows [N, D]; every cluster has rows."""
    sums = np.zeros((cluster.max() + 1, rows.shape[1]))
    np.add.at(sums, cluster, rows * weight[:, None].astype(np.float64))
    return np.asarray(sums / np.bincount(cluster, weight)[:, None], np.float32)


def random_rows(data: Data, k: int, seed: int, *, spherical: bool) -> Seeds:
    """Random rows."""
    del spherical  # rows of such data are unit vectors already
    return Seeds(data.sample(k, seed), {"method": "random", "seed": seed, "share": data.share(k)})


SEEDINGS: dict[str, Callable[..., Seeds]] = {"ward": over_seed, "random": random_rows}
