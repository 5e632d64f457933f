"""Many tests at once: which p-values are more than chance, at a share of false discoveries that is stated.

Benjamini and Hochberg, JRSS B 57 (1995), 289.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def largest_candidate(false_discovery_rate: float, num_edges: int, num_tests: int) -> float:
    """The largest p-value that `benjamini_hochberg` can keep where no more than `num_edges` tests have one below 1."""
    return false_discovery_rate * min(1.0, num_edges / max(num_tests, 1))


def benjamini_hochberg(p_values: Doubles, num_tests: int, false_discovery_rate: float) -> float:
    """The largest p-value that is kept, so that at most this share of what is kept is expected to be chance.

    The largest p_(k) with p_(k) <= k rate / num_tests.

    Args:
        p_values: of the edges in any order; those above `largest_candidate` may be left out.
        num_tests: of all pairs; the p-values that are not given are not below those that are.
        false_discovery_rate: such as 0.05.

    Returns:
        Edges with this p-value or less are kept; 0 where none is (or only those of 0).
    """
    in_order = np.sort(p_values)
    bound = np.arange(1, len(in_order) + 1) * (false_discovery_rate / max(num_tests, 1))
    kept = np.flatnonzero(in_order <= bound)
    return float(in_order[kept[-1]]) if len(kept) else 0.0


def q_values(p_values: Doubles) -> Doubles:
    """The smallest false discovery rate at which each would be found, in the order given."""
    size = len(p_values)
    order = np.argsort(-p_values, kind="stable")
    found = np.empty(size)
    found[order] = np.minimum.accumulate(p_values[order] * size / np.arange(size, 0, -1))
    return found
