"""How far vectors of different texts spread; those that say nothing any more end a run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theta_ray.config_evaluation import Evaluation
from theta_ray.encoder.neighbours import evenly_spaced
from theta_ray.errors import StageError
from theta_ray.training.metrics import effective_rank, mean_cosine, uniformity

# Every pair of so many texts is looked at; fewer than the least may well be alike.
MAX_TEXTS, MIN_TEXTS = 2048, 8
REMEDY = "lower finetune.learning_rate, raise finetune.loss.temperature, or check that the pairs differ"


class Spread(NamedTuple):
    """Of the vectors of up to 2,048 evenly spaced texts; metrics.py says what each figure is."""

    uniformity: float
    effective_rank: float
    mean_cosine: float
    num_texts: int
    dim: int


def to_unit(vectors_ND: npt.NDArray[np.floating], where: str) -> npt.NDArray[np.float64]:
    """[N, D] vectors of length 1 in float64.

    Raises:
        StageError: some are NaN, infinite or zero; the message begins with `where`.
    """
    wide_ND = vectors_ND.astype(np.float64)
    lengths_N = np.linalg.norm(wide_ND, axis=1)
    broken = int((~np.isfinite(lengths_N) | (lengths_N == 0)).sum())
    if broken:
        raise StageError(
            f"{where}: {broken} of {len(vectors_ND)} vectors are NaN, infinite or zero; lower "
            "finetune.learning_rate, or set encoder.precision to float32"
        )
    unit_ND: npt.NDArray[np.float64] = wide_ND / lengths_N[:, None]
    return unit_ND


def spread_of(unit_ND: npt.NDArray[np.float64]) -> Spread:
    """The spread of unit vectors of N different texts."""
    sample_ND = unit_ND[evenly_spaced(len(unit_ND), MAX_TEXTS)]
    return Spread(uniformity(sample_ND), effective_rank(sample_ND), mean_cosine(sample_ND), *sample_ND.shape)


def check_collapse(spread: Spread, settings: Evaluation, where: str) -> None:
    """Raise StageError where all vectors are alike, or lie in next to no dimensions; below 8 texts never.

    Args:
        spread: of different texts.
        settings: `max_mean_cosine` and `min_effective_rank`.
        where: what was evaluated, such as a path or "step 300"; the message begins with it.
    """
    if spread.num_texts < MIN_TEXTS:
        return
    if spread.mean_cosine > settings.max_mean_cosine:
        raise StageError(
            f"{where}: the vectors have collapsed: mean cosine {spread.mean_cosine:.4f} of different texts, above "
            f"evaluation.max_mean_cosine {settings.max_mean_cosine:g}; {REMEDY}"
        )
    if spread.effective_rank < settings.min_effective_rank:
        raise StageError(
            f"{where}: the vectors have collapsed: effective rank {spread.effective_rank:.2f} in {spread.dim} values, "
            f"below evaluation.min_effective_rank {settings.min_effective_rank:g}; {REMEDY}"
        )
