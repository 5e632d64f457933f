"""The drift of a day: none where the rows are drawn alike, named where shares, places or spread have changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from theta_ray.config_cluster import DriftLimits, Metric
from theta_ray.topics.drift import DaySums, Drift, centroid_shift, measure, share_shift, spherical_shift

METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
K, D = 12, 16


def _sums(rows: Any, centroids: Any, metric: Metric) -> tuple[DaySums, Any]:
    """Sums of rows in their nearest clusters, and the clusters."""
    if metric == "cosine":
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    squared = ((rows[:, None] - centroids[None]) ** 2).sum(axis=2)
    near, best = squared.argmin(axis=1), squared.min(axis=1)
    sizes = np.bincount(near, minlength=K).astype(np.int64)
    sums = np.zeros((K, D))
    np.add.at(sums, near, rows)
    return DaySums(sizes, sums, np.bincount(near, best, minlength=K), int((best > 4.0).sum())), near


def _world(metric: Metric, generator: np.random.Generator) -> Any:
    centers = generator.normal(size=(K, D))
    return centers / np.linalg.norm(centers, axis=1, keepdims=True) if metric == "cosine" else 3 * centers


def _day(centers: Any, count: int, generator: np.random.Generator, p: Any = None) -> Any:
    return centers[generator.choice(K, count, p=p)] + 0.2 * generator.normal(size=(count, D))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [60, 600, 6000])
def test_days_that_are_drawn_alike_do_not_drift_whatever_their_size(metric: Metric, count: int) -> None:
    alarms = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        centers = _world(metric, generator)
        before, _ = _sums(_day(centers, 6000, generator), centers, metric)
        fitted = before.sums_KD / before.sizes_K[:, None]
        if metric == "cosine":
            fitted /= np.linalg.norm(fitted, axis=1, keepdims=True)
        now, _ = _sums(_day(centers, count, generator), fitted, metric)
        alarms += measure(metric, fitted.astype(np.float32), before.sizes_K, now).beyond(DriftLimits())
    assert not alarms


@pytest.mark.parametrize("metric", METRICS)
def test_moved_centers_are_told_by_the_inertia_that_following_them_would_save(metric: Metric) -> None:
    generator = np.random.default_rng(1)
    centers = _world(metric, generator)
    before, _ = _sums(_day(centers, 6000, generator), centers, metric)
    moved = _day(centers + 0.15 * generator.normal(size=(K, D)), 3000, generator)
    now, near = _sums(moved, centers, metric)
    drift = measure(metric, centers.astype(np.float32), before.sizes_K, now)
    assert drift.centroid_shift > DriftLimits().centroid_shift
    if metric == "euclidean":  # against the inertia about the day's own means
        own = now.sums_KD / now.sizes_K[:, None]
        least = ((moved - own[near]) ** 2).sum()
        assert drift.centroid_shift == pytest.approx(1 - least / now.inertia_K.sum(), abs=0.01)


def test_a_share_that_has_tripled_is_told() -> None:
    before = np.full(K, 500, np.int64)
    now = before.copy()
    now[0] = 5000
    assert share_shift(before, now) > DriftLimits().share_shift
    assert share_shift(before, before * 3) == 0.0


def test_a_cluster_without_rows_neither_divides_by_zero_nor_counts() -> None:
    centroids = np.eye(3, dtype=np.float32)
    sums, sizes = np.array([[4.0, 0, 0], [0, 0, 0], [0, 0, 2.0]]), np.array([4, 0, 2])
    assert spherical_shift(centroids, sums, sizes) == 0.0
    assert centroid_shift(centroids, sums, sizes, np.zeros(3)) == 0.0


def test_what_is_above_its_limit_is_told_with_both_numbers() -> None:
    told = Drift(outside_share=0.2, share_shift=0.1, centroid_shift=0.01).beyond(DriftLimits())
    assert told == ["outside share 0.2 is above 0.05"]
