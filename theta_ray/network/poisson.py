"""Poisson regression with an offset and an intercept for each group, and errors that hold for any variance.

It is maximised without the intercepts: given a group's total, its counts are multinomial (Hausman, Hall and Griliches
1984). So a thousand groups cost what one does and bias nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.observations import Doubles, Integers
from theta_ray.network.regression import Fitted, Rows, maximized, robust_errors


def poisson_regression(rows: Rows, group: Integers | None = None) -> Fitted | None:
    """Maximum likelihood of log E[counts] = intercept of the group + covariates @ coefficient + offset.

    The coefficients are right on average whatever the distribution of the counts, as long as their mean has this form
    (Gourieroux, Monfort and Trognon 1984; with groups Wooldridge 1999). Groups without a count say nothing. Errors are
    those of the model that has a column for each group. Memory: the covariates four times.

    Args:
        rows: of the regression.
        group: [rows] a number for each group; absent: all rows are one.

    Returns:
        None where there is no maximum, or covariates do not vary within groups, each in its own way.
    """
    _, place = np.unique(np.zeros(len(rows.counts)) if group is None else group, return_inverse=True)
    is_told = np.bincount(place, rows.counts)[place] > 0 if len(place) else np.zeros(0, bool)
    if not is_told.any():
        return None
    counts, covariates, offset = (column[is_told] for column in rows)
    _, place = np.unique(place[is_told], return_inverse=True)
    total = np.bincount(place, counts)
    design = covariates - _means(covariates, place, np.ones(len(place)))
    scale = design.std(axis=0)
    if not scale.all():
        return None
    design = design / scale

    def expected(beta: Doubles) -> tuple[Doubles, float]:
        predictor = design @ beta + offset
        highest = np.full(len(total), -np.inf)
        np.maximum.at(highest, place, predictor)
        logs = predictor - highest[place]
        logs -= np.log(np.bincount(place, np.exp(logs)))[place]
        return total[place] * np.exp(logs), float(counts @ logs)

    def model(beta: Doubles) -> tuple[float, Doubles, Doubles]:
        mean, likelihood = expected(beta)
        centred = design - _means(design, place, mean)
        return likelihood, design.T @ (counts - mean), centred.T @ (centred * mean[:, None])

    beta = maximized(model, np.zeros(design.shape[1]))
    if beta is None:
        return None
    mean, _ = expected(beta)
    scores = (design - _means(design, place, mean)) * (counts - mean)[:, None]
    return Fitted(beta / scale, robust_errors(scores, model(beta)[2]) / scale)


def _means(values: Doubles, place: NDArray[np.int64], weight: Doubles) -> Doubles:
    """[rows, columns] weighted mean of each column over the group of each row."""
    total = np.bincount(place, weight)
    columns = [np.bincount(place, column * weight) / total for column in values.T]
    return np.stack(columns, axis=1)[place]
