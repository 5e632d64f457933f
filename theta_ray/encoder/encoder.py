"""Token sequences in, one float32 vector per text out: the fast path beside reference.py.

    sort by length -> packs of a token budget -> model -> pooling -> linear layers on top, where there are some
    -> unit vectors of windows averaged -> Matryoshka width -> L2

Alive in memory at once: the weights, one pack (on a GPU the next one too), and the vectors of the
shard (float32).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.devices import require_device
from theta_ray.encoder.forward import choose_forward, to_device
from theta_ray.encoder.memory import PackQueue, is_out_of_memory
from theta_ray.encoder.model import has_pooler, load_config, load_model, load_tokenizer
from theta_ray.encoder.packing import Pack, plan_packs
from theta_ray.encoder.pooling import POOLINGS, Hidden, check_pooling
from theta_ray.encoder.precision import loaded_precision, merge_adapter, resolve_precision
from theta_ray.encoder.projection import load_projections
from theta_ray.encoder.source import ModelSource, settings_of
from theta_ray.encoder.tokenize import Tokenizer, TokenSequences
from theta_ray.errors import ConfigError, StageError

logger = logging.getLogger(__name__)
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VectorRules:
    """How hidden states become the stored vector, after the model folder's and the contract's word was heard."""

    pooling: str
    normalize: bool
    dim: int
    width: int
    """Values of a vector before it is cut to `dim`."""
    projection: tuple[torch.nn.Linear, ...] = field(default=(), compare=False)
    """Linear layers on the pooled vector, on the CPU."""


@dataclass
class Work:
    """What an encoder did: tokens read, tokens computed with padding, seconds, and what it could not do."""

    num_tokens: int = 0
    num_padded_tokens: int = 0
    too_large: set[int] = field(default_factory=set)
    """Texts with a sequence that did not fit the device's memory alone; their vectors are NaN."""
    seconds: float = field(default=0.0, compare=False)


def vector_rules(encoder: Encoder, embed: Embed, source: ModelSource) -> VectorRules:
    """Pooling, normalisation and width: the recipe's, else the contract's or the folder's.

    Raises:
        ConfigError: none says a pooling, or `embed.dim` is wider than the model.
    """
    folder = settings_of(source)
    pooling = encoder.pooling or folder.pooling
    if pooling is None:
        why = folder.problem or "its folder names none"
        raise ConfigError(f"encoder.pooling is missing and {why}; set it, such as mean for BERT or last for Qwen3")
    # a sentence-transformers folder without a Normalize module means raw vectors; other folders say nothing
    said = encoder.normalize if encoder.normalize is not None else folder.normalize
    normalize = True if said is None else said
    width = int(load_config(source).get_text_config().hidden_size)
    projection = load_projections(source, width)
    width = projection[-1].out_features if projection else width
    if embed.dim is not None and embed.dim > width:
        raise ConfigError(f"embed.dim {embed.dim}: the model's vectors have {width} values; set {width} or less")
    return VectorRules(pooling, normalize, embed.dim or width, width, projection)


def make_tokenizer(encoder: Encoder, source: ModelSource) -> Tokenizer:
    """The tokenizer of a recipe."""
    return Tokenizer(load_tokenizer(source), load_config(source), encoder, settings_of(source))


class TextEncoder:
    """A loaded model that turns token sequences into vectors."""

    def __init__(self, config: Encoder, embed: Embed, source: ModelSource, *, device: str = "cpu") -> None:
        require_device(device)
        self.rules = vector_rules(config, embed, source)
        self.width = self.rules.width
        self.projection = torch.nn.Sequential(*self.rules.projection).to(device)
        self.tokenizer = make_tokenizer(config, source)
        self.device = device
        self.precision = resolve_precision(config.precision, device)
        loads_as = loaded_precision(self.precision, device, has_adapter=source.adapter_folder is not None)
        model = load_model(
            source,
            precision=loads_as,
            device=device,
            pooling=self.rules.pooling,
            num_layers=config.num_layers,
        )
        check_pooling(self.rules.pooling, model, has_pooler=has_pooler(model))
        self.model = merge_adapter(model)
        self.forward, self.kernels = choose_forward(self.model, self.tokenizer.pad_id, self.precision)
        self.is_plain = self.precision == "float32" and self.kernels.linears == "torch" and self.model is model
        """Whether the weights are the folder's own in float32, so that the reference can share them."""
        logger.debug("%s", self.kernels)

    @property
    def device_name(self) -> str:
        """The GPU's own name, or `cpu`."""
        return torch.cuda.get_device_name() if self.device.startswith("cuda") else "cpu"

    def embed_texts(self, texts: list[str], *, batch_tokens: int = 2048) -> Vectors:
        """[len(texts), dim] vectors, in the order of the texts."""
        return self.embed_sequences(self.tokenizer.encode(texts), batch_tokens=batch_tokens)[0]

    @torch.inference_mode()
    def embed_sequences(self, sequences: TokenSequences, *, batch_tokens: int) -> tuple[Vectors, Work]:
        """[num_texts, dim] vectors, and what it took."""
        started = time.perf_counter()
        # a text may have no token at all, where the tokenizer adds none: its vector stays zero
        pooled_SD = np.zeros((len(sequences.lengths), self.width), np.float32)
        queue = PackQueue(plan_packs(sequences.lengths, batch_tokens), batch_tokens)
        work = Work(num_tokens=int(sequences.lengths.sum()))
        for pack, pooled_BD in self._pooled(sequences, queue):
            pooled_SD[pack.sequences_B] = pooled_BD
            work.num_padded_tokens += self.forward.num_computed(pack)
        pooled_SD[queue.too_large] = np.nan
        work.too_large = {int(sequences.text_index[place]) for place in queue.too_large}
        vectors = finish_vectors(pooled_SD, sequences.text_index, sequences.num_texts, self.rules)
        work.seconds = time.perf_counter() - started
        return vectors, work

    def _pooled(self, sequences: TokenSequences, queue: PackQueue) -> Iterator[tuple[Pack, Vectors]]:
        """Each pack with its pooled vectors. A GPU computes a pack while the one before is fetched from it."""
        ahead: tuple[Pack, torch.Tensor] | None = None
        while (pack := queue.next()) is not None:
            try:
                pooled = self._forward(sequences, pack)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                pooled = None  # outside of this block nothing holds the pack's tensors any more
            if pooled is None:
                if self.device.startswith("cuda"):
                    torch.cuda.empty_cache()
                queue.failed(pack, self.device_name)
                continue
            queue.succeeded()
            if ahead is not None:
                yield self._fetch(*ahead)
            ahead = pack, pooled
        if ahead is not None:
            yield self._fetch(*ahead)

    def _fetch(self, pack: Pack, pooled_BD: torch.Tensor) -> tuple[Pack, Vectors]:
        """The pooled vectors on the CPU, of the shape that was promised."""
        vectors: Vectors = pooled_BD.cpu().numpy()
        if vectors.shape != (len(pack.sequences_B), self.width):
            raise StageError(
                f"encoder.model: gave vectors of shape {vectors.shape} for {len(pack.sequences_B)} texts, its "
                f"config.json promises {self.width} values; check the model folder"
            )
        return pack, vectors

    def _forward(self, sequences: TokenSequences, pack: Pack) -> torch.Tensor:
        starts, ends = sequences.offsets[pack.sequences_B], sequences.offsets[pack.sequences_B + 1]
        parts = [sequences.tokens[start:end] for start, end in zip(starts, ends, strict=True)]
        ids_T = np.concatenate(parts).astype(np.int64)
        tokens_TD = self.forward(pack, ids_T)
        is_mask_token = ids_T == (self.tokenizer.mask_id if self.tokenizer.mask_id is not None else -1)
        offsets, is_mask_token_T = (to_device(values, tokens_TD.device) for values in (pack.offsets, is_mask_token))
        pooler: Any = getattr(self.model, "pooler", None)
        pooled: torch.Tensor = self.projection(
            POOLINGS[self.rules.pooling](Hidden(tokens_TD, offsets, is_mask_token_T, pooler))
        )
        return pooled


def finish_vectors(
    pooled_SD: Vectors, text_index_S: npt.NDArray[np.int32], num_texts: int, rules: VectorRules
) -> Vectors:
    """Average the windows of a text, cut to the Matryoshka width, normalise.

    With several windows the mean is over unit vectors, so that no window outweighs another.
    """
    if len(pooled_SD) != num_texts:
        sums = np.zeros((num_texts, pooled_SD.shape[1]), np.float64)
        np.add.at(sums, text_index_S, unit(pooled_SD).astype(np.float64))
        counts = np.bincount(text_index_S, minlength=num_texts)[:, None]
        single = counts[text_index_S, 0] == 1
        sums[text_index_S[single]] = pooled_SD[single]
        pooled_SD = (sums / counts).astype(np.float32)
    return first_values(pooled_SD, rules)


def first_values(vectors_ND: Vectors, rules: VectorRules) -> Vectors:
    """Vectors cut to the Matryoshka width, and of length 1 where the rules normalise."""
    vectors = np.ascontiguousarray(vectors_ND[:, : rules.dim])
    return unit(vectors) if rules.normalize else vectors


def unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; a zero row stays zero, NaN and infinity stay what they are."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return (vectors / np.where(norms == 0, 1.0, norms)).astype(np.float32)
