"""CSV and JSON lines with a column map: rows of the user's own columns become documents."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any

from theta_ray.config import Columns, Input
from theta_ray.corpus.document import MAX_RECORD_BYTES, Damaged, Document, Rejected, Row, Unit, made_id, printable
from theta_ray.corpus.files import Line, bare_name, read_json_lines, read_lines
from theta_ray.corpus.values import (
    text_to_author,
    text_to_id,
    text_to_ids,
    to_author,
    to_id,
    to_ids,
    to_links,
    to_name,
    to_score,
    to_tags,
    to_text,
    to_time,
)
from theta_ray.errors import InputError
from theta_ray.terminal import escaped

CELLS = {
    "doc_id": to_id,
    "author_id": to_author,
    "context_id": to_id,
    "parent_id": to_id,
    "parent_author_id": to_author,
    "container": to_name,
    "created_at": to_time,
    "lang": to_name,
    "tags": to_tags,
    "mention_ids": to_ids,
    "links": to_links,
    "label": to_name,
    "score": to_score,
}
IDS, AUTHORS = ("doc_id", "context_id", "parent_id"), ("author_id", "parent_author_id")
TEXT_CELLS = {
    **CELLS,
    **dict.fromkeys(IDS, text_to_id),
    **dict.fromkeys(AUTHORS, text_to_author),
    "mention_ids": text_to_ids,
}
# Fields of a document that have a name of their own; the columns are those of the corpus table.
FIELDS = {"author_id": "author", "parent_author_id": "parent_author"}


class ColumnMap:
    """A recipe's `columns`, resolved: which cells of a row become which fields of a document."""

    def __init__(self, spec: Input, cells: dict[str, Any]) -> None:
        columns: Columns = spec.columns  # type: ignore[assignment]  # the recipe was checked
        self.text = (columns.text,) if isinstance(columns.text, str) else columns.text
        fields = [(field, getattr(columns, field)) for field in CELLS]
        self.fields = [(field, name) for field, name in fields if name is not None]
        self.names = list(dict.fromkeys([*self.text, *(name for _, name in self.fields)]))
        self._places = {name: i for i, name in enumerate(self.names)}
        self._text = [self._places[name] for name in self.text]
        self._cells = [(FIELDS.get(field, field), self._places[name], cells[field]) for field, name in self.fields]
        self._kind = spec.kind
        self._has_id = columns.doc_id is not None

    def check(self, present: Sequence[str], uri: str) -> None:
        """Raise InputError when a mapped column is not among the columns of a file."""
        missing = [name for name in self.names if name not in present]
        if missing:
            there = ", ".join(printable(name, 40) for name in present[:20]) + (", ..." if len(present) > 20 else "")
            raise InputError(f"{escaped(uri)}: no column {', '.join(missing)}; map one of its columns: {there}")

    def document(self, row: Sequence[Any], unit: Unit, place: int) -> Row:
        """The document of one row, whose cells are in the order of `names`."""
        try:
            parts = [to_text(row[i]) for i in self._text]
            values = {field: read(row[i]) for field, i, read in self._cells}
        except Damaged as error:
            return Rejected(error.reason, error.detail, place)
        doc_id = values.pop("doc_id", None)
        if doc_id is None:
            if self._has_id:
                return Rejected("missing_id", "", place)
            doc_id = made_id(unit.uri, place)
        text = "\n\n".join(part for part in parts if part)
        return Document(doc_id, text, place, self._kind, **values)


def read_jsonl(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of a JSON-lines file. `user.id` in the column map reaches into nested objects."""
    columns = ColumnMap(spec, CELLS)
    paths = [(name, name.split(".")) for name in columns.names]
    for row in read_json_lines(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, record = row
        if isinstance(record, dict):
            yield columns.document([_reach(record, name, path) for name, path in paths], unit, place)
        else:
            yield Rejected("bad_record", f"a JSON {type(record).__name__} is no record", place)


def _reach(record: dict[str, Any], name: str, path: list[str]) -> Any:
    """The value of a key, or of a dotted path; a key that has dots itself comes first."""
    if len(path) == 1 or name in record:
        return record.get(name)
    value: Any = record
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


class _CsvLines:
    """Feeds text lines to the csv module; knows where the current row began and what could not be fed."""

    def __init__(self, unit: Unit) -> None:
        self._lines = read_lines(unit)
        self.rejected: list[Rejected] = []
        self.start_row()

    def start_row(self) -> None:
        """Forget the row that was just read."""
        self.place: int | None = None
        self.num_bytes = 0
        self.is_open = False
        self.is_utf8 = True
        self.rejected.clear()

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            if isinstance(line, Line):
                self.place = line.place if self.place is None else self.place
                self.num_bytes += len(line.data)
                if self.num_bytes > MAX_RECORD_BYTES:
                    # quotes can hold a row open over all lines of a file, in fields that are each below the limit
                    raise csv.Error(f"a row of {self.num_bytes} bytes is larger than field limit ({MAX_RECORD_BYTES})")
                return self._decode(line.data) + "\n"
            self.rejected.append(line)
        # a row whose quotes are closed does not ask for another line
        self.is_open = self.place is not None
        raise StopIteration

    def _decode(self, data: bytes) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            self.is_utf8 = False
            return data.decode("utf-8", "replace")


def read_csv(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of a CSV file with a header line; `.tsv` files are split at tabs. Quoted newlines are text."""
    columns = ColumnMap(spec, TEXT_CELLS)
    rows = csv_rows(unit)
    header, indices = None, []
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, cells = row
        if header is None:
            header = cells
            columns.check(header, unit.uri)
            indices = [header.index(name) for name in columns.names]
        elif len(cells) != len(header):
            yield Rejected("bad_record", f"{len(cells)} cells where the header has {len(header)}", place)
        else:
            yield columns.document([cells[i] for i in indices], unit, place)


def csv_rows(unit: Unit) -> Iterator[tuple[int, list[str]] | Rejected]:
    """Rows with the place of their first line; blank lines are no rows."""
    lines = _CsvLines(unit)
    csv.field_size_limit(MAX_RECORD_BYTES)
    reader = csv.reader(lines, delimiter="\t" if bare_name(unit.uri).endswith(".tsv") else ",")
    while True:
        lines.start_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            reason = "record_too_large" if "field limit" in str(error) else "bad_record"
            yield Rejected(reason, str(error), lines.place or 0)
            continue
        yield from lines.rejected
        if cells is None:
            return
        if lines.is_open:
            yield Rejected("bad_record", "the file ends inside quotes", lines.place or 0)
        elif not lines.is_utf8:
            yield Rejected("bad_encoding", "the row is not UTF-8", lines.place or 0)
        elif cells:
            yield lines.place or 0, cells
