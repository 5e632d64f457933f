"""Token sequences in, one float32 vector per text out: the fast path beside reference.py.

    sort by length -> batches of a token budget -> model -> pooling -> unit vectors of windows averaged
    -> Matryoshka width -> L2

Alive in memory at once: the weights, one batch, and the vectors of the shard (float32).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.model import has_pooler, load_config, load_model, load_tokenizer
from theta_ray.encoder.packing import padded_tokens, plan_batches
from theta_ray.encoder.pooling import POOLINGS, Hidden, check_pooling
from theta_ray.encoder.source import ModelSource, read_folder_settings
from theta_ray.encoder.tokenize import Tokenizer, TokenSequences
from theta_ray.errors import ConfigError, InputError, StageError

logger = logging.getLogger(__name__)
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VectorRules:
    """How hidden states become the stored vector, after the model folder's word was heard."""

    pooling: str
    normalize: bool
    dim: int


@dataclass
class Work:
    """What an encoder did: tokens read, tokens computed with padding, seconds."""

    num_tokens: int = 0
    num_padded_tokens: int = 0
    seconds: float = field(default=0.0, compare=False)


def vector_rules(encoder: Encoder, embed: Embed, source: ModelSource) -> VectorRules:
    """Pooling, normalisation and width: the recipe's, else the folder's.

    Raises:
        ConfigError: neither says a pooling, or `embed.dim` is wider than the model.
    """
    folder = read_folder_settings(source.folder)
    pooling = encoder.pooling or folder.pooling
    if pooling is None:
        why = folder.problem or "its folder names none"
        raise ConfigError(f"encoder.pooling is missing and {why}; set it, such as mean for BERT or last for Qwen3")
    # a sentence-transformers folder without a Normalize module means raw vectors; other folders say nothing
    said = encoder.normalize if encoder.normalize is not None else folder.normalize
    normalize = True if said is None else said
    width = load_config(source).get_text_config().hidden_size
    if embed.dim is not None and embed.dim > width:
        raise ConfigError(f"embed.dim {embed.dim}: the model's vectors have {width} values; set {width} or less")
    return VectorRules(pooling, normalize, embed.dim or width)


def make_tokenizer(encoder: Encoder, source: ModelSource) -> Tokenizer:
    """The tokenizer of a recipe."""
    return Tokenizer(load_tokenizer(source), load_config(source), encoder, read_folder_settings(source.folder))


class TextEncoder:
    """A loaded model that turns token sequences into vectors."""

    def __init__(self, config: Encoder, embed: Embed, source: ModelSource, *, device: str = "cpu") -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(
                "resources ask for a GPU and torch sees none; install a CUDA build, or set gpus_per_actor: 0"
            )
        self.rules = vector_rules(config, embed, source)
        self.width = int(load_config(source).get_text_config().hidden_size)
        self.tokenizer = make_tokenizer(config, source)
        self.device = device
        pooling, num_layers = self.rules.pooling, config.num_layers
        self.model = load_model(
            source, precision=config.precision, device=device, pooling=pooling, num_layers=num_layers
        )
        check_pooling(self.rules.pooling, self.model, has_pooler=has_pooler(self.model))

    @property
    def device_name(self) -> str:
        """The GPU's own name, or `cpu`."""
        return torch.cuda.get_device_name() if self.device.startswith("cuda") else "cpu"

    def embed_texts(self, texts: list[str], *, batch_tokens: int = 1024) -> Vectors:
        """[len(texts), dim] vectors, in the order of the texts."""
        return self.embed_sequences(self.tokenizer.encode(texts), batch_tokens=batch_tokens)[0]

    @torch.inference_mode()
    def embed_sequences(self, sequences: TokenSequences, *, batch_tokens: int) -> tuple[Vectors, Work]:
        """[num_texts, dim] vectors, and what it took."""
        started = time.perf_counter()
        lengths = sequences.lengths
        # a text may have no token at all, where the tokenizer adds none: its vector stays zero
        filled = np.flatnonzero(lengths)
        batches = [filled[batch] for batch in plan_batches(lengths[filled], batch_tokens)]
        pooled_SD: Vectors | None = None
        for batch, pooled_BD in self._pooled(sequences, batches):
            if pooled_SD is None:
                pooled_SD = np.zeros((len(lengths), pooled_BD.shape[1]), np.float32)
            pooled_SD[batch] = pooled_BD
        if pooled_SD is None:
            return np.zeros((sequences.num_texts, self.rules.dim), np.float32), Work()
        vectors = finish_vectors(pooled_SD, sequences.text_index, sequences.num_texts, self.rules)
        work = Work(int(lengths.sum()), padded_tokens(lengths, batches), time.perf_counter() - started)
        return vectors, work

    def _pooled(
        self, sequences: TokenSequences, batches: list[npt.NDArray[np.int64]]
    ) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Each batch with its pooled vectors; one that does not fit the memory is halved until it does."""
        todo = batches[::-1]
        while todo:
            batch = todo.pop()
            pooled_BD = self._forward_or_none(sequences, batch)
            if pooled_BD is not None:
                yield batch, pooled_BD
                continue
            tokens = int(sequences.lengths[batch].max())
            if len(batch) == 1:
                raise StageError(
                    f"{self.device_name}: out of memory on one sequence of {tokens} tokens; set encoder.max_length or "
                    "long_documents: windows, or take a larger device"
                )
            logger.warning("out of memory on %d sequences of %d tokens; halving the batch", len(batch), tokens)
            todo += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]

    def _forward_or_none(self, sequences: TokenSequences, batch: npt.NDArray[np.int64]) -> Vectors | None:
        """[len(batch), width] pooled vectors; None where the device's memory is too small for the batch."""
        try:
            pooled_BD: Vectors = self._forward(sequences, batch).cpu().numpy()
        except torch.OutOfMemoryError:
            pass  # the error holds the batch's tensors until this block is left
        else:
            if pooled_BD.shape != (len(batch), self.width):
                raise StageError(
                    f"encoder.model: gave vectors of shape {pooled_BD.shape} for {len(batch)} texts, its config.json "
                    f"promises {self.width} values; check the model folder"
                )
            return pooled_BD
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return None

    def _forward(self, sequences: TokenSequences, batch: npt.NDArray[np.int64]) -> torch.Tensor:
        starts, lengths = sequences.offsets[batch], sequences.lengths[batch]
        longest = int(lengths.max())
        ids = np.full((len(batch), longest), self.tokenizer.pad_id, np.int64)
        mask = np.arange(longest) < lengths[:, None]
        ids[mask] = np.concatenate([sequences.tokens[s : s + n] for s, n in zip(starts, lengths, strict=True)])
        ids_BT = torch.from_numpy(ids).to(self.device)
        mask_BT = torch.from_numpy(mask).to(self.device)
        output = self.model(input_ids=ids_BT, attention_mask=mask_BT.long())
        is_mask_token_BT = ids_BT == (self.tokenizer.mask_id if self.tokenizer.mask_id is not None else -1)
        pooler_BD = getattr(output, "pooler_output", None)
        return POOLINGS[self.rules.pooling](Hidden(output.last_hidden_state, mask_BT, pooler_BD, is_mask_token_BT))


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
