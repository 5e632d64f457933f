from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from theta_ray.corpus.document import Damaged, made_id, printable
from theta_ray.corpus.values import (
    Microseconds,
    text_to_id,
    text_to_ids,
    to_id,
    to_ids,
    to_links,
    to_name,
    to_score,
    to_tags,
    to_text,
    to_time,
)

BIG = 1234567890123456789
MOMENT = datetime(2008, 8, 27, 13, 8, 45, tzinfo=UTC)
MICROSECONDS = int(MOMENT.timestamp()) * 10**6


@pytest.mark.parametrize("value", ["1", 1, 1.0, b"1"])
def test_ids_become_strings(value):
    assert to_id(value) == "1"


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_empty_ids_are_none(value):
    assert to_id(value) is None


def test_integer_ids_keep_all_digits():
    assert to_id(BIG) == "1234567890123456789"


@pytest.mark.parametrize("value", [1.5, float(BIG), float("inf"), 2.0**53])
def test_float_ids_that_lost_digits_are_damaged(value):
    with pytest.raises(Damaged) as caught:
        to_id(value)
    assert caught.value.reason == "damaged_id"


@pytest.mark.parametrize("value", ["5.85978E+17", "5.85978391360221e+17", "585978391360221184.0"])
def test_ids_that_a_spreadsheet_made_floats_of_are_damaged(value):
    with pytest.raises(Damaged):
        text_to_id(value)


@pytest.mark.parametrize(("cell", "expected"), [("12.0", "12"), ("", None), ("1e5", "1e5"), ("a.1", "a.1"), ("7", "7")])
def test_ids_in_csv_cells(cell, expected):
    assert text_to_id(cell) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2008-08-27T13:08:45Z",
        "2008-08-27 13:08:45",
        "2008-08-27 13:08:45 UTC",
        "2008-08-27T15:08:45+02:00",
        "2008-08-27T13:08:45.0000000Z",
        "Wed Aug 27 13:08:45 +0000 2008",
        "Wed Aug 27 09:08:45 -0400 2008",
        "1219842525",
        "1219842525.0",
        1219842525,
        1219842525.0,
        1219842525000,
        "1219842525000",
        1219842525000000,
        1219842525000000000,
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=9))),
        Microseconds(MICROSECONDS),
    ],
)
def test_times_of_all_forms_are_the_same_moment(value):
    assert to_time(value) == MICROSECONDS


@pytest.mark.parametrize("value", ["2008-08-27", "20080827", date(2008, 8, 27)])
def test_days_begin_at_midnight_utc(value):
    assert to_time(value) == int(datetime(2008, 8, 27, tzinfo=UTC).timestamp()) * 10**6


def test_known_microseconds_are_not_guessed_at():
    assert to_time(Microseconds(5)) == 5


@pytest.mark.parametrize("value", [None, "", float("nan")])
def test_no_time_is_none(value):
    assert to_time(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2008-13-01",
        "Wed Foo 27 13:08:45 +0000 2008",
        2008,
        "2008",
        True,
        [1],
        1e300,
        "9" * 25,
        float("inf"),
    ],
)
def test_unreadable_times_are_damaged(value):
    with pytest.raises(Damaged) as caught:
        to_time(value)
    assert caught.value.reason == "bad_time"


@pytest.mark.parametrize(
    ("value", "score"), [(3, 3), ("-3", -3), ("3.0", 3), (3.0, 3), (None, None), ("", None), (float("nan"), None)]
)
def test_scores_are_whole_numbers(value, score):
    assert to_score(value) == score


@pytest.mark.parametrize("value", ["many", 1.5, "1.5", True, 2**63, float("inf"), []])
def test_other_scores_are_damaged(value):
    with pytest.raises(Damaged) as caught:
        to_score(value)
    assert caught.value.reason == "bad_score"


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (["a", " #b ", None, ""], ("a", "b")),
        ("<storage><whole-bean>", ("storage", "whole-bean")),
        ("a, b,#c", ("a", "b", "c")),
        ('["a", "b"]', ("a", "b")),
        ("[a, b]", ("a", "b")),
        (None, ()),
        ("", ()),
    ],
)
def test_tags_from_lists_and_text(value, tags):
    assert to_tags(value) == tags


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ([2**53 + 1, "b", None, float("nan"), 3.0], (str(2**53 + 1), "b", "3")),
        ("7, 8,,9", ("7", "8", "9")),
        (f'[{2**53 + 1}, "b"]', (str(2**53 + 1), "b")),
        (b"7,8", ("7", "8")),
        ([], ()),
        (None, ()),
        (float("nan"), ()),
        ("", ()),
    ],
)
def test_ids_from_lists_and_text(value, ids):
    assert to_ids(value) == ids


def test_ids_that_a_spreadsheet_made_floats_of_are_read_or_damaged():
    assert text_to_ids("12.0,5") == ("12", "5")
    with pytest.raises(Damaged, match="damaged_id"):
        text_to_ids("5.85978E+17,5")


@pytest.mark.parametrize("value", [[["a"]], [{}], {"a": 1}, '["a", ["b"]]', [(1, 2)], 5, True])
def test_ids_that_are_no_list_of_single_values_are_bad_records(value):
    with pytest.raises(Damaged, match="bad_record"):
        to_ids(value)


@pytest.mark.parametrize(
    ("value", "links"),
    [
        (["https://a.org/x,y", None, ""], ("https://a.org/x,y",)),
        ("https://a.org/x,y http://b.org", ("https://a.org/x,y", "http://b.org")),
        ("https://a.org, http://b.org", ("https://a.org", "http://b.org")),
        ('["https://a.org"]', ("https://a.org",)),
        (b"https://a.org", ("https://a.org",)),
        (None, ()),
        (float("nan"), ()),
    ],
)
def test_links_from_lists_and_text(value, links):
    assert to_links(value) == links


def test_labels_lose_the_fraction_that_pandas_adds():
    assert [to_name(value) for value in (3.0, 3, "x", None, float("nan"), 0.5)] == ["3", "3", "x", None, None, "0.5"]


@pytest.mark.parametrize(("read", "value"), [(to_id, {}), (to_name, []), (to_text, {}), (to_tags, 5), (to_links, 5)])
def test_structures_where_a_value_belongs_are_bad_records(read, value):
    with pytest.raises(Damaged) as caught:
        read(value)
    assert caught.value.reason == "bad_record"


def test_bytes_that_are_not_utf8_are_told():
    with pytest.raises(Damaged) as caught:
        to_text(b"\xff")
    assert caught.value.reason == "bad_encoding"


def test_what_is_shown_has_no_control_characters_and_an_end():
    assert printable("a\x1b[31m\n\u202e") == "a\\x1b[31m\\n\\u202e"
    assert len(printable("x" * 1000)) == 200


def test_made_ids_differ_by_file_and_place():
    assert len({made_id("/a/1", 0), made_id("/a/1", 1), made_id("/b/1", 0)}) == 3
