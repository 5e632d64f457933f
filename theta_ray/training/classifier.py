"""A classifier on top of the pooled vector, trained with it: the published alternative to supervised contrast.

    pooled vector [D] -> linear, ReLU, dropout (256, then 128 wide) -> one number a class -> cross-entropy

Its classes are the groups of the training pairs, sorted. The vector enters as it is pooled, before it is brought to
length 1, as published for THETA's adapters. `embed` does not know the head: what is wanted of it is the vectors below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from theta_ray.config_finetune import Loss
from theta_ray.encoder.packing import Pack
from theta_ray.errors import InputError
from theta_ray.store import canonical_json
from theta_ray.training.batch import Batch
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.local_copy import key_of
from theta_ray.training.losses import focused

FOLDER, WEIGHTS, CONFIG = "classifier", "model.safetensors", "config.json"


class Classifier:
    """Loss `ce_head` on one worker.

    Args:
        encoder: whose vectors are classified.
        classes: names, in one order on all workers.
        loss: with its `head`.
        seed: of the head's first weights.

    Raises:
        InputError: fewer than two classes.
    """

    def __init__(self, encoder: LearningEncoder, classes: Sequence[str], loss: Loss, seed: int) -> None:
        if len(classes) < 2:
            raise InputError(
                f"finetune.loss ce_head: the training pairs have {len(classes)} class{'' if classes else 'es'} "
                f"({', '.join(classes) or 'no group'}), a classifier needs two; mine pairs of more labels"
            )
        self.encoder, self.classes, self.loss = encoder, tuple(classes), loss
        self._number_of = {key_of(name): number for number, name in enumerate(classes)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = make_head((encoder.width, *loss.head.widths, len(classes)), loss.head.dropout)
        self.head = made.to(encoder.model.device)

    def counted(self, batch: Batch) -> Batch:
        """The batch without its negatives, whose class nobody has told."""
        return batch.only(batch.there & np.array([key in self._number_of for key in batch.keys.groups.tolist()]))

    def __call__(self, batch: Batch, pack: Pack) -> torch.Tensor:
        """A pack's part of the mean over the batch's texts."""
        keys = batch.keys.groups[pack.sequences_B].tolist()
        targets = torch.tensor([self._number_of[key] for key in keys], device=self.encoder.model.device)
        log_p = self.head(self.encoder(batch, pack).float()).log_softmax(dim=1)
        of_class = log_p.gather(1, targets[:, None])[:, 0]
        weight = torch.full_like(of_class, 1 / int((batch.sequences.lengths > 0).sum()))
        return focused(of_class, weight, self.loss.focal)


def make_head(widths: Sequence[int], dropout: float) -> torch.nn.Sequential:
    """Linear layers from each width to the next, with ReLU and dropout between them."""
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
    return torch.nn.Sequential(*layers[:-2])


def save_classifier(classifier: Classifier, folder: Path) -> None:
    """Head and classes below a folder; equal heads give equal bytes."""
    from safetensors.torch import save_file

    (folder / FOLDER).mkdir(parents=True)
    state = {name: part.detach().float().cpu().contiguous() for name, part in classifier.head.state_dict().items()}
    save_file(state, folder / FOLDER / WEIGHTS, metadata={"format": "pt"})
    widths = [classifier.encoder.width, *classifier.loss.head.widths, len(classifier.classes)]
    told = {"classes": list(classifier.classes), "widths": widths, "input": "pooled vector, not normalised"}
    (folder / FOLDER / CONFIG).write_bytes(canonical_json(told))


def load_classifier(folder: Path) -> tuple[torch.nn.Sequential, list[str]]:
    """The head that a training run has put beside its adapter, in evaluation mode, and the names of its outputs."""
    from safetensors.torch import load_file

    told = json.loads((folder / FOLDER / CONFIG).read_bytes())
    head = make_head(told["widths"], 0.0)
    head.load_state_dict(load_file(folder / FOLDER / WEIGHTS))
    return head.eval(), list(told["classes"])
