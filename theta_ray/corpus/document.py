"""What readers yield: a raw document, or the reason why a row was turned away."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

from theta_ray.terminal import escaped

MAX_RECORD_BYTES = 64 * 2**20
MAX_DETAIL_CHARS = 200


class Document(NamedTuple):
    """One document as found, before normalisation.

    `created_at` is in microseconds since 1970 (UTC). `place` is a byte offset in the decompressed
    file (line formats) or a row number (parquet). `parent_author` wrote what `parent_id` names. `links` are
    addresses as the dump has them; None: those in the text.
    """

    doc_id: str
    text: str
    place: int
    kind: str
    author: str | None = None
    context_id: str | None = None
    parent_id: str | None = None
    parent_author: str | None = None
    container: str | None = None
    created_at: int | None = None
    lang: str | None = None
    tags: tuple[str, ...] = ()
    mention_ids: tuple[str, ...] = ()
    links: tuple[str, ...] | None = None
    label: str | None = None
    score: int | None = None


class Rejected(NamedTuple):
    """One row that becomes no document. `reason` is a key of schemas.DAMAGED or FILTERED."""

    reason: str
    detail: str
    place: int


Row = Document | Rejected


@dataclass(frozen=True)
class Unit:
    """A file, or the part of one that a single task reads.

    `start` and `stop` are bytes for line formats (the unit owns the lines that start between them)
    and row groups for parquet; `stop` None means to the end.
    """

    uri: str
    input_index: int
    num_bytes: int
    start: int = 0
    stop: int | None = None
    identity: str = ""
    """What its file was when the run was planned (listing.identify)."""


class Damaged(Exception):
    """A value that cannot be kept; caught where the row is made, never shown to a user."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def printable(text: str, limit: int = MAX_DETAIL_CHARS) -> str:
    """`text` in one line of at most `limit` characters: control and bidi characters escaped, the end cut."""
    shown = escaped(text[:limit])
    return shown if len(shown) <= limit and len(text) <= limit else shown[: limit - 3] + "..."


def made_id(uri: str, place: int) -> str:
    """Id of a row that has none: 24 hex digits over its file and its place there.

    The whole URI enters: files of the same name (one folder a day) must not share ids.
    """
    return hashlib.blake2b(f"{uri}#{place}".encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
