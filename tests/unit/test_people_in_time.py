"""Lifespans, hours of the day and rhythm: closed forms, censoring, outages, missing and future times."""

from __future__ import annotations

import numpy as np
import pytest

from theta_ray.network import hours, lifespans, rhythm
from theta_ray.network.hours import HourProfile, hour_profile, hour_statistics, hours_of
from theta_ray.network.lifespans import Lifespans, kaplan_meier_quantile, lifespan_statistics, spans
from theta_ray.network.observations import DAY, HOUR, MISSING, SECOND, histogram
from theta_ray.network.rhythm import interval_cv, rhythm_statistics

END = 100 * DAY


def statistics(author: list[int], times: list[int], num_authors: int) -> dict[str, float]:
    found = spans(np.array(author, np.int32), np.array(times, np.int64), num_authors, END)
    return lifespan_statistics("post", lifespans.lifespans(found, END))


def test_a_lifespan_goes_from_the_first_event_to_the_last() -> None:
    found = statistics([0, 1, 0, 0, 2, 2], [5 * SECOND, 0, 2 * SECOND, 9 * SECOND, 0, 3 * SECOND], 3)
    assert found["post_lifespan_median"] == 3
    assert found["post_lifespan_mean"] == pytest.approx(10 / 3)
    assert found["post_lifespan_median_repeated"] == 5
    assert found["post_single_event_share"] == pytest.approx(1 / 3)


def test_missing_times_and_those_after_the_end_are_left_out() -> None:
    found = spans(np.array([0, 0, 0, 1], np.int32), np.array([MISSING, 7, END + 1, MISSING]), 2, END)
    assert (found.first.tolist(), found.last.tolist()) == ([7, MISSING], [7, MISSING])
    assert found.num_events.tolist() == [1, 0]


def test_who_was_seen_on_the_last_day_may_go_on_and_who_came_then_had_no_time() -> None:
    found = statistics([0, 0, 1, 2, 2], [0, END - HOUR, END - HOUR, 0, DAY], 3)
    assert found["post_censored_share"] == pytest.approx(2 / 3)
    assert found["post_late_share"] == pytest.approx(1 / 3)
    assert found["post_lifespan_kaplan_meier_median"] == DAY / SECOND


def test_kaplan_and_meier_have_their_closed_form() -> None:
    # at risk 6, 4, 2 at 1, 3, 5; censored at 2 and 4: survival 5/6, 5/8, 5/16
    found = Lifespans(histogram([1, 3, 5, 9]), histogram([2, 4]), 0, 0)
    assert kaplan_meier_quantile(found, 0.3) == 3
    assert kaplan_meier_quantile(found, 0.5) == 5
    assert np.isnan(kaplan_meier_quantile(Lifespans(histogram([1]), histogram([2, 3, 4]), 0, 0), 0.5))


def test_the_median_of_kaplan_and_meier_undoes_what_the_end_hides() -> None:
    rng = np.random.default_rng(0)
    length, time_left = rng.exponential(100, 20_000), rng.uniform(0, 200, 20_000)
    seen = np.minimum(length, time_left).astype(int)
    is_censored = length > time_left
    found = Lifespans(histogram(seen[~is_censored]), histogram(seen[is_censored]), 0, 0)
    assert kaplan_meier_quantile(found, 0.5) == pytest.approx(100 * np.log(2), rel=0.03)
    assert np.median(seen) < 60


def test_one_hour_and_all_hours_are_the_two_ends_of_a_profile() -> None:
    one = hour_statistics(HourProfile(np.eye(24, dtype=np.int64)[5] * 7, 3))
    assert (one["peak_six_hours_share"], one["hour_entropy"]) == (1, 0)
    assert one["hour_resultant"] == pytest.approx(1)
    even = hour_statistics(HourProfile(np.full(24, 4, np.int64), 3))
    assert even["peak_six_hours_share"] == even["best_six_hours_share"] == 0.25
    assert even["hour_entropy"] == pytest.approx(1)
    assert even["hour_resultant"] == pytest.approx(0, abs=1e-15)


def test_the_best_six_hours_in_a_row_go_across_midnight() -> None:
    count = np.ones(24, np.int64)
    count[[22, 23, 0, 1, 2, 3]] = 10
    count[12] = 11
    found = hour_statistics(HourProfile(count, 1))
    assert found["best_six_hours_start"] == 22
    assert found["best_six_hours_share"] == 60 / count.sum()
    assert found["peak_six_hours_share"] == 61 / count.sum()


def steady(first: int, last: int) -> np.ndarray:
    return np.repeat(np.arange(first, last) * HOUR, 2)


def test_days_at_the_ends_count_only_where_they_are_whole() -> None:
    found = hour_profile(hours_of(steady(30, 24 * 5 - 1), END))
    assert (found.num_days, found.num_events.tolist()) == (2, [4] * 24)
    assert hour_profile(hours_of(steady(24, 24 * 5), END)).num_days == 4
    assert hour_profile(hours_of(steady(30, 24 * 5 - 1), END), whole_days=False).num_days == 4


def test_days_that_an_outage_touches_are_left_out() -> None:
    times = np.concatenate([steady(0, 24 * 4 + 17), steady(24 * 6 + 14, 24 * 10)])
    found = hour_profile(hours_of(times, END))
    assert (found.num_days, set(found.num_events.tolist())) == (7, {14})


def test_posts_are_counted_on_the_days_that_all_events_call_whole() -> None:
    everything = hours_of(steady(6, 24 * 4), END)
    posts = np.array([7, 30, 31, 31, 60, 24 * 3 + 5]) * HOUR
    found = hour_profile(everything, hours_of(posts, END))
    assert (found.num_days, found.num_events.sum()) == (3, 5)
    assert np.flatnonzero(found.num_events).tolist() == [5, 6, 7, 12]
    said = hour_statistics(found, "post_")
    assert said["post_peak_six_hours_share"] == 1
    assert said["post_best_six_hours_share"] == 4 / 5


def test_quiet_nights_are_no_outage() -> None:
    days = np.concatenate([steady(24 * day + 10, 24 * day + 24) for day in range(1, 30)])
    assert hour_profile(hours_of(days, END)).num_days == 28


def test_hours_before_1970_are_hours_of_their_day() -> None:
    times = np.array([-1, -HOUR, MISSING, END + 1])
    assert hour_profile(hours_of(times, END), whole_days=False).num_events[23] == 2


def test_a_clock_is_regular_and_random_events_are_not() -> None:
    rng = np.random.default_rng(0)
    random = np.cumsum(rng.exponential(HOUR, 5000)).astype(np.int64)
    clock, bursts = np.arange(50) * HOUR, np.concatenate([np.arange(30) * SECOND, [DAY]])
    author = np.repeat(np.arange(4, dtype=np.int32), [5000, 50, 31, 9])
    times = np.concatenate([random, clock, bursts, np.arange(9)])
    found = interval_cv(author, times, 5, END * 100)
    assert found[0] == pytest.approx(1, abs=0.05)
    assert found[1] == 0
    assert found[2] > 4
    assert np.isnan(found[3:]).all()
    assert rhythm_statistics(found)["interval_regular_share"] == pytest.approx(1 / 3)


def test_the_coefficient_is_that_of_numpy_and_events_of_one_moment_have_none() -> None:
    times = np.array([0, 3, 4, 9, 20, 21, 40, 41, 41, 60, MISSING, END + 5])
    found = interval_cv(np.array([0] * 12 + [1] * 12, np.int32), np.concatenate([times, np.full(12, 7)]), 2, END)
    gaps = np.diff(times[:10])
    assert found[0] == pytest.approx(gaps.std(ddof=1) / gaps.mean(), rel=1e-12)
    assert np.isnan(found[1])


@pytest.mark.parametrize("num_events", [0, 1, 30])
def test_every_statistic_is_defined_and_no_other(num_events: int) -> None:
    times, author = np.arange(num_events) * HOUR, np.zeros(num_events, np.int32)
    found = lifespans.lifespans(spans(author, times, 1, END), END)
    names = {name for variant in lifespans.VARIANTS for name in lifespan_statistics(variant, found)}
    assert names == set(lifespans.DEFINITIONS)
    profile = hour_profile(hours_of(times, END))
    assert {*hour_statistics(profile), *hour_statistics(profile, "post_")} == set(hours.DEFINITIONS)
    assert set(rhythm_statistics(interval_cv(author, times, 1, END))) == set(rhythm.DEFINITIONS)
