"""Counts of terms are sums: however documents are spread over shards and nights, they come out the same."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.config_topics import BucketUnit, Topics
from theta_ray.topics.counts import COUNTS, TOTALS, Documents, TermCounter, add_up, buckets_of
from theta_ray.topics.words import is_term, words

WORDS = ["bread", "dough", "the", "star", ".", "galaxy", "x", "新闻", "café", "42"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
LANGS = st.sampled_from(["en", "de", None])
ROWS = st.lists(st.tuples(TEXTS, LANGS, st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2))), max_size=30)
Row = tuple[str, str | None, int, int | None]


def documents(rows: list[Row]) -> Documents:
    texts, langs, clusters, days = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Documents(
        texts,
        langs,
        np.array(clusters, np.int32),
        pa.array(days, pa.int32()).cast(pa.date32()),
    )


def count(parts: list[list[Row]], settings: Topics) -> tuple[pa.Table, pa.Table]:
    """Counts and totals of batches that one counter has seen."""
    counter = TermCounter(settings)
    for part in parts:
        counter.add(documents(part))
    return counter.counts(), counter.totals()


@given(ROWS, st.lists(st.integers(0, 30), max_size=4), st.lists(st.integers(0, 30), max_size=4))
def test_any_split_into_shards_and_batches_gives_the_same_sums(
    rows: list[Row], shards: list[int], batches: list[int]
) -> None:
    def split(values: list[Row], cuts: list[int]) -> list[list[Row]]:
        edges = [0, *sorted(cuts), len(values)]
        return [values[a:b] for a, b in zip(edges, edges[1:], strict=False)]

    whole = count([rows], Topics())
    parts = [count(split(part, batches), Topics()) for part in split(rows, shards)]
    for place, schema in enumerate((COUNTS, TOTALS)):
        summed = add_up([part[place] for part in parts])
        assert summed.schema == schema
        assert summed.equals(add_up([whole[place]]))


@given(ROWS)
def test_counts_are_those_of_a_dictionary(rows: list[Row]) -> None:
    settings = Topics(stop_words=("dough",), unknown_language=None)
    expected, in_documents = Counter[tuple[str, int, int | None]](), Counter[tuple[str, int, int | None]]()
    for text, lang, cluster, day in rows:
        stop = {"dough"} | ({"the"} if lang == "en" else set())
        kept = [word if is_term(word) and word not in stop else None for word in words(text)]
        found = [word for word in kept if word]
        found += [f"{a} {b}" for a, b in zip(kept, kept[1:], strict=False) if a and b]
        expected.update((term, cluster, day) for term in found)
        in_documents.update((term, cluster, day) for term in set(found))
    table, _ = count([rows], settings)
    days = table["bucket"].cast(pa.int32()).to_pylist()
    keys = list(zip(table["term"].to_pylist(), table["cluster_id"].to_pylist(), days, strict=True))
    assert len(set(keys)) == len(keys)
    assert dict(zip(keys, table["count"].to_pylist(), strict=True)) == expected
    assert dict(zip(keys, table["documents"].to_pylist(), strict=True)) == in_documents


@given(st.lists(st.sampled_from(WORDS), min_size=1), st.lists(st.sampled_from(WORDS), min_size=1))
def test_a_term_has_the_same_hash_in_every_shard(first: list[str], second: list[str]) -> None:
    def hashes(text: str) -> dict[str, int]:
        table, _ = count([[(text, "xx", 0, None)]], Topics())
        return dict(zip(table["term"].to_pylist(), table["hash"].to_pylist(), strict=True))

    one, other = hashes(" ".join(first)), hashes(" ".join(second))
    assert all(one[term] == other[term] for term in one.keys() & other.keys())
    assert len({*one.items(), *other.items()}) == len({*one.values(), *other.values()})


@given(st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))), st.sampled_from(["week", "day"]))
def test_a_bucket_is_the_first_day_of_its_time(time: datetime | None, unit: BucketUnit) -> None:
    times = pa.array([None if time is None else time.replace(tzinfo=UTC)], pa.timestamp("us", tz="UTC"))
    found, month = (buckets_of(times, each)[0].as_py() for each in (unit, "month"))
    if time is None:
        assert (found, month) == (None, None)
        return
    day = time.date()
    assert found == (day if unit == "day" else day - timedelta(days=day.weekday()))
    assert month == date(day.year, day.month, 1)
