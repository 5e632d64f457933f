"""Regressions of counts: closed forms, scikit-learn and SciPy on the same rows, and errors of repeated samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import nbinom
from sklearn.linear_model import PoissonRegressor

from theta_ray.network.negative_binomial import negative_binomial_regression
from theta_ray.network.poisson import poisson_regression
from theta_ray.network.regression import Rows


def drawn(seed: int, dispersion: float, size: int = 400) -> Rows:
    """Counts that vary more than Poisson's, at some exposure."""
    rng = np.random.default_rng(seed)
    covariates = np.column_stack([rng.normal(50, 20, size), rng.uniform(0, 1, size)])
    offset = np.log(rng.uniform(1, 500, size))
    mean = np.exp(covariates @ [0.01, 0.5] - 2 + offset)
    return Rows(rng.poisson(mean * rng.gamma(1 / dispersion, dispersion, size)).astype(float), covariates, offset)


TWO = st.lists(st.integers(0, 40), min_size=2, max_size=12).filter(any)


@given(TWO, TWO)
def test_of_two_groups_the_coefficient_is_the_logarithm_of_the_ratio_of_their_means(a: list[int], b: list[int]) -> None:
    counts, is_b = np.array([*a, *b], float), np.repeat([0.0, 1.0], [len(a), len(b)])
    rows = Rows(counts, is_b[:, None], np.zeros(len(counts)))
    poisson = poisson_regression(rows)
    assert poisson is not None
    assert poisson.coefficient == pytest.approx(np.log(np.mean(b) / np.mean(a)), abs=1e-8)
    # of a mean, by the delta method
    variance = sum(((np.array(each) - np.mean(each)) ** 2).sum() / sum(each) ** 2 for each in (a, b))
    assert poisson.error == pytest.approx(np.sqrt(variance), abs=1e-8)
    binomial = negative_binomial_regression(rows)
    assert binomial is not None
    assert binomial.fitted.coefficient == pytest.approx(poisson.coefficient, abs=1e-6)
    assert binomial.fitted.error == pytest.approx(poisson.error, abs=1e-6)


@given(TWO, st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_groups_and_rows_in_any_order_and_with_any_numbers_say_the_same(a: list[int], times: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = len(a) * times
    rows = Rows(np.tile(a, times).astype(float), rng.normal(size=(size, 1)), rng.normal(size=size))
    group = np.arange(size) % times
    order, names = rng.permutation(size), rng.permutation(times * 3) - times
    mixed = Rows(*(column[order] for column in rows))
    one, other = poisson_regression(rows, group), poisson_regression(mixed, names[group][order])
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert other.coefficient == pytest.approx(one.coefficient, rel=1e-6, abs=1e-6)
        assert other.error == pytest.approx(one.error, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_intercepts_of_groups_are_those_of_a_column_for_each_group(seed: int) -> None:
    counts, covariates, offset = drawn(seed, 0.5)
    group = np.random.default_rng(seed).integers(0, 6, len(counts))
    counts[group == 2] = 0  # says nothing
    found = poisson_regression(Rows(counts, covariates, offset), group)
    told = group != 2
    columns = [covariates[told], *((group[told] == each)[:, None] for each in (0, 1, 3, 4, 5))]
    design = np.concatenate(columns, axis=1).astype(float)
    # an offset is the same as rates that weigh as much as their exposure
    peer = PoissonRegressor(alpha=0, tol=1e-12, max_iter=10_000, solver="newton-cholesky", fit_intercept=False)
    rates, exposure = counts[told] / np.exp(offset[told]), np.exp(offset[told])
    peer.fit(design, rates, sample_weight=exposure)
    assert found is not None
    assert np.allclose(found.coefficient, peer.coef_[:2], rtol=1e-5, atol=1e-8)
    mean = np.exp(design @ peer.coef_) * exposure
    bread = np.linalg.inv(design.T @ (design * mean[:, None]))
    scores = design * (counts[told] - mean)[:, None]
    assert np.allclose(found.error, np.sqrt(np.diag(bread @ scores.T @ scores @ bread))[:2], rtol=1e-4)


@pytest.mark.parametrize("dispersion", [0.3, 2.0, 9.0])
def test_the_negative_binomial_has_the_largest_likelihood_that_scipy_finds(dispersion: float) -> None:
    rows = drawn(5, dispersion)
    found = negative_binomial_regression(rows)
    assert found is not None
    design = np.column_stack([np.ones(len(rows.counts)), (rows.covariates - [50, 0.5]) / [20, 0.3]])

    def minus_likelihood(x: np.ndarray) -> float:
        mean, size = np.exp(design @ x[:3] + rows.offset), np.exp(-x[3])
        return -float(nbinom.logpmf(rows.counts, size, size / (size + mean)).sum())

    options = {"xatol": 1e-9, "fatol": 1e-11, "maxiter": 10_000, "maxfev": 10_000}
    peer = minimize(minus_likelihood, np.zeros(4), method="Nelder-Mead", options=options)
    assert found.fitted.coefficient == pytest.approx(peer.x[1:3] / [20, 0.3], abs=1e-5)
    assert found.dispersion == pytest.approx(np.exp(peer.x[3]), rel=1e-4)


@pytest.mark.parametrize("seed", range(2))
def test_errors_are_those_of_repeated_samples(seed: int) -> None:
    poisson, binomial = [], []
    covariates = np.random.default_rng(seed).uniform(-1, 1, (300, 1))
    for sample in range(150):
        rng = np.random.default_rng([seed, sample])
        counts = rng.poisson(np.exp(1 + 0.5 * covariates[:, 0]) * rng.gamma(0.5, 2, 300)).astype(float)
        rows = Rows(counts, covariates, np.zeros(300))
        one, other = poisson_regression(rows), negative_binomial_regression(rows)
        assert one is not None
        assert other is not None
        poisson.append((one.coefficient[0], one.error[0]))
        binomial.append((other.fitted.coefficient[0], other.fitted.error[0]))
    for found in (np.array(poisson), np.array(binomial)):
        assert found[:, 0].mean() == pytest.approx(0.5, abs=0.05)
        assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.2)


def test_counts_that_vary_less_than_poisson_have_no_dispersion_and_the_coefficients_of_poisson() -> None:
    rng = np.random.default_rng(0)
    covariates = rng.uniform(-1, 1, (200, 1))
    rows = Rows(np.round(np.exp(3 + covariates[:, 0])), covariates, np.zeros(200))
    found, poisson = negative_binomial_regression(rows), poisson_regression(rows)
    assert found is not None
    assert poisson is not None
    assert found.dispersion == 0
    assert found.fitted.coefficient == pytest.approx(poisson.coefficient, abs=1e-9)
    assert found.fitted.error == pytest.approx(poisson.error, abs=1e-9)


LINE = np.arange(9.0)


@pytest.mark.parametrize(
    ("counts", "covariates"),
    [
        (np.ones(9), np.column_stack([LINE, 2 * LINE])),  # which of the two is it
        (np.ones(9), np.ones((9, 1))),
        (np.zeros(9), LINE[:, None]),
        (np.zeros(0), np.zeros((0, 1))),
        ((LINE > 4).astype(float), (LINE > 4)[:, None].astype(float)),  # the larger the coefficient the better
    ],
)
def test_a_regression_without_an_answer_gives_none(counts: np.ndarray, covariates: np.ndarray) -> None:
    rows = Rows(counts, covariates, np.zeros(len(counts)))
    assert poisson_regression(rows) is None
    assert negative_binomial_regression(rows) is None
