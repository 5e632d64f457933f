"""Poisson regression with an offset, and errors that hold where counts vary more than Poisson's do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from theta_ray.network.observations import Doubles

MAX_STEPS = 100
TOLERANCE = 1e-10
# Longer steps of the linear predictor would overflow before they converge.
MAX_PREDICTOR = 500.0


class Fitted(NamedTuple):
    """[covariates] coefficients, and their Huber-White standard errors."""

    coefficient: Doubles
    error: Doubles


def poisson_regression(counts: Doubles, covariates: Doubles, offset: Doubles) -> Fitted | None:
    """Maximum likelihood of log E[counts] = covariates @ coefficient + offset, by Newton's method with halved steps.

    The coefficients are right on average whatever the distribution of the counts, as long as their mean has this form
    (Gourieroux, Monfort and Trognon 1984). Memory: the covariates three times.

    Args:
        counts: [rows] 0 or more.
        covariates: [rows, covariates], a column of ones among them.
        offset: [rows] log exposure.

    Returns:
        None where there is no maximum, or the covariates are not independent.
    """
    center, scale = covariates.mean(axis=0), covariates.std(axis=0)
    constant = scale == 0
    center[constant], scale[constant] = 0.0, np.where(covariates[0, constant] == 0, 1.0, covariates[0, constant])
    design = (covariates - center) / scale
    if np.linalg.matrix_rank(design.T @ design) < design.shape[1]:
        return None
    start = np.zeros(design.shape[1])
    start[np.flatnonzero(constant)[:1]] = np.log(max(counts.sum(), 1e-300)) - np.log(np.exp(offset).sum())
    found = _newton(counts, design, offset, start)
    if found is None:
        return None
    mean = np.exp(design @ found + offset)
    information = design.T @ (design * mean[:, None])
    if np.linalg.matrix_rank(information) < len(found):
        return None
    # back to the covariates as given: the column of ones takes what centring has moved
    back = np.diag(1 / scale)
    back[np.flatnonzero(constant)[:1], :] -= np.where(constant, 0.0, center / scale)
    # what each row adds to the coefficients; the sum of squares is the sandwich of Huber and White
    influence = (design * (counts - mean)[:, None]) @ np.linalg.solve(information, back.T)
    return Fitted(back @ found, np.sqrt((influence**2).sum(axis=0)))


def _newton(counts: Doubles, design: Doubles, offset: Doubles, beta: Doubles) -> Doubles | None:
    likelihood = _likelihood(counts, design, offset, beta)
    for _ in range(MAX_STEPS):
        mean = np.exp(np.minimum(design @ beta + offset, MAX_PREDICTOR))
        gradient = design.T @ (counts - mean)
        try:
            step = np.linalg.solve(design.T @ (design * mean[:, None]), gradient)
        except np.linalg.LinAlgError:
            return None
        size = 1.0
        while (after := _likelihood(counts, design, offset, beta + size * step)) < likelihood and size > 1e-12:
            size /= 2
        beta = beta + size * step
        likelihood = max(likelihood, after)
        if float(np.abs(size * step).max()) < TOLERANCE * (1 + float(np.abs(beta).max())):
            return beta
    return None


def _likelihood(counts: Doubles, design: Doubles, offset: Doubles, beta: Doubles) -> float:
    predictor = np.minimum(design @ beta + offset, MAX_PREDICTOR)
    return float(counts @ predictor - np.exp(predictor).sum())
