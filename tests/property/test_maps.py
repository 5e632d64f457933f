"""Maps between the vectors of two models: what can be undone is undone, and what cannot is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.config_evaluation import Evaluation
from theta_ray.errors import InputError
from theta_ray.nightly.cluster_map import assign, map_clusters
from theta_ray.nightly.map_quality import Judgement, judge, neighbour_overlap, shrunk_means
from theta_ray.nightly.maps import fit_maps, map_centroids, procrustes, ridge

K = 10
RESAMPLING = Evaluation(num_resamples=200)


def _rows(seed: int, count: int = 600, dim: int = 24) -> np.ndarray:
    """Unit vectors about 20 centres."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(20, dim))
    rows = centres[generator.integers(20, size=count)] + 0.7 * generator.normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _orthogonal(seed: int, dim: int = 24) -> np.ndarray:
    """A rotation or a reflection."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0].astype(np.float32)


def _of(judgement: Judgement) -> dict[str, float]:
    return {each.map.method: each.overlap.value for each in judgement.maps}


@given(st.integers(0, 1000), st.floats(0.2, 5), st.booleans())
@settings(max_examples=15)
def test_a_known_rotation_reflection_scale_and_shift_is_undone(seed: int, scale: float, reflected: bool) -> None:
    rows, matrix = _rows(seed), _orthogonal(seed + 1)
    if (np.linalg.det(matrix) < 0) != reflected:
        matrix[0] *= -1
    new = scale * rows @ matrix + np.random.default_rng(seed).normal(size=24).astype(np.float32) / 10
    found = judge(rows, new, K, RESAMPLING)
    assert found.chosen.map.method == "procrustes"
    assert found.chosen.overlap.value > 0.99
    np.testing.assert_allclose(found.chosen.map(rows), new, atol=2e-5 * max(1, scale))
    assert _of(found)["identity"] < 0.5


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_vectors_that_only_moved_take_the_mean_shift_and_equal_ones_no_map(seed: int) -> None:
    rows, shift = _rows(seed), np.random.default_rng(seed).normal(size=24).astype(np.float32)
    assert judge(rows, rows, K, RESAMPLING).chosen.map.method == "identity"
    found = judge(rows, rows + shift, K, RESAMPLING)
    assert (found.chosen.map.method, found.chosen.overlap.value) == ("mean_shift", pytest.approx(1))
    assert found.drift.shift == pytest.approx(np.linalg.norm(shift), rel=1e-4)


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_vectors_that_have_nothing_in_common_are_not_believed(seed: int) -> None:
    found = judge(_rows(seed), _rows(seed + 5000), K, RESAMPLING)
    assert max(_of(found).values()) < 0.15  # of 299 others 10 are neighbours: 0.03 by chance
    assert found.drift.overlap.high < 0.15


@given(st.integers(0, 1000), st.sampled_from([(24, 40), (24, 12)]))
@settings(max_examples=10)
def test_other_widths_are_mapped_by_procrustes_and_ridge_only(seed: int, widths: tuple[int, int]) -> None:
    before, now = widths
    rows = _rows(seed, dim=before)
    matrix = _orthogonal(seed, max(widths))[:before, :now]
    new = 2 * rows @ matrix  # an embedding, or a projection to half of the directions
    found = judge(rows, new, K, RESAMPLING)
    assert set(_of(found)) == {"procrustes", "ridge"}
    assert found.chosen.overlap.value > 0.99
    assert (found.drift.cosine, found.drift.shift) == (None, None)


def test_procrustes_undoes_rotated_noise_of_few_directions_better_than_no_map() -> None:
    rows, matrix = _rows(3), _orthogonal(4)
    generator = np.random.default_rng(5)
    noise = generator.normal(size=(600, 3)) @ generator.normal(size=(3, 24)) * 0.02
    found = judge(rows, (rows + noise).astype(np.float32) @ matrix, K, RESAMPLING)
    assert 0.6 < found.chosen.overlap.value < 0.99
    assert found.chosen.overlap.low < found.chosen.overlap.value < found.chosen.overlap.high
    assert found.drift.overlap.value == pytest.approx(found.chosen.overlap.value, abs=0.1)


def test_a_matrix_that_is_no_rotation_is_left_to_ridge() -> None:
    rows = _rows(6, count=1200)
    matrix = _orthogonal(7) * np.geomspace(4, 0.25, 24, dtype=np.float32)
    found = judge(rows, rows @ matrix, K, RESAMPLING)
    assert found.chosen.map.method == "ridge"
    assert found.chosen.overlap.value > 0.99 > _of(found)["procrustes"] + 0.1


def test_the_penalty_of_ridge_is_the_one_that_leaving_out_each_text_in_turn_finds() -> None:
    old, new = _rows(8, count=40), _rows(9, count=40)
    best = ridge(old, new)

    def error(penalty: float) -> float:
        total = 0.0
        for out in range(len(old)):
            rest = np.delete(np.arange(len(old)), out)
            x, y = old[rest].astype(np.float64), new[rest].astype(np.float64)
            cx, cy = x - x.mean(axis=0), y - y.mean(axis=0)
            matrix = np.linalg.solve(cx.T @ cx + penalty * np.eye(24), cx.T @ cy)
            total += ((new[out] - ((old[out] - x.mean(axis=0)) @ matrix + y.mean(axis=0))) ** 2).sum()
        return total

    centred = old.astype(np.float64) - old.mean(axis=0)
    variance = np.linalg.eigvalsh(centred.T @ centred).mean()
    expected = min((10.0 ** np.arange(-6.0, 2.5, 0.5) * variance).tolist(), key=error)
    cross = centred.T @ (new - new.mean(axis=0))
    np.testing.assert_allclose(
        best.matrix, np.linalg.solve(centred.T @ centred + expected * np.eye(24), cross), atol=1e-5
    )


def test_too_few_anchors_and_vectors_that_are_all_alike_are_told_in_one_line() -> None:
    with pytest.raises(InputError, match=r"99 documents .* and 100 are needed for 10 neighbours; take a day"):
        judge(_rows(0, count=99), _rows(1, count=99), K, RESAMPLING)
    same = np.ones((200, 24), np.float32)
    for old, new, name in ((same, _rows(0, count=200), "earlier"), (_rows(0, count=200), same, "new")):
        with pytest.raises(InputError, match=f"the {name} vectors of all anchors are alike"):
            fit_maps(old, new)


def test_neighbours_are_those_of_a_plain_search() -> None:
    old, new = _rows(10, count=60), _rows(11, count=60)
    shares = []
    for row in range(60):
        others = [other for other in range(60) if other != row]
        true = set(sorted(others, key=lambda other: -float(new[row] @ new[other]))[:K])
        found = set(sorted(others, key=lambda other: -float(old[row] @ new[other]))[:K])
        shares.append(len(true & found) / K)
    np.testing.assert_allclose(neighbour_overlap(old, new, new, K), shares)


@given(st.integers(0, 1000))
@settings(max_examples=10)
def test_mapped_centroids_are_the_centroids_of_mapped_vectors(seed: int) -> None:
    rows, label = _rows(seed), np.arange(600) % 4
    new = 1.5 * rows @ _orthogonal(seed) + np.float32(0.3)
    means = np.stack([rows[label == k].mean(axis=0, dtype=np.float64) for k in range(4)]).astype(np.float32)
    now = np.stack([new[label == k].mean(axis=0, dtype=np.float64) for k in range(4)])
    found = procrustes(rows, new)
    np.testing.assert_allclose(map_centroids(found, means, None)[0], now, atol=1e-4)
    length = np.linalg.norm(means, axis=1)
    unit, is_there = map_centroids(found, means / length[:, None], length)
    np.testing.assert_allclose(unit, now / np.linalg.norm(now, axis=1, keepdims=True), atol=1e-4)
    assert is_there.all()


def test_a_cluster_with_few_texts_is_judged_by_the_others_too() -> None:
    overlap = np.array([1.0] * 90 + [0.0] * 10)
    label = np.array([0] * 90 + [1] * 9 + [2])
    of_cluster = shrunk_means(overlap, label, 4)
    assert of_cluster.tolist() == pytest.approx([99 / 100, 9 / 19, 9 / 11, 0.9])


@given(st.integers(0, 1000))
@settings(max_examples=5)
def test_clusters_of_rotated_vectors_are_the_same_clusters_with_the_same_radii(seed: int) -> None:
    rows = _rows(seed)
    label = np.argmax(rows @ _rows(seed, count=8).T, axis=1)
    means = np.stack([rows[label == k].mean(axis=0, dtype=np.float64) for k in range(8)])
    centroids = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    nearest, distance = assign(rows, centroids, spherical=True)
    radius = np.array([np.quantile(distance[nearest == k], 0.99) for k in range(8)], np.float32)
    new, num_tokens = rows @ _orthogonal(seed), np.full(600, 7, np.int32)
    found = judge(rows, new, K, RESAMPLING)
    clusters = map_clusters((rows, new, num_tokens), (centroids, radius), found, "cosine", RESAMPLING)
    assert clusters.agreement.value > 0.99
    assert 0.9 < clusters.radius_factor < 1.1
    assert clusters.num_held_out_K.sum() == 300
    assert [row["tokens_per_text"] for row in clusters.rows(np.bincount(nearest, minlength=8))] == [7] * 8
    unrelated = judge(rows, _rows(seed + 5000), K, RESAMPLING)
    lost = map_clusters((rows, _rows(seed + 5000), num_tokens), (centroids, radius), unrelated, "cosine", RESAMPLING)
    assert lost.agreement.value < 0.1
