"""Whatever texts the shards of a run have: each that several have is owned by the first, and nothing else is shared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.corpus.text import text_hash
from theta_ray.encoder.shared import Index, find_owners, split_texts, to_keys

# few different keys, so that shards have some in common, and the largest and smallest among them
KEYS = st.sampled_from([0, 1, 2, 3, 5, 8, 2**32, 2**63, 2**64 - 1])
SHARDS = st.lists(st.sets(KEYS), max_size=6).map(
    lambda shards: [np.array(sorted(keys), np.uint64) for keys in shards],
)
TEXTS = st.lists(st.sampled_from(["US", "us", "Us ", "road", "ROAD", "bridge", "é", "e\u0301", ""]), max_size=20)


@given(SHARDS)
def test_a_key_is_shared_where_two_shards_have_it_and_owned_by_the_first(shards: list[npt.NDArray[np.uint64]]) -> None:
    owned, _ = find_owners(shards)
    assert len(owned) == len(shards)
    having = {key: [n for n, keys in enumerate(shards) if key in keys] for keys in shards for key in keys.tolist()}
    for keys, part in zip(shards, owned, strict=True):
        expected = [(key, having[key][0]) for key in keys.tolist() if len(having[key]) > 1]
        assert list(zip(part.keys.tolist(), part.owners.tolist(), strict=True)) == expected


@given(SHARDS)
def test_what_is_saved_is_what_is_left_over_beyond_the_distinct_keys(shards: list[npt.NDArray[np.uint64]]) -> None:
    _, num_saved = find_owners(shards)
    assert num_saved == sum(map(len, shards)) - len({key for keys in shards for key in keys.tolist()})


@given(SHARDS)
def test_every_owner_owns_what_the_others_need_of_it(shards: list[npt.NDArray[np.uint64]]) -> None:
    owned, num_saved = find_owners(shards)
    mine = [set(part.keys[part.owners == number].tolist()) for number, part in enumerate(owned)]
    needed = [(owner, key) for part in owned for key, owner in zip(part.keys.tolist(), part.owners, strict=True)]
    assert all(key in mine[owner] for owner, key in needed)
    assert len(needed) - sum(map(len, mine)) == num_saved


def to_table(texts: list[str]) -> pa.Table:
    hashes = pa.array([text_hash(text) for text in texts], pa.binary(16))
    return pa.table({"text": pa.array(texts, pa.string()), "text_hash": hashes})


@given(TEXTS, st.sets(st.sampled_from(["us", "road", "é", "elsewhere"])))
def test_every_row_keeps_its_text_and_shared_ones_come_last(texts: list[str], shared: set[str]) -> None:
    table = to_table(texts)
    keys = np.unique(to_keys(to_table(sorted(shared)).column("text_hash")))
    own, candidates, text_of_row = split_texts(table, Index("part", (0,), keys, tuple(map(str, keys))))
    distinct = [*own, *candidates.texts]
    assert [distinct[number] for number in text_of_row] == texts
    assert len(set(distinct)) == len(distinct)
    key_of = {text: str(key) for text, key in zip(texts, to_keys(table.column("text_hash")), strict=True)}
    assert [key_of[text] for text in candidates.texts] == list(candidates.owners)
    assert not {key_of[text] for text in own} & set(map(str, keys))


@given(TEXTS, st.integers(0, 5))
def test_keys_are_the_first_half_of_each_hash(texts: list[str], start: int) -> None:
    hashes = to_table(texts).column("text_hash")
    chunks = pa.chunked_array([*hashes.slice(start).chunks, *hashes.slice(0, start).chunks], pa.binary(16))
    expected = [int.from_bytes(each.as_py()[:8], "little") for each in chunks]
    assert to_keys(chunks).tolist() == expected
