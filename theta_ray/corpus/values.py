"""Single values as found in dumps become ids, times, scores and tags, or raise `Damaged`.

Ids are strings from end to end: a float has lost the last digits of a tweet id, so a float is
taken only where it cannot have.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from theta_ray.corpus.document import Damaged, printable

MAX_EXACT_FLOAT = 2**53
# Numbers below this (March 1973) are years, days or row numbers, not the Unix times of posts.
MIN_UNIX_SECONDS = 10**8
# From here on a number counts milli-, micro- or nanoseconds: in seconds it would be the year 5138.
MAX_UNIX_SECONDS = 10**11
INT64 = 2**63
MAX_TIME_CHARS = 48
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MICROSECOND = 253_402_300_800 * 10**6  # the year 10000
MICROSECOND = timedelta(microseconds=1)
MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TWITTER_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d) (\d{4})")
NUMBER = re.compile(r"-?\d{1,20}(\.\d+)?")
SURROGATE = re.compile("[\ud800-\udfff]")
FLOAT_ID = re.compile(r"-?(\d+)\.0+|-?\d\.?\d*[eE]\+\d+")
# What Reddit, and copies of it in any format, have in place of a text or a name.
GONE = frozenset(("[deleted]", "[removed]", "[deleted by user]", "[ Removed by Reddit ]", "[ Removed by reddit ]"))


class Microseconds(int):
    """A time that is known to be microseconds since 1970, not a number to guess the unit of."""


def to_id(value: Any) -> str | None:
    """An id as a string; None, NaN and "" are no id.

    Raises:
        Damaged: `damaged_id`, a float that is not a whole number below 2^53.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if not value.is_integer() or abs(value) >= MAX_EXACT_FLOAT:
            raise Damaged("damaged_id", "a float beyond 2^53, or with a fraction")
        return str(int(value))
    if isinstance(value, Decimal):
        if not value.is_finite() or value != value.to_integral_value():
            raise Damaged("damaged_id", "a decimal number with a fraction")
        return f"{value.to_integral_value():f}"
    return _to_string(value, "an id")


def stored_id(doc_id: str) -> str:
    """An id as the tables hold it: Arrow takes no lone surrogates."""
    return doc_id if doc_id.isascii() else SURROGATE.sub("\ufffd", doc_id)


def text_to_id(value: str) -> str | None:
    """An id from a CSV cell, where a spreadsheet may have made a float of it (`5.85978E+17`, `12.0`)."""
    if value and value[-1].isdigit() and ("." in value or "+" in value):
        found = FLOAT_ID.fullmatch(value)
        if found:
            return to_id(float(value) if found[1] is None else float(found[1]))
    return value or None


def to_author(value: Any) -> str | None:
    """The id of a person: as `to_id`, and nobody where it is blank or says that the account is gone."""
    return _person(to_id(value))


def text_to_author(value: str) -> str | None:
    """The id of a person from a CSV cell."""
    return _person(text_to_id(value))


def _person(author: str | None) -> str | None:
    name = author.strip() if author is not None else ""
    return author if name and name not in GONE else None


def to_time(value: Any) -> int | None:
    """Microseconds since 1970 of an ISO 8601, Unix or Twitter time; no offset means UTC.

    Raises:
        Damaged: `bad_time`.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, Microseconds):
            if abs(value) >= LAST_MICROSECOND:
                raise ValueError(value)
            return int(value)
        if isinstance(value, str):
            return _text_to_time(value.strip())
        if isinstance(value, datetime):
            return _microseconds(value)
        if isinstance(value, date):
            return _microseconds(datetime(value.year, value.month, value.day))
        if isinstance(value, int | float) and not isinstance(value, bool):
            return None if value != value else _unix_to_time(value)
    except (ValueError, OverflowError):
        pass
    raise Damaged("bad_time", printable(str(value), 60))


def _text_to_time(text: str) -> int:
    if NUMBER.fullmatch(text) and len(text) != 8:
        return _unix_to_time(float(text) if "." in text else int(text))
    found = TWITTER_TIME.fullmatch(text)
    if found:
        month, day, hour, minute, second, sign, hours, minutes, year = found.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(int(year), MONTHS.index(month), int(day), int(hour), int(minute), int(second), tzinfo=zone)
        return _microseconds(moment)
    # Python reads "111111111111111111111" as the year 1111, and as many digits after a second as there are
    if len(text) > MAX_TIME_CHARS or (text.isdigit() and len(text) != 8):
        raise ValueError(text[:MAX_TIME_CHARS])
    return _microseconds(datetime.fromisoformat(text.removesuffix(" UTC")))


def _unix_to_time(number: int | float) -> int:
    if abs(number) < MIN_UNIX_SECONDS:
        raise ValueError(number)
    for ticks in (1, 10**3, 10**6, 10**9):
        if abs(number) < MAX_UNIX_SECONDS * ticks:
            return number * 10**6 // ticks if isinstance(number, int) else round(number * (10**6 / ticks))
    raise ValueError(number)


def _microseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND


def to_score(value: Any) -> int | None:
    """A whole number of votes or likes.

    Raises:
        Damaged: `bad_score`.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    if isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64:
        return value
    raise Damaged("bad_score", printable(str(value), 60))


def to_name(value: Any) -> str | None:
    """A label, language or container as a string; whole floats lose their `.0`."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else _finite(value)
    return _to_string(value, "a name")


def _finite(value: float) -> str:
    if math.isinf(value):
        raise Damaged("bad_record", "an infinite number, such as 1e9999")
    return str(value)


def _to_string(value: Any, what: str) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Damaged("bad_encoding", f"{what} is not UTF-8") from error
    if isinstance(value, dict | list | tuple):
        raise Damaged("bad_record", f"{what} is a {type(value).__name__}")
    return str(value)


def to_text(value: Any) -> str | None:
    """Text of a cell; numbers are written out, None and NaN are no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else _finite(value)
    return None if value is None else _to_string(value, "the text")


def to_tags(value: Any) -> tuple[str, ...]:
    """Tags from a list, or from text: a JSON list, `<a><b>` (Stack Exchange), or split on commas."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = _split_tags(value.strip())
    if not isinstance(value, Sequence):
        raise Damaged("bad_record", f"the tags are a {type(value).__name__}")
    tags = (str(tag).strip().removeprefix("#") for tag in value if tag is not None)
    return tuple(tag for tag in tags if tag)


def to_ids(value: Any, read: Callable[[Any], str | None] = to_id) -> tuple[str, ...]:
    """Ids from a list, or from text: a JSON list, or split on commas. `read` reads one.

    Raises:
        Damaged: `damaged_id`, or `bad_record` where it is no list of single values.
    """
    if isinstance(value, bytes):
        value = _to_string(value, "the ids")
    if isinstance(value, str):
        value = [part.strip() if isinstance(part, str) else part for part in _split_tags(value.strip())]
    if _is_missing(value):
        return ()
    if not isinstance(value, Sequence):
        raise Damaged("bad_record", f"the ids are a {type(value).__name__}")
    return tuple(item for item in map(read, value) if item is not None)


def text_to_ids(value: str) -> tuple[str, ...]:
    """Ids from a CSV cell, where a spreadsheet may have made floats of them."""
    return to_ids(value, lambda part: text_to_id(part) if isinstance(part, str) else to_id(part))


def to_links(value: Any) -> tuple[str, ...]:
    """Web addresses from a list, or from text: a JSON list, or split on white space (addresses have commas).

    Raises:
        Damaged: `bad_record`.
    """
    if isinstance(value, bytes):
        value = _to_string(value, "the links")
    if isinstance(value, str):
        text = value.strip()
        value = _split_tags(text) if text.startswith("[") else [part.rstrip(",") for part in text.split()]
    if _is_missing(value):
        return ()
    if not isinstance(value, Sequence):
        raise Damaged("bad_record", f"the links are a {type(value).__name__}")
    return tuple(link for link in map(to_text, value) if link)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _split_tags(text: str) -> list[Any]:
    if text.startswith("[") and text.endswith("]"):
        try:
            return list(json.loads(text))
        except (ValueError, RecursionError):
            text = text[1:-1]
    if text.startswith("<") and text.endswith(">"):
        return text[1:-1].split("><")
    return text.split(",")
