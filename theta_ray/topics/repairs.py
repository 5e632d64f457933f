"""Repairs between two steps of a fit: clusters without rows, and clusters with too many.

Each repair follows from sums and distances that are the same on any number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.topics.lloyd import Int64, Vectors
from theta_ray.topics.worker import Far
from theta_ray.topics.workers import Data

Event = dict[str, Any]
# How far apart the halves of a giant begin, as a share of the way to its farthest row (Linde, Buzo and Gray 1980).
SPLIT = 0.1
# Squared distances below this share of the longest row's square are rounding.
ROUNDING = 1e-6


@dataclass
class Clusters:
    """K clusters after a step."""

    before: Vectors
    """[K, D] centroids to which the rows were assigned."""
    after: Vectors
    """[K, D] centroids that have moved; repairs change them."""
    weight: Int64
    """[K]."""
    sse: npt.NDArray[np.float64]
    """[K]."""


def refill_empty(data: Data, share: float, clusters: Clusters) -> list[Event]:
    """Empty clusters start again at the farthest rows of the cluster with the largest sum of squared distances."""
    empty = np.flatnonzero(clusters.weight == 0)
    if not len(empty):
        return []
    largest = int(clusters.sse.argmax())
    far = data.farthest(clusters.before, share, largest, len(empty))
    chosen = _different(far, ROUNDING * data.facts.max_norm**2)
    events = []
    for cluster, row in zip(empty.tolist(), chosen, strict=False):
        clusters.after[cluster] = far.vectors[row]
        events.append(
            {"event": "empty", "cluster": cluster, "from": largest, "file": far.name[row], "row": far.place[row]}
        )
    return events


def drop_empty(clusters: Clusters) -> list[Event]:
    """Empty clusters are left away; those after them move up."""
    kept = clusters.weight > 0
    for name, values in vars(clusters).items():
        setattr(clusters, name, values[kept])
    return [{"event": "dropped", "cluster": cluster} for cluster in np.flatnonzero(~kept).tolist()]


def cut_giant(data: Data, share: float, clusters: Clusters, max_share: float) -> list[Event]:
    """The largest cluster, if it has more than its share, is cut in two; the smallest one gives its place."""
    giant, smallest = int(clusters.weight.argmax()), int(clusters.weight.argmin())
    if giant == smallest or clusters.weight[giant] <= max_share * clusters.weight.sum():
        return []
    far = data.farthest(clusters.before, share, giant, 1)
    if not len(_different(far, ROUNDING * data.facts.max_norm**2)):
        return []
    centroid = clusters.after[giant]
    half = SPLIT * (far.vectors[0] - centroid)
    clusters.after[giant], clusters.after[smallest] = centroid - half, centroid + half
    where = {"from": smallest, "file": far.name[0], "row": far.place[0]}
    return [{"event": "giant", "cluster": giant, **where}]


def _different(far: Far, above: float) -> list[int]:
    """The rows that are farther than rounding, each vector once."""
    seen, chosen = set(), []
    for row, vector in enumerate(far.vectors):
        key = vector.tobytes()
        if far.squared_distance[row] > above and key not in seen:
            seen.add(key)
            chosen.append(row)
    return chosen
