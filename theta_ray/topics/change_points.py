"""When a topic's share of the documents changed: counts by bucket in, the first buckets of new levels out.

A level is a run of buckets in which each document is of the topic with the same probability. The levels are those of
the smallest sum over them of -2 log likelihood (binomial, divided by the dispersion) + penalty, found exactly by PELT
(Killick, Fearnhead and Eckley 2012). The penalty for a level is PENALTY * log B of B buckets, as in BIC with three
parameters a level: its share, its place, and the choice of the place.

Posts come in bursts, so counts vary more than binomially: the dispersion is estimated from differences of
neighbouring buckets, of which a step touches one, and is at least 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
PENALTY = 3.0
# Median of a squared standard normal value.
MEDIAN_SQUARE = 0.4549364231195724
# Fewer buckets tell nothing of their dispersion.
MIN_FOR_DISPERSION = 8


@dataclass(frozen=True)
class ChangePoint:
    """Where a new level begins, and the topic's share in the level before and in this one."""

    place: int
    before: float
    after: float


def change_points(counts: NDArray[np.int64], totals: NDArray[np.int64]) -> list[ChangePoint]:
    """Changes of a topic's share.

    Args:
        counts: [B] documents of the topic in each bucket, in the order of time.
        totals: [B] all documents; a bucket without any says nothing.

    Raises:
        ValueError: the arrays differ in length, or a count is above its total.
    """
    if counts.shape != totals.shape or np.any(counts < 0) or np.any(counts > totals):
        raise ValueError(f"{len(counts)} counts and {len(totals)} totals: need as many, and no count above its total")
    kept = np.flatnonzero(totals)
    if not len(kept):
        return []
    hits, trials = counts[kept].astype(np.float64), totals[kept].astype(np.float64)
    ends = _segments(hits, trials, PENALTY * np.log(max(len(kept), 2)) * dispersion(hits, trials))
    shares = [hits[a:b].sum() / trials[a:b].sum() for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    places = [int(kept[end]) for end in ends[:-1]]
    return [ChangePoint(*found) for found in zip(places, shares[:-1], shares[1:], strict=True)]


def dispersion(hits: Values, trials: Values) -> float:
    """How many times more neighbouring buckets differ than binomial counts of one share would; at least 1."""
    if len(hits) < MIN_FOR_DISPERSION:
        return 1.0
    share = (hits[1:] + hits[:-1]) / (trials[1:] + trials[:-1])
    expected = share * (1 - share) * (1 / trials[1:] + 1 / trials[:-1])
    varied = expected > 0
    if varied.sum() < MIN_FOR_DISPERSION:
        return 1.0
    squares = (hits[1:] / trials[1:] - hits[:-1] / trials[:-1])[varied] ** 2 / expected[varied]
    return max(1.0, float(np.median(squares)) / MEDIAN_SQUARE)


def _segments(hits: Values, trials: Values, penalty: float) -> list[int]:
    """Ends of the levels of least cost."""
    size = len(hits)
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum([hits, trials], axis=1)], axis=1)
    least, last = np.concatenate([[-penalty], np.zeros(size)]), np.zeros(size + 1, np.int64)
    starts = np.zeros(1, np.int64)
    for end in range(1, size + 1):
        x, n = sums[:, end, None] - sums[:, starts]
        costs = least[starts] - 2 * (_x_log_share(x, n) + _x_log_share(n - x, n))
        place = int(np.argmin(costs))
        least[end], last[end] = costs[place] + penalty, starts[place]
        # what is worse already than ending the level here can never be the best start of one that reaches further
        starts = np.append(starts[costs <= least[end]], end)
    ends = [size]
    while last[ends[0]]:
        ends.insert(0, int(last[ends[0]]))
    return ends


def _x_log_share(x: Values, n: Values) -> Values:
    x = np.maximum(x, 0)  # differences of sums of whole numbers are exact
    return x * np.log(np.where(x > 0, x / n, 1))
