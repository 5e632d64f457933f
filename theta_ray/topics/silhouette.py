"""Rows and their clusters in, how separate the clusters are, out.

Distances are Euclidean; of unit vectors, their squares are 2 - 2 cos.

Shapes: N rows of D values, K clusters, S rows of a sample, R rows of weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer[Any]]
Vectors = npt.NDArray[np.floating[Any]]
BLOCK_ROWS = 1024


def nearest_two(vectors_ND: Vectors, centroids_KD: Vectors) -> tuple[Indices, Values, Values]:
    """[N] nearest centroid of each row, [N] distance to it, [N] to the second nearest; infinite where there is none."""
    label, nearest, second = np.empty(len(vectors_ND), np.int64), *(np.empty(len(vectors_ND)) for _ in range(2))
    origin = centroids_KD.mean(axis=0, dtype=np.float64)  # near it, squares lose no digits
    centred_KD = centroids_KD - origin
    norms_K = (centred_KD**2).sum(axis=1)
    for start in range(0, len(vectors_ND), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        rows = vectors_ND[block] - origin
        squares = norms_K - 2 * rows @ centred_KD.T + (rows**2).sum(axis=1)[:, None]
        label[block] = squares.argmin(axis=1)
        each = np.arange(len(rows)), label[block]
        nearest[block] = np.sqrt(np.maximum(squares[each], 0))
        squares[each] = np.inf
        second[block] = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return label, nearest, second


def simplified_silhouettes(nearest_N: Values, second_N: Values) -> Values:
    """[N] 1 - distance to the nearest centroid / to the second nearest (Hruschka et al. 2004); 0 where both are 0."""
    ratio = np.divide(nearest_N, second_N, out=np.ones_like(nearest_N), where=second_N > 0)
    return np.asarray(1 - ratio)


def silhouettes(vectors_SD: Vectors, label_S: Indices) -> Values:
    """[S] silhouettes (Rousseeuw 1987) among these rows alone; 0 for a row that is a cluster by itself.

    Every distance between two rows, some rows at a time. Fewer than two clusters: NaN.
    """
    clusters, of_S = np.unique(label_S, return_inverse=True)
    if len(clusters) < 2:
        return np.full(len(label_S), np.nan)
    sizes_K = np.bincount(of_S)
    is_in_SK = np.zeros((len(of_S), len(clusters)))
    is_in_SK[np.arange(len(of_S)), of_S] = 1
    rows = vectors_SD - vectors_SD.mean(axis=0, dtype=np.float64)
    norms = (rows**2).sum(axis=1)
    found = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        squares = np.maximum(norms[block, None] - 2 * rows[block] @ rows.T + norms, 0)
        squares[np.arange(len(squares)), start + np.arange(len(squares))] = 0
        sums_bK = np.sqrt(squares) @ is_in_SK
        each = np.arange(len(sums_bK)), of_S[block]
        others = sizes_K[of_S[block]] - 1
        inside = sums_bK[each] / np.maximum(others, 1)
        means_bK = sums_bK / sizes_K
        means_bK[each] = np.inf
        outside = means_bK.min(axis=1)
        most = np.maximum(inside, outside)
        found[block] = np.divide(outside - inside, most, out=np.zeros_like(most), where=(most > 0) & (others > 0))
    return found


def macro_mean(weights_RN: Values, values_N: Values, label_N: Indices) -> Values:
    """[R] mean over clusters of the mean of their rows, so that large clusters count no more than small ones."""
    order = np.argsort(label_N, kind="stable")
    first = np.flatnonzero(np.diff(label_N[order], prepend=-1))
    weights_RK = np.add.reduceat(weights_RN[:, order], first, axis=1)
    sums_RK = np.add.reduceat(weights_RN[:, order] * values_N[order], first, axis=1)
    means_RK = np.divide(sums_RK, weights_RK, out=np.zeros_like(sums_RK), where=weights_RK > 0)
    return np.asarray(means_RK.sum(axis=1) / (weights_RK > 0).sum(axis=1))


def calinski_harabasz(vectors_ND: Vectors, label_N: Indices) -> float:
    """Variance between clusters over variance inside them, each by its degrees of freedom (1974).

    NaN where there are fewer than two clusters, or as many as rows. It tends to the smallest k: for the record only.
    """
    clusters, of_N = np.unique(label_N, return_inverse=True)
    count, k = len(of_N), len(clusters)
    if not 1 < k < count:
        return float("nan")
    rows = vectors_ND.astype(np.float64)
    sums_KD = np.zeros((k, rows.shape[1]))
    np.add.at(sums_KD, of_N, rows)
    sizes_K = np.bincount(of_N)
    means_KD = sums_KD / sizes_K[:, None]
    between = float(sizes_K @ ((means_KD - rows.mean(axis=0)) ** 2).sum(axis=1))
    inside = float(((rows - means_KD[of_N]) ** 2).sum())
    return between / inside * (count - k) / (k - 1) if inside else 1.0
