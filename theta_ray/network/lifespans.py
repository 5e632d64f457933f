"""How long authors are active: from their first event to their last, and what the end of the observation hides.

Who was active shortly before the end may go on: such a lifespan is censored, known only to be at least as long as it
was seen to be. The plain median takes it for over; the one of Kaplan and Meier (1958) does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.observations import DAY, MISSING, SECOND, Histogram, Integers, histogram, known, merged, quantile

VARIANTS = {"activity": "posts, comments and reposts", "post": "posts", "comment": "comments"}
_TEXTS = {
    "lifespan_median": "Median seconds from first to last event, 0 where there is one event only",
    "lifespan_mean": "Mean of the same",
    "lifespan_median_repeated": "Median of the same without authors of a single event; NaN without others",
    "lifespan_kaplan_meier_median": "Seconds by which half of the authors have ended, where those last seen within a "
    "day of the end of the observation are censored (Kaplan and Meier 1958); NaN where half have not ended",
    "single_event_share": "Share of authors with one event at a known time",
    "censored_share": "Share of authors last seen within a day of the end of the observation: they may go on",
    "late_share": "Share of authors first seen within a day of the end of the observation: they had no time for more",
}
DEFINITIONS = {
    f"{variant}_{name}": f"{text}; events are {events}."
    for variant, events in VARIANTS.items()
    for name, text in _TEXTS.items()
}


class Spans(NamedTuple):
    """[authors] first and last time, and events at a known time; times are MISSING where there is none."""

    first: Integers
    last: Integers
    num_events: Integers


class Lifespans(NamedTuple):
    """Lifespans in microseconds; those of shards merge (`merge`), for an author is in one of them only."""

    ended: Histogram
    censored: Histogram
    num_single: int
    num_late: int

    def merge(self, other: Lifespans) -> Lifespans:
        """Of the authors of both."""
        ended, censored = merged([self.ended, other.ended]), merged([self.censored, other.censored])
        return Lifespans(ended, censored, self.num_single + other.num_single, self.num_late + other.num_late)


def spans(author: NDArray[np.int32], times: Integers, num_authors: int, end: int) -> Spans:
    """First and last time of each author; missing times, and those after the end, are left out.

    Args:
        author: [events] from 0 to `num_authors` - 1.
        times: [events] microseconds since 1970, or MISSING.
        num_authors: of the shard.
        end: of the observation.
    """
    is_known = known(times, end)
    author, times = author[is_known], times[is_known]
    count = np.bincount(author, minlength=num_authors).astype(np.int64)
    order = np.argsort(author, kind="stable")
    starts = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64) if num_authors else count
    first, last = np.full(num_authors, MISSING), np.full(num_authors, MISSING)
    seen = np.flatnonzero(count)
    if len(seen):
        first[seen] = np.minimum.reduceat(times[order], starts[seen])
        last[seen] = np.maximum.reduceat(times[order], starts[seen])
    return Spans(first, last, count)


def lifespans(found: Spans, end: int, margin: int = DAY) -> Lifespans:
    """Lifespans of the authors that have one.

    Args:
        found: of some authors.
        end: of the observation.
        margin: microseconds before the end within which a last event ends nothing.
    """
    seen = found.num_events > 0
    first, last, count = found.first[seen], found.last[seen], found.num_events[seen]
    is_censored = last > end - margin
    length = last - first
    return Lifespans(
        histogram(length[~is_censored]),
        histogram(length[is_censored]),
        int((count == 1).sum()),
        int((first > end - margin).sum()),
    )


def lifespan_statistics(variant: str, found: Lifespans) -> dict[str, float]:
    """Statistics of one variant of VARIANTS; see DEFINITIONS."""
    everyone = merged([found.ended, found.censored])
    size = everyone.size
    # a single event has no length, but two at the same moment have none either
    single = Histogram(np.zeros(1, np.int64), np.array([-found.num_single], np.int64))
    total = float((everyone.value.astype(np.float64) * everyone.frequency).sum())
    values = {
        "lifespan_median": quantile(everyone, 0.5) / SECOND,
        "lifespan_mean": total / size / SECOND if size else float("nan"),
        "lifespan_median_repeated": quantile(merged([everyone, single]), 0.5) / SECOND,
        "lifespan_kaplan_meier_median": kaplan_meier_quantile(found, 0.5) / SECOND,
        "single_event_share": found.num_single / size if size else float("nan"),
        "censored_share": found.censored.size / size if size else float("nan"),
        "late_share": found.num_late / size if size else float("nan"),
    }
    return {f"{variant}_{name}": value for name, value in values.items()}


def kaplan_meier_quantile(found: Lifespans, share: float) -> float:
    """Microseconds by which this share has ended; NaN where so many have not. Censored at t are at risk at t."""
    ended, censored = found.ended, found.censored
    size = ended.size + censored.size
    gone_before = np.cumsum(ended.frequency) - ended.frequency
    censored_before = np.append(0, np.cumsum(censored.frequency))[np.searchsorted(censored.value, ended.value)]
    at_risk = size - gone_before - censored_before
    # the product of 1 - d / n, with room for rounding where it meets the share exactly
    survival = np.cumprod(1 - ended.frequency / at_risk)
    reached = np.flatnonzero(survival <= 1 - share + 1e-12)
    return float(ended.value[reached[0]]) if len(reached) else float("nan")
