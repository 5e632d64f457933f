"""Change points: planted steps are found where they are, and constant shares have none."""

from __future__ import annotations

import numpy as np
import pytest

from theta_ray.topics.change_points import change_points, dispersion

NUM_SEEDS = 100


@pytest.mark.parametrize(
    ("num_buckets", "total", "share"),
    [(30, 100, 0.1), (30, 1000, 0.02), (120, 20, 0.3), (10, 200, 0.2), (200, 3, 0.05)],
)
def test_a_constant_share_has_no_change_in_95_of_100_seeds(num_buckets: int, total: int, share: float) -> None:
    totals = np.full(num_buckets, total)
    found = [change_points(np.random.default_rng(seed).binomial(totals, share), totals) for seed in range(NUM_SEEDS)]
    assert sum(bool(changes) for changes in found) <= 0.05 * NUM_SEEDS


def test_posts_in_bursts_have_no_change_in_nine_of_ten_seeds() -> None:
    def bursts(seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        generator = np.random.default_rng(seed)
        return generator.binomial(500, generator.beta(20, 180, 60))

    found = [change_points(bursts(seed), np.full(60, 500)) for seed in range(NUM_SEEDS)]
    assert sum(bool(changes) for changes in found) <= 0.1 * NUM_SEEDS


def test_a_planted_step_is_found_at_its_place_with_its_shares() -> None:
    places = []
    for seed in range(NUM_SEEDS):
        generator = np.random.default_rng(seed)
        totals = generator.integers(200, 800, 90)
        changes = change_points(generator.binomial(totals, np.where(np.arange(90) < 60, 0.05, 0.10)), totals)
        places.append([change.place for change in changes])
        assert changes[0].before == pytest.approx(0.05, abs=0.01)
        assert changes[-1].after == pytest.approx(0.10, abs=0.015)
    assert sum(place == [60] for place in places) >= 0.9 * NUM_SEEDS


def test_a_rise_and_a_fall_are_two_changes() -> None:
    shares = np.repeat([0.02, 0.2, 0.02], [20, 10, 20])
    totals = np.full(50, 300)
    changes = change_points(np.random.default_rng(0).binomial(totals, shares), totals)
    assert [change.place for change in changes] == [20, 30]
    assert changes[0].after == changes[1].before


def test_exact_steps_are_exact() -> None:
    counts, totals = np.array([0, 0, 0, 0, 50, 50, 50, 50]), np.array([100, 100, 0, 100, 100, 100, 100, 100])
    assert [(c.place, c.before, c.after) for c in change_points(counts, totals)] == [(4, 0.0, 0.5)]


def test_buckets_without_documents_say_nothing() -> None:
    assert change_points(np.zeros(5, np.int64), np.zeros(5, np.int64)) == []
    assert change_points(np.zeros(0, np.int64), np.zeros(0, np.int64)) == []
    assert change_points(np.array([3]), np.array([9])) == []


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="no count above its total"):
        change_points(np.array([2]), np.array([1]))


def test_dispersion_of_binomial_counts_is_about_one_and_of_bursts_more() -> None:
    generator = np.random.default_rng(0)
    trials = np.full(1000, 500.0)
    assert dispersion(generator.binomial(500, 0.1, 1000).astype(float), trials) < 1.2
    assert dispersion(generator.binomial(500, generator.beta(20, 180, 1000)).astype(float), trials) > 2
