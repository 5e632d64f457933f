"""Ids of documents that were deleted: files below `<root>/tombstones/`, and what is in them never comes back.

Users drop files there and take none away: `*.txt` (one id a line), `*.csv` (a column `doc_id`, or one id a
line), `*.jsonl` or `*.json` (a key `doc_id`, an id a line, or the result of a compliance job of X), all of these also
as `.gz`, and `*.parquet` (a column `doc_id`). `jobs/forget.py` adds `*.blake2b`: 16 bytes an id, sorted, so that it
names nobody. An id is the one in the corpus table, so a Reddit post's begins with `t3_`. A file that cannot be read
whole stops the job: a deletion must not be lost in silence.

A compliance job of X (docs.x.com/x-api/compliance/batch-compliance) answers with a line for each post that something
happened to: `{"id": "...", "action": "delete", "reason": "deleted", ...}`. All reasons but `scrub_geo` end the right
to hold the text; no table holds a place on the map.

In memory: 16 bytes an id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from theta_ray.config import Columns, Input
from theta_ray.corpus.columns import csv_rows
from theta_ray.corpus.document import Damaged, Document, Rejected, Unit
from theta_ray.corpus.files import bare_name, read_json_lines, read_lines
from theta_ray.corpus.listing import File, find_files
from theta_ray.corpus.parquet import read_parquet
from theta_ray.corpus.values import stored_id, text_to_id, to_id
from theta_ray.errors import InputError
from theta_ray.objects import exists, join, read_bytes
from theta_ray.store import canonical_json
from theta_ray.terminal import escaped

FOLDER, COLUMN = "tombstones", "doc_id"
DIGEST_BYTES = 16
DIGESTS = ".blake2b"
# Of a platform's compliance job.
REASONS_TO_FORGET = frozenset({"bounced", "deactivated", "deleted", "protected", "suspended"})
REASONS_TO_KEEP = frozenset({"scrub_geo"})
Found = tuple[int, str] | Rejected


def digest_of_id(doc_id: str) -> bytes:
    """16 bytes by which an id is known without being named."""
    return hashlib.blake2b(doc_id.encode(), digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class Tombstones:
    """A set of deleted ids, kept as sorted digests."""

    identity: str = ""
    """Changes when a file is added; empty where there is none."""
    digests: NDArray[np.bytes_] = field(default_factory=lambda: np.empty(0, f"S{DIGEST_BYTES}"), repr=False)

    def __len__(self) -> int:
        return len(self.digests)

    def __contains__(self, doc_id: object) -> bool:
        return bool(len(self)) and isinstance(doc_id, str) and bool(self._are_in([digest_of_id(doc_id)])[0])

    def matches(self, doc_ids: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """For each id whether it was deleted."""
        return self._are_in([digest_of_id(doc_id) for doc_id in doc_ids.to_pylist()])

    def has_digests(self, digests: list[bytes]) -> NDArray[np.bool_]:
        """For each digest whether its id was deleted."""
        return self._are_in(digests)

    def with_those(self, other: Tombstones) -> Tombstones:
        """The ids of both."""
        return Tombstones("", np.union1d(self.digests, other.digests))

    def _are_in(self, digests: list[bytes]) -> NDArray[np.bool_]:
        if not len(self) or not digests:
            return np.zeros(len(digests), bool)
        wanted = np.array(digests, self.digests.dtype)
        places = np.minimum(np.searchsorted(self.digests, wanted), len(self) - 1)
        return np.asarray(self.digests[places] == wanted)


def identify(root: str) -> str:
    """Identity of the lists below a root, from their listing alone; empty where there is none."""
    return _identity(_files(root))


def read(root: str) -> Tombstones:
    """All deleted ids below a root.

    Raises:
        InputError: a file that is no list of ids, or a line of one that is no id.
    """
    files = _files(root)
    return Tombstones(_identity(files), _sorted(b"".join(_read(file) for file in files)))


def read_list(uri: str) -> Tombstones:
    """The ids of one file anywhere, in any of the formats; `uri` may hold a pattern.

    Raises:
        InputError: no such file, no list of ids, or a line that is no id.
    """
    return Tombstones("", _sorted(b"".join(_read(file) for file in _found(uri))))


def read_ids(uri: str) -> Iterator[str]:
    """The ids themselves of one file anywhere, where they must be looked for as they are written.

    Raises:
        InputError: no such file, no list of ids, or a line that is no id.
    """
    for file in _found(uri):
        for row in _ids(file):
            yield _checked(file, row)


def _found(uri: str) -> list[File]:
    files = list(find_files(uri))
    if not files:
        raise InputError(f"{uri}: no such file; give the list of deleted ids as an absolute path or URI")
    return files


def _checked(file: File, row: Found) -> str:
    if isinstance(row, Rejected):
        reason = f"{row.reason} {escaped(row.detail)}".rstrip()
        raise InputError(f"{escaped(file.uri)}#{row.place}: is no id ({reason}); mend the list of deleted ids")
    return row[1]


def _sorted(digests: bytes) -> NDArray[np.bytes_]:
    return np.unique(np.frombuffer(digests, f"S{DIGEST_BYTES}"))


def _read(file: File) -> bytes:
    """Digests of the ids of a file."""
    if file.uri.endswith(DIGESTS):
        data = read_bytes(file.uri)
        if len(data) % DIGEST_BYTES:
            raise InputError(f"{escaped(file.uri)}: is damaged; run jobs/forget.py with the ids again, then remove it")
        return data
    return b"".join(digest_of_id(_checked(file, row)) for row in _ids(file))


@lru_cache(maxsize=1)
def read_in_worker(root: str, identity: str) -> Tombstones:
    """The lists that the driver saw, read once in each process.

    Raises:
        InputError: other lists than the driver saw, or a file that is none.
    """
    found = read(root) if identity else Tombstones()
    if found.identity != identity:
        raise InputError(f"{join(root, FOLDER)}: changed while the job ran; rerun once nobody writes to it")
    return found


def _files(root: str) -> list[File]:
    folder = join(root, FOLDER)
    return sorted(find_files(folder), key=lambda file: file.uri) if exists(folder) else []


def _identity(files: list[File]) -> str:
    if not files:
        return ""
    listed = [[file.uri.rsplit(f"/{FOLDER}/", 1)[-1], file.num_bytes, file.identity] for file in files]
    return hashlib.sha256(canonical_json(listed)).hexdigest()[:16]


def _ids(file: File) -> Iterator[Found]:
    """Places and ids of one file, or what is no id in it."""
    suffix = "." + bare_name(file.uri).rpartition(".")[2]
    if suffix not in FORMATS:
        raise InputError(f"{escaped(file.uri)}: is no list of deleted ids; use {', '.join(FORMATS)}")
    for row in FORMATS[suffix](Unit(file.uri, 0, file.num_bytes)):
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        try:
            doc_id = text_to_id(value) if suffix == ".csv" else to_id(value)
        except Damaged as error:
            yield Rejected(error.reason, error.detail, place)
        else:
            yield Rejected("missing_id", "", place) if doc_id is None else (place, stored_id(doc_id))


def _text_values(unit: Unit) -> Iterator[tuple[int, Any] | Rejected]:
    for line in read_lines(unit):
        if isinstance(line, Rejected):
            yield line
        elif line.data.strip():
            try:
                yield line.place, line.data.strip().decode("utf-8")
            except UnicodeDecodeError:
                yield Rejected("bad_encoding", "not UTF-8", line.place)


def _csv_values(unit: Unit) -> Iterator[tuple[int, Any] | Rejected]:
    column: int | None = None
    for number, row in enumerate(csv_rows(unit)):
        if isinstance(row, Rejected):
            yield row
            continue
        place, cells = row
        if number == 0 and COLUMN in cells:
            column = cells.index(COLUMN)
        elif column is None and len(cells) == 1:
            yield place, cells[0]
        elif column is None or column >= len(cells):
            yield Rejected("bad_record", f"{len(cells)} cells and no column {COLUMN}", place)
        else:
            yield place, cells[column]


def _json_values(unit: Unit) -> Iterator[tuple[int, Any] | Rejected]:
    for row in read_json_lines(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        if isinstance(value, dict) and "action" in value and COLUMN not in value:
            reason = value.get("reason", "deleted")
            if value["action"] != "delete" or reason not in REASONS_TO_FORGET | REASONS_TO_KEEP:
                yield Rejected("bad_record", f"action {value['action']} for reason {reason} is not known", place)
            elif reason in REASONS_TO_FORGET:
                yield place, value.get("id")
        else:
            yield place, value.get(COLUMN) if isinstance(value, dict) else value


def _parquet_values(unit: Unit) -> Iterator[tuple[int, Any] | Rejected]:
    columns = Columns(text=COLUMN, doc_id=COLUMN)
    for row in read_parquet(unit, Input(reader="parquet", path=unit.uri, columns=columns)):
        yield (row.place, row.doc_id) if isinstance(row, Document) else row


FORMATS: dict[str, Callable[[Unit], Iterator[tuple[int, Any] | Rejected]]] = {
    ".txt": _text_values,
    ".csv": _csv_values,
    ".json": _json_values,
    ".jsonl": _json_values,
    ".parquet": _parquet_values,
}
