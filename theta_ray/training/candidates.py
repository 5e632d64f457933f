"""What a document is a candidate for: the groups that it is in, or why it is left out.

A candidate is a document in a group: its label, a tag, the parent that it answers, its thread, or by itself. Each
candidate ends in a pair or is counted under one reason.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex

from theta_ray.config_pairs import Pairs
from theta_ray.corpus.duplicates import Keys, to_keys
from theta_ray.corpus.text import stream_safe
from theta_ray.training.dictionary import Forms, to_term
from theta_ray.training.groups import CANDIDATES, CHILD, PARENT
from theta_ray.training.splits import hash64, of_time, to_hour
from theta_ray.training.views import cut_title, fold_tag, sentences

COLUMNS = ("doc_id", "text", "kind", "author_id", "context_id", "parent_id", "created_at", "tags", "label")
RETWEET = regex.compile(r"\s*RT\s+@\w+", regex.IGNORECASE)
# What a platform or a habit puts into a text, and two posts of the same words differ by.
NO_WORDS = regex.compile(r"(?:https?://|www\.)\S++|\bHTTPURL\b|[@#][\w]++", regex.IGNORECASE)
WORD = regex.compile(r"[\p{L}\p{M}\p{N}]++")

# Why a candidate is in no pair.
DROPPED = {
    "repost": "a repost repeats another text",
    "few_words": "fewer words than pairs.min_words; links, mentions and tags are none",
    "no_body": "no blank line with words on both sides parts a title from a body",
    "one_sentence": "a sentence and its rest need two",
    "no_time": "the order of a thread needs times",
    "no_split_key": "nothing to split by: no author, no time",
    "crosses_split": "its pairs, or its tags, are on both sides of the split",
    "ambiguous": "the form of terms of several categories",
    "near_duplicate": "the same words as an earlier document",
    "small_group": "its group has too few documents",
    "alone": "no other document of its group is on its side of the split",
    "no_parent": "what it answers is not in the corpus, or is left out itself",
    "over_cap": "its group has its pairs already",
}


class Row(NamedTuple):
    """What is read of a document; times are microseconds since 1970."""

    doc_id: str
    text: str
    kind: str
    author_id: str | None
    context_id: str | None
    parent_id: str | None
    created_at: int | None
    tags: list[str]
    label: str | None


class Candidate(NamedTuple):
    """A row of CANDIDATES, but for the key."""

    group: str
    role: int
    order: int
    doc_id: str
    row: int
    split: int | None
    thread: str | None


def rows_of(batch: pa.Table) -> Iterator[Row]:
    """The documents of a part of the corpus."""
    times = batch["created_at"].cast(pa.int64())
    columns = [times if name == "created_at" else batch[name] for name in COLUMNS]
    for values in zip(*(column.to_pylist() for column in columns), strict=True):
        yield Row(*values)


def words_of(text: str) -> str:
    """The words of a text, folded; texts that share them are near-duplicates. Links, mentions and tags are none."""
    text = NO_WORDS.sub(" ", RETWEET.sub(" ", text, count=1) if RETWEET.match(text) else text)
    if text.isascii():
        return " ".join(WORD.findall(text.lower()))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", stream_safe(text)).casefold())
    return " ".join(WORD.findall(folded))


def is_repost(row: Row, kind: str) -> bool:
    """By its kind. Among hashtags also by how it begins; elsewhere only a repost of a text that is there is a loss."""
    return row.kind == "repost" or (kind == "hashtag" and RETWEET.match(row.text) is not None)


class Finder:
    """Finds the candidates among documents, by the rules of a recipe, and counts what it leaves out."""

    def __init__(self, pairs: Pairs, limit: int | None = None, forms: Forms | None = None) -> None:
        """`limit` is that of the split where it is known beforehand, as it is for hashes."""
        self.pairs, self._limit, self._forms = pairs, limit, forms
        self._groups: Callable[[Row], list[str]] = {
            "hashtag": _tags,
            "label": _label,
            "dictionary": _label,
            "reply": _parent,
            "thread": _thread,
        }.get(pairs.kind, _itself)
        # a few tags are most of them
        self._group_number = functools.lru_cache(2**14)(lambda group: self._hash("group", group))
        self.num_candidates = 0
        self.dropped: Counter[str] = Counter()
        self.digests: dict[int, bytes] = {}
        """16 bytes over the words of each document that is a candidate or a parent, by its row."""

    def find(self, row: Row, number: int) -> Iterator[Candidate]:
        """Candidates of one document, and with replies the document as a parent; `number` is its row in the shard."""
        words, words_to_split = words_of(row.text), ""
        if self.pairs.kind == "dictionary":
            words = words_of(to_term(row.text))
            row, words_to_split = self._as_term(row)
        groups = self._groups(row)
        self.num_candidates += len(groups)
        reason = self._reason(row, words)
        split = self._split_number(row, words_to_split or words) if reason is None else None
        if self.pairs.kind == "reply" and reason is None:
            self.digests[number] = _digest(words)
            yield Candidate(row.doc_id, PARENT, 0, row.doc_id, number, split, None)
        if groups and reason is None and split is None and not self._splits_groups():
            reason = "no_split_key"
        if reason is not None:
            self.dropped[reason] += len(groups)
            return
        self.digests[number] = _digest(words)
        is_thread, is_reply = self.pairs.kind == "thread", self.pairs.kind == "reply"
        thread = (row.context_id or row.parent_id) if is_reply else None
        for group in self._on_one_side(groups):
            order = of_time(row.created_at or 0) if is_thread else self._hash(group, row.doc_id)
            side = self._group_number(group) if self._splits_groups() else split
            yield Candidate(group, CHILD, order, row.doc_id, number, side, thread)

    def _as_term(self, row: Row) -> tuple[Row, str]:
        """A document without a label as a form of a term: with its category, and the words that decide its side."""
        if row.label is not None or self._forms is None:
            return row, ""
        found = self._forms.find(row.text)
        if len(found) > 1:
            self.num_candidates += 1
            self.dropped["ambiguous"] += 1
        if len(found) != 1:
            return row, ""
        ((category, pattern),) = found.items()
        return row._replace(label=category), words_of(to_term(pattern.text))

    def _reason(self, row: Row, words: str) -> str | None:
        kind = self.pairs.kind
        checks = (
            ("repost", is_repost(row, kind)),
            ("few_words", len(words.split(" ")) < self.pairs.min_words or not words),
            ("no_body", kind == "title_body" and cut_title(row.text) is None),
            ("one_sentence", kind == "ict" and len(sentences(row.text)) < 2),
            ("no_time", kind == "thread" and row.created_at is None),
        )
        return next((reason for reason, is_so in checks if is_so), None)

    def _splits_groups(self) -> bool:
        """Whether the side of a candidate is that of its group; a reply's group is its thread."""
        return self.pairs.split_by == "group" and self.pairs.kind != "reply"

    def _split_number(self, row: Row, words: str) -> int | None:
        by = self.pairs.split_by
        if by == "time":
            return None if row.created_at is None else of_time(row.created_at)
        if by == "author":
            return None if row.author_id is None else self._hash("author", row.author_id)
        if by == "group":
            return self._group_number(row.context_id or row.parent_id or row.doc_id)
        return self._hash("text", words)

    def _on_one_side(self, groups: list[str]) -> list[str]:
        """All groups of a document, or those of the test side where it has some there: it is for evaluation then."""
        if len(groups) < 2 or not self._splits_groups() or self._limit is None:
            return groups
        test = [group for group in groups if self._group_number(group) >= self._limit]
        if test and len(test) < len(groups):
            self.dropped["crosses_split"] += len(groups) - len(test)
            return test
        return groups

    def _hash(self, *parts: str) -> int:
        return hash64(self.pairs.seed, *parts)


def _label(row: Row) -> list[str]:
    return [row.label] if row.label is not None else []


def _tags(row: Row) -> list[str]:
    return sorted({fold_tag(tag) for tag in row.tags})


def _parent(row: Row) -> list[str]:
    return [row.parent_id] if row.parent_id is not None else []


def _thread(row: Row) -> list[str]:
    return [row.context_id] if row.context_id is not None else []


def _itself(row: Row) -> list[str]:
    return [row.doc_id]


def _digest(words: str) -> bytes:
    return hashlib.blake2b(words.encode(), digest_size=16).digest()


def keys_of(digests: dict[int, bytes], shard: int) -> Keys:
    """Keys of the documents of one shard, by their words."""
    keys = to_keys(b"".join(digests.values()), shard)
    return replace(keys, row=np.fromiter(digests, np.int32, len(digests)))


def to_table(found: list[Candidate]) -> pa.Table:
    """Candidates as a table of CANDIDATES, sorted by the hash of their groups."""
    columns = [list(column) for column in zip(*found, strict=True)] or [[] for _ in Candidate._fields]
    values = dict(zip(Candidate._fields, columns, strict=True))
    known = {group: hash64(0, group) for group in set(values["group"])}
    values["key"] = [known[group] for group in values["group"]]
    table = pa.table([values[field.name] for field in CANDIDATES], schema=CANDIDATES)
    return table.take(pa.array(np.argsort(table["key"].to_numpy(), kind="stable")))


def hours_of(candidates: pa.Table) -> dict[int, int]:
    """Candidates by the hour of their split number, where that is a time."""
    children = candidates.filter(pc.equal(candidates["role"], CHILD))
    counts: Counter[int] = Counter(to_hour(number) for number in children["split"].to_pylist() if number is not None)
    return dict(counts)


def merged(parts: list[dict[str, Any]]) -> Counter[str]:
    """Sums of counts by name."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total
