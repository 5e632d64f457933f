"""Hostile inputs for tests: files that lie, what a job wrote about them, and the memory that reading them took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.conftest import REPOSITORY
from tests.corpora import DAY
from theta_ray.config import Columns, Config, Input
from theta_ray.corpus import prepare

COLUMNS = Columns(text="text", doc_id="id")


def input_of(path: Path | str, reader: str = "parquet", **columns: Any) -> Input:
    """Files of a reader with columns `id` and `text`."""
    return Input(reader=reader, path=str(path), columns=Columns(**{"text": "text", "doc_id": "id", **columns}))  # type: ignore[arg-type]


def run(config: Config) -> Any:
    """The run card of `prepare`."""
    return prepare.run(config, DAY)


def ids_of(config: Config) -> list[str]:
    """Ids of all rows below the root, from the files alone."""
    return _values(config, "corpus", "doc_id")


def quarantined(config: Config) -> list[tuple[str, str]]:
    """Reason and detail of all quarantined rows below the root, from the files alone."""
    return list(zip(_values(config, "quarantine", "reason"), _values(config, "quarantine", "detail"), strict=True))


def _values(config: Config, table: str, column: str) -> list[str]:
    files = sorted(Path(config.root, table).glob("*/dt=*/part-*.parquet"))
    return [value for file in files for value in pq.ParquetFile(file).read([column])[column].to_pylist()]


def manifest_of(config: Config) -> dict[str, Any]:
    """The newest manifest of the one corpus partition below the root."""
    folder = next(Path(config.root, "corpus").glob("*/dt=*"))
    found = sorted(folder.glob("manifest*/*.json")) or sorted(folder.glob("manifest.json"))
    return dict(json.loads(found[-1].read_bytes()))


def patch_footer(path: Path, old: bytes, new: bytes, *, which: int | None = None) -> None:
    """Replace bytes in a parquet footer by others of the same length: everywhere, or at one of the places."""
    data = bytearray(path.read_bytes())
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    places, found = [], data.find(old, start)
    while found >= 0:
        places.append(found)
        found = data.find(old, found + 1)
    assert places
    assert len(old) == len(new)
    for place in places if which is None else [places[which]]:
        data[place : place + len(new)] = new
    path.write_bytes(data)


def varint(number: int) -> bytes:
    """A whole number as parquet footers hold it (zigzag, base 128)."""
    rest, encoded = 2 * number, b""
    while rest > 127:
        encoded, rest = encoded + bytes([rest & 127 | 128]), rest >> 7
    return encoded + bytes([rest])


# getrusage would tell the peak of the process that started this one where that was higher
MEASURED = """
import json, sys
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before = peak()
{code}
print(json.dumps({{"result": result, "growth_mib": round(peak() - before), "peak_mib": round(peak())}}))
"""
READ_ALL = """
from collections import Counter
from pathlib import Path
from tests.corpora import Rejected, unit_of
from theta_ray.config import Columns, Input
from theta_ray.corpus.readers import READERS
before = peak()
path, reader, columns = sys.argv[1:]
source = Input(reader=reader, path=path, columns=Columns(**json.loads(columns)) if columns else None)
result = Counter(
    row.reason if isinstance(row, Rejected) else "document" for row in READERS[reader](unit_of(Path(path)), source)
)
"""


def measured(code: str, *arguments: str) -> dict[str, Any]:
    """`result` of some code, and the growth and peak of its own process's memory in MiB."""
    command = [sys.executable, "-c", MEASURED.format(code=code), *arguments]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    return dict(json.loads(found.stdout.splitlines()[-1]))


def read_measured(path: Path, reader: str, **columns: Any) -> dict[str, Any]:
    """How many rows of each kind a reader makes of a file, and the memory that it took."""
    return measured(READ_ALL, str(path), reader, json.dumps(columns) if columns else "")
