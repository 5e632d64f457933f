"""Negative binomial regression with an offset: counts that vary by mean + dispersion * mean^2."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from theta_ray.network.observations import Doubles
from theta_ray.network.regression import Fitted, Rows, maximized, robust_errors

MAX_ROUNDS, TOLERANCE = 50, 1e-6
# A dispersion is known so well at least, however small it is.
ROUNDING = 1e-2
# Logarithms of dispersions that are looked for.
LOWEST, HIGHEST = -14.0, 9.0
# Longer steps of the linear predictor would overflow before they converge.
MAX_PREDICTOR = 500.0


class NegativeBinomial(NamedTuple):
    """Coefficients with errors, without the intercept; and the dispersion."""

    fitted: Fitted
    dispersion: float


def negative_binomial_regression(rows: Rows) -> NegativeBinomial | None:
    """Maximum likelihood of log E[counts] = intercept + covariates @ coefficient + offset.

    It is NB2 of Cameron and Trivedi (2013, section 3.3), with an intercept that is added here.

    Coefficients and dispersion are found in turns, which is quick since neither says much about the other (Venables
    and Ripley 2002, section 7.4). Rows with many counts weigh less than in a Poisson regression, where one can decide.
    Counts that vary less than Poisson's have dispersion 0 and its coefficients. Memory: the covariates four times.

    Returns:
        None where there is no maximum, or covariates do not vary, each in its own way.
    """
    counts, offset = rows.counts, rows.offset
    scale = rows.covariates.std(axis=0) if len(counts) else np.zeros(1)
    if not counts.any() or not scale.all():
        return None
    design = np.column_stack([np.ones(len(counts)), (rows.covariates - rows.covariates.mean(axis=0)) / scale])
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(counts.sum()) - np.log(np.exp(offset).sum())
    dispersion = 1.0
    for _ in range(MAX_ROUNDS):
        found = _coefficients(rows, design, dispersion, beta)
        if found is None:
            return None
        beta, before = found, dispersion
        mean = _mean(design @ beta + offset)
        dispersion = _dispersion(counts, mean)
        if abs(dispersion - before) < TOLERANCE * max(dispersion, ROUNDING):
            break
    else:
        return None
    damped = design / (1 + dispersion * mean)[:, None]
    observed = mean * (1 + dispersion * counts) / (1 + dispersion * mean)
    error = robust_errors(damped * (counts - mean)[:, None], design.T @ (damped * observed[:, None]))
    return NegativeBinomial(Fitted(beta[1:] / scale, error[1:] / scale), dispersion)


def _coefficients(rows: Rows, design: Doubles, dispersion: float, start: Doubles) -> Doubles | None:
    def model(beta: Doubles) -> tuple[float, Doubles, Doubles]:
        mean = _mean(design @ beta + rows.offset)
        damped = design / (1 + dispersion * mean)[:, None]
        likelihood = _likelihood(rows.counts, mean, dispersion)
        return likelihood, damped.T @ (rows.counts - mean), damped.T @ (design * mean[:, None])

    return maximized(model, start)


def _dispersion(counts: Doubles, mean: Doubles) -> float:
    """Of the largest likelihood, given the means; 0 where the likelihood falls from there."""
    if ((counts - mean) ** 2 - counts).sum() <= 0:
        return 0.0
    # the factor that only the counts decide is the same for equal ones
    value, many = np.unique(counts, return_counts=True)

    def minus_likelihood(log_dispersion: float) -> float:
        size = np.exp(-log_dispersion)
        of_counts = many @ (gammaln(value + size) - gammaln(size))
        return -float(of_counts + _likelihood(counts, mean, np.exp(log_dispersion)))

    bounds = (LOWEST, HIGHEST)
    found = minimize_scalar(minus_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x))


def _likelihood(counts: Doubles, mean: Doubles, dispersion: float) -> float:
    """Without what only the counts and the dispersion decide."""
    if not dispersion:
        return float(counts @ np.log(mean) - mean.sum())
    excess = dispersion * mean
    return float(counts @ np.log(excess) - (counts + 1 / dispersion) @ np.log1p(excess))


def _mean(predictor: Doubles) -> Doubles:
    return np.asarray(np.exp(np.clip(predictor, -MAX_PREDICTOR, MAX_PREDICTOR)))
