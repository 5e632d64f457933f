"""A model that learns: packs of token sequences in, pooled vectors with a graph out.

The forward pass, the pooling and the rules are those of `embed`; layers are torch's own, and dropout is on.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import make_tokenizer, vector_rules
from theta_ray.encoder.forward import choose_forward, to_device
from theta_ray.encoder.model import has_pooler, load_model
from theta_ray.encoder.packing import Pack
from theta_ray.encoder.pooling import POOLINGS, Hidden, check_pooling
from theta_ray.encoder.precision import DTYPES, resolve_precision
from theta_ray.encoder.source import ModelSource
from theta_ray.training.batch import Batch
from theta_ray.training.layers import EarlierLayers


class LearningEncoder(torch.nn.Module):
    """A transformers model, its pooling, and where the recipe asks a linear layer on top."""

    def __init__(self, config: Encoder, source: ModelSource, *, device: str, projection: int | None = None) -> None:
        super().__init__()
        self.rules = vector_rules(config, Embed(), source)
        self.tokenizer = make_tokenizer(config, source)
        self.precision = resolve_precision(config.precision, device)
        # weights stay in float32; a lower precision is that of the products alone
        model = load_model(source, precision="float32", device=device, pooling=self.rules.pooling)
        check_pooling(self.rules.pooling, model, has_pooler=has_pooler(model))
        self.forward_pass, self.kernels = choose_forward(model, self.tokenizer.pad_id, "float32", trains=True)
        self.model: Any = model
        width = self._model_width = self.rules.width
        self.given = torch.nn.Sequential(*self.rules.projection).to(device)  # of the base, frozen; mostly none
        # made on the CPU, so that its first weights are the same whatever the device
        self.projection = torch.nn.Linear(width, projection, bias=False).to(device) if projection else None

    @property
    def width(self) -> int:
        """Values of a vector."""
        return self._model_width if self.projection is None else self.projection.out_features

    @cached_property
    def earlier(self) -> EarlierLayers:
        """The model's layers; to be asked for before it trains or is spread over workers."""
        return EarlierLayers(self.model, self.forward_pass)

    def forward(self, batch: Batch, pack: Pack, *, num_layers: int | None = None) -> torch.Tensor:
        """[len(pack), width] pooled vectors, not normalised.

        With `num_layers` [len(pack), 2 width]: beside each vector the one that the first layers alone would give.
        """
        ids_T = ids_of(batch, pack)
        if num_layers is None:
            return self._pooled(self.tokens(pack, ids_T), pack, ids_T)
        with self.autocast():
            states = self.earlier.states(pack, ids_T, num_layers)
        return torch.cat([self._pooled(tokens_TD, pack, ids_T) for tokens_TD in states], dim=1)

    def tokens(self, pack: Pack, ids_T: npt.NDArray[np.int64]) -> torch.Tensor:
        """[T, D] hidden states of a pack's tokens."""
        with self.autocast():
            return self.forward_pass(pack, ids_T)

    def _pooled(self, tokens_TD: torch.Tensor, pack: Pack, ids_T: npt.NDArray[np.int64]) -> torch.Tensor:
        device = self.model.device
        is_mask_token = ids_T == (self.tokenizer.mask_id if self.tokenizer.mask_id is not None else -1)
        offsets, is_mask_token_T = (to_device(values, device) for values in (pack.offsets, is_mask_token))
        pooler = getattr(self.model, "pooler", None)
        pooled: torch.Tensor = self.given(
            POOLINGS[self.rules.pooling](Hidden(tokens_TD, offsets, is_mask_token_T, pooler))
        )
        return pooled if self.projection is None else self.projection(pooled)

    def autocast(self) -> Any:
        """The precision of the products."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=DTYPES[self.precision])


def ids_of(batch: Batch, pack: Pack) -> npt.NDArray[np.int64]:
    """[T] token ids of a pack's texts, in its order."""
    sequences = batch.sequences
    starts, ends = sequences.offsets[pack.sequences_B], sequences.offsets[pack.sequences_B + 1]
    parts = [sequences.tokens[start:end] for start, end in zip(starts, ends, strict=True)]
    return np.concatenate(parts).astype(np.int64)
