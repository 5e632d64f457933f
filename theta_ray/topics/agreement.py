"""How far two partitions of the same documents agree, or several people, or a share of right answers with a truth.

Statistics of partitions take rows of weights, as those of training/metrics.py do, where the normalized mutual
information is: a weight says how often a document counts, so the same functions serve tables of counts and resamples.

Shapes: N documents (or cells of a table of counts), R rows of weights, L labels, K clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, ndtri

from theta_ray.training.metrics import contingency_tables, entropy, normalized_mutual_information

Values = npt.NDArray[np.float64]
Labels = npt.NDArray[np.generic]
CELLS_AT_ONCE = 2**15


def adjusted_rand_index(weights_RN: Values, label_N: Labels, cluster_N: Labels) -> Values:
    """[R] share of pairs of documents that both partitions treat alike, chance taken off (Hubert and Arabie 1985)."""
    return _of_tables(_adjusted_rand, weights_RN, label_N, cluster_N)


def adjusted_mutual_information(weights_RN: Values, label_N: Labels, cluster_N: Labels) -> Values:
    """[R] mutual information less its mean over all tables with the same margins, over the most it could be.

    Vinh et al. (2010), with the arithmetic mean of both entropies. Weights are whole numbers.
    """
    return _of_tables(_adjusted_mutual, weights_RN, label_N, cluster_N)


def v_measure(weights_RN: Values, label_N: Labels, cluster_N: Labels, beta: float = 1.0) -> Values:
    """[R] weighted harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007).

    With beta 1 it is the normalized mutual information.
    """
    if beta == 1:
        return normalized_mutual_information(weights_RN, label_N, cluster_N)
    h, c = homogeneity(weights_RN, label_N, cluster_N), homogeneity(weights_RN, cluster_N, label_N)
    found: Values = np.divide((1 + beta) * h * c, beta * h + c, out=np.zeros_like(h), where=h + c > 0)
    return found


def homogeneity(weights_RN: Values, label_N: Labels, cluster_N: Labels) -> Values:
    """[R] share of the labels' entropy that clusters explain; the other way round it is completeness."""
    return _of_tables(_homogeneity, weights_RN, label_N, cluster_N)


def wilson_interval(num_right: float, num_answers: float, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); from 0 to 1 where there is no answer."""
    if num_answers <= 0:
        return 0.0, 1.0
    z = float(ndtri((1 + confidence) / 2))
    share, spread = num_right / num_answers, z**2 / num_answers
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / num_answers + spread / num_answers / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def krippendorff_alpha(answers: Sequence[Sequence[Hashable | None]]) -> float:
    """Agreement on categories beyond chance (Krippendorff 2019, section 12.3): 1 is perfect, 0 is chance.

    Args:
        answers: for each item, what each person said; None: nothing. Items with fewer than two answers say nothing.

    Returns:
        Alpha; NaN where no item has two answers, or all answers are the same.
    """
    units = [[answer for answer in item if answer is not None] for item in answers]
    units = [unit for unit in units if len(unit) > 1]
    values = {value: place for place, value in enumerate(dict.fromkeys(v for unit in units for v in unit))}
    coincidences = np.zeros((len(values), len(values)))
    for unit in units:
        counts = np.bincount([values[value] for value in unit], minlength=len(values))
        coincidences += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = coincidences.sum(axis=0)
    expected = totals.sum() ** 2 - (totals**2).sum()
    if expected == 0:
        return float("nan")
    observed = coincidences.sum() - np.trace(coincidences)
    return float(1 - (totals.sum() - 1) * observed / expected)


def _of_tables(statistic: Callable[[Values], float], weights_RN: Values, label_N: Labels, cluster_N: Labels) -> Values:
    return np.array([statistic(table) for table in contingency_tables(weights_RN, label_N, cluster_N)])


def _adjusted_rand(table_LK: Values) -> float:
    total = float(table_LK.sum())
    both, of_label, of_cluster = (
        float((counts * (counts - 1)).sum()) / 2 for counts in (table_LK, table_LK.sum(axis=1), table_LK.sum(axis=0))
    )
    if both == of_label == of_cluster:
        return 1.0  # the partitions are the same
    by_chance = of_label * of_cluster / (total * (total - 1) / 2)
    return (both - by_chance) / ((of_label + of_cluster) / 2 - by_chance)


def _homogeneity(table_LK: Values) -> float:
    of_label = entropy(table_LK.sum(axis=1))
    mutual = of_label + entropy(table_LK.sum(axis=0)) - entropy(table_LK.ravel())
    return max(0.0, mutual) / of_label if of_label > 1e-12 else 1.0


def _adjusted_mutual(table_LK: Values) -> float:
    label_L, cluster_K = table_LK.sum(axis=1), table_LK.sum(axis=0)
    label_L, cluster_K = label_L[label_L > 0], cluster_K[cluster_K > 0]
    if min(len(label_L), len(cluster_K)) <= 1:
        return float(len(label_L) == len(cluster_K))
    of_label, of_cluster = entropy(label_L), entropy(cluster_K)
    by_chance = expected_mutual_information(label_L, cluster_K)
    mutual, most = of_label + of_cluster - entropy(table_LK.ravel()), (of_label + of_cluster) / 2
    if most - by_chance < 1e-12:
        return 1.0  # nothing but documents alone: every table with these margins is the same
    return (mutual - by_chance) / (most - by_chance)


def expected_mutual_information(label_L: npt.NDArray[Any], cluster_K: npt.NDArray[Any]) -> float:
    """Mean mutual information, in nats, of all tables of whole numbers with these margins (Vinh et al. 2010, eq. 24a).

    A cell's count is hypergeometric. Counts further from the mean than 10 standard deviations and 40 are left out:
    together they have a probability below 1e-20.
    """
    total = float(label_L.sum())
    pairs, counts = np.unique(
        np.stack(np.meshgrid(label_L, cluster_K, indexing="ij"), axis=-1).reshape(-1, 2), axis=0, return_counts=True
    )
    parts = (slice(start, start + CELLS_AT_ONCE) for start in range(0, len(pairs), CELLS_AT_ONCE))
    means = (counts[part] @ _mutual_of_cells(pairs[part, 0], pairs[part, 1], total) for part in parts)
    return float(sum(means))


def _mutual_of_cells(a_C: Values, b_C: Values, total: float) -> Values:
    """[C] expected part of the mutual information of cells with margins a and b."""
    mean_C = a_C * b_C / total
    spread_C = np.sqrt(mean_C * (1 - a_C / total) * (total - b_C) / max(total - 1, 1))
    reach_C = np.ceil(10 * spread_C + 40)
    low_C = np.maximum(np.maximum(0, a_C + b_C - total), np.floor(mean_C - reach_C))
    high_C = np.minimum(np.minimum(a_C, b_C), np.ceil(mean_C + reach_C))
    many_C = (high_C - low_C + 1).astype(np.int64)
    first_C = np.cumsum(many_C) - many_C
    n, a, b = np.arange(many_C.sum()) + np.repeat(low_C - first_C, many_C), *(np.repeat(x, many_C) for x in (a_C, b_C))
    log_p = -gammaln(n + 1) - gammaln(a - n + 1) - gammaln(b - n + 1) - gammaln(total - a - b + n + 1)
    p = np.exp(log_p - np.repeat(np.maximum.reduceat(log_p, first_C), many_C))
    gain = np.where(n > 0, n / total * np.log(np.maximum(n, 1) * total / (a * b)), 0)
    return np.asarray(np.add.reduceat(p * gain, first_C) / np.add.reduceat(p, first_C))
