"""At which hours of the day (UTC) people are active: how much the busiest hours hold, and how evenly days are spread.

Days that are observed in part only bend such a profile: the first and the last, and those that an outage touches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from theta_ray.network.observations import HOUR, Doubles, Histogram, Integers, histogram, known

NUM_HOURS, NUM_PEAK = 24, 6
# At its mean rate the corpus is silent for so long once in e^21, a billion, runs of hours.
OUTAGE_EVENTS, OUTAGE_HOURS = 21.0, 12
_OF = "; of events at a known time, whole days only unless the recipe says otherwise. NaN without any."
DEFINITIONS = {
    "peak_six_hours_share": f"Share of events in the six hours of the day (UTC) that have most{_OF}",
    "best_six_hours_share": f"Share of events in the six hours in a row, across midnight too, that have most{_OF}",
    "best_six_hours_start": f"Hour of the day at which these six begin, the earliest of several{_OF}",
    "hour_entropy": f"Entropy of the hours of the day over log 24: 1 where all have the same{_OF}",
    "hour_resultant": "Length of the mean of all events as points on a clock of 24 hours: 1 where all fall into one "
    f"hour, 0 where they balance (Mardia and Jupp 2000){_OF}",
    "hour_num_events": "Events at a known time on the days that count.",
    "hour_num_days": "Days that count.",
}


class HourProfile(NamedTuple):
    """[24] events by hour of the day, and of how many days."""

    num_events: Integers
    num_days: int


def hours_of(times: Integers, end: int) -> Histogram:
    """Events by hour since 1970. Those of shards merge."""
    return histogram(np.floor_divide(times[known(times, end)], HOUR))


def hour_profile(hours: Histogram, *, whole_days: bool = True) -> HourProfile:
    """Events by hour of the day.

    Args:
        hours: events by hour since 1970, of the whole corpus.
        whole_days: leave out the first and the last day, unless they have events in their first and last hour, and
            days that a run of empty hours touches which is too long to be chance: at least 12, and 21 events at the
            mean rate.
    """
    if not hours.size:
        return HourProfile(np.zeros(NUM_HOURS, np.int64), 0)
    first, last = int(hours.value[0]), int(hours.value[-1])
    days = np.floor_divide(hours.value, NUM_HOURS)
    if whole_days:
        is_left_out = _touched(hours)
        is_left_out |= (days == first // NUM_HOURS) & (first % NUM_HOURS != 0)
        is_left_out |= (days == last // NUM_HOURS) & (last % NUM_HOURS != NUM_HOURS - 1)
        hours = Histogram(hours.value[~is_left_out], hours.frequency[~is_left_out])
        num_days = len(np.unique(days[~is_left_out]))
    else:
        num_days = len(np.unique(days))
    count = np.zeros(NUM_HOURS, np.int64)
    np.add.at(count, np.mod(hours.value, NUM_HOURS), hours.frequency)
    return HourProfile(count, num_days)


def _touched(hours: Histogram) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which hours are on a day that an outage touches."""
    span = int(hours.value[-1] - hours.value[0]) + 1
    limit = max(OUTAGE_HOURS, OUTAGE_EVENTS * span / hours.size)
    before = np.flatnonzero(np.diff(hours.value) - 1 >= limit)
    days = np.floor_divide(hours.value, NUM_HOURS)
    # of an outage, the first and the last empty hour
    starts = np.floor_divide(hours.value[before] + 1, NUM_HOURS)
    ends = np.floor_divide(hours.value[before + 1] - 1, NUM_HOURS)
    return np.isin(days, np.concatenate([starts, ends]))


def hour_statistics(profile: HourProfile) -> dict[str, float]:
    """Statistics of hours of the day; see DEFINITIONS."""
    total = int(profile.num_events.sum())
    counts = {"hour_num_events": float(total), "hour_num_days": float(profile.num_days)}
    if not total:
        return dict.fromkeys(DEFINITIONS, float("nan")) | counts
    share: Doubles = profile.num_events / total
    runs = [int(np.roll(profile.num_events, -start)[:NUM_PEAK].sum()) for start in range(NUM_HOURS)]
    angles = np.exp(2j * np.pi * np.arange(NUM_HOURS) / NUM_HOURS)
    busy = share[share > 0]
    return {
        "peak_six_hours_share": float(np.sort(profile.num_events)[-NUM_PEAK:].sum() / total),
        "best_six_hours_share": max(runs) / total,
        "best_six_hours_start": float(np.argmax(runs)),
        "hour_entropy": float(-(busy * np.log(busy)).sum() / np.log(NUM_HOURS)) + 0.0,
        "hour_resultant": float(np.abs((share * angles).sum())),
        **counts,
    }
