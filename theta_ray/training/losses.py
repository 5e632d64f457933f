"""Contrastive losses on unit vectors: each worker scores its own rows against the columns of all workers.

    rows [R, D] @ columns [C, D] -> similarities [R, C] -> which columns are positives, which may be negatives -> a sum

A loss is a sum over rows with the weights of the whole batch, so that the losses of all workers add up to the loss of
one worker with everything, and so do their gradients. Memory is R x C, never C x C.

Shapes: R rows of one worker, C columns of all workers, D values, B texts of the whole batch, K negatives of a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from theta_ray.errors import ConfigError


@dataclass(frozen=True)
class Contrast:
    """What each row is compared with. Boolean masks [R, C]."""

    positive: torch.Tensor
    """Columns that belong to the row."""
    allowed: torch.Tensor
    """Columns in the denominator: the positives, and everything that is neither the row itself nor a false negative."""
    weight: torch.Tensor
    """[R], the row's share of the loss; over all rows of all workers they sum to 1."""


def contrastive(
    rows: torch.Tensor, columns: torch.Tensor, contrast: Contrast, temperature: float, focal: float = 0.0
) -> torch.Tensor:
    """Mean negative log-likelihood of a row's positives among the allowed columns.

    With one positive a row this is InfoNCE (van den Oord et al. 2018), with the second view as the positive SimCSE (Gao
    et al. 2021, eq. 1), with all of a label SupCon (Khosla et al. 2020, eq. 2, the sum outside of the logarithm).

    Args:
        rows: [R, D], unit vectors.
        columns: [C, D], unit vectors.
        contrast: positives, denominators and weights.
        temperature: of the softmax, above 0.
        focal: exponent g of (1 - p)^g, which weighs down rows that are solved already; p has no gradient.
    """
    if temperature <= 0:
        raise ConfigError(f"finetune.temperature {temperature:g}: must be above 0, such as 0.05")
    logits = (rows.float() @ columns.float().T) / temperature
    logits = logits.masked_fill(~contrast.allowed, -torch.inf)
    log_p = functional.log_softmax(logits, dim=1)
    num_positives = contrast.positive.sum(dim=1).clamp(min=1)
    # a row without a positive has weight 0, and a sum over nothing
    of_positives = torch.where(contrast.positive, log_p, torch.zeros_like(log_p)).sum(dim=1) / num_positives
    return focused(of_positives, contrast.weight, focal)


def focused(log_p: torch.Tensor, weight: torch.Tensor, focal: float) -> torch.Tensor:
    """Weighted negative log-likelihood of R rows, each also weighed by (1 - p)^focal, which has no gradient.

    Args:
        log_p: [R], of what is right.
        weight: [R].
        focal: 0 is off (Lin et al. 2017).
    """
    if focal:
        weight = weight * (1 - log_p.detach().exp()).clamp(min=0) ** focal
    return -(weight * log_p).sum()


def divergence(vectors: torch.Tensor, target: torch.Tensor, rows: slice, temperature: float = 0.3) -> torch.Tensor:
    """How far the texts' similarities to each other are from those that a target has: KL, times the temperature.

    Args:
        vectors: [C, D], unit vectors.
        target: [C, E], unit vectors of the same texts, without a gradient.
        rows: those of this worker; the mean is over all C.
        temperature: of both softmaxes, over all columns but the row's own.
    """
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)[rows]
    log_q, log_p = (
        functional.log_softmax((each[rows] @ each.T / temperature).masked_fill(own, -torch.inf), dim=1)
        for each in (vectors, target)
    )
    terms = log_p.exp() * (log_p - log_q).masked_fill(own, 0.0)
    return temperature * terms.sum() / len(vectors)


def in_batch(own: torch.Tensor, positive_of: torch.Tensor, false_negative: torch.Tensor, num_rows: int) -> Contrast:
    """One positive a row; every other column is a negative unless it is a false one.

    Args:
        own: [R, C], the column is the row itself.
        positive_of: [R], the column of a row's positive.
        false_negative: [R, C], the column shares a label, a tag or its text with the row.
        num_rows: rows of all workers.
    """
    positive = torch.zeros_like(own)
    positive[torch.arange(len(positive_of)), positive_of] = True
    allowed = positive | ~(own | false_negative)
    weight = torch.full((len(positive_of),), 1.0 / num_rows, device=own.device)
    return Contrast(positive, allowed, weight)


def by_label(own: torch.Tensor, same_label: torch.Tensor, num_anchors: int) -> Contrast:
    """All other columns of a row's label are positives; rows that are alone in their label are left out of the mean.

    Args:
        own: [R, C], the column is the row itself.
        same_label: [R, C].
        num_anchors: rows of all workers that have a positive.
    """
    positive = same_label & ~own
    has_positive = positive.any(dim=1)
    weight = has_positive.float() / max(num_anchors, 1)
    return Contrast(positive, ~own, weight)


def triplet(
    anchors: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor, weight: torch.Tensor, margin: float
) -> torch.Tensor:
    """Hinge of the distance to the positive over that to the negative (Schroff et al. 2015, eq. 3, unsquared).

    Args:
        anchors: [R, D], unit vectors.
        positives: [R, D].
        negatives: [R, K, D].
        weight: [R, K], of each triplet in the loss; over all workers they sum to 1.
        margin: below 2, the largest distance between unit vectors.
    """
    check_margin(margin)
    near = distance(anchors, positives)
    far = distance(anchors[:, None], negatives)
    return (functional.relu(near[:, None] - far + margin) * weight).sum()


def check_margin(margin: float) -> None:
    """Raise ConfigError for a margin that no pair of unit vectors can keep."""
    if not 0 < margin < 2:
        raise ConfigError(f"finetune.margin {margin:g}: unit vectors are at most 2 apart; set it between 0 and 2")


def distance(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Euclidean distance of unit vectors, with a gradient where they are equal."""
    return (left.float() - right.float()).square().sum(dim=-1).clamp(min=1e-12).sqrt()


def mined_triplet(
    rows: torch.Tensor, columns: torch.Tensor, contrast: Contrast, margin: float, mining: str
) -> torch.Tensor:
    """Triplets chosen among the columns: the hardest (Hermans et al. 2017) or semi-hard ones (Schroff et al. 2015).

    `batch_hard` takes each row's farthest positive and nearest negative. `semi_hard` takes, for each positive, the
    nearest negative that is farther than it, or the farthest of all where none is.
    """
    check_margin(margin)
    far_R = distance(rows[:, None], columns[None])
    negative = contrast.allowed & ~contrast.positive
    if mining == "batch_hard":
        hardest = far_R.masked_fill(~contrast.positive, -torch.inf).amax(dim=1)
        nearest = far_R.masked_fill(~negative, torch.inf).amin(dim=1)
        terms = functional.relu(hardest - nearest + margin)
    else:
        terms = _semi_hard(far_R, contrast.positive, negative, margin)
    usable = contrast.positive.any(dim=1) & negative.any(dim=1)
    return (contrast.weight * torch.where(usable, terms, torch.zeros_like(terms))).sum()


def _semi_hard(far: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, margin: float) -> torch.Tensor:
    farther = negative[:, None, :] & (far[:, None, :] > far[:, :, None])
    nearest = far[:, None, :].expand_as(farther).masked_fill(~farther, torch.inf).amin(dim=2)
    farthest = far.masked_fill(~negative, -torch.inf).amax(dim=1, keepdim=True)
    chosen = torch.where(nearest.isinf(), farthest, nearest)
    terms = functional.relu(far - chosen + margin)
    count = positive.sum(dim=1).clamp(min=1)
    return torch.where(positive, terms, torch.zeros_like(terms)).sum(dim=1) / count
