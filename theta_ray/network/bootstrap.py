"""Percentile intervals of statistics of authors: the authors are drawn again with replacement (Efron 1979).

A sample of n authors from a histogram is a multinomial draw of its counts, so that a resample costs the number of
distinct values and not of authors. Each has a seed of its own: the same wherever and in whatever order they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from theta_ray.network.observations import Histogram

LEVEL = 0.95
Measure = Callable[[Histogram], Mapping[str, float]]
Interval = tuple[float, float]


def resample(values: Histogram, replicate: int, seed: int = 0) -> Histogram:
    """As many values, drawn with replacement."""
    if not values.size:
        return values
    generator = np.random.default_rng([seed, replicate])
    count = generator.multinomial(values.size, values.frequency / values.size).astype(np.int64)
    return Histogram(values.value[count > 0], count[count > 0])


def intervals(
    measure: Measure, values: Histogram, num_resamples: int = 1000, seed: int = 0, level: float = LEVEL
) -> dict[str, Interval]:
    """Interval of each measure: the middle 95 % of the resamples.

    Args:
        measure: histogram -> name -> value.
        values: of the authors.
        num_resamples: 0 gives NaN.
        seed: of all of them.
        level: share of resamples inside.
    """
    found = [measure(resample(values, replicate, seed)) for replicate in range(num_resamples)]
    return {name: percentile_interval([each[name] for each in found], level) for name in measure(values)}


def percentile_interval(resampled: Sequence[float] | ArrayLike, level: float = LEVEL) -> Interval:
    """The middle share of some values; NaN where more than half of them have none."""
    values = np.asarray(resampled, np.float64)
    usable = values[~np.isnan(values)]
    if not len(usable) or 2 * len(usable) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(usable, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
