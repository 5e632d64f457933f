"""Separation of clusters: equal to scikit-learn, and defined where clusters are one row, one place or one cluster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from theta_ray.topics.silhouette import (
    calinski_harabasz,
    macro_mean,
    nearest_two,
    silhouettes,
    simplified_silhouettes,
)


@given(st.integers(0, 2**32 - 1), st.integers(3, 60), st.integers(2, 6))
@settings(max_examples=40)
def test_silhouettes_equal_those_of_scikit_learn(seed: int, count: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, 5))
    labels = generator.integers(0, k, count)
    labels[:2] = 0, 1
    if len(set(labels)) == count:
        labels[2] = 0
    np.testing.assert_allclose(silhouettes(vectors, labels), metrics.silhouette_samples(vectors, labels), atol=1e-9)
    wanted = metrics.calinski_harabasz_score(vectors, labels)
    assert calinski_harabasz(vectors, labels) == pytest.approx(wanted, rel=1e-9)


def test_blocks_of_rows_give_what_all_rows_give(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    vectors, centroids = generator.normal(size=(50, 4)), generator.normal(size=(6, 4))
    whole = nearest_two(vectors, centroids)
    separate = silhouettes(vectors, whole[0])
    monkeypatch.setattr("theta_ray.topics.silhouette.BLOCK_ROWS", 7)
    for ours, wanted in zip(nearest_two(vectors, centroids), whole, strict=True):
        np.testing.assert_allclose(ours, wanted)
    np.testing.assert_allclose(silhouettes(vectors, whole[0]), separate)


def test_simplified_silhouettes_compare_the_two_nearest_centroids() -> None:
    centroids = np.array([[0.0, 0.0], [4.0, 0.0], [9.0, 0.0]])
    label, nearest, second = nearest_two(np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0]]), centroids)
    assert label.tolist() == [0, 0, 2]
    np.testing.assert_allclose(simplified_silhouettes(nearest, second), [1 - 1 / 3, 0, 1])


def test_two_centroids_at_one_place_separate_nothing() -> None:
    _, nearest, second = nearest_two(np.ones((3, 2)), np.ones((2, 2)))
    assert simplified_silhouettes(nearest, second).tolist() == [0, 0, 0]


def test_one_cluster_has_no_separation() -> None:
    assert np.isnan(silhouettes(np.eye(3), np.zeros(3, np.int64))).all()
    assert np.isnan(calinski_harabasz(np.eye(3), np.zeros(3, np.int64)))
    assert nearest_two(np.eye(3), np.zeros((1, 3)))[2].tolist() == [np.inf] * 3


def test_small_clusters_count_as_much_as_large_ones_in_the_macro_mean() -> None:
    values, labels = np.array([1.0, 3.0, 10.0]), np.array([4, 4, 1])
    weights = np.array([[1.0, 1, 1], [1, 3, 0], [0, 0, 2]])
    np.testing.assert_allclose(macro_mean(weights, values, labels), [6, 2.5, 10])
