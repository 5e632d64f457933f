"""Early arrival and votes: three corrections for exposure, beside SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import PoissonRegressor

from theta_ray.network.arrival import (
    DEFINITIONS,
    Arrivals,
    Documents,
    arrival_deciles,
    arrival_statistics,
    arrivals,
    rank_correlation,
)
from theta_ray.network.observations import DAY, HOUR, MISSING
from theta_ray.network.poisson import poisson_regression

END = 30 * DAY


def of(first: list[int], score: list[int], early: list[int] | None = None, posts: list[int] | None = None) -> Arrivals:
    columns = (first, score, early or score, posts or [1] * len(first))
    return Arrivals(*(np.array(column, np.int64) for column in columns))


def platform(daily: float, per_day: float = 1.0, seed: int = 0) -> Arrivals:
    """Authors whose votes come at a rate that changes by a factor with each day of later arrival."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, END - DAY, 2000)
    quality = rng.gamma(2, 0.5, 2000)
    rate = per_day * quality * daily ** (first / DAY)
    score = rng.poisson(rate * (END - first) / DAY)
    early = rng.poisson(rate)
    return Arrivals(first, score, early, rng.integers(1, 5, 2000))


def test_ranks_agree_with_scipy_where_values_repeat() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 200), rng.integers(0, 9, 200)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic, rel=1e-12)
    assert np.isnan(rank_correlation(x, np.zeros(200)))
    assert np.isnan(rank_correlation(x[:1], y[:1]))


def test_exposure_alone_makes_early_authors_rich_and_all_three_corrections_see_it() -> None:
    found = arrival_statistics(platform(1.0, per_day=5), END)
    assert found["arrival_spearman"] < -0.3
    assert abs(found["arrival_spearman_rate"]) < 0.06
    assert abs(found["arrival_spearman_horizon"]) < 0.06
    assert found["arrival_rate_ratio_low"] < 1 < found["arrival_rate_ratio_high"]


def test_a_planted_advantage_is_found_by_all() -> None:
    found = arrival_statistics(platform(0.93, per_day=5), END)
    assert found["arrival_spearman"] < -0.6
    assert found["arrival_spearman_rate"] < -0.3
    assert found["arrival_spearman_horizon"] < -0.2
    assert found["arrival_rate_ratio_low"] < 0.93 < found["arrival_rate_ratio_high"]
    assert found["arrival_rate_ratio_high"] < 0.95


def test_the_interval_of_the_rate_ratio_holds_although_scores_vary_more_than_poisson() -> None:
    covered = 0
    for seed in range(60):
        found = arrival_statistics(platform(0.97, per_day=5, seed=seed), END)
        covered += found["arrival_rate_ratio_low"] <= 0.97 <= found["arrival_rate_ratio_high"]
    assert covered >= 51


@pytest.mark.parametrize("seed", range(5))
def test_the_regression_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 400
    covariates = np.column_stack([np.ones(size), rng.normal(50, 20, size), rng.uniform(0, 1, size)])
    exposure = rng.uniform(1, 500, size)
    counts = rng.poisson(exposure * np.exp(covariates @ [-2.0, 0.01, 0.5])).astype(float)
    found = poisson_regression(counts, covariates, np.log(exposure))
    # an offset is the same as rates that weigh as much as their exposure
    peer = PoissonRegressor(alpha=0, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    peer.fit(covariates[:, 1:], counts / exposure, sample_weight=exposure)
    assert found is not None
    assert np.allclose(found.coefficient, [peer.intercept_, *peer.coef_], rtol=1e-6, atol=1e-9)


def test_errors_of_the_regression_are_those_of_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(500), rng.uniform(-1, 1, 500)])
    estimates, errors = [], []
    for _ in range(200):
        counts = rng.poisson(np.exp(design @ [1, 0.5]) * rng.gamma(0.5, 2, 500)).astype(float)
        fitted = poisson_regression(counts, design, np.zeros(500))
        assert fitted is not None
        estimates.append(fitted.coefficient)
        errors.append(fitted.error)
    assert np.allclose(np.mean(errors, axis=0), np.std(estimates, axis=0), rtol=0.15)


def test_a_regression_without_an_answer_gives_none() -> None:
    twice = np.column_stack([np.ones(9), np.arange(9.0), 2 * np.arange(9.0)])
    assert poisson_regression(np.ones(9), twice, np.zeros(9)) is None


def test_scores_of_the_first_hours_and_totals_are_summed_by_author() -> None:
    documents = Documents(
        author=np.array([0, 0, 0, 0, 1, 2], np.int32),
        times=np.array([HOUR, DAY + HOUR, DAY + HOUR + 1, MISSING, END + 1, 5]),
        score=np.array([1, 10, 100, 1000, 7, MISSING]),
        is_post=np.array([True, False, True, True, True, False]),
    )
    found = arrivals(documents, 3, END)
    assert found.first.tolist() == [HOUR, MISSING, 5]
    assert found.score.tolist() == [1111, 7, MISSING]
    assert found.early_score.tolist() == [11, 0, MISSING]
    assert found.num_posts.tolist() == [3, 1, 0]


def test_authors_without_time_for_the_horizon_are_left_out_of_it_alone() -> None:
    found = arrival_statistics(of([0, DAY, END - DAY, END - HOUR], [4, 3, 2, 1]), END)
    assert (found["arrival_num_authors"], found["arrival_num_authors_horizon"]) == (4, 2)
    assert found["arrival_spearman"] == pytest.approx(-1)


def test_a_rate_counts_at_least_one_hour() -> None:
    assert arrival_statistics(of([END - 2 * HOUR, END - 1], [3, 1]), END)["arrival_spearman_rate"] == pytest.approx(-1)


def test_tenths_are_of_authors_in_order_of_arrival() -> None:
    tenth, mean = arrival_deciles(of(list(range(20)), list(range(20, 0, -1))))
    assert tenth.tolist() == list(range(1, 11))
    assert mean.tolist() == [19.5 - 2 * i for i in range(10)]
    tenth, mean = arrival_deciles(of([7] * 20, [1] * 20))
    assert (tenth.tolist(), mean.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    "found",
    [of([], []), of([5], [1]), of([5] * 9, [3] * 9), of([MISSING] * 5, [1] * 5), of(list(range(9)), [-1] * 9)],
)
def test_every_statistic_is_defined_and_no_other(found: Arrivals) -> None:
    statistics = arrival_statistics(found, END)
    assert set(statistics) == set(DEFINITIONS)
    assert np.isnan(statistics["arrival_rate_ratio"])
