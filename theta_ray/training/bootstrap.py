"""Percentile intervals of a statistic, by resampling its queries (Efron and Tibshirani 1993, chapter 13).

A resample is held as weights: how often each query is in it. All ones give the statistic of the queries as they are.
Shapes: N queries, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theta_ray.config_evaluation import Evaluation

Values = npt.NDArray[np.float64]
# Weights of one turn: 32 MiB.
WEIGHTS_AT_ONCE = 2**22

Statistic = Callable[..., Values]
"""(weights [R, N], one or more columns [N]) -> [R]; NaN where a resample says nothing."""


class Estimate(NamedTuple):
    """A statistic and its percentile interval; NaN where the queries say nothing."""

    value: float
    low: float
    high: float


def resampled_weights(num_queries: int, num_resamples: int, seed: int) -> Iterator[Values]:
    """Weights [r, N] of R resamples, a few at a time; the same for the same arguments."""
    generator = np.random.default_rng(seed)
    at_once = max(1, WEIGHTS_AT_ONCE // max(1, num_queries))
    for start in range(0, num_resamples, at_once):
        count = min(at_once, num_resamples - start)
        drawn = generator.integers(num_queries, size=(count, num_queries))
        drawn += np.arange(count)[:, None] * num_queries
        yield np.bincount(drawn.ravel(), minlength=count * num_queries).reshape(count, num_queries).astype(np.float64)


def estimate(
    statistic: Statistic,
    columns: Sequence[npt.NDArray[np.generic]],
    settings: Evaluation,
    *,
    is_biased: bool = False,
) -> Estimate:
    """A statistic of some queries and its interval.

    `is_biased` says that repeated queries alone change the statistic, as they do mutual information, which they raise:
    the interval is then moved by what the mean of the resamples is off (Efron and Tibshirani 1993, section 10.2).
    """
    return _estimate(lambda weights: statistic(weights, *columns), len(columns[0]), settings, is_biased)


def estimate_difference(
    statistic: Statistic,
    tuned: Sequence[npt.NDArray[np.generic]],
    base: Sequence[npt.NDArray[np.generic]],
    settings: Evaluation,
    *,
    is_biased: bool = False,
) -> Estimate:
    """Tuned minus base on the same queries, each resample holding the same queries of both; else as `estimate`."""
    if len(tuned[0]) != len(base[0]):
        raise ValueError(f"tuned has {len(tuned[0])} queries and base {len(base[0])}: both must be of the same split")
    return _estimate(lambda w: statistic(w, *tuned) - statistic(w, *base), len(tuned[0]), settings, is_biased)


def _estimate(
    of_weights: Callable[[Values], Values], num_queries: int, settings: Evaluation, is_biased: bool
) -> Estimate:
    value = float(of_weights(np.ones((1, num_queries)))[0])
    parts = [of_weights(w) for w in resampled_weights(num_queries, settings.num_resamples, settings.seed)]
    resampled = np.concatenate(parts)
    resampled = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(resampled):
        return Estimate(value, np.nan, np.nan)
    tail = (1 - settings.confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    bias = float(resampled.mean()) - value if is_biased else 0.0
    return Estimate(value, float(low) - bias, float(high) - bias)
