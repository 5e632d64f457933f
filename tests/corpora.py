"""Small inputs and configurations for tests of the corpus."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from theta_ray.config import Columns, Config, Corpus, Encoder, Input, Recipe, Resources
from theta_ray.corpus.document import Document, Rejected, Row, Unit
from theta_ray.corpus.phases import quarantine_of
from theta_ray.corpus.readers import READERS
from theta_ray.corpus.survey import partition_of
from theta_ray.schemas import CORPUS, QUARANTINE
from theta_ray.store import Partition
from theta_ray.table import open_table

DAY = "2026-01-31"


def config_of(root: Path, *inputs: Input, **corpus: Any) -> Config:
    """A configuration whose corpus says nothing that the test does not."""
    values = {"language": "none", "authors": "raw", "inputs": inputs, **corpus}
    recipe = Recipe(name="test", corpus=Corpus(**values), encoder=Encoder(model="none"))
    return Config(recipe=recipe, resources=Resources(executor="local"), root=str(root / "results"))


def jsonl_input(path: Path, **columns: Any) -> Input:
    """JSON lines with columns `id` and `text`."""
    return Input(reader="jsonl", path=str(path), columns=Columns(**{"text": "text", "doc_id": "id", **columns}))


def write_jsonl(path: Path, records: list[Any]) -> Path:
    """Records one a line; `.gz` is compressed."""
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def posts(count: int, **values: str) -> list[dict[str, str]]:
    """Records of so many documents, all of them with these `values`."""
    return [{"id": f"d{i}", "text": f"text number {i}", "user": f"u{i % 7}", **values} for i in range(count)]


def unit_of(path: Path, start: int = 0, stop: int | None = None) -> Unit:
    """A whole file, or a part of one."""
    return Unit(str(path), 0, path.stat().st_size, start, stop)


def read(path: Path, reader: str, columns: Columns | None = None, **spec: Any) -> list[Row]:
    """All rows of a file."""
    source = Input(reader=reader, path=str(path), columns=columns, **spec)
    return list(READERS[reader](unit_of(path), source))


def documents(rows: list[Row]) -> list[Document]:
    """The rows that became documents."""
    return [row for row in rows if isinstance(row, Document)]


def reasons(rows: list[Row]) -> list[str]:
    """Why the others did not."""
    return [row.reason for row in rows if isinstance(row, Rejected)]


def corpus_of(config: Config) -> pa.Table:
    """The committed corpus."""
    return table_of(partition_of(config, DAY), CORPUS)


def quarantine_rows(config: Config) -> list[tuple[str, str]]:
    """Reason and place (file and row) of the committed quarantine."""
    rows = table_of(quarantine_of(partition_of(config, DAY)), QUARANTINE).to_pylist()
    return [(row["reason"], row["source_ref"].rsplit("/", 1)[-1]) for row in rows]


def table_of(partition: Partition, schema: pa.Schema) -> pa.Table:
    """All rows of a committed partition."""
    return open_table(partition.path, schema=schema).to_table()
