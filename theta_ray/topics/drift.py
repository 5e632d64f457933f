"""Is a day like the one that the centroids were fitted on? Sums over its rows in, three numbers and a verdict out.

    outside share    rows beyond the radius of their cluster, which held 99 % of the rows of the fit
    share shift      population stability index of the clusters' shares: sum of (q - p) ln(q / p)
    centroid shift   share of the inertia that moving each centroid to the mean of its rows would save

Chance alone moves the last two, more so with few rows: what it gives on average is taken off. Shapes: K clusters,
D values.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from theta_ray.config_cluster import DriftLimits, Metric

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
# Added to each count, so that an empty cluster has a logarithm (Jeffreys' prior of a share).
PRIOR = 0.5


@dataclass(frozen=True)
class Drift:
    """How a day differs from that of the fit; 0 is not at all."""

    outside_share: float
    share_shift: float
    centroid_shift: float

    def beyond(self, limits: DriftLimits) -> list[str]:
        """One line for each number that is above its limit."""
        found, allowed = asdict(self), limits.model_dump()
        return [
            f"{name.replace('_', ' ')} {found[name]:.3g} is above {allowed[name]:g}"
            for name in found
            if found[name] > allowed[name]
        ]


def share_shift(before_K: Counts, now_K: Counts) -> float:
    """Population stability index between two days' cluster sizes, less its mean under equal shares; at least 0.

    The index is a symmetric Kullback-Leibler divergence, whose mean under chance is about (K - 1) (1/n + 1/m) for n and
    m rows (a chi-squared statistic of K - 1 degrees of freedom to first order).
    """
    p_K, q_K = (counts + PRIOR for counts in (before_K, now_K))
    p_K, q_K = p_K / p_K.sum(), q_K / q_K.sum()
    index: float = ((q_K - p_K) * np.log(q_K / p_K)).sum().item()
    by_chance = (len(p_K) - 1) * (1 / max(1, before_K.sum()) + 1 / max(1, now_K.sum()))
    return max(0.0, index - float(by_chance))


def centroid_shift(centroids_KD: npt.NDArray[np.float32], sums_KD: Floats, sizes_K: Counts, inertia_K: Floats) -> float:
    """Share of the inertia that the day's own means would save, Euclidean; at least 0.

    Rows that are spread by s^2 about a fixed centroid have a mean that is s^2 / n off by chance, so that each cluster
    saves s^2, which is inertia / n, whatever moved.
    """
    used = sizes_K > 0
    sizes, means = sizes_K[used], sums_KD[used] / sizes_K[used][:, None]
    saved = sizes * ((means - centroids_KD[used]) ** 2).sum(axis=1)
    by_chance = inertia_K[used] / sizes
    return _share(saved - by_chance, inertia_K)


def spherical_shift(centroids_KD: npt.NDArray[np.float32], sums_KD: Floats, sizes_K: Counts) -> float:
    """As `centroid_shift` for unit rows and centroids, where the inertia is the sum of 1 - cosine.

    The best unit centroid saves |S| - S.c; the part of S across c has a mean square of at most n (1 - R^2) by chance,
    where R is the mean cosine, and half of it over |S| is saved.
    """
    along_K = (sums_KD * centroids_KD).sum(axis=1)
    used = (sizes_K > 0) & (along_K > 0)
    sizes, along = sizes_K[used], along_K[used]
    saved = np.linalg.norm(sums_KD[used], axis=1) - along
    mean_cosine = along / sizes
    by_chance = (1 - mean_cosine**2) / (2 * mean_cosine)
    return _share(saved - by_chance, sizes_K - along_K)


def _share(saved: Floats, inertia_K: Floats) -> float:
    total = float(inertia_K.sum())
    return max(0.0, float(saved.sum())) / total if total > 0 else 0.0


def measure(metric: Metric, centroids_KD: npt.NDArray[np.float32], before_K: Counts, now: DaySums) -> Drift:
    """How a day differs from that of the fit.

    Args:
        metric: of the clustering.
        centroids_KD: those of the fit.
        before_K: rows of each cluster at the fit.
        now: sums over the day's rows, each in its nearest cluster.
    """
    moved = (
        spherical_shift(centroids_KD, now.sums_KD, now.sizes_K)
        if metric == "cosine"
        else centroid_shift(centroids_KD, now.sums_KD, now.sizes_K, now.inertia_K)
    )
    rows = max(1, int(now.sizes_K.sum()))
    return Drift(now.num_outside / rows, share_shift(before_K, now.sizes_K), moved)


@dataclass(frozen=True)
class DaySums:
    """Sums over a day's rows, each in its nearest cluster."""

    sizes_K: Counts
    sums_KD: Floats
    inertia_K: Floats
    num_outside: int
    """Rows beyond the radius of their cluster."""
