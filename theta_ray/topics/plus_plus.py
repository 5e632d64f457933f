"""Rows chosen far from those chosen before: k-means++ and the candidates of k-means||.

Both choose at random with a chance in proportion to the squared distance from the nearest chosen row.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from theta_ray.topics.lloyd import Centroids, Int64, Vectors, squared_norms

Doubles = npt.NDArray[np.float64]
# Of k-means||; each round adds about twice as many candidates as clusters are wanted.
ROUNDS = 4
OVERSAMPLING = 2


def plus_plus(rows: Vectors, weight: Doubles, k: int, seed: int) -> Int64:
    """Places of k rows, chosen by greedy k-means++: each time the best of 2 + ln k candidates.

    Args:
        rows: [N, D].
        weight: [N], not all 0.
        k: how many; fewer come back where all other rows are copies of chosen ones.
        seed: of all chances.
    """
    generator = np.random.default_rng(seed)
    norms = squared_norms(rows)
    chosen = [int(_drawn(weight, 1, generator)[0])]
    nearest = _distances(rows, norms, rows[chosen])[0]
    num_candidates = 2 + int(math.log(k))
    while len(chosen) < min(k, len(rows)):
        chance = nearest * weight
        if chance.max() <= 0:
            break
        candidates = _drawn(chance, num_candidates, generator)
        distances = np.minimum(nearest, _distances(rows, norms, rows[candidates]))
        best = int((distances @ weight).argmin())
        chosen.append(int(candidates[best]))
        nearest = distances[best]
        nearest[chosen[-1]] = 0
    return np.array(chosen)


def parallel_candidates(rows: Vectors, k: int, seed: int) -> Int64:
    """Places of the candidates of k-means||, about 8 k of the rows [N, D], ascending."""
    generator = np.random.default_rng(seed)
    norms = squared_norms(rows)
    chosen = generator.integers(0, len(rows), 1)
    nearest = _distances(rows, norms, rows[chosen])[0]
    nearest[chosen] = 0
    for _ in range(ROUNDS):
        if nearest.max() <= 0:
            break
        drawn = np.flatnonzero(generator.random(len(rows)) * nearest.sum() < OVERSAMPLING * k * nearest)
        if not len(drawn):
            continue
        found = Centroids(rows[drawn])
        nearest = np.minimum(nearest, found.squared_distances(norms, found.nearest(rows).score))
        nearest[drawn] = 0
        chosen = np.append(chosen, drawn)
    return np.unique(chosen)


def _drawn(chance: Doubles, count: int, generator: np.random.Generator) -> Int64:
    upto = chance.cumsum(dtype=np.float64)
    places = np.searchsorted(upto, generator.random(count) * upto[-1], "right")
    return np.asarray(np.minimum(places, len(chance) - 1), np.int64)


def _distances(rows: Vectors, norms: Vectors, chosen: Vectors) -> Vectors:
    """[chosen, N] squared distances."""
    distances = norms + squared_norms(chosen)[:, None] - 2 * np.dot(chosen, rows.T)
    return np.asarray(np.maximum(distances, 0), np.float32)
