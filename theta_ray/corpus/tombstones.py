"""Ids of documents that were deleted: files below `<root>/tombstones/`, and what is in them never comes back.

Users drop files there and take none away: `*.txt` (one id a line), `*.csv` (a column `doc_id`, or one id a
line), `*.jsonl` or `*.json` (a key `doc_id`, an id a line, or the result of a compliance job of X), all of these also
as `.gz`, and `*.parquet` (a column `doc_id`). `jobs/forget.py` adds `*.blake2b`: 16 bytes an id, sorted, so that it
names nobody. An id is the one in the corpus table, so a Reddit post's begins with `t3_`. A file that cannot be read
whole stops the job: a deletion must not be lost in silence. Authors have a folder of their own (gone_authors.py).

A compliance job of X (docs.x.com/x-api/compliance/batch-compliance) answers with a line for each post that something
happened to: `{"id": "...", "action": "delete", "reason": "deleted", ...}`. All reasons but `scrub_geo` end the right
to hold the text; no table holds a place on the map.

In memory: 16 bytes an id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from theta_ray.corpus.id_lists import DOCUMENTS, ids_of, read_ids
from theta_ray.corpus.listing import File, find_files
from theta_ray.errors import InputError
from theta_ray.objects import exists, join, read_bytes
from theta_ray.store import canonical_json, create_same
from theta_ray.terminal import escaped

FOLDER, AUTHORS_FOLDER = "tombstones", "authors"
DIGEST_BYTES = 16
DIGESTS = ".blake2b"


def digest_of_id(doc_id: str) -> bytes:
    """16 bytes by which an id is known without being named."""
    return hashlib.blake2b(doc_id.encode(), digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class Tombstones:
    """A set of deleted ids, kept as sorted digests."""

    identity: str = ""
    """Changes when a file is added; empty where there is none."""
    digests: NDArray[np.bytes_] = field(default_factory=lambda: np.empty(0, f"S{DIGEST_BYTES}"), repr=False)

    @classmethod
    def of_digests(cls, digests: Iterable[bytes]) -> Tombstones:
        """The set of ids that have these digests."""
        return cls("", _sorted(b"".join(digests)))

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

    def without(self, other: Tombstones) -> Tombstones:
        """The ids that the other set has not."""
        return Tombstones("", np.setdiff1d(self.digests, other.digests))

    def all_digests(self) -> list[bytes]:
        """Each digest at its full length, which numpy's own bytes lose where they end in zeros."""
        return [each.ljust(DIGEST_BYTES, b"\0") for each in self.digests.tolist()]

    def _are_in(self, digests: list[bytes]) -> NDArray[np.bool_]:
        if not len(self) or not digests:
            return np.zeros(len(digests), bool)
        wanted = np.array(digests, self.digests.dtype)
        places = np.minimum(np.searchsorted(self.digests, wanted), len(self) - 1)
        return np.asarray(self.digests[places] == wanted)


def identify(root: str) -> str:
    """Identity of the lists below a root, those of authors too, from their listing alone; empty where there is none."""
    return _identity(_files(root))


def read(root: str) -> Tombstones:
    """All deleted ids of documents below a root.

    Raises:
        InputError: a file that is no list of ids, or a line of one that is no id.
    """
    files = _files(root)
    of_documents = (file for file in files if not is_of_authors(file))
    return Tombstones(_identity(files), _sorted(b"".join(_read(file) for file in of_documents)))


def read_list(uri: str, column: str = DOCUMENTS) -> Tombstones:
    """The ids of one file anywhere, in any of the formats; `uri` may hold a pattern.

    Raises:
        InputError: no such file, no list of ids, or a line that is no id.
    """
    return Tombstones.of_digests(digest_of_id(doc_id) for doc_id in read_ids(uri, column))


def add(root: str, deleted: Tombstones) -> None:
    """Create an object of digests, which wins forever; nothing where there are none."""
    if len(deleted):
        data = deleted.digests.tobytes()
        assert len(data) == len(deleted) * DIGEST_BYTES, "digests have one width"
        name = hashlib.sha256(data).hexdigest()[:16]
        create_same(join(root, FOLDER, f"found-{name}{DIGESTS}"), data)


def read_digests(file: File) -> bytes:
    """The digests of an object of digests."""
    data = read_bytes(file.uri)
    if len(data) % DIGEST_BYTES:
        raise InputError(f"{escaped(file.uri)}: is damaged; run jobs/forget.py with the ids again, then remove it")
    return data


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


def files_of_authors(root: str) -> list[File]:
    """The lists of authors below a root."""
    return [file for file in _files(root) if is_of_authors(file)]


def is_of_authors(file: File) -> bool:
    """Whether a file below a root's tombstones lists authors."""
    return _place(file).startswith(f"{AUTHORS_FOLDER}/")


def _place(file: File) -> str:
    return file.uri.rsplit(f"/{FOLDER}/", 1)[-1]


def _sorted(digests: bytes) -> NDArray[np.bytes_]:
    return np.unique(np.frombuffer(digests, f"S{DIGEST_BYTES}"))


def _read(file: File) -> bytes:
    """Digests of the ids of a file."""
    if file.uri.endswith(DIGESTS):
        return read_digests(file)
    return b"".join(digest_of_id(doc_id) for doc_id in ids_of(file))


def _files(root: str) -> list[File]:
    folder = join(root, FOLDER)
    return sorted(find_files(folder), key=lambda file: file.uri) if exists(folder) else []


def _identity(files: list[File]) -> str:
    if not files:
        return ""
    listed = [[_place(file), file.num_bytes, file.identity] for file in files]
    return hashlib.sha256(canonical_json(listed)).hexdigest()[:16]
