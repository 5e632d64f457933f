"""How regular authors are: the times between their events, as even as a clock's or in bursts.

The coefficient of variation is 0 for a clock, 1 for events at random (a Poisson process), above 1 for bursts. Li (2026,
arXiv 2602.07432) reads values below 0.5 as machines and above 1 as people. Sleep, schedules and rate limits shape them
as well: the shares describe many authors and are no verdict on any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.observations import Doubles, Integers, known

MIN_EVENTS = 10
REGULAR, BURSTY = 0.5, 1.0
_OF = f"; over authors with at least {MIN_EVENTS} events at known times, not all at one. NaN without any."
DEFINITIONS = {
    "interval_cv_median": f"Median of the authors' coefficients of variation (sample sd / mean) of the times between "
    f"events{_OF}",
    "interval_regular_share": f"Share with a coefficient below {REGULAR}: more regular than chance{_OF}",
    "interval_bursty_share": f"Share with a coefficient above {BURSTY}: in bursts{_OF}",
    "interval_num_authors": f"Authors with at least {MIN_EVENTS} events at known times, not all at one.",
}


def interval_cv(
    author: NDArray[np.int32], times: Integers, num_authors: int, end: int, min_events: int = MIN_EVENTS
) -> Doubles:
    """[authors] coefficient of variation of the times between an author's events; NaN where there are too few.

    Args:
        author: [events] from 0 to `num_authors` - 1.
        times: [events] microseconds since 1970, or MISSING; those after the end are left out.
        num_authors: of the shard.
        end: of the observation.
        min_events: at known times, 3 or more.
    """
    is_known = known(times, end)
    author, times = author[is_known], times[is_known]
    order = np.lexsort((times, author))
    author, times = author[order], times[order]
    is_same = author[1:] == author[:-1]
    owner, gap = author[1:][is_same], np.diff(times)[is_same].astype(np.float64)
    count = np.bincount(owner, minlength=num_authors)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(owner, gap, num_authors) / count
        variance = np.bincount(owner, (gap - mean[owner]) ** 2, num_authors) / (count - 1)
        found: Doubles = np.sqrt(variance) / mean
    found[(count + 1 < min_events) | (mean == 0)] = np.nan
    return found


def rhythm_statistics(coefficients: Doubles) -> dict[str, float]:
    """Statistics of the coefficients of all authors, those of shards one after another; see DEFINITIONS."""
    usable = coefficients[~np.isnan(coefficients)]
    count = {"interval_num_authors": float(len(usable))}
    if not len(usable):
        return dict.fromkeys(DEFINITIONS, float("nan")) | count
    return {
        "interval_cv_median": float(np.median(usable)),
        "interval_regular_share": float((usable < REGULAR).mean()),
        "interval_bursty_share": float((usable > BURSTY).mean()),
        **count,
    }
