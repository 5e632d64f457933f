"""Rows of task sheets as CSV or JSON lines, and filled sheets back. Terms and texts are strangers' words.

A spreadsheet runs a cell that begins with = + - @ or a tab as a formula, also within quotes: such cells get an
apostrophe in front (OWASP, CSV injection). Texts are one line of printable characters.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from theta_ray.errors import InputError

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are full width
BOM = "\ufeff"


def to_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """UTF-8 with a mark that spreadsheets need, every cell quoted; nothing for no rows."""
    rows = list(rows)
    if not rows:
        return b""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return (BOM + text.getvalue()).encode()


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, int | float):
        return str(value)  # a negative number is one
    line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return f"'{line}" if line.startswith(FORMULA) else line


def to_jsonl(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """One object a line; NaN is null."""
    clean = ({name: None if value != value else value for name, value in row.items()} for row in rows)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in clean).encode()


def read_answers(data: bytes, where: str) -> dict[str, str]:
    """Answers of one person by item; cells left empty are not in it.

    Args:
        data: a filled sheet, as CSV with commas, semicolons or tabs, or as JSON lines.
        where: its name, for errors.

    Raises:
        InputError: it has no columns `item_id` and `answer`, or an item twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is not UTF-8 ({error.reason}); save it as CSV in UTF-8") from error
    rows = _json_rows(text, where) if text.lstrip().startswith("{") else _csv_rows(text)
    answers: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        if "item_id" not in row or "answer" not in row:
            raise InputError(f"{where}: row {number} has no item_id or no answer; keep both columns of the sheet")
        item, answer = (str(row[name] if row[name] is not None else "").strip() for name in ("item_id", "answer"))
        if item in answers:
            raise InputError(f"{where}: row {number} answers item {item} again; a sheet is of one person")
        if answer:
            answers[item] = answer
    return answers


def _json_rows(text: str, where: str) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise InputError(f"{where}: is no JSON ({error}); one object a line") from error
    return [row if isinstance(row, dict) else {} for row in rows]


def _csv_rows(text: str) -> list[dict[str, Any]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
