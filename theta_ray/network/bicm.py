"""The bipartite configuration model: how likely an actor is in a context, given how active both are, and chance.

Of all distributions over incidences with the given expected degrees, the one of largest entropy (Saracco, Di Clemente,
Gabrielli and Squartini, Scientific Reports 5, 10595, 2015): pairs are independent, and actor u is in context c with
probability p = x_u y_c / (1 + x_u y_c). Equal degrees have equal probabilities, so one number is found per *degree*,
by the fixed point of their equation 10 of the methods: thousands of unknowns, whatever the size of the corpus.

Who is in no context, or in all, has probability 0 or 1 and is taken out first, as are contexts of nobody and of all.

Shapes: I distinct degrees of actors, J distinct sizes of contexts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.incidence import Counts, Ids, Incidence

Doubles = NDArray[np.float64]
TOLERANCE = 1e-11
"""Of every expected degree, relative."""
MAX_ITERATIONS = 20_000
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bicm:
    """A fitted model. 8 I J bytes, beside 4 an actor."""

    actor_class: Ids
    """[A] of each actor's degree."""
    degrees: Counts
    """[I] of actors."""
    sizes: Counts
    """[J] of contexts."""
    num_contexts: Counts
    """[J] contexts of each size."""
    probability: Doubles
    """[I, J]"""
    num_iterations: int
    largest_error: float
    """Of an expected degree, relative."""

    @classmethod
    def of(cls, incidence: Incidence) -> Bicm:
        """The model of an incidence; contexts without a member are part of its population."""
        degrees, actor_class, num_actors = np.unique(incidence.degrees, return_inverse=True, return_counts=True)
        sizes, num_contexts = np.unique(incidence.sizes, return_counts=True)
        sides = (degrees, num_actors), (sizes, num_contexts)
        probability, inner = _certain(sides)
        iterations, error = 0, 0.0
        if inner[0].any():
            part = np.ix_(*inner)
            wanted = [
                degrees[inner[0]] - probability[inner[0]][:, ~inner[1]] @ num_contexts[~inner[1]],
                sizes[inner[1]] - num_actors[~inner[0]] @ probability[:, inner[1]][~inner[0]],
            ]
            many = num_actors[inner[0]].astype(np.float64), num_contexts[inner[1]].astype(np.float64)
            probability[part], iterations, error = _fixed_point(wanted, many)
        return cls(actor_class.astype(np.int32), degrees, sizes, num_contexts, probability, iterations, error)


def _certain(sides: tuple[tuple[Counts, Counts], tuple[Counts, Counts]]) -> tuple[Doubles, list[NDArray[np.bool_]]]:
    """Probabilities 0 and 1, and which degrees of both sides are between them."""
    (degrees, num_actors), (sizes, num_contexts) = sides
    probability = np.zeros((len(degrees), len(sizes)))
    left = [degrees.copy(), sizes.copy()]
    inner = [np.ones(len(degrees), bool), np.ones(len(sizes), bool)]
    many = num_actors, num_contexts
    is_changed = True
    while is_changed:
        is_changed = False
        for side in (0, 1):
            total = int(many[1 - side][inner[1 - side]].sum())
            none, full = inner[side] & (left[side] == 0), inner[side] & (left[side] == total)
            if (full & ~none).any():
                here, there = np.flatnonzero(full & ~none), np.flatnonzero(inner[1 - side])
                probability[np.ix_(here, there) if side == 0 else np.ix_(there, here)] = 1.0
                left[1 - side][there] -= int(many[side][here].sum())
            if (none | full).any():
                inner[side] &= ~(none | full)
                is_changed = True
    if not (inner[0].any() and inner[1].any()):
        inner = [np.zeros(len(degrees), bool), np.zeros(len(sizes), bool)]
    return probability, inner


def _fixed_point(wanted: list[Doubles], many: tuple[Doubles, Doubles]) -> tuple[Doubles, int, float]:
    """Probabilities with the wanted expected degrees, iterations, and the largest relative error of a degree."""
    total = float(wanted[0] @ many[0])
    x, y = wanted[0] / np.sqrt(total), wanted[1] / np.sqrt(total)
    probability, error, iteration = np.empty(0), np.inf, 0
    while iteration < MAX_ITERATIONS:
        iteration += 1
        x = wanted[0] / ((y / (1 + np.outer(x, y))) @ many[1])
        y = wanted[1] / (many[0] @ (x[:, None] / (1 + np.outer(x, y))))
        probability = np.outer(x, y) / (1 + np.outer(x, y))
        # sizes are met after each step but for rounding: x and y take turns
        found = probability @ many[1], many[0] @ probability
        error = max(float(np.abs(a / b - 1).max()) for a, b in zip(found, wanted, strict=True))
        if error < TOLERANCE:
            break
    else:
        logger.warning("bicm: expected degrees are off by %.1e after %d iterations", error, iteration)
    return probability, iteration, error
