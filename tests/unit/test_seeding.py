"""Each way to choose the first centroids, and how clusters are shared out over wide ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin_min

from tests.unit.test_kmeans_fit import planted, workers
from theta_ray.topics import seeding
from theta_ray.topics.kmeans import KMeans
from theta_ray.topics.lloyd import Vectors
from theta_ray.topics.plus_plus import parallel_candidates, plus_plus
from theta_ray.topics.seeding import SEEDINGS
from theta_ray.topics.workers import Data


def inertia(vectors: Vectors, centroids: Vectors) -> float:
    return float(np.square(pairwise_distances_argmin_min(vectors, centroids)[1]).sum())


@pytest.mark.parametrize("method", SEEDINGS)
@pytest.mark.parametrize("spherical", [False, True])
def test_every_method_gives_k_different_centroids_whatever_the_number_of_workers(method: str, spherical: bool) -> None:
    vectors, _ = planted(20, 4_000)
    seeds = [
        SEEDINGS[method](Data.of(workers(vectors, count=count, spherical=spherical)), 20, 3, spherical=spherical)
        for count in (1, 3)
    ]
    assert len(np.unique(seeds[0].centroids, axis=0)) == 20
    assert seeds[0].centroids.tobytes() == seeds[1].centroids.tobytes()
    assert seeds[0].record == seeds[1].record
    assert seeds[0].record["seed"] == 3
    if spherical:
        np.testing.assert_allclose(np.linalg.norm(seeds[0].centroids, axis=1), 1, atol=1e-6)


def test_over_seeding_and_k_means_plus_plus_find_what_random_rows_miss() -> None:
    vectors, cluster = planted(40, 8_000)
    fits = {method: KMeans(40, seeding=method).fit(vectors) for method in SEEDINGS}
    assert adjusted_rand_score(cluster, fits["ward"].labels_) == 1
    for method in ("ward", "k-means++", "k-means||"):
        assert fits[method].inertia_ < 0.8 * fits["random"].inertia_


@pytest.mark.parametrize("spherical", [False, True])
def test_equal_rows_are_one_seed(spherical: bool) -> None:
    vectors = np.repeat(planted(5, 40)[0], 7, axis=0)
    seeds = SEEDINGS["ward"](Data.of(workers(vectors, count=2, spherical=spherical)), 40, 0, spherical=spherical)
    assert (seeds.record["num_seeds"], seeds.record["num_merged"]) == (40, 40)
    assert seeds.centroids.shape == (40, vectors.shape[1])


def test_many_clusters_are_seeded_in_two_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, cluster = planted(60, 12_000)
    at_once = KMeans(60).fit(vectors)
    monkeypatch.setattr(seeding, "MAX_AT_ONCE", 20)
    model = KMeans(60).fit(vectors)
    assert model.fit_.seeding["method"] == "ward, two levels"
    assert len(model.cluster_centers_) == 60
    assert model.inertia_ < 1.5 * at_once.inertia_
    assert model.inertia_ < 0.2 * KMeans(60, seeding="random").fit(vectors).inertia_


def test_greedy_choice_is_as_good_as_scikit_learns() -> None:
    from sklearn.cluster import kmeans_plusplus

    vectors, _ = planted(30, 3_000)
    mine = [inertia(vectors, vectors[plus_plus(vectors, np.ones(3_000), 30, seed)]) for seed in range(5)]
    theirs = [inertia(vectors, kmeans_plusplus(vectors, 30, random_state=seed)[0]) for seed in range(5)]
    assert np.median(mine) < 1.15 * np.median(theirs)


def test_copies_are_chosen_once() -> None:
    vectors = np.repeat(np.eye(4, dtype=np.float32), 25, axis=0)
    chosen = plus_plus(vectors, np.ones(100), 9, 0)
    assert len(chosen) == 4
    assert len(np.unique(vectors[chosen], axis=0)) == 4
    assert len(np.unique(vectors[parallel_candidates(vectors, 9, 0)], axis=0)) == 4
