"""KMeans beside scikit-learn, and on odd data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, pairwise_distances_argmin_min

from tests.unit.test_kmeans_fit import planted
from theta_ray.errors import InputError
from theta_ray.topics import array_rows
from theta_ray.topics.kmeans import KMeans
from theta_ray.topics.lloyd import Vectors


def gaussian(num_rows: int, dim: int = 20, seed: int = 0) -> Vectors:
    """Rows without any clusters."""
    return np.random.default_rng(seed).standard_normal((num_rows, dim)).astype(np.float32)


@pytest.mark.parametrize("spherical", [False, True])
def test_labels_and_inertia_are_those_of_scikit_learn_for_the_same_centroids(spherical: bool) -> None:
    vectors = gaussian(5_000)
    model = KMeans(30, spherical=spherical).fit(vectors)
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if spherical else vectors
    label, distance = pairwise_distances_argmin_min(rows, model.cluster_centers_)
    np.testing.assert_array_equal(model.labels_, label)
    np.testing.assert_array_equal(model.predict(vectors), label)
    assert model.inertia_ == pytest.approx(np.square(distance, dtype=np.float64).sum(), rel=1e-5)


def test_rows_far_from_the_origin_are_clustered_as_those_at_it() -> None:
    vectors, cluster = planted(12, 4_000)
    near, far = KMeans(12).fit(vectors), KMeans(12).fit(vectors + np.float32(3_000))
    assert adjusted_rand_score(near.labels_, far.labels_) == 1
    assert adjusted_rand_score(cluster, near.labels_) == 1
    centroids = [sorted((model.cluster_centers_ - offset).tolist()) for model, offset in ((near, 0), (far, 3_000))]
    np.testing.assert_allclose(centroids[1], centroids[0], atol=1e-3)
    assert far.inertia_ == pytest.approx(near.inertia_, rel=1e-3)


def test_several_threads_give_the_same_bits_as_one() -> None:
    vectors = gaussian(70_000, 8)
    one, two = (KMeans(20, num_threads=threads, eps=0.002).fit(vectors) for threads in (1, 2))
    assert one.cluster_centers_.tobytes() == two.cluster_centers_.tobytes()
    assert one.labels_.tobytes() == two.labels_.tobytes()
    assert one.inertia_ == two.inertia_


def test_rows_that_are_drawn_again_are_the_rows_that_were_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = gaussian(60_000, 8)
    kept = KMeans(20).fit(vectors)
    assert {step.share for step in kept.fit_.trace} > {1.0}  # there were samples
    monkeypatch.setattr(array_rows, "KEPT_BYTES", 0)
    assert KMeans(20).fit(vectors).cluster_centers_.tobytes() == kept.cluster_centers_.tobytes()


def test_damaged_and_zero_rows_have_no_cluster() -> None:
    vectors, _ = planted(4, 400)
    vectors[3, 2], vectors[7], vectors[11, 0] = np.nan, 0, np.inf
    spherical, euclidean = KMeans(4, spherical=True).fit(vectors), KMeans(4).fit(vectors)
    assert np.flatnonzero(spherical.labels_ < 0).tolist() == [3, 7, 11]
    assert np.flatnonzero(euclidean.labels_ < 0).tolist() == [3, 11]
    assert spherical.predict(vectors).tolist() == spherical.labels_.tolist()
    assert np.isfinite(spherical.cluster_centers_).all()
    assert spherical.counts_.sum() == 397


def test_a_row_with_a_weight_counts_as_so_many_rows() -> None:
    vectors = gaussian(300, 5)
    weight = np.random.default_rng(1).integers(1, 5, 300)
    first = vectors[:6]
    weighted = KMeans(6).fit(vectors, weight, first)
    repeated = KMeans(6).fit(np.repeat(vectors, weight, axis=0), first=first)
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-5)
    assert weighted.counts_.tolist() == repeated.counts_.tolist()
    assert weighted.inertia_ == pytest.approx(repeated.inertia_, rel=1e-5)


def test_partial_fit_keeps_each_centroid_the_mean_of_all_rows_it_was_given() -> None:
    vectors, cluster = planted(6, 3_000)
    order = np.random.default_rng(0).permutation(len(vectors))
    model = KMeans(6)
    for part in np.array_split(vectors[order], 5):
        model.partial_fit(part)
    assert model.counts_.sum() == 3_000
    assert adjusted_rand_score(cluster, model.predict(vectors)) == 1
    means = [vectors[cluster == each].mean(axis=0) for each in range(6)]
    np.testing.assert_allclose(sorted(model.cluster_centers_.tolist()), sorted(np.array(means).tolist()), atol=1e-4)


@pytest.mark.parametrize("spherical", [False, True])
def test_as_many_clusters_as_different_rows_leave_no_inertia(spherical: bool) -> None:
    vectors = np.repeat(gaussian(40), 7, axis=0)
    model = KMeans(40, spherical=spherical).fit(vectors)
    assert len(model.cluster_centers_) == 40
    assert model.inertia_ / len(vectors) < 1e-5
    assert KMeans(50, spherical=spherical).fit(vectors).cluster_centers_.shape == (40, 20)


def test_lengths_do_not_matter_when_spherical() -> None:
    vectors, _ = planted(7, 900)
    lengths = 2.0 ** np.random.default_rng(0).integers(-8, 8, (900, 1))
    one, other = KMeans(7, spherical=True).fit(vectors), KMeans(7, spherical=True).fit(vectors * lengths)
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(one.cluster_centers_, axis=1), 1, atol=1e-6)


def test_a_warm_start_at_the_result_stays_there() -> None:
    vectors, _ = planted(9, 2_000)
    model = KMeans(9).fit(vectors)
    again = KMeans(9).fit(vectors, first=model.cluster_centers_)
    np.testing.assert_allclose(again.cluster_centers_, model.cluster_centers_, atol=1e-5)
    np.testing.assert_array_equal(again.labels_, model.labels_)


def test_unusable_arguments_are_told_in_one_line() -> None:
    vectors = gaussian(50)
    with pytest.raises(InputError, match=r"first centroids are \(3, 20\), not \(4, 20\); fit without them"):
        KMeans(4).fit(vectors, first=vectors[:3])
    with pytest.raises(InputError, match=r"sample_weight is \(3,\) for 50 rows"):
        KMeans(4).fit(vectors, np.ones(3, int))
    with pytest.raises(InputError, match="no whole numbers"):
        KMeans(4).fit(vectors, np.full(50, 0.5))
