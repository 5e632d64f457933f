"""A sample of vectors and a number of clusters in, how well so many clusters fit it, out; and which number to take.

    one k: fit -> inertia, silhouettes, agreement with labels, each with its interval
           fits to pairs of bootstrap samples -> stability: agreement of their clusters on all rows (Fang and Wang 2012)
           the same fits on the rows that they have not seen -> held-out silhouette and its standard error
           fits to a normal cloud of the same mean and covariance -> what silhouette there is without any clusters

What decides is the gain: held-out simplified silhouette less that of the cloud, in which k clusters are as many pieces
of one whole (after the gap statistic of Tibshirani et al. 2001). The smallest k within one standard error of the best
gain is suggested (the rule of Breiman et al. 1984); no k is, where the best gain is not clear of 0 or all k are within
one standard error.

Shapes: N rows of D values, K clusters, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from theta_ray.config_evaluation import Evaluation
from theta_ray.config_quality import ChooseK
from theta_ray.encoder.neighbours import evenly_spaced
from theta_ray.topics.agreement import adjusted_mutual_information, adjusted_rand_index
from theta_ray.topics.silhouette import (
    calinski_harabasz,
    macro_mean,
    nearest_two,
    silhouettes,
    simplified_silhouettes,
)
from theta_ray.training.bootstrap import Estimate, estimate
from theta_ray.training.metrics import normalized_mutual_information, weighted_mean

Values = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Fit = Callable[[Vectors, npt.NDArray[np.int64], int, int], Vectors]
"""Rows [N, D], how often each counts [N], k, seed -> centroids [k or fewer, D]."""
CLEAR = 3
"""Standard errors by which the best gain must be above 0: several k are tried, and each error is an estimate."""


@dataclass(frozen=True)
class Measure:
    """One figure of one k; NaN where there is none."""

    metric: str
    value: float
    low: float
    high: float
    num_values: int
    """Rows, or fits, that it is of."""


@dataclass(frozen=True)
class Point:
    """What the curve has at one k."""

    num_clusters: int
    measures: tuple[Measure, ...]
    gain: float
    standard_error: float


@dataclass(frozen=True)
class Suggestion:
    """A number of clusters, or none."""

    num_clusters: int | None
    why: str
    within: tuple[int, ...]
    """All that are within one standard error of the best gain."""


def measure(
    vectors_ND: Vectors, k: int, fit: Fit, settings: ChooseK, labels_N: npt.NDArray[Any] | None = None
) -> Point:
    """The point of a curve at k.

    Args:
        vectors_ND: the sample; unit vectors where the fit is spherical.
        k: clusters.
        fit: k-means, or anything that gives centroids.
        settings: of the curve.
        labels_N: what is known of the rows; None: nothing, or "" for single rows.
    """
    ones = np.ones(len(vectors_ND), np.int64)
    label_N, nearest_N, second_N = nearest_two(vectors_ND, fit(vectors_ND, ones, k, settings.seed))
    resampling = Evaluation(num_resamples=settings.num_resamples, confidence=settings.confidence, seed=settings.seed)
    simplified_N = simplified_silhouettes(nearest_N, second_N)
    some = evenly_spaced(len(vectors_ND), settings.silhouette_rows)
    exact_S = silhouettes(vectors_ND[some], label_N[some])
    found = [
        _told("inertia", estimate(weighted_mean, [nearest_N**2], resampling), len(label_N)),
        _told("simplified_silhouette", estimate(weighted_mean, [simplified_N], resampling), len(label_N)),
        _told("simplified_silhouette_macro", estimate(macro_mean, [simplified_N, label_N], resampling), len(label_N)),
        _told("silhouette", estimate(weighted_mean, [exact_S], resampling), len(some)),
        _told("calinski_harabasz", Estimate(calinski_harabasz(vectors_ND, label_N), math.nan, math.nan), len(label_N)),
        *_against_labels(label_N, labels_N, resampling),
    ]
    stability, held_out = _resampled(vectors_ND, k, fit, settings)
    clouds = enumerate(_clouds(vectors_ND, settings))
    reference = np.array([_held_out(cloud, k, fit, settings.seed + number) for number, cloud in clouds])
    gain = float(held_out.mean() - reference.mean())
    error = math.hypot(held_out.std(ddof=1), reference.std(ddof=1))
    found += [
        _of_fits("stability", stability, settings.confidence),
        _of_fits("held_out_silhouette", held_out, settings.confidence),
        _of_fits("reference_silhouette", reference, settings.confidence),
        Measure("gain", gain, gain - error, gain + error, len(held_out)),
    ]
    return Point(k, tuple(found), gain, error)


def suggest(points: Sequence[Point]) -> Suggestion:
    """The smallest k within one standard error of the best gain, or none, and why."""
    known = [point for point in points if math.isfinite(point.gain)]
    if not known:
        return Suggestion(None, "no k is clearly better: none has a silhouette", ())
    best = max(known, key=lambda point: (point.gain, -point.num_clusters))
    within = tuple(p.num_clusters for p in known if p.gain >= best.gain - best.standard_error)
    about = f"gain {best.gain:.3g}, standard error {best.standard_error:.2g}"
    if best.gain <= CLEAR * best.standard_error:
        why = f"clusters are no tighter than pieces of one cloud, at best k = {best.num_clusters}: {about}"
        return Suggestion(None, f"no k is clearly better: {why}", within)
    if len(within) == len(known) > 1:
        why = f"all are within one standard error of k = {best.num_clusters}: {about}"
        return Suggestion(None, f"no k is clearly better: {why}", within)
    why = f"k = {best.num_clusters} is best ({about}); k = {min(within)} is the smallest within one standard error"
    ends = {known[0].num_clusters: "smaller", known[-1].num_clusters: "larger"}
    if best.num_clusters in ends:
        why += f"; it is the {ends[best.num_clusters]} end of what was tried, so try {ends[best.num_clusters]} ones"
    return Suggestion(min(within), why, within)


def _told(metric: str, found: Estimate, count: int) -> Measure:
    return Measure(metric, *found, count)


def _of_fits(metric: str, values: Values, confidence: float) -> Measure:
    """Mean of some fits with its t interval."""
    half = stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(len(values))
    return Measure(metric, float(values.mean()), float(values.mean() - half), float(values.mean() + half), len(values))


def _against_labels(
    cluster_N: npt.NDArray[Any], labels_N: npt.NDArray[Any] | None, resampling: Evaluation
) -> Iterator[Measure]:
    if labels_N is None or not (labels_N != "").any():
        return
    is_known = labels_N != ""
    columns = [labels_N[is_known], cluster_N[is_known]]
    nmi = estimate(normalized_mutual_information, columns, resampling, is_biased=True)
    yield _told("nmi", nmi, int(is_known.sum()))
    fewer = resampling.model_copy(update={"num_resamples": 100})  # each takes a while
    yield _told("ami", estimate(adjusted_mutual_information, columns, fewer, is_biased=True), int(is_known.sum()))


def _resampled(vectors_ND: Vectors, k: int, fit: Fit, settings: ChooseK) -> tuple[Values, Values]:
    """Agreement of each pair of fits to bootstrap samples, on all rows; held-out silhouette of each fit."""
    count = len(vectors_ND)
    generator = np.random.default_rng([settings.seed, k])
    agreement, held_out = [], []
    for pair in range(settings.num_pairs):
        clusters = []
        for turn in range(2):
            weights_N = np.bincount(generator.integers(count, size=count), minlength=count)
            drawn = np.flatnonzero(weights_N)
            centroids = fit(vectors_ND[drawn], weights_N[drawn], k, settings.seed + 2 * pair + turn + 1)
            label_N, nearest_N, second_N = nearest_two(vectors_ND, centroids)
            clusters.append(label_N)
            held_out.append(simplified_silhouettes(nearest_N, second_N)[weights_N == 0].mean())
        agreement.append(adjusted_rand_index(np.ones((1, count)), *clusters)[0])
    return np.array(agreement), np.array(held_out)


def _held_out(cloud: tuple[Vectors, Vectors], k: int, fit: Fit, seed: int) -> float:
    fitted_ND, new_ND = cloud
    centroids = fit(fitted_ND, np.ones(len(fitted_ND), np.int64), k, seed)
    return float(simplified_silhouettes(*nearest_two(new_ND, centroids)[1:]).mean())


def _clouds(vectors_ND: Vectors, settings: ChooseK) -> Iterator[tuple[Vectors, Vectors]]:
    """Rows of a normal distribution of the sample's mean and covariance: as many to fit as a bootstrap sample has
    different ones, and as many as it leaves out. Unit vectors where the sample is of such.
    """
    mean_D = vectors_ND.mean(axis=0, dtype=np.float64)
    values_D, axes_DD = np.linalg.eigh(np.cov(vectors_ND.T.astype(np.float64)).reshape(len(mean_D), -1))
    root_DD = axes_DD * np.sqrt(np.maximum(values_D, 0))
    lengths_N = np.linalg.norm(vectors_ND, axis=1)
    is_unit = bool(np.allclose(lengths_N[lengths_N > 0], 1, atol=1e-3))
    generator = np.random.default_rng([settings.seed, 0])
    num_fitted = round(len(vectors_ND) * (1 - math.exp(-1)))
    for _ in range(settings.num_references):
        rows = generator.normal(size=vectors_ND.shape) @ root_DD.T + mean_D
        if is_unit:
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        yield rows[:num_fitted].astype(np.float32), rows[num_fitted:].astype(np.float32)
