"""Which day a night is about: the store's time and a time zone in, days out. No clock of this machine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def yesterday(now: datetime, time_zone: str) -> str:
    """The calendar day before `now` where a time zone's people are.

    Days of 23 and 25 hours are days like others: a date is counted back, not 24 hours.

    Args:
        now: with its own zone.
        time_zone: IANA name, such as `Europe/Berlin`.
    """
    zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    return (now.astimezone(zone).date() - timedelta(days=1)).isoformat()


def window(day: str, num_days: int) -> list[str]:
    """So many days up to and with `day`, the oldest first."""
    last = date.fromisoformat(day)
    return [(last - timedelta(days=back)).isoformat() for back in reversed(range(num_days))]


def missing(day: str, num_days: int, known: Iterable[str]) -> list[str]:
    """Days of the window before `day` of which nothing is known, later than the first of which something is."""
    found = set(known)
    first = min(found, default=day)
    return [each for each in window(day, num_days)[:-1] if each > first and each not in found]
