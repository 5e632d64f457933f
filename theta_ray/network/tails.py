"""Tails of counts such as degrees: a power law from some value on, against a lognormal (Clauset et al. 2009).

Likelihoods are those of whole numbers. The usual formula with x_min - 1/2 is for large x_min: at 1 it gives 1.92 for
2.25. Shapes: V distinct values, C candidates for x_min.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr, zeta

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

DEFINITIONS = {
    "tail_exponent": "alpha of P(x) ~ x^-alpha for x >= x_min by maximum likelihood with the Hurwitz zeta function, "
    "between 1.01 and 20 (Clauset et al. 2009, section 3.1); values below 1 are left out; NaN with fewer than 50 "
    "values or where all are the same, as all of these.",
    "tail_x_min": "Value from which on the power law fits best by the Kolmogorov-Smirnov distance, of at most 50 "
    "values with 50 or more from there on (Clauset et al. 2009, section 3.3).",
    "tail_size": "Values of x_min and more.",
    "tail_distance": "Kolmogorov-Smirnov distance of the tail from the power law.",
    "tail_p_value": "Share of samples of the fitted model that fit worse, the sample itself counted among them: below "
    "0.1 a power law is doubtful (Clauset et al. 2009, section 4.1).",
    "tail_lognormal_mu": "mu of a lognormal, rounded to whole numbers, by maximum likelihood on the same tail.",
    "tail_lognormal_sigma": "sigma of that lognormal.",
    "tail_log_ratio": "Log-likelihood of the power law less that of the lognormal over its standard deviation: above 0 "
    "the power law is nearer (Vuong 1989).",
    "tail_log_ratio_p_value": "Two-sided probability of such a ratio were both equally near: above 0.1 the data do not "
    "decide (Vuong 1989).",
}
# Fewer have no tail to speak of (Clauset et al. 2009, section 5).
MIN_TAIL = 50
MAX_CANDIDATES = 50
LOWEST, HIGHEST = 1.01, 20.0
# Values from x_min on that are drawn by their probability; beyond them the continuous law is exact to 1e-5.
DRAWN_ONE_BY_ONE = 2**14
NUM_SAMPLES = 100


@dataclass(frozen=True)
class PowerLaw:
    """A discrete power law from `x_min` on."""

    exponent: float
    x_min: int
    distance: float
    size: int


def power_law(values: ArrayLike, x_min: int | None = None) -> PowerLaw | None:
    """The power law that fits whole numbers best; None where there is none to fit.

    Args:
        values: any; those below 1 are left out.
        x_min: where the tail starts; absent: where the distance is least, with 50 values or more from there on.
    """
    return _fitted(*_histogram(values), x_min)


def tail(values: ArrayLike, *, num_samples: int = NUM_SAMPLES, seed: int = 0) -> dict[str, float]:
    """The statistics of `DEFINITIONS`. A sample is a fit like the first: some 10 ms, whatever the number of values."""
    x, count = _histogram(values)
    law = _fitted(x, count, None)
    if law is None:
        return dict.fromkeys(DEFINITIONS, np.nan)
    mu, sigma = lognormal(x, count, law.x_min)
    ratio, p_ratio = vuong(x, count, law, (mu, sigma))
    generator = np.random.default_rng(seed)
    drawn = [_fitted(*_sample(x, count, law, generator), None) for _ in range(num_samples)]
    worse = sum(other is not None and other.distance >= law.distance for other in drawn)
    of_law = (law.exponent, law.x_min, law.size, law.distance, (1 + worse) / (1 + num_samples))
    return dict(zip(DEFINITIONS, map(float, (*of_law, mu, sigma, ratio, p_ratio)), strict=True))


def ccdf(values: ArrayLike) -> tuple[Values, Values]:
    """[V] distinct values, and the share of all values at least as large: a curve for two logarithmic axes."""
    x, count = np.unique(np.asarray(values, np.float64), return_counts=True)
    return x, count[::-1].cumsum()[::-1] / max(1, count.sum())


def lognormal(x: Values, count: Counts, x_min: int) -> tuple[float, float]:
    """mu and sigma of the lognormal that is likeliest to have these values from `x_min` on, rounded."""
    tail_x, tail_count = x[x >= x_min], count[x >= x_min]
    logs = np.log(tail_x)
    mean = float(np.average(logs, weights=tail_count))
    spread = max(0.1, float(np.sqrt(np.average((logs - mean) ** 2, weights=tail_count))))

    def surprise(parameters: Values) -> float:
        mu, log_sigma = parameters
        return -float(np.average(_lognormal_log(tail_x, x_min, mu, np.exp(log_sigma)), weights=tail_count))

    options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 2000}
    found = minimize(surprise, [mean, np.log(spread)], method="Nelder-Mead", options=options).x
    return float(found[0]), float(np.exp(found[1]))


def vuong(x: Values, count: Counts, law: PowerLaw, of_lognormal: tuple[float, float]) -> tuple[float, float]:
    """Normalized log-likelihood ratio of a power law and a lognormal on the same tail, and its p-value."""
    kept = x >= law.x_min
    tail_x, tail_count = x[kept], count[kept]
    ratio = _power_log(tail_x, law) - _lognormal_log(tail_x, law.x_min, *of_lognormal)
    mean = float(np.average(ratio, weights=tail_count))
    spread = float(np.sqrt(np.average((ratio - mean) ** 2, weights=tail_count)))
    if spread == 0:
        return float("nan"), float("nan")
    normalized = mean * np.sqrt(law.size) / spread
    return float(normalized), float(2 * ndtr(-abs(normalized)))


def _histogram(values: ArrayLike) -> tuple[Values, Counts]:
    numbers = np.asarray(values, np.float64)
    return np.unique(np.rint(numbers[numbers >= 1]), return_counts=True)


def _fitted(x: Values, count: Counts, x_min: int | None) -> PowerLaw | None:
    if len(x) < 2 or (x_min is None and count.sum() < MIN_TAIL):
        return None
    sizes = count[::-1].cumsum()[::-1]
    candidates = np.flatnonzero(sizes[:-1] >= MIN_TAIL) if x_min is None else np.flatnonzero(x[:-1] >= x_min)[:1]
    if not len(candidates):
        return None
    if len(candidates) > MAX_CANDIDATES:  # evenly on a logarithmic axis
        wanted = np.geomspace(x[candidates[0]], x[candidates[-1]], MAX_CANDIDATES)
        candidates = np.unique(np.searchsorted(x[candidates], wanted * (1 - 1e-9)))
    logs = (count * np.log(x))[::-1].cumsum()[::-1]
    lowest = x[candidates] if x_min is None else np.array([float(x_min)])
    exponents = _exponents(lowest, logs[candidates] / sizes[candidates])
    distances = [_distance(x[at:], count[at:], *law) for at, *law in zip(candidates, exponents, lowest, strict=True)]
    best = int(np.argmin(distances))
    size = int(sizes[candidates[best]])
    return PowerLaw(float(exponents[best]), int(lowest[best]), float(distances[best]), size)


def _exponents(x_min_C: Values, mean_log_C: Values) -> Values:
    """[C] exponents whose expected logarithm is that of the values: Newton's steps on a concave likelihood.

    Derivatives of the logarithm of zeta are differences of fourth order, exact to 1e-11.
    """
    alpha = np.clip(1 + 1 / np.maximum(mean_log_C - np.log(x_min_C - 0.5), 1e-3), 1.1, HIGHEST)
    for _ in range(50):
        h = np.minimum(2e-3, (alpha - 1) / 8)
        far_left, left, middle, right, far_right = (np.log(zeta(alpha + k * h, x_min_C)) for k in (-2, -1, 0, 1, 2))
        slope = (8 * (right - left) - (far_right - far_left)) / (12 * h)
        curve = (16 * (right + left) - (far_right + far_left) - 30 * middle) / (12 * h**2)
        step = (slope + mean_log_C) / np.maximum(curve, 1e-12)
        new = np.clip(alpha - step, 1 + (alpha - 1) / 4, HIGHEST)
        new = np.maximum(new, LOWEST)
        done = np.abs(new - alpha).max() < 1e-12
        alpha = new
        if done:
            break
    return alpha


def _distance(x: Values, count: Counts, exponent: float, x_min: float) -> float:
    """Largest difference of both distribution functions, at each value and just below it."""
    seen = count.cumsum() / count.sum()
    total = zeta(exponent, x_min)
    at, below = 1 - zeta(exponent, x + 1) / total, 1 - zeta(exponent, x) / total
    return float(max(np.abs(seen - at).max(), np.abs(np.append(0, seen[:-1]) - below).max()))


def _power_log(x: Values, law: PowerLaw) -> Values:
    log_chance: Values = -law.exponent * np.log(x) - np.log(zeta(law.exponent, law.x_min))
    return log_chance


def _lognormal_log(x: Values, x_min: int, mu: float, sigma: float) -> Values:
    """Log of the probability between x - 1/2 and x + 1/2 over that above x_min - 1/2."""
    # on the side of the mean where both tails are small, so that their difference keeps its digits
    low, high = (np.log(x - 0.5) - mu) / sigma, (np.log(x + 0.5) - mu) / sigma
    above = low > 0
    low, high = np.where(above, -high, low), np.where(above, -low, high)
    larger, smaller = log_ndtr(high), log_ndtr(low)
    part = np.maximum(-np.expm1(smaller - larger), np.finfo(np.float64).tiny)
    whole: Values = larger + np.log(part) - log_ndtr(-(np.log(x_min - 0.5) - mu) / sigma)
    return whole


def _sample(x: Values, count: Counts, law: PowerLaw, generator: np.random.Generator) -> tuple[Values, Counts]:
    """A histogram of as many values: below x_min those of the data, from there on the power law (section 4.1)."""
    body = x < law.x_min
    total = int(count.sum())
    num_tail = int(generator.binomial(total, law.size / total))
    each = law.x_min + np.arange(DRAWN_ONE_BY_ONE, dtype=np.float64)
    weight = np.exp(_power_log(each, law))
    beyond = float(zeta(law.exponent, each[-1] + 1) / zeta(law.exponent, law.x_min))
    chances = np.append(weight, beyond)
    drawn = generator.multinomial(num_tail, chances / chances.sum())
    scale = (1 - generator.random(drawn[-1])) ** (-1 / (law.exponent - 1))
    far = np.minimum(np.floor((each[-1] + 0.5) * scale + 0.5), 2.0**53)
    lower = generator.multinomial(total - num_tail, count[body] / count[body].sum()) if body.any() else count[:0]
    values = np.concatenate([x[body], each, far])
    counts = np.concatenate([lower, drawn[:-1], np.ones(len(far), np.int64)])
    kept = counts > 0
    found, place = np.unique(values[kept], return_inverse=True)
    return found, np.bincount(place, counts[kept]).astype(np.int64)
