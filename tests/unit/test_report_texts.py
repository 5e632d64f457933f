"""Strangers' texts on a page and in its files: no control, no formula, nothing that turns what stands beside it."""

from __future__ import annotations

import base64
import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.report.csv_table import FORMULA, MAX_ROWS, csv_link, csv_table, safe_cell
from theta_ray.report.texts import counted, harmless, percent, plain

FORMULAS = [
    "=1+1",
    "+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\xa0=1+1",
    "  =1+1",
    "\u3000=1+1",
    "\uff1d1+1",
    '=HYPERLINK("https://example.org","x")',
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    ((cell,),) = _rows([[text]])
    assert cell.startswith("'")
    assert cell[1:].strip() == text.strip()


def _rows(rows: list[list[str]]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_table(["head"], rows), newline="")))[1:]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=5))
def test_texts_come_back_from_a_file_but_for_the_apostrophe(row: list[str]) -> None:
    (found,) = _rows([row])
    for cell, text in zip(found, row, strict=True):
        assert not cell.lstrip().startswith(FORMULA)
        told = "".join(char if char.isprintable() or unicodedata.category(char) == "Zs" else "\ufffd" for char in text)
        assert cell in (told, f"'{told}")


def test_numbers_stay_numbers_and_nothing_is_nothing() -> None:
    assert _rows([[-1.5, 2, None, True]]) == [["-1.5", "2", "", "True"]]  # type: ignore[list-item]
    assert safe_cell(-3) == -3


def test_a_file_on_a_page_is_utf_8_with_its_mark_and_has_a_bounded_number_of_rows() -> None:
    link = csv_link(["a", "b"], [["\u00e9", 1]] * (MAX_ROWS + 5))
    kind, data = link.split(",", 1)
    assert kind == "data:text/csv;charset=utf-8;base64"
    text = base64.b64decode(data).decode("utf-8-sig")
    assert text.startswith("a,b\r\n\u00e9,1\r\n")
    assert text.count("\r\n") == MAX_ROWS + 1


@given(st.text(), st.integers(2, 50))
def test_a_harmless_text_is_one_short_line_without_hidden_characters(text: str, width: int) -> None:
    found = harmless(text, width)
    assert len(found) <= width
    hidden = {c for c in found if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert hidden <= {"\u200c", "\u200d"}


def test_emoji_and_scripts_that_need_joiners_are_as_written() -> None:
    for text in (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "caf\u00e9",
    ):
        assert harmless(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\u2013"), (float("nan"), "\u2013"), (True, "yes"), (1234567, "1,234,567"), (0.123456, "0.123"),
     (231.0, "231"), (1234.5, "1,234"), (1e-7, "1e-07")],
)  # fmt: skip
def test_values_are_told_as_people_read_them(value: float | None, text: str) -> None:
    assert plain(value) == text


def test_shares_and_counts_are_told_as_people_read_them() -> None:
    assert [percent(share) for share in (0.5, 0.001, 0.0, None)] == ["50 %", "under 1 %", "0 %", "\u2013"]
    assert [counted(1, "topic"), counted(1200, "topic"), counted(2, "body", "bodies")] == [
        "1 topic",
        "1,200 topics",
        "2 bodies",
    ]
