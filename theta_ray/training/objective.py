"""The loss of a global batch as the sum of what each worker scores: vectors of all texts in, one worker's part out.

Registries: name of a loss of vectors -> function of (vectors [S, D] of unit length, batch, rows of this worker,
settings); name of a loss of texts that do not see each other -> what computes it pack by pack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch.nn import functional

from theta_ray.config_finetune import Finetune, Loss
from theta_ray.encoder.packing import Pack
from theta_ray.errors import ConfigError
from theta_ray.training.batch import Batch, label_contrast, pair_contrast, share, view_contrast
from theta_ray.training.classifier import Classifier
from theta_ray.training.data import PairData
from theta_ray.training.distillation import IMITATED, imitated_similarities
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.language import NextToken
from theta_ray.training.layers import Drawn
from theta_ray.training.losses import Contrast, contrastive, divergence, mined_triplet, triplet


class OfTexts(Protocol):
    """A loss that is a mean over texts, or over their tokens."""

    def counted(self, batch: Batch) -> Batch:
        """The batch with the sequences of texts that do not count emptied."""

    def __call__(self, batch: Batch, pack: Pack) -> torch.Tensor:
        """A pack's part of the loss of a batch from `counted`, with its graph."""


Part = Callable[[torch.Tensor, Batch, tuple[int, int], Loss], torch.Tensor]


def infonce(vectors: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    """Each anchor among the positives and negatives of all pairs; both ways and halved where symmetric."""
    rows = share(batch.num_pairs, *worker)
    there = pair_contrast(batch, rows, reverse=False, masks=loss.masks_false_negatives)
    anchors, candidates = vectors[batch.anchors][rows], vectors[batch.candidates]
    value = contrastive(anchors, candidates, _on(there, vectors), loss.temperature, loss.focal)
    if loss.symmetric:
        back = pair_contrast(batch, rows, reverse=True, masks=loss.masks_false_negatives)
        positives, columns = vectors[batch.positives][rows], vectors[batch.anchors]
        value = (value + contrastive(positives, columns, _on(back, vectors), loss.temperature, loss.focal)) / 2
    return value


def simcse(vectors: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    """Two views of each text, told apart from the views of all others."""
    rows = share(2 * batch.num_pairs, *worker)
    contrast = view_contrast(batch, rows, masks=loss.masks_false_negatives)
    both = vectors[batch.both]
    return contrastive(both[rows], both, _on(contrast, vectors), loss.temperature, loss.focal)


def supcon(vectors: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    """Texts of a label closer than all others."""
    rows = share(2 * batch.num_pairs, *worker)
    both = vectors[batch.both]
    contrast = _on(label_contrast(batch, rows), vectors)
    return contrastive(both[rows], both, contrast, loss.temperature, loss.focal)


def triplets(vectors: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    """Positives nearer than negatives by a margin: those of the pairs table, or chosen among the batch."""
    if loss.mining == "given":
        if not batch.num_negatives:
            raise ConfigError("finetune.loss triplet: the pairs have no negatives; set pairs.negatives or loss.mining")
        rows = share(batch.num_pairs, *worker)
        places = batch.negatives_of(rows)
        negatives = vectors[torch.from_numpy(places).to(vectors.device)]
        anchors, positives = vectors[batch.anchors][rows], vectors[batch.positives][rows]
        weight = batch.there[places] / max(1, batch.there[2 * batch.num_pairs :].sum())
        return triplet(anchors, positives, negatives, torch.from_numpy(weight).to(vectors), loss.margin)
    rows = share(2 * batch.num_pairs, *worker)
    contrast, both = _on(label_contrast(batch, rows), vectors), vectors[batch.both]
    return mined_triplet(both[rows], both, contrast, loss.margin, loss.mining)


def distilled(vectors: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    """What the teacher's vectors say, and how alike it finds the texts of the batch."""
    assert batch.teacher is not None, "a recipe with loss distill has a teacher"
    teacher = functional.normalize(torch.from_numpy(batch.teacher).to(vectors), dim=1)
    value = IMITATED[loss.imitated](vectors, teacher, batch, worker)
    if loss.similarity_weight:
        value = value + loss.similarity_weight * imitated_similarities(vectors, teacher, batch, worker)
    return value


LOSSES: dict[str, Part] = {
    "distill": distilled,
    "infonce": infonce,
    "simcse": simcse,
    "supcon": supcon,
    "triplet": triplets,
}
LOSSES_OF_TEXTS: dict[str, Callable[[LearningEncoder, PairData, Finetune], OfTexts]] = {
    "ce_head": lambda encoder, data, settings: Classifier(encoder, data.classes, settings.loss, settings.seed),
    "clm": lambda encoder, _, __: NextToken(encoder),
}


def loss_of_texts(encoder: LearningEncoder, data: PairData, settings: Finetune) -> OfTexts | None:
    """The loss of a recipe where it is one of texts by themselves; None where it is one of vectors.

    Raises:
        ConfigError: the model cannot have it.
        InputError: the pairs cannot.
    """
    make = LOSSES_OF_TEXTS.get(settings.loss.name)
    return None if make is None else make(encoder, data, settings)


def part_of_loss(
    pooled_SD: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss, drawn: Drawn | None = None
) -> torch.Tensor:
    """One worker's part of the loss; the parts of all workers add up to the loss of the batch.

    Args:
        pooled_SD: pooled vectors of all texts, before normalisation; with `drawn` [S, 2 D], beside each vector that of
            an earlier layer. So the gradient of both comes back in one matrix, and cached gradients serve both.
        batch: the global batch.
        worker: rank, and number of workers.
        loss: with Matryoshka widths, the mean over them and the full width (Kusupati et al. 2022).
        drawn: the earlier layer and the width of this step.
    """
    if drawn is not None:
        return _at_two_layers(pooled_SD, batch, worker, loss, drawn)
    parts = [_at_width(pooled_SD, width, batch, worker, loss) for width in widths_of(loss, pooled_SD.shape[1])]
    return torch.stack(parts).mean()


def widths_of(loss: Loss, width: int) -> list[int]:
    """The full width, and those of the Matryoshka widths that are below it."""
    return [width, *(dim for dim in loss.dims if dim < width)]


def _at_width(pooled_SD: torch.Tensor, width: int, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    return LOSSES[loss.name](functional.normalize(pooled_SD[:, :width].float(), dim=1), batch, worker, loss)


def _at_two_layers(
    pooled_SD: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss, drawn: Drawn
) -> torch.Tensor:
    """The loss at the last layer, at an earlier one by 1 / (1 + layer), and how differently they see the batch.

    Li et al. 2024, "2D Matryoshka Sentence Embeddings": one earlier layer and one width a step. The weight
    1 / (1 + layer) is `linear` of sentence-transformers' AdaptiveLayerLoss, the temperature its default. The divergence
    is between distributions over the other texts of the batch, by cosine at full width, rather than over the values of
    a vector as there: these mean nothing by themselves where only directions are compared.
    """
    last_SD, earlier_SD = pooled_SD.chunk(2, dim=1)
    at_last, at_earlier = (_at_width(each, drawn.width, batch, worker, loss) for each in (last_SD, earlier_SD))
    rows = share(2 * batch.num_pairs, *worker)
    last, earlier = (functional.normalize(each[batch.both].float(), dim=1) for each in (last_SD.detach(), earlier_SD))
    return at_last + at_earlier / (1 + drawn.num_layers) + divergence(earlier, last, rows)


def _on(contrast: Contrast, vectors: torch.Tensor) -> Contrast:
    device = vectors.device
    return Contrast(contrast.positive.to(device), contrast.allowed.to(device), contrast.weight.to(device))
