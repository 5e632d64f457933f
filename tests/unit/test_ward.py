"""Ward's merging beside scipy's linkage, and the seeds that come of it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from theta_ray.topics.seeding import weighted_means
from theta_ray.topics.ward import cut, merge_costs, merges, together


def points(count: int, dim: int = 5, offset: float = 0) -> np.ndarray:
    return (np.random.default_rng(count).standard_normal((count, dim)) + offset).astype(np.float32)


@pytest.mark.parametrize("offset", [0, 50])
def test_costs_are_half_of_scipys_squared_distances(offset: float) -> None:
    centroids = points(300, offset=offset)
    merged = merges(centroids, np.ones(300, int))
    expected = linkage(centroids.astype(np.float64), "ward")[:, 2] ** 2 / 2
    np.testing.assert_allclose(merged.cost, expected, rtol=1e-4)


@pytest.mark.parametrize("k", [1, 2, 17, 120])
def test_the_cut_is_that_of_scipy(k: int) -> None:
    centroids = points(120)
    mine = cut(merges(centroids, np.ones(120, int)), 120, k)
    theirs = fcluster(linkage(centroids, "ward"), k, "maxclust")
    assert adjusted_rand_score(mine, theirs) == 1
    assert sorted(set(mine.tolist())) == list(range(k))


def test_a_weighted_centroid_is_as_many_points_in_one_place() -> None:
    centroids, weight = points(40), np.random.default_rng(0).integers(1, 6, 40)
    weighted = merges(centroids, weight)
    repeated = merges(np.repeat(centroids, weight, axis=0), np.ones(weight.sum(), int))
    np.testing.assert_allclose(weighted.cost, repeated.cost[-39:], rtol=1e-4)
    np.testing.assert_allclose(repeated.cost[:-39], 0, atol=1e-4)


def test_a_merge_costs_the_inertia_that_it_adds() -> None:
    centroids, weight = points(60).astype(np.float64), np.random.default_rng(1).integers(1, 9, 60)
    merged = merges(centroids.astype(np.float32), weight)
    for k in (1, 5, 30, 60):
        cluster = cut(merged, 60, k)
        means = weighted_means(centroids, cluster, weight)
        inertia = (weight * np.square(centroids - means[cluster]).sum(axis=1)).sum()
        assert inertia == pytest.approx(merged.cost[: 60 - k].sum(), rel=1e-4, abs=1e-4)


def test_merging_takes_at_most_twelve_bytes_a_pair() -> None:
    centroids, weight = points(1_500, 16), np.ones(1_500, int)
    tracemalloc.start()
    try:
        merges(centroids, weight)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1_500**2 + 2**20


def test_costs_are_symmetric_to_the_last_bit_across_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.topics.ward.BAND", 7)
    costs = merge_costs(points(40), np.arange(1.0, 41))
    np.testing.assert_array_equal(costs, costs.T)


def test_copies_and_a_single_centroid_are_merged_too() -> None:
    alone = merges(points(1), np.ones(1, int))
    assert len(alone.cost) == 0
    assert cut(alone, 1, 1).tolist() == [0]
    copies = merges(np.ones((6, 3), np.float32), np.ones(6, int))
    assert copies.cost.tolist() == [0] * 5
    assert set(cut(copies, 6, 1).tolist()) == {0}


def test_merges_of_far_groups_are_those_of_all_until_each_group_is_one() -> None:
    near, far = points(30), points(20, offset=40)
    apart = together([merges(near, np.ones(30, int)), merges(far, np.ones(20, int))])
    at_once = merges(np.concatenate([near, far]), np.ones(50, int))
    np.testing.assert_allclose(apart.cost, at_once.cost[:-1], rtol=0.01)
    assert adjusted_rand_score(cut(apart, 50, 7), cut(at_once, 50, 7)) == 1
