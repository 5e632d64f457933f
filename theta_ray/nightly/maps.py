"""Vectors of the same texts by two models in, maps from the old space to the new one out.

All maps are affine, y = (x - source_mean) matrix + target_mean, from the simplest to the most general:

    identity     vectors as they are, where both have the same width
    mean_shift   plus the mean difference (Query Drift Compensation, arXiv 2506.00037, which subtracts it from queries)
    procrustes   rotated or reflected, scaled and shifted (Schonemann 1966; Schonemann and Carroll 1970). Of other
                 widths the matrix is semi-orthogonal: it embeds, or projects, with one scale in all directions
    ridge        any matrix, its penalty chosen by the error of leaving out one text at a time, which has a closed form
                 (Hoerl and Kennard 1970; Allen 1974)

Shapes: N texts, D values before, E values now, K clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theta_ray.errors import InputError

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
# Ridge penalties that are tried, as multiples of the mean variance of a direction.
PENALTIES = 10.0 ** np.arange(-6.0, 2.5, 0.5)
# Of their mean square; below it vectors are one vector, and no map can be fitted.
LEAST_VARIANCE = 1e-8
SHORTEST = 1e-12


@dataclass(frozen=True)
class AffineMap:
    """A map from the vectors of one model to those of another."""

    method: str
    source_mean: Vectors
    """[D]."""
    matrix: Vectors | None
    """[D, E]; None: the identity."""
    target_mean: Vectors
    """[E]."""

    def __call__(self, vectors_ND: npt.NDArray[np.floating]) -> Vectors:
        """[N, E] vectors as the new model would have made them, about; of any length."""
        centred = np.asarray(vectors_ND, np.float32) - self.source_mean
        mapped = centred if self.matrix is None else centred @ self.matrix
        return np.asarray(mapped + self.target_mean, np.float32)


def identity(old_ND: Vectors, new_NE: Vectors) -> AffineMap | None:
    """Vectors as they are; None where the widths differ."""
    zero_D = np.zeros(old_ND.shape[1], np.float32)
    return AffineMap("identity", zero_D, None, zero_D) if old_ND.shape[1] == new_NE.shape[1] else None


def mean_shift(old_ND: Vectors, new_NE: Vectors) -> AffineMap | None:
    """The mean of the differences is added; None where the widths differ."""
    if old_ND.shape[1] != new_NE.shape[1]:
        return None
    return AffineMap("mean_shift", _mean(old_ND), None, _mean(new_NE))


def procrustes(old_ND: Vectors, new_NE: Vectors) -> AffineMap:
    """The orthogonal matrix, scale and shift with the smallest squared error."""
    (x_ND, source), (y_NE, target) = _centred(old_ND), _centred(new_NE)
    left, singular, right = np.linalg.svd(x_ND.T @ y_NE, full_matrices=False)
    rotation_DE = left @ right
    # of the directions that are kept: all of them, but where D is above E
    scale = float(singular.sum()) / float(((x_ND @ left) ** 2).sum())
    return AffineMap("procrustes", source, (scale * rotation_DE).astype(np.float32), target)


def ridge(old_ND: Vectors, new_NE: Vectors) -> AffineMap:
    """The matrix with the smallest penalised squared error, the penalty the best of `PENALTIES` for left-out texts."""
    (x_ND, source), (y_NE, target) = _centred(old_ND), _centred(new_NE)
    variance_D, axes_DD = np.linalg.eigh(x_ND.T @ x_ND)
    variance_D, z_ND = np.maximum(variance_D, 0), x_ND @ axes_DD
    projected_DE = z_ND.T @ y_NE
    penalties = PENALTIES * variance_D.mean()

    def error(penalty: float) -> float:
        """Mean squared error of each text by the fit to the others, which leverage gives without a fit."""
        weight_D = 1 / (variance_D + penalty)
        leverage_N = 1 / len(x_ND) + (z_ND**2) @ weight_D
        residual_NE = y_NE - z_ND @ (weight_D[:, None] * projected_DE)
        return float(((residual_NE**2).sum(axis=1) / np.maximum(1 - leverage_N, 1e-6) ** 2).mean())

    best = min(penalties, key=error)
    matrix_DE = axes_DD @ (projected_DE / (variance_D + best)[:, None])
    return AffineMap("ridge", source, matrix_DE.astype(np.float32), target)


MAPS: dict[str, Callable[[Vectors, Vectors], AffineMap | None]] = {
    "identity": identity,
    "mean_shift": mean_shift,
    "procrustes": procrustes,
    "ridge": ridge,
}
"""From the simplest to the most general."""


def fit_maps(old_ND: Vectors, new_NE: Vectors) -> list[AffineMap]:
    """All maps that these widths allow, the simplest first.

    Raises:
        InputError: all vectors of a model are alike.
    """
    for name, vectors in (("earlier", old_ND), ("new", new_NE)):
        wide = vectors.astype(np.float64)
        if wide.var(axis=0).sum() <= LEAST_VARIANCE * max(SHORTEST, float((wide**2).sum(axis=1).mean())):
            raise InputError(
                f"migrate: the {name} vectors of all anchors are alike, so that no map can be fitted; "
                "check encoder.pooling, encoder.adapter and that the texts differ"
            )
    found = (fit(old_ND, new_NE) for fit in MAPS.values())
    return [each for each in found if each is not None]


def map_centroids(
    found: AffineMap, centroids_KD: Vectors, length_K: npt.NDArray[np.floating] | None
) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Centroids of the old vectors as centroids of the new ones.

    Args:
        found: the map.
        centroids_KD: of k-means.
        length_K: of spherical k-means: how far the mean of a cluster's rows reaches along its unit centroid. A map with
            a shift moves that mean, not the centroid. None: centroids are means.

    Returns:
        [K, E] centroids, unit ones of unit ones; [K] whether a centroid has a direction left.
    """
    if length_K is None:
        return found(centroids_KD), np.ones(len(centroids_KD), bool)
    mapped = found(centroids_KD * np.asarray(length_K, np.float32)[:, None]).astype(np.float64)
    norms = np.linalg.norm(mapped, axis=1, keepdims=True)
    return (mapped / np.maximum(norms, SHORTEST)).astype(np.float32), norms[:, 0] > SHORTEST


def _mean(vectors_ND: Vectors) -> Vectors:
    mean: Vectors = vectors_ND.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _centred(vectors_ND: Vectors) -> tuple[Values, Vectors]:
    mean = _mean(vectors_ND)
    return vectors_ND.astype(np.float64) - mean, mean
