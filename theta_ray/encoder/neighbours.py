"""Vectors in, nearest neighbours out, by exact cosine: for a look at whether embeddings mean something."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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
        [Q, k] row numbers, closest first, and their cosines; minus infinity where too few are left.
    """
    wide = vectors_ND.astype(np.float32)
    wide /= np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    _, first_of_group = np.unique(groups_N, return_index=True)
    cosines_QG = wide[query_Q] @ wide[first_of_group].T
    cosines_QG[groups_N[query_Q][:, None] == groups_N[first_of_group][None, :]] = -np.inf
    cosines_QG[cosines_QG >= below] = -np.inf
    order_QK = np.argsort(-cosines_QG, axis=1, kind="stable")[:, :num_neighbours]
    return first_of_group[order_QK], np.take_along_axis(cosines_QG, order_QK, axis=1)
