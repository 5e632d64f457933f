"""What evaluation says of vectors and of queries: statistics over weighted queries, and the geometry of a cloud.

A weight says how often a query counts; bootstrap.py gives the weights of resamples, ones give the plain statistic.
Shapes: N queries or texts, R rows of weights, D values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
UNIFORMITY_T = 2.0
BLOCK_ROWS = 256


def weighted_mean(weights_RN: Values, values_N: npt.NDArray[np.generic]) -> Values:
    """[R] means."""
    return np.asarray(weights_RN @ values_N.astype(np.float64) / weights_RN.sum(axis=1))


def recall_at(k: int, weights_RN: Values, rank_N: Values) -> Values:
    """[R] shares of the queries whose positive is among the first k."""
    return weighted_mean(weights_RN, rank_N <= k)


def mean_reciprocal_rank(weights_RN: Values, rank_N: Values) -> Values:
    """[R] means of 1 / rank."""
    return weighted_mean(weights_RN, 1 / rank_N)


def spearman(weights_RN: Values, left_N: Values, right_N: Values) -> Values:
    """[R] correlations of ranks, ties having their mean rank; NaN where one side is constant."""
    return _pearson(weights_RN, weighted_ranks(weights_RN, left_N), weighted_ranks(weights_RN, right_N))


def weighted_ranks(weights_RN: Values, values_N: Values) -> Values:
    """[R, N] mean ranks, from 1, of each value among values that are there as often as their weight says."""
    if not len(values_N):
        return weights_RN
    order_N = np.argsort(values_N, kind="stable")
    _, first_G, group_N = np.unique(values_N[order_N], return_index=True, return_inverse=True)
    of_group_RG = np.add.reduceat(weights_RN[:, order_N], first_G, axis=1)
    before_RG = np.cumsum(of_group_RG, axis=1) - of_group_RG
    ranks_RN = np.empty_like(weights_RN)
    ranks_RN[:, order_N] = (before_RG + (of_group_RG + 1) / 2)[:, group_N]
    return ranks_RN


def _pearson(weights_RN: Values, left_RN: Values, right_RN: Values) -> Values:
    total_R1 = weights_RN.sum(axis=1, keepdims=True)
    left_RN, right_RN = (x - (weights_RN * x).sum(axis=1, keepdims=True) / total_R1 for x in (left_RN, right_RN))
    together = (weights_RN * left_RN * right_RN).sum(axis=1)
    apart = np.sqrt((weights_RN * left_RN**2).sum(axis=1) * (weights_RN * right_RN**2).sum(axis=1))
    correlation: Values = np.divide(together, apart, out=np.full(len(apart), np.nan), where=apart > 0)
    return correlation


def normalized_mutual_information(
    weights_RN: Values, label_N: npt.NDArray[np.generic], cluster_N: npt.NDArray[np.generic]
) -> Values:
    """[R] mutual information over the arithmetic mean of both entropies; 1 where both are constant.

    Equals scikit-learn's `normalized_mutual_info_score` of the queries repeated as often as they weigh.
    """
    found = np.empty(len(weights_RN))
    for row, joint in enumerate(contingency_tables(weights_RN, label_N, cluster_N)):
        of_label, of_cluster = entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0))
        mutual = of_label + of_cluster - entropy(joint.ravel())
        found[row] = max(0.0, mutual) / ((of_label + of_cluster) / 2) if of_label + of_cluster > 1e-12 else 1.0
    return found


def contingency_tables(
    weights_RN: Values, label_N: npt.NDArray[np.generic], cluster_N: npt.NDArray[np.generic]
) -> Iterator[Values]:
    """For each row of weights: [labels, clusters] sums of the weights of the queries with both."""
    labels, label_number_N = np.unique(label_N, return_inverse=True)
    clusters, cluster_number_N = np.unique(cluster_N, return_inverse=True)
    shape = len(labels), len(clusters)
    cell_N = label_number_N * shape[1] + cluster_number_N
    for weights_N in weights_RN:
        counts = np.bincount(cell_N, weights=weights_N, minlength=shape[0] * shape[1])
        yield counts.astype(np.float64, copy=False).reshape(shape)


def entropy(counts: npt.NDArray[Any]) -> float:
    """Of the shares that counts are, in nats."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def squared_distances(left_ND: Values, right_ND: Values) -> Values:
    """[N] squared distances of pairs; their mean is the alignment of Wang and Isola (2020), eq. 1, alpha 2."""
    return np.asarray(((left_ND - right_ND) ** 2).sum(axis=1))


def uniformity(vectors_ND: Values) -> float:
    """Log of the mean of exp(-2 x squared distance) over all pairs of texts (Wang and Isola 2020, eq. 2, t 2).

    Between -4 (far apart, for many values) and 0 (all the same); NaN for fewer than two texts.
    """
    count, total = len(vectors_ND), 0.0
    if count < 2:
        return float("nan")
    norms_N = (vectors_ND**2).sum(axis=1)
    for start in range(0, count, BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        far = norms_N[rows, None] + norms_N - 2 * vectors_ND[rows] @ vectors_ND.T
        near = np.exp(-UNIFORMITY_T * np.maximum(far, 0))
        total += float(near.sum() - np.diagonal(near, offset=start).sum())
    return float(np.log(total / (count * (count - 1))))


def effective_rank(vectors_ND: Values) -> float:
    """Exponential of the entropy of the singular values, each over their sum (Roy and Vetterli 2007, eq. 3).

    From 1, where all vectors lie on one line, to min(N, D).
    """
    singular = np.linalg.svd(vectors_ND, compute_uv=False)
    return float(np.exp(entropy(singular))) if singular.sum() > 0 else 0.0


def mean_cosine(vectors_ND: Values) -> float:
    """Mean cosine over all pairs of distinct rows, which must be unit vectors; NaN for fewer than two."""
    count = len(vectors_ND)
    total_D = vectors_ND.sum(axis=0)
    own = float((vectors_ND**2).sum())
    return float((total_D @ total_D - own) / (count * (count - 1))) if count > 1 else float("nan")
