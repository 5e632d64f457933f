"""What regressions of counts share: their rows, Newton's method, and errors that hold whatever the counts vary by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from theta_ray.network.observations import Doubles

MAX_STEPS = 100
TOLERANCE, ROUNDING, SMALLEST = 1e-10, 1e-12, 1e-12
Model = Callable[[Doubles], tuple[float, Doubles, Doubles]]
"""Coefficients -> log-likelihood, its gradient, and the information: minus its second derivatives, or their mean."""


class Rows(NamedTuple):
    """What is regressed."""

    counts: Doubles
    """[rows] 0 or more."""
    covariates: Doubles
    """[rows, covariates], without a constant."""
    offset: Doubles
    """[rows] log exposure."""


class Fitted(NamedTuple):
    """[covariates] coefficients, and their Huber-White standard errors."""

    coefficient: Doubles
    error: Doubles


def maximized(model: Model, start: Doubles) -> Doubles | None:
    """The coefficients of the largest likelihood, by Newton's method with halved steps; None where it finds none."""
    beta, (likelihood, gradient, information) = start, model(start)
    for _ in range(MAX_STEPS):
        if not _is_regular(information):
            return None
        step, size = np.linalg.solve(information, gradient), 1.0
        # near the top the likelihood changes by less than it is rounded by
        lowest = likelihood - ROUNDING * (1 + abs(likelihood))
        while (after := model(beta + size * step))[0] < lowest and size > SMALLEST:
            size /= 2
        beta = beta + size * step
        likelihood, gradient, information = max(likelihood, after[0]), *after[1:]
        if float(np.abs(size * step).max()) < TOLERANCE * (1 + float(np.abs(beta).max())):
            return beta if _is_regular(information) else None
    return None


def robust_errors(scores: Doubles, information: Doubles) -> Doubles:
    """[coefficients] standard errors from [rows, coefficients] gradients of each row (Huber 1967, White 1980)."""
    # what each row adds to the coefficients; the sum of squares is the sandwich
    influence = np.linalg.solve(information, scores.T)
    return np.asarray(np.sqrt((influence**2).sum(axis=1)))


def _is_regular(information: Doubles) -> bool:
    return bool(np.isfinite(information).all()) and int(np.linalg.matrix_rank(information)) == len(information)
