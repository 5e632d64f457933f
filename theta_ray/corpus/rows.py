"""Raw documents become rows of the corpus table: text normalised, tags found, language known, rows filtered."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any

import pyarrow as pa

from theta_ray.config import Corpus
from theta_ray.corpus.authors import pseudonym
from theta_ray.corpus.bertweet import normalizer
from theta_ray.corpus.document import Document, Rejected, printable
from theta_ray.corpus.language import identify, source_language
from theta_ray.corpus.links import find_links, to_column
from theta_ray.corpus.references import without_references
from theta_ray.corpus.text import HASHTAGS, storable, text_hash
from theta_ray.corpus.values import SURROGATE, stored_id
from theta_ray.schemas import CORPUS
from theta_ray.store import digest_of

# Where a row came from, kept until the rows that repeat others are turned away.
STAGED = pa.schema([*CORPUS, pa.field("unit", pa.int32()), pa.field("place", pa.int64())])
# Normalising makes texts shorter, entities and white space above all; beyond this factor it is not tried.
MAX_SHRINK = 16
# Texts are normalised so many at a time, and no more characters of them than this.
BATCH_TEXTS, BATCH_CHARS = 256, 2**20
# Twitter allows about fifty; of a damaged or hostile list the first ones are kept.
MAX_MENTIONS = 1000
REFERENCES = attrgetter("context_id", "parent_id", "parent_author", "mention_ids", "links")
CorpusRow = tuple[Any, ...]
TEXT = CORPUS.names.index("text")
LISTS = tuple(place for place, field in enumerate(CORPUS) if pa.types.is_list(field.type))
Built = tuple[int, CorpusRow | Rejected]


class RowBuilder:
    """One recipe's rules; turns documents into rows, in the order of the corpus columns.

    Ids in `deleted` are turned away before anything else, so that no other reason repeats them; reposts of such a
    document are copies of it and go with it, and whoever else refers to it does so no longer (references.py). The same
    holds for all documents of `authors`.
    """

    def __init__(
        self, corpus: Corpus, key: bytes | None, deleted: Container[str] = (), authors: Container[str] = ()
    ) -> None:
        self._corpus, self._key, self._deleted, self._authors = corpus, key, deleted, authors
        self.masked: list[tuple[int, str]] = []
        """Places of what refers to a deleted document or author no longer, and a digest of what it refers to still."""
        self.of_authors: list[str] = []
        """Ids of documents of `authors` that are not in `deleted`."""
        self._normalize = normalizer(corpus.normalize)
        self._find_tags = HASHTAGS[corpus.hashtags]
        self._keep = frozenset(corpus.keep_languages)

    def build_all(self, found: Iterable[Document | Rejected], source: str) -> Iterator[Built]:
        """Places with the row of each document, or why it is turned away; what a reader turned away stays so."""
        for batch in _batches(found):
            checked = [self._check(item) for item in (self._without_deleted(item) for item in batch)]
            texts = iter(self._normalize([item.text for item in checked if isinstance(item, Document)]))
            for item in checked:
                yield item.place, item if isinstance(item, Rejected) else self._row(item, next(texts), source)

    def build(self, document: Document, source: str) -> CorpusRow | Rejected:
        """The row of one document, or why it is turned away."""
        return next(self.build_all([document], source))[1]

    def _without_deleted(self, item: Document | Rejected) -> Document | Rejected:
        if not self._deleted and not self._authors:
            return item
        found = without_references(item, self._deleted, self._authors, self._key)
        if isinstance(found, Rejected) and found.reason == "deleted_id":
            if isinstance(item, Document) and item.author in self._authors:
                self._learn(stored_id(item.doc_id))
        elif found is not item:
            self.masked.append((item.place, digest_of(ascii(REFERENCES(found) if isinstance(found, Document) else ()))))
        return found

    def _learn(self, doc_id: str) -> None:
        if doc_id not in self._deleted:
            self.of_authors.append(doc_id)

    def _check(self, document: Document | Rejected) -> Document | Rejected:
        """The document, or why it is turned away before its text is normalised."""
        if isinstance(document, Rejected):
            return document
        if not document.text or document.text.isspace():
            return self._reject(document, "missing_text")
        if len(document.text) > MAX_SHRINK * self._corpus.max_chars:
            return self._reject(document, "too_long")
        return document

    def _row(self, document: Document, text: str, source: str) -> CorpusRow | Rejected:
        corpus, raw = self._corpus, document.text
        tags: Sequence[str] = self._find_tags(raw) if "#" in raw else ()
        if tags or document.tags:
            tags = list(dict.fromkeys((*tags, *document.tags)))
        if not corpus.min_chars <= len(text) <= corpus.max_chars:
            return self._reject(document, "too_short" if len(text) < corpus.min_chars else "too_long")
        lang = self._language(document, text)
        if self._keep and lang not in self._keep:
            return self._reject(document, "other_language", f"language {lang or 'unknown'}, ")
        return (
            stored_id(document.doc_id),
            text,
            text_hash(text),
            self._author(document.author),
            document.context_id,
            document.parent_id,
            self._author(document.parent_author),
            document.container,
            document.created_at,
            lang,
            tags,
            self._mentions(document),
            self._links(document),
            document.label,
            document.score,
            document.kind,
            source,
        )

    @staticmethod
    def _reject(document: Document, reason: str, detail: str = "") -> Rejected:
        return Rejected(reason, f"{detail}doc_id {document.doc_id}", document.place)

    def _language(self, document: Document, text: str) -> str | None:
        if self._corpus.language == "identify":
            lang, score = identify(text)
            return lang if score >= self._corpus.min_language_score else None
        return source_language(document.lang) if self._corpus.language == "source" else None

    def _author(self, author: str | None) -> str | None:
        if author is None or self._corpus.authors == "drop":
            return None
        return author if self._key is None else pseudonym(self._key, author)

    def _mentions(self, document: Document) -> list[str | None]:
        if not document.mention_ids or self._corpus.authors == "drop":
            return []
        others = dict.fromkeys(author for author in document.mention_ids if author != document.parent_author)
        return [self._author(author) for author in islice(others, MAX_MENTIONS)]

    @staticmethod
    def _links(document: Document) -> list[str]:
        if document.links is not None:
            return to_column(document.links)
        return to_column(find_links(document.text)) if "://" in document.text else []


def _batches(found: Iterable[Document | Rejected]) -> Iterator[list[Document | Rejected]]:
    batch: list[Document | Rejected] = []
    num_chars = 0
    for item in found:
        batch.append(item)
        num_chars += len(item.text or "") if isinstance(item, Document) else 0
        if len(batch) == BATCH_TEXTS or num_chars >= BATCH_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch


def num_chars(row: CorpusRow) -> int:
    """Characters of a row's text and lists: what its size in memory follows."""
    return len(row[TEXT]) + sum(len(item) for place in LISTS for item in row[place])


def to_table(rows: list[CorpusRow], units: list[int], places: list[int]) -> pa.Table:
    """Rows, with the number of their unit and their place in it, as a table of the STAGED schema."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in CORPUS]
    arrays = [_to_array(column, field.type) for column, field in zip([*columns, units, places], STAGED, strict=True)]
    return pa.table(arrays, schema=STAGED)


def _to_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type=kind)
    except UnicodeEncodeError:
        return pa.array([_without_surrogates(value) for value in values], type=kind)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def quarantine_row(rejected: Rejected, uri: str) -> tuple[str, str, str, str]:
    """A row of the quarantine table: stage, source_ref, reason, detail."""
    return "prepare", f"{printable(uri, 2000)}#{rejected.place}", rejected.reason, printable(storable(rejected.detail))
