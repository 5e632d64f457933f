"""Maps and held-out vectors in, how many true neighbours each map finds out, and which map to take.

A held-out text's neighbours are the nearest ones, by exact cosine, of its new vector among the new vectors of the other
held-out texts. A map is judged by the share of them that the text's mapped old vector finds among the same new vectors:
what a centroid, or an old index, is worth in the new space.

Shapes: Q held-out texts, D values before, E values now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from theta_ray.config_evaluation import Evaluation
from theta_ray.encoder.neighbours import ROUNDING
from theta_ray.errors import InputError
from theta_ray.nightly.maps import AffineMap, Values, Vectors, fit_maps
from theta_ray.topics.lloyd import unit_vectors
from theta_ray.training.bootstrap import Estimate, estimate

# Held-out texts for each neighbour: with fewer, chance alone finds a good part of them.
TEXTS_PER_NEIGHBOUR = 5
QUERIES_AT_ONCE = 512
# The mean of all documents is in that of a cluster with the weight of so many of its own.
PRIOR_DOCUMENTS = 10


@dataclass(frozen=True)
class Judged:
    """A map and what the held-out texts say of it."""

    map: AffineMap
    overlap_Q: Values = field(repr=False)
    """Of each held-out text, the share of its true neighbours that is found."""
    overlap: Estimate
    cosine: Estimate
    """Of mapped and true vectors."""

    @property
    def standard_error(self) -> float:
        """Of the overlap."""
        return float(self.overlap_Q.std(ddof=1) / np.sqrt(len(self.overlap_Q)))


@dataclass(frozen=True)
class Drift:
    """How the new vectors differ from the old ones, before any map."""

    cosine: Estimate | None
    """Mean cosine of a text's two vectors; None where their widths differ."""
    shift: float | None
    """Length of the mean difference; likewise."""
    overlap: Estimate
    """Neighbours among the old vectors that are neighbours among the new ones too, which no rotation changes."""


@dataclass(frozen=True)
class Judgement:
    """All maps that were fitted, the simplest first, and the one to take."""

    maps: list[Judged]
    chosen: Judged
    drift: Drift
    held_out: npt.NDArray[np.int64]
    """[Q] rows of the anchors that were not fitted on."""


def judge(old_ND: Vectors, new_NE: Vectors, num_neighbours: int, resampling: Evaluation) -> Judgement:
    """Fit all maps to every other anchor and judge them by the others.

    Args:
        old_ND: vectors of the anchors in a random order, distinct texts.
        new_NE: those of the same texts by the new model.
        num_neighbours: of a text.
        resampling: of the held-out texts, for intervals.

    Raises:
        InputError: there are too few anchors, or all vectors are alike.
    """
    rows = np.arange(len(old_ND))
    train, held_out = rows[::2], rows[1::2]
    if len(held_out) < TEXTS_PER_NEIGHBOUR * num_neighbours:
        raise InputError(
            f"migrate: {len(rows)} documents of different texts have vectors of both models, and "
            f"{2 * TEXTS_PER_NEIGHBOUR * num_neighbours} are needed for {num_neighbours} neighbours; take a day with "
            "more documents, or lower migrate.num_neighbours"
        )
    old, new = old_ND[held_out], new_NE[held_out]
    maps = [_judged(each, (old, new), num_neighbours, resampling) for each in fit_maps(old_ND[train], new_NE[train])]
    return Judgement(maps, choose(maps), _drift(old, new, num_neighbours, resampling), held_out)


def choose(maps: Sequence[Judged]) -> Judged:
    """The simplest map whose overlap is within one standard error of the best (Breiman et al. 1984, section 3.4.3)."""
    best = max(maps, key=lambda each: each.overlap.value)
    return next(each for each in maps if each.overlap.value >= best.overlap.value - best.standard_error)


def neighbour_overlap(queries_QE: Vectors, among_QE: Vectors, new_QE: Vectors, num_neighbours: int) -> Values:
    """[Q] shares of each text's neighbours among the new vectors that another form of the vectors finds.

    Args:
        queries_QE: the texts in the other form.
        among_QE: what it is compared with: the new vectors, or all texts in the other form.
        new_QE: new vectors. One whose cosine ties with that of the last neighbour is as right as it.
        num_neighbours: k.
    """
    queries, among, new = (unit_vectors(each) for each in (queries_QE, among_QE, new_QE))
    k, parts = num_neighbours, []
    for start in range(0, len(new), QUERIES_AT_ONCE):
        part = slice(start, start + QUERIES_AT_ONCE)
        exact, found = new[part] @ new.T, queries[part] @ among.T
        itself = (np.arange(len(exact)), np.arange(start, start + len(exact)))
        exact[itself] = found[itself] = -np.inf
        last = np.partition(exact, -k, axis=1)[:, [-k]]
        nearest = np.argpartition(found, -k, axis=1)[:, -k:]
        parts.append((np.take_along_axis(exact, nearest, axis=1) >= last - ROUNDING).mean(axis=1))
    return np.concatenate(parts).astype(np.float64)


def shrunk_means(value_N: Values, label_N: npt.NDArray[np.integer], num_clusters: int) -> Values:
    """[K] means of each cluster's values, drawn towards the mean of all where a cluster has few."""
    counts = np.bincount(label_N, minlength=num_clusters)
    sums = np.bincount(label_N, value_N, minlength=num_clusters)
    means: Values = (sums + PRIOR_DOCUMENTS * value_N.mean()) / (counts + PRIOR_DOCUMENTS)
    return means


def weighted_mean(weights_RQ: Values, values_Q: Values) -> Values:
    """[R] means under resampling weights."""
    means: Values = weights_RQ @ values_Q / weights_RQ.sum(axis=1)
    return means


def cosines(left_QE: Vectors, right_QE: Vectors) -> Values:
    """[Q] cosines of rows."""
    found: Values = (unit_vectors(left_QE).astype(np.float64) * unit_vectors(right_QE)).sum(axis=1)
    return found


def _judged(found: AffineMap, held_out: tuple[Vectors, Vectors], num_neighbours: int, resampling: Evaluation) -> Judged:
    old, new = held_out
    mapped = found(old)
    overlap_Q = neighbour_overlap(mapped, new, new, num_neighbours)
    of_mean = partial(estimate, weighted_mean, settings=resampling)
    return Judged(found, overlap_Q, of_mean([overlap_Q]), of_mean([cosines(mapped, new)]))


def _drift(old_QD: Vectors, new_QE: Vectors, num_neighbours: int, resampling: Evaluation) -> Drift:
    overlap = estimate(weighted_mean, [neighbour_overlap(old_QD, old_QD, new_QE, num_neighbours)], resampling)
    if old_QD.shape[1] != new_QE.shape[1]:
        return Drift(None, None, overlap)
    shift = float(np.linalg.norm((new_QE.astype(np.float64) - old_QD).mean(axis=0)))
    return Drift(estimate(weighted_mean, [cosines(old_QD, new_QE)], resampling), shift, overlap)
