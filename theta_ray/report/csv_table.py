"""Rows as a CSV file that no spreadsheet reads a formula from, and as a link that a page carries with it."""

from __future__ import annotations

import base64
import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

# A spreadsheet takes what begins so, or so behind white space, for something to compute (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20", "|", "%")
MAX_ROWS = 1000
Cell = str | float | int | bool | None


def csv_table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table as CSV (RFC 4180): numbers as they are, texts so that none is a formula, nothing for None."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([safe_cell(name) for name in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return file.getvalue()


def safe_cell(cell: Cell) -> Cell:
    """A cell that is a number, or a text that begins with an apostrophe where it could be a formula."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    # other controls would end a cell early in some programs
    text = "".join(char if _is_kept(char) else "\ufffd" for char in cell)
    # lstrip takes NBSP and line breaks away as well; a tab or a line break in front alone is already suspicious
    begins = text.lstrip().startswith(FORMULA) or text[:1] in ("\t", "\r", "\n")
    return f"'{text}" if begins else text


def _is_kept(char: str) -> bool:
    return char.isprintable() or char in "\t\n\r" or unicodedata.category(char) == "Zs"


def csv_link(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A `data:` address of the first rows as CSV, with the mark by which spreadsheets know UTF-8."""
    data = ("\ufeff" + csv_table(header, rows[:MAX_ROWS])).encode("utf-8", "replace")
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}"
