"""The loss of the next token: what a decoder was pre-trained with, taken further on the texts of a corpus.

    hidden state of a token -> product with the input embeddings -> cross-entropy with the token that follows

The mean is over all tokens of the global batch that have one after them in their text; a text that comes twice counts
once. The published alternative to contrastive training without labels (domain-adaptive pre-training, Gururangan et al.
2020). Only models whose output layer is their input embeddings: a folder of Qwen3-Embedding holds no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from theta_ray.encoder.packing import Pack
from theta_ray.errors import ConfigError
from theta_ray.training.batch import Batch
from theta_ray.training.encode import LearningEncoder, ids_of
from theta_ray.training.layers import evaluating

MAX_LOGITS = 2**26
"""Of one product: 256 MiB in float32, computed once more for the gradient. A vocabulary has 150,000 words."""
# What some models do to their logits, which is not done here.
CHANGES_OF_LOGITS = ("final_logit_softcapping", "logit_scale", "logits_scaling")


class NextToken:
    """Loss `clm` on one worker."""

    def __init__(self, encoder: LearningEncoder) -> None:
        self.encoder = encoder
        check_decoder(encoder)

    def counted(self, batch: Batch) -> Batch:
        """The batch with each text once."""
        sequences, seen = batch.sequences, set[bytes]()
        kept = np.zeros(len(sequences.lengths), bool)
        for text, (start, end) in enumerate(zip(sequences.offsets, sequences.offsets[1:], strict=False)):
            tokens = sequences.tokens[start:end].tobytes()
            kept[text] = tokens not in seen
            seen.add(tokens)
        return batch.only(kept)

    def __call__(self, batch: Batch, pack: Pack) -> torch.Tensor:
        """A pack's part of the loss of the batch."""
        ids_T = ids_of(batch, pack)
        has_next_T = np.ones(len(ids_T), bool)
        has_next_T[pack.offsets[1:] - 1] = False
        places = np.flatnonzero(has_next_T)
        tokens_TD = self.encoder.tokens(pack, ids_T)
        states, targets = (
            tokens_TD[torch.from_numpy(places).to(tokens_TD.device)],
            torch.from_numpy(ids_T[places + 1]).to(tokens_TD.device),
        )
        weight = self.encoder.model.get_input_embeddings().weight
        with self.encoder.autocast():
            total = _surprise(states, targets, weight)
        return total / max(1, int(np.maximum(batch.sequences.lengths - 1, 0).sum()))


def _surprise(states: torch.Tensor, targets: torch.Tensor, weight_VD: torch.Tensor) -> torch.Tensor:
    """Sum of the negative log-likelihoods of targets, a part of the logits at a time."""
    rows = max(1, MAX_LOGITS // len(weight_VD))

    def of_part(part: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        logits = functional.linear(part, weight_VD)
        return functional.cross_entropy(logits.float(), wanted, reduction="sum")

    if len(states) <= rows:
        return of_part(states, targets)
    parts = zip(states.split(rows), targets.split(rows), strict=True)
    sums: list[Any] = [checkpoint(of_part, part, wanted, use_reentrant=False) for part, wanted in parts]
    return torch.stack(sums).sum()


def check_decoder(encoder: LearningEncoder) -> None:
    """Raise ConfigError for a model that does not predict the next token by its input embeddings."""
    model, config = encoder.model, encoder.model.config
    name = type(model).__name__
    if not _is_causal(encoder):
        raise ConfigError(f"finetune.loss clm: {name} sees later tokens, so it cannot predict them; choose simcse")
    if not getattr(config, "tie_word_embeddings", False):
        raise ConfigError(
            f"finetune.loss clm: {name} does not use its input embeddings as output (tie_word_embeddings in its "
            "config.json), and a folder for embedding holds no other; choose another model or loss"
        )
    if changed := [change for change in CHANGES_OF_LOGITS if getattr(config, change, None)]:
        raise ConfigError(f"finetune.loss clm: {name} changes its logits ({changed[0]}), which is not done here")


@torch.no_grad()
def _is_causal(encoder: LearningEncoder) -> bool:
    """Whether the first token is blind to the last."""
    pack = Pack(np.array([0]), np.array([3]))
    with evaluating(encoder.model):
        first = [encoder.forward_pass(pack, np.array([5, 6, last]))[0] for last in (7, 8)]
    return bool(torch.equal(*first))
