"""How many clusters: planted ones are found, one cloud has none, and the answer says why."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from theta_ray.config_quality import ChooseK
from theta_ray.topics.k_curve import Point, measure, suggest
from theta_ray.topics.kmeans import KMeans

Vectors = npt.NDArray[np.float32]


def k_means(vectors: Vectors, weights: npt.NDArray[np.int64], k: int, seed: int) -> Vectors:
    return KMeans(k, seed=seed).fit(vectors, weights).cluster_centers_


def planted(count: int, k: int, seed: int = 0) -> tuple[Vectors, npt.NDArray[np.str_]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, k, count)
    vectors = 3 * generator.normal(size=(k, 8))[truth] + generator.normal(size=(count, 8))
    return vectors.astype(np.float32), truth.astype(str)


def curve(vectors: Vectors, *tried: int, labels: npt.NDArray[np.str_] | None = None) -> list[Point]:
    settings = ChooseK(num_clusters=tried, num_resamples=100, num_pairs=3, num_references=4, silhouette_rows=300)
    return [measure(vectors, k, k_means, settings, labels) for k in tried]


def value(point: Point, metric: str) -> float:
    (found,) = (m.value for m in point.measures if m.metric == metric)
    return found


def test_the_planted_number_of_clusters_is_suggested() -> None:
    vectors, labels = planted(1500, 7)
    labels[:100] = ""  # not known
    points = curve(vectors, 2, 4, 7, 14, 28, labels=labels)
    found = suggest(points)
    assert (found.num_clusters, found.within) == (7, (7,))
    assert found.why.startswith("k = 7 is best (gain 0.")
    assert value(points[2], "nmi") > 0.97
    assert value(points[2], "ami") > 0.97
    assert value(points[2], "stability") > 0.95 > value(points[4], "stability")
    assert {m.num_values for m in points[2].measures if m.metric in ("nmi", "ami")} == {1400}
    for metric in ("silhouette", "simplified_silhouette", "simplified_silhouette_macro", "held_out_silhouette"):
        assert max(points, key=lambda p: value(p, metric)).num_clusters == 7, metric


@pytest.mark.parametrize("spread", [np.ones(8), np.linspace(0.1, 3, 8)], ids=["round", "long"])
def test_one_cloud_has_no_number_of_clusters(spread: npt.NDArray[np.float64]) -> None:
    cloud = np.random.default_rng(1).normal(size=(1500, 8)) * spread
    found = suggest(curve(cloud.astype(np.float32), 2, 4, 8, 16))
    assert found.num_clusters is None
    assert "no k is clearly better" in found.why


def test_unit_vectors_are_compared_with_a_cloud_of_unit_vectors() -> None:
    cloud = np.random.default_rng(1).normal(size=(1000, 6)) + 1
    cloud /= np.linalg.norm(cloud, axis=1, keepdims=True)
    points = curve(cloud.astype(np.float32), 2, 5, 10)
    assert suggest(points).num_clusters is None
    assert all(abs(p.gain) < 4 * p.standard_error for p in points)


def test_a_point_is_the_same_each_time_and_its_intervals_hold_its_values() -> None:
    vectors, _ = planted(400, 3)
    one, other = curve(vectors, 3, 5), curve(vectors, 3, 5)
    assert one == other or str(one) == str(other)  # NaN is not itself
    for m in one[0].measures:
        assert math.isnan(m.low) or m.low <= m.value <= m.high, m.metric


def test_more_clusters_than_different_rows_give_no_more_than_there_are() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 40, axis=0)
    (point, _) = curve(vectors, 3, 9)
    assert value(point, "inertia") == pytest.approx(0, abs=1e-6)
    assert value(point, "simplified_silhouette") == pytest.approx(1, abs=1e-3)


def points(*gains: float, error: float = 0.01) -> list[Point]:
    return [Point(10 * (i + 1), (), gain, error) for i, gain in enumerate(gains)]


def test_the_smallest_within_one_standard_error_of_the_best_is_suggested() -> None:
    found = suggest(points(0.1, 0.295, 0.3, 0.2))
    assert (found.num_clusters, found.within) == (20, (20, 30))
    assert "k = 20 is the smallest within one standard error" in found.why


def test_a_best_one_at_an_end_asks_for_more_to_be_tried() -> None:
    assert suggest(points(0.1, 0.2, 0.3)).why.endswith("it is the larger end of what was tried, so try larger ones")
    assert suggest(points(0.3, 0.2, 0.1)).why.endswith("it is the smaller end of what was tried, so try smaller ones")


def test_a_flat_curve_and_an_uncertain_one_suggest_nothing() -> None:
    flat = suggest(points(0.299, 0.3, 0.295))
    assert (flat.num_clusters, flat.within) == (None, (10, 20, 30))
    assert "all are within one standard error of k = 20" in flat.why
    uncertain = suggest(points(0.1, 0.2, 0.1, error=0.09))
    assert uncertain.num_clusters is None
    assert "pieces of one cloud, at best k = 20" in uncertain.why
    assert suggest(points(math.nan, math.nan)).why == "no k is clearly better: none has a silhouette"
