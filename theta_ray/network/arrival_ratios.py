"""By what factor the rate of score changes with each day of later arrival: three regressions that allow for exposure.

Poisson's is right on average whatever the scores vary by, but a few authors with huge scores decide it. The negative
binomial weighs these less. The one within containers compares authors of the same subreddit, forum or submolt only:
early authors may simply be in another, more generous one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from theta_ray.network.arrival import Arrivals, comparable, exposure_hours
from theta_ray.network.bootstrap import Interval
from theta_ray.network.negative_binomial import negative_binomial_regression
from theta_ray.network.observations import DAY, MISSING, Doubles, Integers
from theta_ray.network.poisson import poisson_regression
from theta_ray.network.regression import Fitted, Rows

Z_95 = 1.959963984540054
MIN_AUTHORS = 4
_FACTOR = "Factor by which the rate of score changes with each day of later arrival, from a"
_ON = "regression of the score (below 0 counts as 0) on arrival and log(1 + posts) with log hours of exposure as offset"
_READ = "below 1 where early authors have more; its interval allows for any variance (Huber-White); NaN where it cannot"
DEFINITIONS = {
    "arrival_rate_ratio": f"{_FACTOR} Poisson {_ON} (Cameron and Trivedi 2013); {_READ} be told.",
    "arrival_rate_ratio_negative_binomial": f"{_FACTOR} negative binomial {_ON} (NB2, Cameron and Trivedi 2013), where "
    f"a few huge scores decide less; {_READ} be told.",
    "arrival_rate_ratio_container": f"{_FACTOR} Poisson {_ON} and an intercept for each container (Hausman, Hall and "
    f"Griliches 1984), that of most of an author's documents: of authors of one container with each other; {_READ} be "
    "told.",
    "arrival_dispersion": "Dispersion of the negative binomial regression: scores vary by mean + dispersion mean^2; 0 "
    "is Poisson. NaN where it cannot be told.",
    "arrival_num_authors_container": "Authors compared within containers: those in one where scores are not all zero.",
}


class Ratios(NamedTuple):
    """Values by name, and 95 % intervals of some."""

    values: dict[str, float]
    intervals: dict[str, Interval]


def arrival_ratios(found: Arrivals, end: int) -> Ratios:
    """The three regressions; see DEFINITIONS.

    Args:
        found: all authors.
        end: of the observation.
    """
    authors = comparable(found)
    values, intervals = dict.fromkeys(DEFINITIONS, float("nan")), dict[str, Interval]()
    fitted: dict[str, Fitted | None] = {"": _poisson(authors, end)}
    binomial = negative_binomial_regression(rows) if (rows := _rows(authors, end)) is not None else None
    if binomial is not None:
        fitted["_negative_binomial"] = binomial.fitted
        values["arrival_dispersion"] = binomial.dispersion
    inside = _of_told_containers(authors)
    fitted["_container"] = _poisson(inside, end, inside.container)
    values["arrival_num_authors_container"] = float(len(inside.first))
    for name, each in fitted.items():
        if each is not None:
            factors = _factors(each)
            values[f"arrival_rate_ratio{name}"] = factors[1]
            intervals[f"arrival_rate_ratio{name}"] = (factors[0], factors[2])
    return Ratios(values, intervals)


def _poisson(authors: Arrivals, end: int, group: Integers | None = None) -> Fitted | None:
    rows = _rows(authors, end, group)
    return None if rows is None else poisson_regression(rows, group)


def _rows(authors: Arrivals, end: int, group: Integers | None = None) -> Rows | None:
    """What is regressed: arrival first, then posts where they vary (within groups)."""
    if len(authors.first) < MIN_AUTHORS or authors.score.max() <= 0:
        return None
    days = (authors.first - authors.first[0]) / DAY
    covariates = [days, np.log1p(authors.num_posts)]
    covariates = [column for column in covariates if _varies(column, group)]
    if not covariates or covariates[0] is not days:
        return None
    score = np.maximum(authors.score, 0).astype(np.float64)
    return Rows(score, np.stack(covariates, axis=1), np.log(exposure_hours(authors, end)))


def _varies(column: Doubles, group: Integers | None) -> bool:
    """Whether a column differs anywhere within a group."""
    if group is None:
        return bool(np.ptp(column))
    order = np.lexsort((column, group))
    return bool(((np.diff(column[order]) != 0) & (np.diff(group[order]) == 0)).any())


def _of_told_containers(authors: Arrivals) -> Arrivals:
    """Authors of containers in which somebody has a score above zero: others say nothing."""
    has_one = authors.container != MISSING
    told = np.unique(authors.container[has_one & (authors.score > 0)])
    chosen = has_one & np.isin(authors.container, told)
    return Arrivals(*(column[chosen] for column in authors))


def _factors(fitted: Fitted) -> tuple[float, float, float]:
    """Lower end, value and upper end of the factor of the first covariate."""
    value, error = fitted.coefficient[0], Z_95 * fitted.error[0]
    with np.errstate(over="ignore"):
        low, middle, high = np.exp([value - error, value, value + error])
    return float(low), float(middle), float(high)
