"""Task sheets: blind, fair, safe in a spreadsheet; and what filled ones say."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.errors import InputError
from theta_ray.topics.sheet_files import read_answers, to_csv, to_jsonl
from theta_ray.topics.sheet_scores import rank_correlation, score_sheet
from theta_ray.topics.task_sheets import Item, Kind, SheetSettings, SheetTopic, key_rows, make_items, sheet_rows

KINDS: tuple[Kind, ...] = get_args(Kind)
NUM_TOPICS = 12
TOPICS = [
    SheetTopic(
        topic_id,
        tuple(f"t{topic_id}w{rank}" for rank in range(10)),
        np.eye(NUM_TOPICS)[topic_id] + 0.1,
        tuple(f"text {topic_id} {'x' * (topic_id + 7 * number)}" for number in range(4)),
    )
    for topic_id in range(NUM_TOPICS)
]
DOCUMENTS_OF = {term: 10 * (topic.topic_id + 1) for topic in TOPICS for term in topic.terms}


def items_of(kind: Kind, **settings: int) -> list[Item]:
    return make_items(kind, TOPICS, DOCUMENTS_OF, SheetSettings(**settings))


@pytest.mark.parametrize("kind", ["word_intrusion", "document_intrusion"])
def test_one_option_is_of_another_topic_and_the_key_says_which(kind: Kind) -> None:
    items = items_of(kind)
    assert sorted(item.topic_id for item in items) == list(range(NUM_TOPICS))
    for item in items:
        own = TOPICS[item.topic_id].terms[:5] if kind == "word_intrusion" else TOPICS[item.topic_id].texts[:3]
        intruder = item.options[int(item.answer) - 1]
        assert set(item.options) - {intruder} == set(own)
        assert item.other_topic_id is not None
        other = TOPICS[item.other_topic_id]
        assert intruder in other.terms[:5] + other.texts[:3]
        left, right = TOPICS[item.topic_id].centroid, other.centroid
        assert item.cosine == pytest.approx(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
    assert len({item.answer for item in items}) > 2  # not always in one place


def test_intruders_are_about_as_frequent_as_the_words_they_hide_among() -> None:
    ratios = [item.frequency_ratio for item in items_of("word_intrusion", items_per_topic=5)]
    assert 0.5 <= min(ratios) <= max(ratios) <= 2  # over all words they would go from 1/12 to 12
    for item in items_of("word_intrusion"):
        assert item.frequency_ratio == DOCUMENTS_OF[item.options[int(item.answer) - 1]] / (10 * (item.topic_id + 1))


def test_mixed_words_are_of_two_topics_and_the_others_of_one() -> None:
    items = items_of("topic_word_mixing", items_per_topic=8)
    for item in items:
        topics = {option.split("w")[0] for option in item.options}
        assert len(item.options) == len(set(item.options)) == 8
        assert len(topics) == (2 if item.answer == "mixed" else 1)
        assert (item.other_topic_id is None) == math.isnan(item.cosine) == (item.answer == "one")
    assert 0.3 < np.mean([item.answer == "mixed" for item in items]) < 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_items_in_any_order_of_topics(kind: Kind) -> None:
    again = make_items(kind, TOPICS[::-1], DOCUMENTS_OF, SheetSettings(seed=3))
    assert str(again) == str(items_of(kind, seed=3)) != str(items_of(kind, seed=4))


def test_a_sheet_does_not_tell_what_is_right() -> None:
    items = items_of("word_intrusion", max_items=7)
    rows, keys = list(sheet_rows(items)), list(key_rows(items))
    assert [set(row) for row in rows] == [{"item_id", *(f"option_{n}" for n in range(1, 7)), "answer"}] * 7
    assert {row["answer"] for row in rows} == {""}
    assert [row["item_id"] for row in rows] == [f"w{n:04d}" for n in range(1, 8)] == [key["item_id"] for key in keys]
    assert [key["answer"] for key in keys] == [item.answer for item in items]
    assert {key["topic_id"] for key in keys} != set(range(7))  # not by topic


def test_an_intruder_shares_no_word_with_the_topic() -> None:
    terms = ("new york", "subway", "mayor", "borough", "bridge", "taxi")
    other = ("york", "new jersey", "subway", "cathedral", "minster", "races")
    topics = [SheetTopic(0, terms, np.ones(2)), SheetTopic(1, other, np.ones(2))]
    for seed in range(20):
        items = make_items("word_intrusion", topics, {}, SheetSettings(seed=seed))
        (item,) = (item for item in items if item.topic_id == 0)
        assert item.options[int(item.answer) - 1] in ("cathedral", "minster")
        assert math.isnan(item.frequency_ratio)


def test_words_that_are_shown_share_no_word_with_each_other() -> None:
    terms = ("heat pump", "pump", "heat", "boiler", "radiator", "valve", "solar panel", "panel")
    topics = [SheetTopic(0, terms, np.ones(2)), SheetTopic(1, ("a", "b", "c", "d", "e"), np.ones(2))]
    item = next(item for item in make_items("word_intrusion", topics, {}, SheetSettings()) if item.topic_id == 0)
    assert set(item.options) - set("abcde") == {"heat pump", "boiler", "radiator", "valve", "solar panel"}


def test_topics_with_too_little_to_show_are_left_out() -> None:
    few = [SheetTopic(0, ("a", "b"), np.ones(2), ("text",)), SheetTopic(1, ("c",), np.ones(2))]
    for kind in KINDS:
        assert make_items(kind, few, {}, SheetSettings()) == []
        assert make_items(kind, TOPICS[:1], DOCUMENTS_OF, SheetSettings()) == []
        assert make_items(kind, [], {}, SheetSettings()) == []
        assert items_of(kind, items_per_topic=0) == []


HOSTILE = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    'a "quoted" cell',
    "two\nlines\x1b[31m",
    " =1",
]


def test_no_cell_is_a_formula_and_each_row_is_one_line() -> None:
    data = to_csv([{"text": text} for text in HOSTILE])
    lines = data.decode("utf-8-sig").splitlines()
    assert len(lines) == len(HOSTILE) + 1
    cells = [row[0] for row in csv.reader(lines)][1:]
    assert not any(cell[0] in "=+-@\t\r\uff1d" for cell in cells)
    assert cells[0] == "'=1+1"
    assert cells[7] == 'a "quoted" cell'
    assert cells[8] == "two lines [31m"


@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.text()}), min_size=1, max_size=5))
def test_any_texts_make_a_table_without_formulas(rows: list[dict[str, str]]) -> None:
    read = list(csv.reader(io.StringIO(to_csv(rows).decode("utf-8-sig"))))
    assert [len(row) for row in read] == [2] * (len(rows) + 1)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in read for cell in row)
    assert [json.loads(line) for line in to_jsonl(rows).splitlines() if line] == rows


def test_numbers_of_a_key_stay_numbers_and_unknown_ones_are_empty() -> None:
    assert (
        to_csv([{"cosine": -0.5, "other": None, "ratio": math.nan}]).decode("utf-8-sig").splitlines()[1]
        == '"-0.5","",""'
    )
    assert json.loads(to_jsonl([{"ratio": math.nan}])) == {"ratio": None}
    assert to_csv([]) == b""


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_filled_sheets_are_read_as_spreadsheets_save_them(delimiter: str) -> None:
    text = (
        delimiter.join(["item_id", "option_1", "answer"])
        + "\r\n"
        + "\r\n".join(delimiter.join(row) for row in (["w0001", '"a, b; c"', " 2 "], ["w0002", "x", ""]))
    )
    assert read_answers(("\ufeff" + text).encode(), "ann.csv") == {"w0001": "2"}
    lines = [{"item_id": "w0001", "answer": 2}, {"item_id": "w0002", "answer": None}]
    assert read_answers(to_jsonl(lines), "ann.jsonl") == {"w0001": "2"}


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"item,answer\n1,2\n", "row 1 has no item_id or no answer"),
        (b"item_id,answer\nw1,2\nw1,3\n", "row 2 answers item w1 again"),
        (b'{"item_id": 1', "is no JSON"),
    ],
)
def test_sheets_that_cannot_be_read_are_told_in_one_line(data: bytes, line: str) -> None:
    with pytest.raises(InputError, match=f"ann.csv: {line}"):
        read_answers(data, "ann.csv")


def test_scores_count_right_answers_beside_chance() -> None:
    items = items_of("word_intrusion")
    right = {item.item_id: item.answer for item in items}
    wrong = {item.item_id: str(int(item.answer) % 6 + 1) for item in items}
    perfect = score_sheet(items, {"ann": right, "bob": right})
    assert (perfect.accuracy.value, perfect.accuracy.num_answers, perfect.alpha) == (1, 24, 1)
    assert perfect.accuracy.low == pytest.approx(0.862, abs=1e-3)  # Wilson, 24 of 24
    assert perfect.chance == pytest.approx(1 / 6)
    half = score_sheet(items, {"ann": right, "bob": wrong})
    assert half.accuracy.value == 0.5
    assert half.alpha < 0
    assert {topic: share.value for topic, share in half.by_topic.items()} == dict.fromkeys(range(12), 0.5)
    assert math.isnan(half.f1)
    assert sum(share.num_answers for share in half.by_cosine) == 24


def test_f1_is_of_answers_that_say_mixed() -> None:
    items = items_of("topic_word_mixing", items_per_topic=2)
    mixed = sum(item.answer == "mixed" for item in items)
    always = score_sheet(items, {"ann": {item.item_id: "Mixed" for item in items}})
    assert always.f1 == pytest.approx(2 * mixed / (mixed + len(items)))
    assert always.chance == 0.5
    assert math.isnan(always.alpha)


def test_answers_that_no_item_offers_are_refused() -> None:
    items = items_of("word_intrusion")
    with pytest.raises(InputError, match=r"ann: item w0001 is answered '7'; write one of 1, 2, 3, 4, 5, 6"):
        score_sheet(items, {"ann": {"w0001": "7"}})
    with pytest.raises(InputError, match="ann: item m0001 is not on the sheet"):
        score_sheet(items, {"ann": {"m0001": "one"}})


def test_nobody_has_answered() -> None:
    score = score_sheet(items_of("word_intrusion"), {})
    assert (score.accuracy.num_answers, score.accuracy.low, score.accuracy.high) == (0, 0, 1)
    assert math.isnan(score.accuracy.value)


def test_people_are_compared_with_automatic_metrics_by_ranks() -> None:
    items = items_of("word_intrusion", items_per_topic=3)
    hard = {item.item_id: item.answer if item.topic_id >= 4 else "1" for item in items}
    shares = score_sheet(items, {"ann": hard}).by_topic
    agreeing = {topic: float(topic >= 4) + topic / 100 for topic in range(12)}
    tau, p_value, count = rank_correlation(shares, agreeing)
    assert tau > 0.5
    assert p_value < 0.05
    assert count == 12
    assert rank_correlation(shares, {topic: -value for topic, value in agreeing.items()})[0] == pytest.approx(-tau)
    assert math.isnan(rank_correlation(shares, {0: 1.0, 1: 2.0})[0])
    assert math.isnan(rank_correlation(shares, dict.fromkeys(range(12), 1.0))[0])
