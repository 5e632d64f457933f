"""Agreement of partitions and of people: equal to scikit-learn and to published values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from theta_ray.topics.agreement import (
    adjusted_mutual_information,
    adjusted_rand_index,
    expected_mutual_information,
    homogeneity,
    krippendorff_alpha,
    v_measure,
    wilson_interval,
)

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40)
Partition = npt.NDArray[np.int64]


@given(PAIRS)
@example([(0, 0)] * 5)
@example([(i, i) for i in range(6)])
@example([(0, i) for i in range(6)])
@example([(i % 2, i // 2) for i in range(8)])
@settings(max_examples=60)
def test_agreement_of_partitions_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    label_N, cluster_N = np.array(pairs).T
    ones = np.ones((1, len(pairs)))
    for ours, theirs in (
        (adjusted_rand_index, metrics.adjusted_rand_score),
        (adjusted_mutual_information, metrics.adjusted_mutual_info_score),
        (v_measure, metrics.v_measure_score),
        (homogeneity, metrics.homogeneity_score),
    ):
        assert ours(ones, label_N, cluster_N)[0] == pytest.approx(theirs(label_N, cluster_N), abs=1e-9), theirs
    weighted = v_measure(ones, label_N, cluster_N, 0.5)[0]
    assert weighted == pytest.approx(metrics.v_measure_score(label_N, cluster_N, beta=0.5), abs=1e-9)


@given(PAIRS, st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_weights_are_documents_that_are_there_several_times(pairs: list[tuple[int, int]], seed: int) -> None:
    label_N, cluster_N = np.array(pairs).T
    weights_RN = np.random.default_rng(seed).integers(0, 4, (2, len(pairs)))
    weights_RN[:, 0] += 1
    for statistic in (adjusted_rand_index, adjusted_mutual_information, v_measure, homogeneity):
        found = statistic(weights_RN.astype(float), label_N, cluster_N)
        for row, weights_N in zip(found, weights_RN, strict=True):
            labels, clusters = np.repeat(label_N, weights_N), np.repeat(cluster_N, weights_N)
            assert row == pytest.approx(statistic(np.ones((1, len(labels))), labels, clusters)[0], abs=1e-9)


def test_mean_mutual_information_of_large_tables_equals_scikit_learn() -> None:
    from sklearn.metrics.cluster import expected_mutual_information as of_scikit_learn

    label_N, cluster_N = np.random.default_rng(0).integers(0, (7, 40), (30_000, 2)).T
    table = np.zeros((7, 40), np.int64)
    np.add.at(table, (label_N, cluster_N), 1)
    ours = expected_mutual_information(table.sum(axis=1), table.sum(axis=0))
    assert ours == pytest.approx(of_scikit_learn(table, len(label_N)), rel=1e-9)


def test_chance_has_no_agreement_and_the_same_partition_all_of_it() -> None:
    label_N = np.arange(6000) % 5
    chance_N: Partition = np.random.default_rng(3).permutation(label_N)
    ones = np.ones((1, 6000))
    for statistic in (adjusted_rand_index, adjusted_mutual_information):
        assert abs(statistic(ones, label_N, chance_N)[0]) < 0.003
        assert statistic(ones, label_N, (label_N + 3) % 5)[0] == pytest.approx(1)


def test_wilson_intervals_have_their_published_values() -> None:
    # Newcombe (1998), table I, method 3
    for right, answers, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        found = wilson_interval(right, answers)
        assert found == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(29, 29) == pytest.approx((0.8830, 1), abs=5e-5)
    assert wilson_interval(0, 0) == (0, 1)
    assert wilson_interval(8, 10, 0.5)[0] > wilson_interval(8, 10, 0.95)[0]


def test_krippendorff_alpha_has_its_published_values() -> None:
    # Krippendorff (2011), Computing Krippendorff's alpha-reliability, part C: 4 observers, 12 units, nominal 0.743
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    ]
    answers = zip(*[[None if x == "." else x for x in line.split()] for line in observers], strict=True)
    assert krippendorff_alpha([list(item) for item in answers]) == pytest.approx(0.743, abs=5e-4)
    # part A: two observers, binary data 0.095
    left, right = "0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"
    binary = [list(item) for item in zip(left.split(), right.split(), strict=True)]
    assert krippendorff_alpha(binary) == pytest.approx(0.095, abs=5e-4)


def test_alpha_is_one_for_perfect_agreement_and_unknown_without_any_difference() -> None:
    assert krippendorff_alpha([["a", "a"], ["b", "b"], ["a", None]]) == 1
    assert math.isnan(krippendorff_alpha([["a", "a"], ["a", "a"]]))
    assert math.isnan(krippendorff_alpha([["a", None], []]))
