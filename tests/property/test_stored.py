"""Vectors as float16, int8 and bits: what comes back is as near as promised, and what ranks first still does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theta_ray.encoder.neighbours import Recall, evenly_spaced, measure_recall
from theta_ray.encoder.stored import Stored, read_vectors, to_stored, vector_difference
from theta_ray.schemas import STORE_TYPES, embeddings_schema

values = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
vectors = st.tuples(st.integers(1, 6), st.sampled_from([8, 16, 24])).flatmap(
    lambda shape: arrays(np.float32, shape, elements=values)
)
store_dtypes = st.sampled_from(sorted(STORE_TYPES))


def random_vectors(count: int, dim: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Unit vectors in a few clusters, as those of texts are."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(20, dim))[np.arange(count) % 20] + rng.normal(size=(count, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def to_table(stored: Stored, dim: int) -> pa.Table:
    count = len(stored.values)
    ids, tokens = pa.array([f"d{i}" for i in range(count)]), pa.array([3] * count, pa.int32())
    columns = {"doc_id": ids, **stored.columns(), "num_tokens": tokens}
    return pa.table(columns).cast(embeddings_schema(dim, stored.store_dtype))


@given(vectors)
def test_an_int8_value_is_within_half_a_step_of_what_it_was(made: npt.NDArray[np.float32]) -> None:
    stored = to_stored(made, "int8")
    assert stored.scale_N is not None
    error = np.abs(stored.restored().astype(np.float64) - made)
    assert (error <= stored.scale_N[:, None] * 0.5001).all()
    assert np.allclose(stored.scale_N, np.abs(made).max(axis=1) / 127, rtol=1e-6)


@given(vectors)
def test_a_bit_says_whether_a_value_is_above_0_and_the_first_one_is_the_highest(made: npt.NDArray[np.float32]) -> None:
    stored = to_stored(made, "binary")
    assert np.array_equal(stored.restored() > 0, made > 0)
    assert set(np.unique(stored.restored())) <= {-1.0, 1.0}
    for row, signs in zip(stored.values, made > 0, strict=True):
        assert int.from_bytes(row.tobytes(), "big") == int("".join(str(int(sign)) for sign in signs), 2)


@given(vectors, store_dtypes)
def test_storing_what_was_restored_changes_nothing(made: npt.NDArray[np.float32], store_dtype: str) -> None:
    once = to_stored(made, store_dtype)
    again = to_stored(once.restored(), store_dtype)
    assert np.array_equal(once.values, again.values)
    assert again.restored() == pytest.approx(once.restored(), rel=1e-6)


@given(vectors, store_dtypes)
def test_a_table_gives_back_what_was_put_into_it(made: npt.NDArray[np.float32], store_dtype: str) -> None:
    stored = to_stored(made, store_dtype)
    assert np.array_equal(read_vectors(to_table(stored, made.shape[1])), stored.restored())


@given(vectors)
def test_the_cosine_of_signs_ranks_as_the_hamming_distance(made: npt.NDArray[np.float32]) -> None:
    stored = to_stored(made, "binary")
    signs, dim = stored.restored().astype(np.float64), made.shape[1]
    distances = np.bitwise_count(stored.values[:, None] ^ stored.values[None]).sum(axis=2)
    assert signs @ signs.T / dim == pytest.approx(1 - 2 * distances / dim)


@pytest.mark.parametrize("store_dtype", sorted(STORE_TYPES))
def test_other_kernels_may_move_a_value_over_a_rounding_limit_and_no_further(store_dtype: str) -> None:
    made = random_vectors(200, 384)
    noise = np.random.default_rng(1).uniform(-9e-4, 9e-4, made.shape).astype(np.float32)
    mine, near, swapped = (
        to_table(to_stored(some, store_dtype), 384) for some in (made, made + noise / 2, np.roll(made, 1, axis=0))
    )
    assert vector_difference(mine, near) is None
    assert "smallest cosine" in str(vector_difference(mine, swapped))


def test_vectors_of_another_width_are_another_shard() -> None:
    wide, narrow = (to_table(to_stored(random_vectors(3, dim), "float16"), dim) for dim in (16, 8))
    assert vector_difference(wide, narrow) == "vectors of another width"


@given(st.integers(0, 5000), st.integers(1, 2000))
def test_a_sample_is_evenly_spaced(num_rows: int, count: int) -> None:
    rows = evenly_spaced(num_rows, count)
    assert len(rows) == len(set(rows)) == min(num_rows, count)
    gaps = np.diff(np.append(rows, num_rows))
    assert not len(gaps) or (rows[0] == 0 and gaps.max() - gaps.min() <= 1)


def brute_recall(exact: npt.NDArray[Any], other: npt.NDArray[Any], queries: npt.NDArray[np.int64]) -> int:
    hits = 0
    for query in queries:
        nearest = []
        for made in (exact, other):
            unit = made.astype(np.float64) / np.linalg.norm(made, axis=1, keepdims=True)
            cosines = unit @ unit[query]
            cosines[query] = -2
            nearest.append(set(np.argsort(-cosines, kind="stable")[:10].tolist()))
        hits += len(nearest[0] & nearest[1])
    return hits


@pytest.mark.parametrize("store_dtype", ["float16", "float32", "int8"])
def test_recall_equals_a_count_by_hand(store_dtype: str) -> None:
    exact = random_vectors(90, 32)
    other = to_stored(exact[:, :16].copy(), store_dtype).restored()
    recall = measure_recall(exact, other)
    assert recall == Recall(brute_recall(exact, other, evenly_spaced(90, 64)), 64, 90)
    assert 0.2 < (recall.at_10 or 0) < 0.9


def test_recall_falls_with_width_and_is_whole_where_nothing_is_lost() -> None:
    exact = random_vectors(1024, 256)
    figures = [measure_recall(exact, to_stored(exact, kind).restored()).at_10 for kind in ("float32", "int8", "binary")]
    narrow = [measure_recall(exact, exact[:, :dim]).at_10 for dim in (256, 128, 32)]
    assert figures[0] == narrow[0] == 1
    assert figures == sorted(figures, reverse=True)  # type: ignore[type-var]
    assert narrow == sorted(narrow, reverse=True)  # type: ignore[type-var]
    assert len({*figures, *narrow}) == 5


def test_texts_with_equal_vectors_are_equally_right_neighbours() -> None:
    exact = np.repeat(random_vectors(4, 32), 16, axis=0)  # 15 others are the tenth neighbour
    reversed_ties = exact + np.linspace(0, 1e-7, 64, dtype=np.float32)[::-1, None] * exact
    assert measure_recall(exact, reversed_ties).at_10 == 1


def test_vectors_that_all_tie_find_neighbours_by_chance_only() -> None:
    exact = random_vectors(1024, 64)
    order = np.random.default_rng(2).permutation(1024)
    recall = measure_recall(exact[order], np.ones_like(exact))
    assert (recall.at_10 or 0) < 0.05  # 10 of 1,023 texts are right


def test_few_texts_tell_nothing_of_recall() -> None:
    assert measure_recall(random_vectors(31, 8), random_vectors(31, 8)) == Recall(0, 0, 0)
    assert Recall().at_10 is None
