"""Vectors in, nearest neighbours out, by exact cosine; and how many of them another form of the vectors keeps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

NUM_NEAREST = 10
# Drawn from a shard, evenly spaced: cheap beside its forward pass, and few texts more would change little.
MAX_TEXTS, MAX_QUERIES, MIN_TEXTS = 1024, 64, 32
# Cosines this close are equal: what the order of a sum in float32 may change.
ROUNDING = 1e-6


class Recall(NamedTuple):
    """How many of the nearest neighbours of some texts are still among them in another form of the vectors."""

    hits: int = 0
    queries: int = 0
    texts: int = 0

    @property
    def at_10(self) -> float | None:
        """Share of the 10 nearest neighbours that are kept; None where too few texts were there to tell."""
        return round(self.hits / (NUM_NEAREST * self.queries), 4) if self.queries else None


def evenly_spaced(num_rows: int, count: int) -> npt.NDArray[np.int64]:
    """At most `count` of `num_rows` row numbers, evenly spaced, ascending, beginning with 0."""
    count = min(num_rows, count)
    return np.arange(count, dtype=np.int64) * num_rows // max(1, count)


def measure_recall(exact_ND: npt.NDArray[Any], other_NE: npt.NDArray[Any], *, max_queries: int = MAX_QUERIES) -> Recall:
    """Recall@10 of another form of the same N texts' vectors: narrower, quantised, or of fewer layers.

    Up to `max_queries` evenly spaced texts are queries among all N. A neighbour in the other form is a hit where
    its exact cosine is not below that of the tenth exact neighbour, so that texts which tie there are
    equally right. Texts that tie in the other form (binary vectors often do) come in their order, which
    knows nothing of the exact one. Nothing is measured below 32 texts.
    """
    num_texts = len(exact_ND)
    if num_texts < MIN_TEXTS:
        return Recall()
    query_Q = evenly_spaced(num_texts, max_queries)
    exact_QN = cosines_to_all(exact_ND, query_Q)
    exact_QN[np.arange(len(query_Q)), query_Q] = -np.inf
    tenth_Q1 = np.partition(exact_QN, num_texts - NUM_NEAREST, axis=1)[:, [num_texts - NUM_NEAREST]]
    found_QK, _ = nearest_neighbours(other_NE, query_Q, np.arange(num_texts), num_neighbours=NUM_NEAREST)
    hits = np.take_along_axis(exact_QN, found_QK, axis=1) >= tenth_Q1 - ROUNDING
    return Recall(int(hits.sum()), len(query_Q), num_texts)


def cosines_to_all(vectors_ND: npt.NDArray[Any], query_Q: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """[Q, N] cosines of some rows with all rows; a zero row has cosine 0."""
    wide_ND = vectors_ND.astype(np.float32)
    norms_N = np.maximum(np.linalg.norm(wide_ND, axis=1), 1e-12)
    # divided afterwards: products of signs are whole numbers, and equal distances stay equal
    cosines: npt.NDArray[np.float32] = wide_ND[query_Q] @ wide_ND.T / norms_N[query_Q][:, None] / norms_N
    return cosines


def nearest_neighbours(
    vectors_ND: npt.NDArray[Any],
    query_Q: npt.NDArray[np.int64],
    groups_N: npt.NDArray[Any],
    *,
    num_neighbours: int,
    below: float = np.inf,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The closest rows of other groups for some query rows.

    Args:
        vectors_ND: N vectors.
        query_Q: rows to find neighbours of.
        groups_N: rows of one group (copies of a text) count once and never as each other's neighbour.
        num_neighbours: k; needs more than k groups.
        below: rows this close or closer are left out as near-copies.

    Returns:
        [Q, k] row numbers, closest first, equally close ones in their order, and their cosines; minus
        infinity where too few are left.
    """
    _, first_of_group = np.unique(groups_N, return_index=True)
    cosines_QG = cosines_to_all(vectors_ND, query_Q)[:, first_of_group]
    cosines_QG[groups_N[query_Q][:, None] == groups_N[first_of_group][None, :]] = -np.inf
    cosines_QG[cosines_QG >= below] = -np.inf
    order_QK = np.argsort(-cosines_QG, axis=1, kind="stable")[:, :num_neighbours]
    return first_of_group[order_QK], np.take_along_axis(cosines_QG, order_QK, axis=1)
