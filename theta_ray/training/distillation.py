"""Losses by which a model takes over what a teacher knows, from the teacher's stored vectors alone.

Registry: name of what is imitated -> function of (vectors [S, D], teacher's vectors [S, E], batch, rows of this
worker), all vectors of unit length. Only `cosine` needs D = E; the others compare similarities.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from theta_ray.errors import ConfigError
from theta_ray.training.batch import Batch, share

Imitation = Callable[[torch.Tensor, torch.Tensor, Batch, tuple[int, int]], torch.Tensor]


def imitated_vectors(
    vectors: torch.Tensor, teacher: torch.Tensor, batch: Batch, worker: tuple[int, int]
) -> torch.Tensor:
    """Mean over the texts of 1 - cosine with the teacher's vector."""
    rows = share(batch.num_texts, *worker)
    weight = torch.from_numpy(batch.there).to(vectors)
    distances = 1 - (vectors[rows] * teacher[rows]).sum(dim=1)
    return (weight[rows] * distances).sum() / weight.sum()


def imitated_margins(
    vectors: torch.Tensor, teacher: torch.Tensor, batch: Batch, worker: tuple[int, int]
) -> torch.Tensor:
    """Mean over pairs and their negatives of the squared difference of s(a, p) - s(a, n) with the teacher's.

    Hofstaetter et al. 2020, "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation".
    """
    if not batch.num_negatives:
        raise ConfigError("finetune.loss.imitated margin_mse: the pairs have no negatives; set pairs.negatives")
    rows = share(batch.num_pairs, *worker)
    places = torch.from_numpy(batch.negatives_of(rows)).to(vectors.device)
    there = torch.from_numpy(batch.there).to(vectors)
    margins = [_margins(each, batch, rows, places) for each in (vectors, teacher)]
    total = there[2 * batch.num_pairs :].sum().clamp(min=1)
    return (there[places] * (margins[0] - margins[1]).square()).sum() / total


def _margins(vectors: torch.Tensor, batch: Batch, rows: slice, negatives_RK: torch.Tensor) -> torch.Tensor:
    """[R, K], by how much a pair's positive is more similar to its anchor than each of its negatives."""
    anchors, positives = vectors[batch.anchors][rows], vectors[batch.positives][rows]
    near = (anchors * positives).sum(dim=1, keepdim=True)
    return near - (anchors[:, None] * vectors[negatives_RK]).sum(dim=2)


def imitated_similarities(
    vectors: torch.Tensor, teacher: torch.Tensor, batch: Batch, worker: tuple[int, int]
) -> torch.Tensor:
    """Mean over all pairs of two texts of the batch of the squared difference of their cosine with the teacher's."""
    rows = share(batch.num_texts, *worker)
    there = torch.from_numpy(batch.there).to(vectors)
    weight = there[rows, None] * there[None]
    weight = weight.masked_fill(torch.eye(batch.num_texts, dtype=torch.bool, device=weight.device)[rows], 0)
    differences = vectors[rows] @ vectors.T - teacher[rows] @ teacher.T
    count = there.sum()
    return (weight * differences.square()).sum() / (count * (count - 1)).clamp(min=1)


IMITATED: dict[str, Imitation] = {"cosine": imitated_vectors, "margin_mse": imitated_margins}
