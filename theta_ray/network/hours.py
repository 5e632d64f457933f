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
VARIANTS = {"": "posts, comments and reposts", "post_": "posts"}
_OF = "at a known time, whole days only unless the recipe says otherwise. NaN without any."
_TEXTS = {
    "peak_six_hours_share": "Share of events in the six hours of the day (UTC) that have most",
    "best_six_hours_share": "Share of events in the six hours in a row, across midnight too, that have most",
    "best_six_hours_start": "Hour of the day at which these six begin, the earliest of several",
    "hour_entropy": "Entropy of the hours of the day over log 24: 1 where all have the same",
    "hour_resultant": "Length of the mean of all events as points on a clock of 24 hours: 1 where all fall into one "
    "hour, 0 where they balance (Mardia and Jupp 2000)",
}
DEFINITIONS = {
    **{
        f"{variant}{name}": f"{text}; of {events} {_OF}"
        for variant, events in VARIANTS.items()
        for name, text in _TEXTS.items()
    },
    **{
        f"{variant}hour_num_events": f"Events at a known time on the days that count: {events}."
        for variant, events in VARIANTS.items()
    },
    "hour_num_days": "Days that count, by posts, comments and reposts together.",
}


class HourProfile(NamedTuple):
    """[24] events by hour of the day, and of how many days."""

    num_events: Integers
    num_days: int


def hours_of(times: Integers, end: int) -> Histogram:
    """Events by hour since 1970. Those of shards merge."""
    return histogram(np.floor_divide(times[known(times, end)], HOUR))


def hour_profile(hours: Histogram, some: Histogram | None = None, *, whole_days: bool = True) -> HourProfile:
    """Events by hour of the day.

    Args:
        hours: events by hour since 1970, of the whole corpus: they decide which days are whole.
        some: of these, the events that are counted; absent: all.
        whole_days: leave out the first and the last day, unless they have events in their first and last hour, and
            days that a run of empty hours touches which is too long to be chance: at least 12, and 21 events at the
            mean rate.
    """
    if not hours.size:
        return HourProfile(np.zeros(NUM_HOURS, np.int64), 0)
    some = hours if some is None else some
    first, last = int(hours.value[0]), int(hours.value[-1])
    days = np.floor_divide(hours.value, NUM_HOURS)
    is_left_out = np.zeros(len(days), bool)
    if whole_days:
        is_left_out = _touched(hours)
        is_left_out |= (days == first // NUM_HOURS) & (first % NUM_HOURS != 0)
        is_left_out |= (days == last // NUM_HOURS) & (last % NUM_HOURS != NUM_HOURS - 1)
    counted = np.unique(days[~is_left_out])
    is_counted = np.isin(np.floor_divide(some.value, NUM_HOURS), counted)
    count = np.zeros(NUM_HOURS, np.int64)
    np.add.at(count, np.mod(some.value[is_counted], NUM_HOURS), some.frequency[is_counted])
    return HourProfile(count, len(counted))


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


def hour_statistics(profile: HourProfile, variant: str = "") -> dict[str, float]:
    """Statistics of hours of the day of one of VARIANTS; see DEFINITIONS. The number of days is with all events."""
    total = int(profile.num_events.sum())
    counts = {"hour_num_events": float(total), "hour_num_days": float(profile.num_days)}
    if variant:
        del counts["hour_num_days"]
    share: Doubles = profile.num_events / max(1, total)
    runs = [int(np.roll(profile.num_events, -start)[:NUM_PEAK].sum()) for start in range(NUM_HOURS)]
    angles = np.exp(2j * np.pi * np.arange(NUM_HOURS) / NUM_HOURS)
    busy = share[share > 0]
    values = {
        "peak_six_hours_share": float(np.sort(profile.num_events)[-NUM_PEAK:].sum() / max(1, total)),
        "best_six_hours_share": max(runs) / max(1, total),
        "best_six_hours_start": float(np.argmax(runs)),
        "hour_entropy": float(-(busy * np.log(busy)).sum() / np.log(NUM_HOURS)) + 0.0,
        "hour_resultant": float(np.abs((share * angles).sum())),
    }
    known_values = values if total else dict.fromkeys(values, float("nan"))
    return {f"{variant}{name}": value for name, value in (known_values | counts).items()}
