from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.config_evaluation import Evaluation
from theta_ray.training import metrics
from theta_ray.training.bootstrap import estimate, estimate_difference, resampled_weights
from theta_ray.training.evaluation import METRICS, HeldOut, Scores, join, per_query, summarise

SETTINGS = Evaluation(num_resamples=100, num_neighbors=3, batch_size=5)
WORDS = st.sampled_from([f"text {number}" for number in range(12)])
HELD_OUT = st.builds(
    HeldOut.of,
    pairs=st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["a", "b", None])), min_size=1, max_size=20),
    scored=st.lists(st.tuples(WORDS, WORDS, st.integers(0, 5).map(float)), max_size=20),
    labelled=st.just([("text 0", "x"), ("text 1", "y")]).flatmap(
        lambda two: st.lists(st.tuples(WORDS, st.sampled_from(["x", "y", "z"])), max_size=20).map(
            lambda more: two + more
        )
    ),
    triplets=st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=20),
)


def _vectors(held_out: HeldOut, seed: int) -> np.ndarray:
    # few distinct values, so that there are ties
    return np.random.default_rng(seed).integers(-1, 2, (len(held_out.texts), 4)) + 0.125


@settings(max_examples=40)
@given(HELD_OUT, st.integers(0, 99), st.integers(1, 7))
def test_parts_joined_are_the_whole(held_out: HeldOut, seed: int, num_parts: int) -> None:
    vectors = _vectors(held_out, seed)
    whole = per_query(vectors, held_out, SETTINGS)
    parts = join([per_query(vectors, held_out, SETTINGS, (part, num_parts)) for part in range(num_parts)])
    assert parts.spread == whole.spread
    assert parts.columns.keys() == whole.columns.keys()
    for name, column in whole.columns.items():
        np.testing.assert_allclose(parts.columns[name], column, rtol=0, atol=1e-12, err_msg=name)


@settings(max_examples=20)
@given(HELD_OUT, st.integers(0, 99))
def test_the_order_of_queries_does_not_change_what_they_say(held_out: HeldOut, seed: int) -> None:
    scores = per_query(_vectors(held_out, seed), held_out, SETTINGS)
    # columns of one metric have one length, and so one order
    order = {len(column): np.random.default_rng(seed).permutation(len(column)) for column in scores.columns.values()}
    mixed = Scores({name: column[order[len(column)]] for name, column in scores.columns.items()}, scores.spread)
    for name, row in summarise(scores, SETTINGS).items():
        assert summarise(mixed, SETTINGS)[name]["value"] == pytest.approx(row["value"], abs=1e-6), name


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(0, 99))
def test_weighted_ranks_are_those_of_the_repeated_values(values: list[int], seed: int) -> None:
    numbers, weights = np.array(values, float), np.random.default_rng(seed).integers(0, 3, (2, len(values)))
    found = metrics.weighted_ranks(weights.astype(float), numbers)
    for row in range(2):
        repeated = np.repeat(numbers, weights[row])
        for place in np.flatnonzero(weights[row]):
            below, tied = (repeated < numbers[place]).sum(), (repeated == numbers[place]).sum()
            assert found[row, place] == below + (tied + 1) / 2


@given(st.integers(1, 40), st.integers(0, 99))
def test_a_resample_has_as_many_queries_as_there_are(num_queries: int, seed: int) -> None:
    weights = np.concatenate(list(resampled_weights(num_queries, 25, seed)))
    assert weights.shape == (25, num_queries)
    assert (weights.sum(axis=1) == num_queries).all()


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(0, 99))
def test_intervals_are_the_percentiles_of_resampled_means(values: list[float], seed: int) -> None:
    numbers = np.array(values)
    drawn = np.random.default_rng(seed).integers(len(numbers), size=(200, len(numbers)))
    low, high = np.quantile([numbers[rows].mean() for rows in drawn], [0.025, 0.975])
    found = estimate(metrics.weighted_mean, [numbers], Evaluation(num_resamples=200, seed=seed))
    assert found == pytest.approx((numbers.mean(), low, high), abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.floats(-2, 2))
def test_a_constant_gain_has_no_spread_since_resamples_are_paired(values: list[float], gain: float) -> None:
    base = np.array(values)
    found = estimate_difference(metrics.weighted_mean, [base + gain], [base], SETTINGS)
    assert found == pytest.approx((gain, gain, gain), abs=1e-9)


@settings(max_examples=20)
@given(st.integers(20, 100), st.integers(2, 20), st.integers(0, 99))
def test_the_interval_of_mutual_information_holds_it_though_repeated_texts_raise_it(
    num_texts: int, num_labels: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, num_labels, num_texts)
    cluster = np.where(generator.random(num_texts) < 0.5, label, generator.integers(0, num_labels, num_texts))
    found = estimate(metrics.normalized_mutual_information, [label, cluster], SETTINGS, is_biased=True)
    assert found.low <= found.value <= found.high


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 99))
def test_rotations_leave_the_spread_as_it_is(num_texts: int, dim: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(num_texts, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rotation, _ = np.linalg.qr(generator.normal(size=(dim, dim)))
    for spread in (metrics.uniformity, metrics.effective_rank, metrics.mean_cosine):
        assert spread(vectors @ rotation) == pytest.approx(spread(vectors), abs=1e-6)
    assert 1 - 1e-9 <= metrics.effective_rank(vectors) <= min(num_texts, dim) + 1e-9


def test_every_metric_is_a_number_of_its_own_queries() -> None:
    held_out = HeldOut.of([("a", "b", None)] * 3, [("a", "b", 1.0)], [("a", "x"), ("b", "y")], [("a", "b", "c")])
    found = per_query(np.eye(3), held_out, SETTINGS)
    assert {column for metric in METRICS.values() for column in metric.columns} == set(found.columns)
