"""Mapped parquet columns whose type differs between the files of one input: read all the same, and told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from theta_ray.config import Input
from theta_ray.corpus.columns import CELLS, ColumnMap
from theta_ray.corpus.document import Rejected, Unit, printable
from theta_ray.corpus.parquet import read_schema

KINDS = {
    "integer": pa.types.is_integer,
    "float": pa.types.is_floating,
    "time": pa.types.is_timestamp,
    "text": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind),
}
Seen = dict[str, dict[str, dict[str, str]]]


class ColumnKinds:
    """Kinds of the mapped columns, each with the first file that has it, by input and column."""

    def __init__(self) -> None:
        self.seen: Seen = {}

    def add(self, unit: Unit, spec: Input) -> None:
        """Note the columns of one file; only parquet says what they are."""
        schema = read_schema(unit.uri) if spec.reader == "parquet" else None
        if schema is None or isinstance(schema, Rejected):
            return
        columns = self.seen.setdefault(str(unit.input_index), {})
        for name in ColumnMap(spec, CELLS).names:
            if name in schema.names:
                kind = kind_of(schema.field(name).type)
                columns.setdefault(name, {}).setdefault(kind, unit.uri)


def kind_of(kind: pa.DataType) -> str:
    """The kind of a type, without how it is stored: a dictionary of large strings is text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return next((name for name, holds in KINDS.items() if holds(kind)), str(kind))


def drift(shards: Iterable[Seen]) -> list[str]:
    """A line for each column that has several kinds; one that is all null has none."""
    merged: Seen = {}
    for seen in shards:
        for index, columns in seen.items():
            for name, kinds in columns.items():
                known = merged.setdefault(index, {}).setdefault(name, {})
                for kind, uri in kinds.items():
                    known[kind] = min(uri, known.get(kind, uri))
    return [
        _line(index, name, kinds)
        for index, columns in sorted(merged.items(), key=lambda item: int(item[0]))
        for name, kinds in sorted(columns.items())
        if len(kinds.keys() - {"null"}) > 1
    ]


def _line(index: str, name: str, kinds: dict[str, Any]) -> str:
    files = ", ".join(f"{kind} in {printable(uri)}" for kind, uri in sorted(kinds.items()) if kind != "null")
    return f"corpus.inputs.{index}: column {printable(name)} is {files}; each is read as it is, ids as exact text"
