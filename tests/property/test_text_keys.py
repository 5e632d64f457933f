"""Whatever nights there were, in any order and version: a text is known when a night up to that day has embedded it."""

from __future__ import annotations

import math
import tempfile
from fractions import Fraction

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.config import Resources
from theta_ray.corpus.duplicates import Keys
from theta_ray.encoder.text_index import Night, Segment, commit_index, find_segments, partition_of
from theta_ray.encoder.text_keys import GROWTH, find, newest_first, num_absorbed, num_parts, overlap, text_keys
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.manifest import commit
from theta_ray.store import Partition, ShardWriter, read_shard
from theta_ray.tasks import Executor

TEXTS = ["US", "us", "Us ", "road", "ROAD", "bridge", "é", "e\u0301", ""]
# few different halves, so that keys share their first, and the largest and smallest among them
HALVES = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
PARTS = st.lists(st.dictionaries(st.tuples(HALVES, HALVES), st.integers(0, 99), max_size=8), min_size=1, max_size=4)
SCHEMA = pa.schema([("doc_id", pa.string()), ("text", pa.string())])
NIGHTS = st.lists(
    st.tuples(st.integers(1, 5), st.lists(st.sampled_from(TEXTS), max_size=6, unique=True)), min_size=1, max_size=7
)


def keys_of(places: dict[tuple[int, int], int]) -> Keys:
    pairs = sorted(places)
    halves = [np.array([pair[i] for pair in pairs], np.uint64) for i in (0, 1)]
    rows = np.array([places[pair] for pair in pairs], np.int32)
    return Keys(*halves, np.zeros(len(pairs), np.int32), rows)


@given(PARTS)
def test_merged_lists_are_the_dictionary_in_which_the_newest_wins(parts: list[dict[tuple[int, int], int]]) -> None:
    merged = newest_first([keys_of(part) for part in parts])
    expected: dict[tuple[int, int], int] = {}
    for part in reversed(parts):
        expected |= part
    found = zip(merged.high.tolist(), merged.low.tolist(), merged.row.tolist(), strict=True)
    assert list(found) == [(*pair, expected[pair]) for pair in sorted(expected)]


@given(PARTS)
def test_a_key_is_found_where_both_its_halves_are(parts: list[dict[tuple[int, int], int]]) -> None:
    known, wanted = keys_of(parts[0]), keys_of(parts[-1] | dict.fromkeys(parts[0], 0))
    number = {pair: place for place, pair in enumerate(sorted(parts[0]))}
    pairs = zip(wanted.high.tolist(), wanted.low.tolist(), strict=True)
    assert find(wanted, known).tolist() == [number.get(pair, -1) for pair in pairs]


@given(st.integers(0, 4), st.integers(0, 4), st.data())
def test_ranges_of_any_two_sizes_overlap_where_their_fractions_do(one: int, other: int, data: st.DataObject) -> None:
    a, b = ((data.draw(st.integers(0, 2**power - 1)), 2**power) for power in (one, other))
    low, high = ((Fraction(n, of), Fraction(n + 1, of)) for n, of in (a, b))
    assert overlap(a, b) == (low[0] < high[1] and high[0] < low[1])


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=80))
def test_few_lists_are_left_and_no_row_is_written_often(nights: list[int]) -> None:
    lists: list[list[int]] = []  # newest first; how often each row of a list was written
    for size in nights:
        count = num_absorbed(size, map(len, lists))
        merged = [times + 1 for each in lists[:count] for times in each]
        lists = [[*([1] * size), *merged], *lists[count:]]
    sizes = [len(each) for each in lists]
    assert sum(sizes) == sum(nights)
    assert all(older >= GROWTH * newer for newer, older in zip(sizes, sizes[1:], strict=False))
    assert max(times for each in lists for times in each) <= 1 + math.log(sum(nights), 1 + 1 / GROWTH)


def test_parts_are_a_power_of_two_of_a_million_rows_at_most() -> None:
    assert [num_parts(rows) for rows in (0, 1, 2**20, 2**20 + 1, 3 * 2**20, 2**22 + 1)] == [1, 1, 1, 2, 4, 8]


def run_night(root: str, day: str, shards: dict[str, list[str]]) -> None:
    """What `embed` does of a day whose shards have these texts; the last of them is new."""
    corpus, embeddings = (Partition(root, table, "f" * 12, day) for table in ("corpus", "embeddings"))
    *_, (newest, texts) = shards.items()
    records = []
    for table in (corpus, embeddings):
        with ShardWriter(table, newest, SCHEMA) as writer:
            writer.write(pa.table([[f"d{i}" for i in range(len(texts))], texts], schema=SCHEMA))
            records.append(writer.publish())
    tasks = tuple(ShardTask(shard, shard, (0,) if shards[shard] else (), len(shards[shard]), 1) for shard in shards)
    night = Night(Partition(root, "text_index", "e" * 12, day), corpus, embeddings, tasks, frozenset(), {})
    commit_index(night, Executor("embed", Resources(executor="local"), lambda: None))
    commit(embeddings, SCHEMA, records[1:], {})


def texts_at(root: str, segments: list[Segment]) -> dict[tuple[int, int], str]:
    """The text that each known key leads to, by the newest list that has it."""
    found: dict[tuple[int, int], str] = {}
    for segment in reversed(segments):
        keys, paths = segment.read((0, 1))
        for high, low, shard, row in zip(keys.high, keys.low, keys.shard, keys.row, strict=True):
            text = read_shard(*partition_of(root, paths[shard]))["text"][row].as_py()
            found[int(high), int(low)] = text
    return found


@given(NIGHTS)
@settings(max_examples=15)
def test_after_any_nights_each_text_leads_to_itself_and_none_is_forgotten(nights: list[tuple[int, list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        shards: dict[str, dict[str, list[str]]] = {}
        for number, (day_number, texts) in enumerate(nights):
            day = f"2026-01-{day_number:02d}"
            shards.setdefault(day, {})[f"part-{number}"] = texts
            run_night(root, day, shards[day])
        for day in shards:
            segments = find_segments(Partition(root, "text_index", "e" * 12, day))
            seen = sorted({text for d in shards if d <= day for each in shards[d].values() for text in each})
            keys = text_keys(seen, np.arange(len(seen), dtype=np.int32))
            expected = {(int(keys.high[i]), int(keys.low[i])): seen[keys.row[i]] for i in range(len(keys))}
            assert texts_at(root, segments) == expected
