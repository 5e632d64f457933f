"""Gini, Lorenz, Hoover and shares of the first: closed forms, populations, scores below zero, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from theta_ray.network.bootstrap import intervals, percentile_interval
from theta_ray.network.inequality import DEFINITIONS, QUANTITIES, gini, hoover, inequality, lorenz, measures, top_share
from theta_ray.network.observations import MISSING, Histogram, histogram, quantile


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 0, 0, 1], 0.75), ([1, 1, 1, 1], 0.0), ([5], 0.0), ([1, 2, 3, 4], 0.25), ([1, 3], 0.25)],
)
def test_gini_has_its_closed_forms(values: list[int], expected: float) -> None:
    assert gini(histogram(values)) == pytest.approx(expected, abs=1e-15)


def test_the_corrected_gini_is_one_where_one_has_everything() -> None:
    assert gini(histogram([0, 0, 0, 1]), corrected=True) == pytest.approx(1)
    assert np.isnan(gini(histogram([3]), corrected=True))


def test_gini_is_the_mean_difference_between_all_pairs() -> None:
    values = np.random.default_rng(0).zipf(1.8, 300)
    pairs = np.abs(values[:, None] - values[None]).mean() / (2 * values.mean())
    assert gini(histogram(values)) == pytest.approx(pairs, rel=1e-12)


def test_gini_is_one_less_twice_the_area_below_the_lorenz_curve() -> None:
    values = histogram(np.random.default_rng(1).poisson(3, 500))
    authors, held = lorenz(values)
    assert gini(values) == pytest.approx(1 - 2 * np.trapezoid(held, authors), rel=1e-12)
    assert (authors[0], held[0], authors[-1], held[-1]) == (0, 0, 1, 1)


def test_the_hoover_index_is_the_largest_gap_between_the_lorenz_curve_and_equality() -> None:
    values = histogram([1, 2, 3, 14])
    authors, held = lorenz(values)
    assert hoover(values) == pytest.approx((authors - held).max()) == pytest.approx(0.45)


def test_the_first_tenth_of_ten_is_one_author_and_of_five_half_of_one() -> None:
    assert top_share(histogram([1] * 9 + [11]), 0.1) == pytest.approx(0.55)
    assert top_share(histogram([1, 1, 1, 1, 6]), 0.1) == pytest.approx(0.3)


def test_zeros_raise_the_gini_and_scores_below_zero_count_as_zero() -> None:
    found = inequality("score", histogram([-3, 0, 1, 2, MISSING]), 6)
    assert found["score_gini"] == pytest.approx(gini(histogram([1, 2])))
    assert found["score_gini_with_zeros"] == pytest.approx(gini(histogram([0, 0, 0, 0, 1, 2])))
    assert (found["score_negative_share"], found["score_zero_share"]) == (1 / 6, 3 / 6)
    assert (found["score_mean_with_zeros"], found["score_median_with_zeros"]) == (0.5, 0.0)


def test_fewer_authors_than_values_are_told() -> None:
    with pytest.raises(ValueError, match="4 values are more than 3"):
        inequality("posts", histogram([1, 2, 3, 4]), 3)


@pytest.mark.parametrize("values", [[], [0, 0], [-1]])
def test_nobody_and_nothing_have_no_inequality(values: list[int]) -> None:
    found = measures(histogram(values))
    assert all(np.isnan(found[name]) for name in ("gini", "hoover", "top_1_percent_share"))


@pytest.mark.parametrize("values", [[], [1, 2, 5], [-1, 0]])
def test_every_statistic_is_defined_and_no_other(values: list[int]) -> None:
    found = {name for quantity in QUANTITIES for name in inequality(quantity, histogram(values), len(values))}
    assert found == set(DEFINITIONS)


@pytest.mark.parametrize("values", [[1], [3, 1, 2], [4, 4, 1, 9], [1, 2, 3, 4, 5, 5]])
def test_the_median_is_that_of_numpy(values: list[int]) -> None:
    assert quantile(histogram(values), 0.5) == np.median(values)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    truth = 0.5  # Gini of an exponential distribution
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        sample = histogram((rng.exponential(1000, 200)).astype(int))
        low, high = intervals(lambda values: {"gini": gini(values)}, sample, 200, seed=trial)["gini"]
        covered += low <= truth <= high
    assert covered >= 85


def test_intervals_are_those_of_resampled_authors() -> None:
    values = np.random.default_rng(2).geometric(0.1, 300)
    low, high = intervals(measures, histogram(values), 500)["mean"]
    rng = np.random.default_rng(3)
    means = [rng.choice(values, len(values)).mean() for _ in range(500)]
    spread = np.std(means)
    assert np.allclose([low, high], np.quantile(means, [0.025, 0.975]), atol=0.5 * spread)


def test_an_interval_depends_on_the_seed_and_on_nothing_else() -> None:
    values = histogram([1, 1, 2, 8, 20])
    assert intervals(measures, values, 50, seed=1) == intervals(measures, values, 50, seed=1)
    assert intervals(measures, values, 50, seed=1) != intervals(measures, values, 50, seed=2)


def test_without_resamples_or_values_there_is_no_interval() -> None:
    empty = Histogram(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert np.isnan(intervals(measures, histogram([1, 2]), 0)["gini"]).all()
    assert np.isnan(intervals(measures, empty, 10)["gini"]).all()
    assert np.isnan(percentile_interval([1.0, np.nan, np.nan])).all()
