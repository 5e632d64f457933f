"""Authors who were forgotten: lists below `<root>/tombstones/authors/`, and nothing of theirs comes back.

`jobs/forget.py` creates `forget-<request>.<key>.blake2b`: 16 bytes an author, of the keyed pseudonym where the recipe
has a key, so that who can read the root cannot even ask whether somebody was forgotten; `<key>` is its id. Without a
key, or with authors dropped, they are of the id itself, and `<key>` is `raw`. Lists that people put there are as those
of documents, with a column or key `author_id`.

A name is an id as well where it is listed: addresses that hold it as a word are taken from others' links.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from theta_ray.corpus.authors import key_id, pseudonym
from theta_ray.corpus.id_lists import AUTHORS, ids_of
from theta_ray.corpus.tombstones import (
    AUTHORS_FOLDER,
    DIGESTS,
    FOLDER,
    Tombstones,
    digest_of_id,
    files_of_authors,
    identify,
    read_digests,
)
from theta_ray.corpus.values import stored_id
from theta_ray.errors import InputError
from theta_ray.objects import join
from theta_ray.store import create_same

RAW = "raw"
MAX_KNOWN = 2**16


@dataclass(frozen=True)
class GoneAuthors:
    """A set of authors, by digests of their ids or of the pseudonyms under one key."""

    digests: Tombstones = field(default_factory=Tombstones)
    key: bytes | None = field(default=None, repr=False)
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)
    """Those of the last answers: most authors come again."""

    def __len__(self) -> int:
        return len(self.digests)

    def __contains__(self, author: object) -> bool:
        """Whether an author is among them, by the platform's id or by the pseudonym."""
        if not len(self) or not isinstance(author, str):
            return False
        if author not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[author] = bool(self.digests.has_digests(list(digests_of(author, self.key))).any())
        return self._known[author]

    def matches(self, authors: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
        """For each id, as inputs or tables have it, whether it is of one of them."""
        forms = self._forms(authors.to_pylist())
        found, places = self.digests.has_digests([digest for digest, _ in forms]), [place for _, place in forms]
        return np.bincount(np.array(places, np.int64), found, len(authors)).astype(bool)

    def with_those(self, other: Tombstones) -> GoneAuthors:
        """These and those of more digests."""
        return GoneAuthors(self.digests.with_those(other), self.key)

    def _forms(self, authors: list[Any]) -> list[tuple[bytes, int]]:
        """Digests by which each is known, with its place."""
        return [(digest, place) for place, each in enumerate(authors) for digest in digests_of(each, self.key)]


def digests_of(author: str, key: bytes | None) -> tuple[bytes, ...]:
    """The digests by which an author may be known, the one that is stored last."""
    plain = digest_of_id(stored_id(author))
    return (plain,) if key is None else (plain, digest_of_id(pseudonym(key, author)))


def read(root: str, key: bytes | None) -> GoneAuthors:
    """All forgotten authors below a root that are known by their ids, or under a key.

    Raises:
        InputError: a file that is no list of ids, or a line of one that is no id.
    """
    by_key = _by_key(root, key)
    known = by_key.get(_name(key), Tombstones()).with_those(by_key.get(RAW, Tombstones()))
    return GoneAuthors(known, key)


def read_in_worker(root: str, identity: str, key: bytes | None) -> GoneAuthors:
    """The lists that the driver saw, read once in each process (tombstones.read_in_worker looks at the identity)."""
    return _read_once(root, identity, key) if identity else GoneAuthors()


@lru_cache(maxsize=1)
def _read_once(root: str, _identity: str, key: bytes | None) -> GoneAuthors:
    return read(root, key)


def check_key(root: str, key: bytes | None) -> None:
    """No author comes back because of another key.

    Raises:
        InputError: more authors are known under another key than under this one, which cannot tell who they are.
    """
    by_key = _by_key(root, key) if identify(root) else {}
    mine = max((len(by_key[name]) for name in (_name(key), RAW) if name in by_key), default=0)
    others = {name: len(found) for name, found in by_key.items() if name not in (_name(key), RAW)}
    if others and max(others.values()) > mine:
        raise InputError(
            f"{join(root, FOLDER, AUTHORS_FOLDER)}: {max(others.values())} authors were forgotten under another key, "
            f"{mine} under this one; run jobs/forget.py with their list and this recipe, --set forget.author_ids=FILE"
        )


def keep(root: str, request: str, digests: Tombstones, key: bytes | None) -> None:
    """Create the object of the authors of a request, by the digests that are stored."""
    if len(digests):
        name = f"forget-{request}.{_name(key)}{DIGESTS}"
        create_same(join(root, FOLDER, AUTHORS_FOLDER, name), digests.digests.tobytes())


def _by_key(root: str, key: bytes | None) -> dict[str, Tombstones]:
    """What is known, by the name of the key; lists of ids count under this one."""
    found: dict[str, Tombstones] = {}
    for file in files_of_authors(root):
        if file.uri.endswith(DIGESTS):
            name = file.uri.removesuffix(DIGESTS).rpartition(".")[2]
            data = read_digests(file)
            read = Tombstones("", np.unique(np.frombuffer(data, Tombstones().digests.dtype)))
        else:
            name = _name(key)
            read = Tombstones.of_digests(digests_of(author, key)[-1] for author in ids_of(file, AUTHORS))
        found[name] = found.get(name, Tombstones()).with_those(read)
    return found


def _name(key: bytes | None) -> str:
    return RAW if key is None else key_id(key)
