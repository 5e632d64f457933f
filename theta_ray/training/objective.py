"""The loss of a global batch as the sum of what each worker scores: vectors of all texts in, one worker's part out.

Registry: name of a loss -> function of (vectors [S, D] of unit length, batch, rows of this worker, settings).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from theta_ray.config_finetune import Loss
from theta_ray.errors import ConfigError
from theta_ray.training.batch import Batch, label_contrast, pair_contrast, share, view_contrast
from theta_ray.training.losses import Contrast, contrastive, mined_triplet, triplet

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
        there = np.ones(batch.num_texts, bool) if batch.missing is None else ~batch.missing
        weight = there[places] / max(1, there[2 * batch.num_pairs :].sum())
        return triplet(anchors, positives, negatives, torch.from_numpy(weight).to(vectors), loss.margin)
    rows = share(2 * batch.num_pairs, *worker)
    contrast, both = _on(label_contrast(batch, rows), vectors), vectors[batch.both]
    return mined_triplet(both[rows], both, contrast, loss.margin, loss.mining)


LOSSES: dict[str, Part] = {"infonce": infonce, "simcse": simcse, "supcon": supcon, "triplet": triplets}


def part_of_loss(pooled_SD: torch.Tensor, batch: Batch, worker: tuple[int, int], loss: Loss) -> torch.Tensor:
    """One worker's part of the loss; the parts of all workers add up to the loss of the batch.

    Args:
        pooled_SD: pooled vectors of all texts, before normalisation.
        batch: the global batch.
        worker: rank, and number of workers.
        loss: with Matryoshka widths, the mean over them and the full width (Kusupati et al. 2022).
    """
    widths = [pooled_SD.shape[1], *(dim for dim in loss.dims if dim < pooled_SD.shape[1])]
    parts = [
        LOSSES[loss.name](functional.normalize(pooled_SD[:, :width].float(), dim=1), batch, worker, loss)
        for width in widths
    ]
    return torch.stack(parts).mean()


def _on(contrast: Contrast, vectors: torch.Tensor) -> Contrast:
    device = vectors.device
    return Contrast(contrast.positive.to(device), contrast.allowed.to(device), contrast.weight.to(device))
