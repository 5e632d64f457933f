"""Vectors of labelled texts in, how well labels are their neighbours' labels, or their clusters, out.

Shapes: T texts of D values, L labelled ones, q of them in a slice, N vectors, K clusters.
"""

from __future__ import annotations

import numpy as np

from theta_ray.training.retrieval import BLOCK_ROWS, TIE, Indices, Values

NUM_STARTS, MAX_ROUNDS = 5, 100


def nearest_labels(vectors_TD: Values, labelled: tuple[Indices, Indices], count: int, queries: slice) -> Values:
    """Whether the nearest labelled texts of some labelled texts vote for their label; each vote counts the same.

    Labels with equally many votes are decided by the nearest text of them. A text never votes on itself.

    Returns:
        [q] 1 or 0.
    """
    text_L, label_L = labelled
    wanted = np.arange(len(text_L))[queries]
    right = np.empty(len(wanted))
    for start in range(0, len(wanted), BLOCK_ROWS):
        block = wanted[start : start + BLOCK_ROWS]
        cosines = vectors_TD[text_L[block]] @ vectors_TD[text_L].T
        cosines[text_L[block][:, None] == text_L] = -np.inf
        cosines = np.round(cosines, 6)
        last_q = np.partition(cosines, -min(count, len(text_L)), axis=1)[:, -min(count, len(text_L))]
        for row, query in enumerate(block):
            near = np.flatnonzero((cosines[row] >= last_q[row]) & (cosines[row] > -np.inf))
            votes = label_L[near[np.argsort(-cosines[row, near], kind="stable")[:count]]]
            right[start + row] = _majority(votes) == label_L[query] if len(votes) else 0.0
    return right


def _majority(votes: Indices) -> int:
    """The most frequent of some labels, the one that comes first where several are."""
    labels, first, counts = np.unique(votes, return_index=True, return_counts=True)
    return int(labels[np.lexsort((first, -counts))[0]])


def spherical_k_means(vectors_ND: Values, num_clusters: int, seed: int) -> Indices:
    """[N] clusters of unit vectors by cosine: Lloyd's algorithm with centroids of length 1 (Dhillon and Modha 2001).

    Centroids begin as k-means++ draws them (Arthur and Vassilvitskii 2007); of several starts the best sum of
    cosines counts. A cluster that loses all its texts stays where it was.
    """
    generator = np.random.default_rng(seed)
    best, clusters = -np.inf, np.zeros(len(vectors_ND), np.int64)
    for _ in range(NUM_STARTS):
        centroids_KD = _spread_out(vectors_ND, num_clusters, generator)
        before = None
        for _ in range(MAX_ROUNDS):
            cosines_NK = vectors_ND @ centroids_KD.T
            mine_N = cosines_NK.argmax(axis=1)
            if before is not None and (mine_N == before).all():
                break
            before = mine_N
            sums_KD = np.zeros_like(centroids_KD)
            np.add.at(sums_KD, mine_N, vectors_ND)
            norms_K1 = np.linalg.norm(sums_KD, axis=1, keepdims=True)
            centroids_KD = np.where(norms_K1 > 0, sums_KD / np.maximum(norms_K1, 1e-12), centroids_KD)
        total = float(cosines_NK.max(axis=1).sum())
        if total > best + TIE:
            best, clusters = total, mine_N
    return clusters


def _spread_out(vectors_ND: Values, num_clusters: int, generator: np.random.Generator) -> Values:
    """K rows, each drawn with a probability that grows with its squared distance to those drawn before."""
    chosen = [int(generator.integers(len(vectors_ND)))]
    far_N = np.full(len(vectors_ND), np.inf)
    while len(chosen) < num_clusters:
        far_N = np.minimum(far_N, np.maximum(2 - 2 * vectors_ND @ vectors_ND[chosen[-1]], 0))
        total = far_N.sum()
        p = far_N / total if total > 0 else None
        chosen.append(int(generator.choice(len(vectors_ND), p=p)))
    return vectors_ND[chosen]
