"""Texts of clusters in, counts of their terms by cluster and time out: sums, so that shards and nights add up.

    count[cluster, bucket, term]      how often the term is in documents of the cluster and of that time
    documents[cluster, bucket, term]  in how many of them

A bucket is the first day of a day, week or month in UTC; null where a document has no time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from theta_ray.config_topics import BucketUnit, Topics
from theta_ray.topics.words import is_term, language_of, plain, stop_words, words, words_of_plain

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt64 = NDArray[np.uint64]

COUNTS = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),  # of the term: decides who sums it up
        pa.field("term", pa.string(), nullable=False),
        pa.field("cluster_id", pa.int32(), nullable=False),
        pa.field("bucket", pa.date32()),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
    ]
)
TOTALS = pa.schema(
    [
        pa.field("cluster_id", pa.int32(), nullable=False),
        pa.field("bucket", pa.date32()),
        pa.field("lang", pa.string()),
        pa.field("documents", pa.int64(), nullable=False),
        pa.field("terms", pa.int64(), nullable=False),  # occurrences of any term
    ]
)
# Occurrences of terms that are counted at once (about 100 bytes each), and counts that are held apart before summing.
BATCH_TERMS, MAX_PARTS = 2**20, 2**6
WORD_BITS = np.uint64(32)
LOW_BITS = np.uint64(2**32 - 1)
TICKS_PER_DAY = 86_400 * 10**6
# 1 January 1970 was a Thursday.
DAYS_TO_MONDAY = 3


class _Ids(dict[str, int]):
    """Words as numbers that all languages share; -1 for those that are no terms in this one."""

    def __init__(self, shared: dict[str, int], stop: frozenset[str]) -> None:
        super().__init__()
        self._shared, self._stop = shared, stop

    def __missing__(self, word: str) -> int:
        known = is_term(word) and word not in self._stop
        number = self._shared.setdefault(word, len(self._shared)) if known else -1
        self[word] = number
        return number


class Vocabulary:
    """Terms as 64-bit keys while a shard is counted: a word's number, or two of them."""

    def __init__(self, settings: Topics) -> None:
        self._settings = settings
        self._more = frozenset(part for word in settings.stop_words for part in words(word))
        self._words: dict[str, int] = {}
        self._ids: dict[str | None, _Ids] = {}

    def encode(self, texts: Iterable[str], langs: Iterable[str | None]) -> tuple[Int64, UInt64]:
        """Every occurrence of a term in N plain texts: number of the text, and key of the term."""
        ids, ends = array("q"), array("q")
        for text, lang in zip(texts, langs, strict=True):
            ids.extend(map(self._ids_of(text, lang).__getitem__, words_of_plain(text)))
            ids.append(-1)  # no bigram reaches into the next text
            ends.append(len(ids))
        numbers = np.frombuffer(ids, np.int64) if ids else np.zeros(0, np.int64)
        lengths = np.diff(np.array(ends, np.int64), prepend=np.int64(0))
        text_of = np.repeat(np.arange(len(ends)), lengths.astype(np.int64))
        single = numbers >= 0
        keys = (numbers + 1).astype(np.uint64)
        if self._settings.max_words == 1:
            return text_of[single], keys[single]
        double = single[:-1] & single[1:]
        pairs = (keys[:-1][double] << WORD_BITS) | keys[1:][double]
        return np.concatenate([text_of[single], text_of[1:][double]]), np.concatenate([keys[single], pairs])

    def _ids_of(self, text: str, lang: str | None) -> _Ids:
        lang = language_of(text, lang, self._settings.unknown_language)
        if lang not in self._ids:
            self._ids[lang] = _Ids(self._words, stop_words(lang) | self._more)
        return self._ids[lang]

    def strings(self, keys: UInt64) -> pa.Array:
        """The terms of keys; the words of a pair have a space between them."""
        known = pa.array(["", *self._words], pa.string())
        first, second = (pa.array(part.astype(np.int64)) for part in (keys >> WORD_BITS, keys & LOW_BITS))
        joined = pc.binary_join_element_wise(known.take(first), known.take(second), " ")
        return pc.if_else(pc.equal(first, 0), known.take(second), joined)

    def hashes(self, keys: UInt64) -> UInt64:
        """Hashes of the terms of keys: of the words alone, so that every shard has the same."""
        digests = b"".join(blake2b(word.encode(), digest_size=8).digest() for word in self._words)
        known = np.concatenate([np.zeros(1, np.uint64), np.frombuffer(digests, "<u8")])
        return _mix(known[keys >> WORD_BITS] * np.uint64(0x9E3779B97F4A7C15) + known[keys & LOW_BITS])


def _mix(values: UInt64) -> UInt64:
    """The finaliser of splitmix64 (Steele et al. 2014): sums of hashes become hashes again."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class Documents:
    """N documents of one batch, each with its cluster and its time."""

    texts: Sequence[str]
    langs: Sequence[str | None]
    cluster_ids: Int32
    buckets: pa.Array
    """date32, with nulls."""


class TermCounter:
    """Counts of one shard, batch by batch."""

    def __init__(self, settings: Topics) -> None:
        self._vocabulary = Vocabulary(settings)
        self._cells: dict[tuple[int, int | None], int] = {}
        self._waiting: list[tuple[Int64, UInt64, Int64]] = []
        self._num_waiting = 0
        self._parts: list[pa.Table] = []
        self._totals: list[pa.Table] = []

    def add(self, documents: Documents) -> list[str]:
        """Count a batch; its texts as `words.plain` gives them."""
        texts = [plain(text) for text in documents.texts]
        text_of, keys = self._vocabulary.encode(texts, documents.langs)
        days = documents.buckets.cast(pa.int32()).to_pylist()
        of_text = zip(documents.cluster_ids.tolist(), days, strict=True)
        cell_of = np.array([self._cells.setdefault(cell, len(self._cells)) for cell in of_text], np.int64)
        self._waiting.append((text_of, keys, cell_of))
        self._num_waiting += len(keys)
        if self._num_waiting >= BATCH_TERMS:
            self._flush()
        terms = np.bincount(text_of, minlength=len(documents.texts)).astype(np.int64)
        columns = [
            pa.array(documents.cluster_ids),
            documents.buckets,
            pa.array(documents.langs, pa.string()),
            pa.array(np.ones(len(terms), np.int64)),
            pa.array(terms),
        ]
        self._totals.append(add_up([pa.table(columns, schema=TOTALS)]))
        if len(self._totals) == MAX_PARTS:
            self._totals = [add_up(self._totals)]
        return texts

    def _flush(self) -> None:
        if self._waiting:
            before = np.cumsum([0, *(len(cell_of) for _, _, cell_of in self._waiting)])
            text_of = np.concatenate([part[0] + first for part, first in zip(self._waiting, before, strict=False)])
            keys, cell_of = (np.concatenate([part[place] for part in self._waiting]) for place in (1, 2))
            self._parts.append(_count(text_of, keys, cell_of))
            self._waiting, self._num_waiting = [], 0
        if len(self._parts) == MAX_PARTS:
            self._parts = [sum_by(self._parts, ["cell", "key"])]

    def counts(self) -> pa.Table:
        """COUNTS of all batches so far, by hash."""
        self._flush()
        if not self._parts:
            return COUNTS.empty_table()
        part = sum_by(self._parts, ["cell", "key"])
        keys, of_key = np.unique(part["key"].to_numpy(), return_inverse=True)
        hashes = self._vocabulary.hashes(keys)[of_key]
        order = np.argsort(hashes, kind="stable")
        cells = part["cell"].to_numpy()[order]
        cluster_ids = np.array([cluster for cluster, _ in self._cells], np.int32)
        buckets = pa.array([day for _, day in self._cells], pa.int32()).cast(pa.date32())
        columns = [
            pa.array(hashes[order]),
            self._vocabulary.strings(keys).take(pa.array(of_key[order])),
            pa.array(cluster_ids[cells]),
            buckets.take(pa.array(cells)),
            *(pa.array(part[name].to_numpy()[order]) for name in ("count", "documents")),
        ]
        return pa.table(columns, schema=COUNTS)

    def totals(self) -> pa.Table:
        """TOTALS of all batches so far."""
        return add_up(self._totals) if self._totals else TOTALS.empty_table()


def _count(text_of: Int64, keys: UInt64, cell_of: Int64) -> pa.Table:
    """Counts and documents by cell and key, of occurrences of keys in texts of cells."""
    encoded = pa.array(keys).dictionary_encode()
    known, number = encoded.dictionary.to_numpy(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    width = max(1, len(known))
    # three plain sorts of whole numbers are faster than one of rows
    occurrences, count = _runs(cell_of[text_of] * width + number)
    by_text, _ = _runs(text_of * width + number)
    _, documents = _runs(cell_of[by_text // width] * width + by_text % width)
    names = ("cell", "key", "count", "documents")
    return pa.table([occurrences // width, known[occurrences % width], count, documents], names=names)


def _runs(values: Int64) -> tuple[Int64, Int64]:
    """Distinct values, ascending, and how often each occurs."""
    ordered = np.sort(values)
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(values)), bool), ordered[1:] != ordered[:-1]]))
    return ordered[starts], np.diff(starts, append=len(values))


def sum_by(parts: Sequence[pa.Table], by: list[str]) -> pa.Table:
    """Sums of all other columns, in no order."""
    table = pa.concat_tables(parts)
    names = [name for name in table.column_names if name not in by]
    summed = table.group_by(by, use_threads=False).aggregate([(name, "sum") for name in names])
    return summed.rename_columns([*by, *names])


def add_up(parts: Sequence[pa.Table]) -> pa.Table:
    """The sum of several tables of COUNTS or of TOTALS; whatever was counted together or apart, it is the same.

    Rows are by term (COUNTS), cluster, bucket and language (TOTALS).
    """
    schema = parts[0].schema
    by = [name for name in schema.names if name not in ("count", "documents", "terms")]
    summed = sum_by(parts, by).select(schema.names).cast(schema)
    return summed.sort_by([(name, "ascending") for name in by if name != "hash"])


def buckets_of(times: pa.Array | pa.ChunkedArray, unit: BucketUnit) -> pa.Array:
    """First days (date32) of the day, week or month of N times (timestamp[us, UTC]); null where there is none."""
    ticks = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
    missing = np.asarray(ticks.is_null())
    days = ticks.cast(pa.int64()).fill_null(0).to_numpy() // TICKS_PER_DAY
    if unit == "week":
        days = days - (days + DAYS_TO_MONDAY) % 7
    elif unit == "month":
        days = days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return pa.array(days.astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())
