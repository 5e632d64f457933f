"""Lists of ids as people and platforms write them: one id a line, a column of a table, or a compliance job's result.

A list that is not whole is none: every line is an id, or the reader says where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from theta_ray.config import Columns, Input
from theta_ray.corpus.columns import csv_rows
from theta_ray.corpus.document import Damaged, Document, Rejected, Unit
from theta_ray.corpus.files import bare_name, read_json_lines, read_lines
from theta_ray.corpus.listing import File, find_files
from theta_ray.corpus.parquet import read_parquet
from theta_ray.corpus.values import stored_id, text_to_id, to_id
from theta_ray.errors import InputError
from theta_ray.terminal import escaped

DOCUMENTS, AUTHORS = "doc_id", "author_id"
"""Columns and keys that hold the ids."""
# Of a platform's compliance job.
REASONS_TO_FORGET = frozenset({"bounced", "deactivated", "deleted", "protected", "suspended"})
REASONS_TO_KEEP = frozenset({"scrub_geo"})
Values = Iterator[tuple[int, Any] | Rejected]


def read_ids(uri: str, column: str = DOCUMENTS) -> Iterator[str]:
    """The ids of the file, or files of a pattern, at a path or URI.

    Raises:
        InputError: no such file, no list of ids, or a line that is no id.
    """
    files = list(find_files(uri))
    if not files:
        raise InputError(f"{uri}: no such file; give the list of deleted ids as an absolute path or URI")
    for file in files:
        yield from ids_of(file, column)


def ids_of(file: File, column: str = DOCUMENTS) -> Iterator[str]:
    """The ids of one file.

    Raises:
        InputError: no list of ids, or a line that is no id.
    """
    for row in _rows(file, column):
        if isinstance(row, Rejected):
            reason = f"{row.reason} {escaped(row.detail)}".rstrip()
            raise InputError(f"{escaped(file.uri)}#{row.place}: is no id ({reason}); mend the list of deleted ids")
        yield row


def _rows(file: File, column: str) -> Iterator[str | Rejected]:
    """The ids of one file, or what is no id in it."""
    suffix = "." + bare_name(file.uri).rpartition(".")[2]
    if suffix not in FORMATS:
        raise InputError(f"{escaped(file.uri)}: is no list of deleted ids; use {', '.join(FORMATS)}")
    for row in FORMATS[suffix](Unit(file.uri, 0, file.num_bytes), column):
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        try:
            doc_id = text_to_id(value) if suffix == ".csv" else to_id(value)
        except Damaged as error:
            yield Rejected(error.reason, error.detail, place)
        else:
            yield Rejected("missing_id", "", place) if doc_id is None else stored_id(doc_id)


def _text_values(unit: Unit, _column: str) -> Values:
    for line in read_lines(unit):
        if isinstance(line, Rejected):
            yield line
        elif line.data.strip():
            try:
                yield line.place, line.data.strip().decode("utf-8")
            except UnicodeDecodeError:
                yield Rejected("bad_encoding", "not UTF-8", line.place)


def _csv_values(unit: Unit, name: str) -> Values:
    column: int | None = None
    for number, row in enumerate(csv_rows(unit)):
        if isinstance(row, Rejected):
            yield row
            continue
        place, cells = row
        if number == 0 and name in cells:
            column = cells.index(name)
        elif column is None and len(cells) == 1:
            yield place, cells[0]
        elif column is None or column >= len(cells):
            yield Rejected("bad_record", f"{len(cells)} cells and no column {name}", place)
        else:
            yield place, cells[column]


def _json_values(unit: Unit, name: str) -> Values:
    for row in read_json_lines(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        if isinstance(value, dict) and "action" in value and name not in value:
            reason = value.get("reason", "deleted")
            if value["action"] != "delete" or reason not in REASONS_TO_FORGET | REASONS_TO_KEEP:
                yield Rejected("bad_record", f"action {value['action']} for reason {reason} is not known", place)
            elif reason in REASONS_TO_FORGET:
                yield place, value.get("id")
        else:
            yield place, value.get(name) if isinstance(value, dict) else value


def _parquet_values(unit: Unit, name: str) -> Values:
    columns = Columns(text=name, doc_id=name)
    for row in read_parquet(unit, Input(reader="parquet", path=unit.uri, columns=columns)):
        yield (row.place, row.doc_id) if isinstance(row, Document) else row


FORMATS: dict[str, Callable[[Unit, str], Values]] = {
    ".txt": _text_values,
    ".csv": _csv_values,
    ".json": _json_values,
    ".jsonl": _json_values,
    ".parquet": _parquet_values,
}
