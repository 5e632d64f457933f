"""Anchors and the clusters of their old vectors in, what becomes of the clusters under a map out.

The old centroids are mapped, and each held-out anchor is assigned once more, by its new vector to the mapped centroids:
how far the two partitions agree says whether clusters, and so topics, are still the same.

Shapes: N anchors, Q of them held out, K clusters, D values before, E values now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.config_cluster import Metric
from theta_ray.config_evaluation import Evaluation
from theta_ray.nightly.map_quality import Judgement, shrunk_means
from theta_ray.nightly.maps import Values, Vectors, map_centroids
from theta_ray.topics.agreement import adjusted_rand_index
from theta_ray.topics.fitted import RADIUS_SHARE
from theta_ray.topics.lloyd import Centroids, squared_norms, unit_vectors
from theta_ray.training.bootstrap import Estimate, estimate

# Of tables of counts, each as large as the square of the number of clusters.
NUM_RESAMPLES = 200
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class MappedClusters:
    """What the anchors say of each cluster, and of all of them."""

    length_K: Values | None
    """How far the mean of a cluster's old vectors reaches along its unit centroid; None: centroids are means."""
    radius_factor: float
    """New radii over old ones, so that the held-out anchors are as often beyond them as the rows of the fit."""
    agreement: Estimate
    """Adjusted Rand index of the held-out anchors' old and new clusters."""
    overlap_K: Values
    num_held_out_K: npt.NDArray[np.int64]
    num_tokens_K: Values
    """Mean tokens of a text, as the new model reads it."""

    def rows(self, size_K: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """Of each cluster, for a manifest."""
        return [
            {
                "cluster_id": k,
                "documents": int(size_K[k]),
                "overlap": round(float(self.overlap_K[k]), 6),
                "num_held_out": int(self.num_held_out_K[k]),
                "tokens_per_text": round(float(self.num_tokens_K[k]), 3),
                "length": None if self.length_K is None else round(float(self.length_K[k]), 9),
            }
            for k in range(len(size_K))
        ]


def map_clusters(
    vectors: tuple[Vectors, Vectors, npt.NDArray[np.int32]],
    centroids: tuple[Vectors, Vectors],
    judgement: Judgement,
    metric: Metric,
    resampling: Evaluation,
) -> MappedClusters:
    """See above.

    Args:
        vectors: [N, D] old and [N, E] new vectors of the anchors, and [N] tokens.
        centroids: [K, D] of the old vectors, and [K] radii.
        judgement: with the map that was chosen.
        metric: of the clustering.
        resampling: of the held-out anchors, for the interval.
    """
    (old, new, num_tokens), (before_KD, radius_K) = vectors, centroids
    spherical, count = metric == "cosine", len(before_KD)
    was_N, _ = assign(old, before_KD, spherical=spherical)
    length_K = None
    if spherical:
        along_N = (old.astype(np.float64) * before_KD[was_N]).sum(axis=1)
        length_K = np.maximum(shrunk_means(along_N, was_N, count), 0)
    mapped_KE, _ = map_centroids(judgement.chosen.map, before_KD, length_K)
    rows = judgement.held_out
    now_Q, distance_Q = assign(new[rows], mapped_KE, spherical=spherical)
    has_radius = radius_K[now_Q] > 0
    growth = distance_Q[has_radius] / radius_K[now_Q][has_radius]
    # tables hold only the clusters that are there; copies in a resample raise agreement by themselves
    of_both = [np.unique(labels, return_inverse=True)[1] for labels in (was_N[rows], now_Q)]
    few = resampling.model_copy(update={"num_resamples": NUM_RESAMPLES})
    agreement = estimate(adjusted_rand_index, of_both, few, is_biased=True)
    return MappedClusters(
        length_K,
        float(np.quantile(growth, RADIUS_SHARE)) if len(growth) else 1.0,
        agreement,
        shrunk_means(judgement.chosen.overlap_Q, was_N[rows], count),
        np.bincount(was_N[rows], minlength=count),
        shrunk_means(num_tokens.astype(np.float64), was_N, count),
    )


def assign(vectors_ND: Vectors, centroids_KD: Vectors, *, spherical: bool) -> tuple[Labels, Vectors]:
    """[N] nearest centroids as stage `cluster` finds them, and distances: 1 - cosine, or Euclidean."""
    rows = unit_vectors(vectors_ND) if spherical else np.ascontiguousarray(vectors_ND, np.float32)
    prepared = Centroids(centroids_KD, spherical)
    nearest = prepared.nearest(rows)
    squared = prepared.squared_distances(squared_norms(rows), nearest.score)
    return nearest.label, np.asarray(squared / 2 if spherical else np.sqrt(squared), np.float32)
