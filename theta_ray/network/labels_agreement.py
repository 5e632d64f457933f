"""How far two partitions of the same nodes agree, where both may have very many communities.

The same statistics as in topics/agreement.py, from the cells of the table of counts that are not empty: a graph has
thousands of small communities, and a full table of them does not fit into memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.training.metrics import entropy

Labels = NDArray[np.integer]


class Agreement(NamedTuple):
    """Of two partitions; 1 where they are the same."""

    nmi: float
    """Mutual information over the arithmetic mean of both entropies."""
    ari: float
    """Adjusted Rand index (Hubert and Arabie 1985)."""


def agreement(left: Labels, right: Labels) -> Agreement:
    """How far labels [nodes] agree with other labels [nodes], all of them at least 0; 24 bytes a node.

    Raises:
        ValueError: there are no nodes.
    """
    if not len(left):
        raise ValueError("no nodes: partitions of nothing neither agree nor disagree")
    cells = left.astype(np.int64) * (int(right.max()) + 1) + right
    cells.sort()
    ends = np.flatnonzero(np.diff(cells, append=-1)) + 1
    table = np.diff(ends, prepend=0).astype(np.float64)
    sides = [np.bincount(side).astype(np.float64) for side in (left, right)]
    return Agreement(_normalized_mutual(table, *sides), _adjusted_rand(table, *sides))


def _normalized_mutual(table: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    of_both = entropy(left) + entropy(right)
    return max(0.0, of_both - entropy(table)) / (of_both / 2) if of_both > 1e-12 else 1.0


def _adjusted_rand(table: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    both, of_left, of_right = (float((counts * (counts - 1)).sum()) / 2 for counts in (table, left, right))
    if both == of_left == of_right:
        return 1.0  # the partitions are the same
    total = float(table.sum())
    by_chance = of_left * of_right / (total * (total - 1) / 2)
    return (both - by_chance) / ((of_left + of_right) / 2 - by_chance)
