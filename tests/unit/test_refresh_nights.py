"""Whose yesterday a night is about, by the store's time: no clock of this machine, and days of 23 to 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.config_nightly import Refresh
from theta_ray.nightly.nights import missing, window, yesterday

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo"]


@pytest.mark.parametrize(
    ("now", "zone", "day"),
    [
        ("2026-02-01T00:00:00", "UTC", "2026-01-31"),
        ("2026-01-31T23:59:59", "UTC", "2026-01-30"),
        ("2026-01-31T23:30:00", "Europe/Berlin", "2026-01-31"),  # half past midnight there
        ("2026-02-01T03:00:00", "America/New_York", "2026-01-30"),  # ten in the evening there
        ("2026-01-01T02:00:00", "UTC", "2025-12-31"),
        ("2028-03-01T02:00:00", "UTC", "2028-02-29"),
        ("2026-03-01T02:00:00", "UTC", "2026-02-28"),
        ("2026-03-29T00:30:00", "Europe/Berlin", "2026-03-28"),  # before the clocks go forward
        ("2026-03-29T22:30:00", "Europe/Berlin", "2026-03-29"),  # after the day of 23 hours
        ("2026-03-30T21:59:00", "Europe/Berlin", "2026-03-29"),
        ("2026-10-24T22:30:00", "Europe/Berlin", "2026-10-24"),  # the day of 25 hours has begun
        ("2026-10-25T22:59:00", "Europe/Berlin", "2026-10-24"),  # and not ended
        ("2026-10-25T23:00:00", "Europe/Berlin", "2026-10-25"),
        ("2026-11-01T04:30:00", "America/New_York", "2026-10-31"),
        ("2026-06-15T18:15:00", "Asia/Kathmandu", "2026-06-15"),  # 5:45 ahead
        ("2011-12-31T10:30:00", "Pacific/Apia", "2011-12-31"),  # which had no 30th
    ],
)
def test_the_day_before_is_that_of_the_zone(now: str, zone: str, day: str) -> None:
    assert yesterday(datetime.fromisoformat(now).replace(tzinfo=UTC), zone) == day


@given(st.sampled_from(ZONES), st.datetimes(datetime(2012, 1, 1), datetime(2040, 1, 1)))
def test_every_day_is_somebodys_yesterday_once(zone: str, start: datetime) -> None:
    hours = [start.replace(tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 8)]
    found = list(dict.fromkeys(yesterday(hour, zone) for hour in hours))
    assert found == window(found[-1], len(found))


@given(st.dates(datetime(2000, 2, 1).date(), datetime(2040, 1, 1).date()), st.integers(1, 366))
def test_a_window_ends_with_its_day_and_has_no_gap(day: object, num_days: int) -> None:
    days = window(str(day), num_days)
    assert (days[-1], len(set(days))) == (str(day), num_days)
    assert days == sorted(days)


def test_missing_days_are_those_between_known_ones() -> None:
    assert missing("2026-02-03", 5, ["2026-01-31", "2026-02-02", "2026-02-03"]) == ["2026-02-01"]
    assert missing("2026-02-03", 2, ["2026-01-31"]) == ["2026-02-02"]
    assert missing("2026-02-03", 5, ["2026-02-03"]) == []  # the first night has nothing to miss
    assert missing("2026-02-03", 5, []) == []


@pytest.mark.parametrize("zone", ["Europe/Berlim", "../../etc/passwd", "/etc/localtime", "", "Europe", "UTC\x00"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        Refresh(time_zone=zone)
