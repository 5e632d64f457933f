"""Texts in, token sequences out: prompt, template, truncation and windows.

    text -> lower case if the model's folder says so -> special tokens of the tokenizer made harmless
         -> truncate:  prompt + text, cut at max_length
         -> template:  the text is cut, never the template, so that its mask token survives
         -> windows:   the text's tokens in windows of `window_length`, every `window_stride`

A text that contains "[MASK]" or "</s>" would otherwise steer the model: a space after the first
character makes it plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.config import Encoder
from theta_ray.encoder.bertweet import FastBertweet
from theta_ray.encoder.source import FolderSettings
from theta_ray.errors import ConfigError, InputError

# Models whose position ids start after the padding id (fairseq's convention).
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "roberta-prelayernorm", "mpnet")


@dataclass(frozen=True)
class TokenSequences:
    """Sequences of some texts, flat. A text has one sequence, or one per window."""

    tokens: npt.NDArray[np.int32]
    """Token ids of all sequences, one after another."""
    offsets: npt.NDArray[np.int64]
    """Start of each of S sequences in `tokens`, and the end of the last: S + 1 values."""
    text_index: npt.NDArray[np.int32]
    """Which text each sequence belongs to, ascending."""
    num_texts: int

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each sequence."""
        return np.diff(self.offsets)

    def of_texts(self, texts: npt.NDArray[np.int64]) -> TokenSequences:
        """The sequences of some texts (ascending), which become texts 0, 1, ..."""
        chosen = np.flatnonzero(np.isin(self.text_index, texts))
        parts = [self.tokens[self.offsets[s] : self.offsets[s + 1]] for s in chosen]
        return TokenSequences(
            tokens=np.concatenate([np.zeros(0, np.int32), *parts]),
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths[chosen])]),
            text_index=np.searchsorted(texts, self.text_index[chosen]).astype(np.int32),
            num_texts=len(texts),
        )

    def tokens_per_text(self) -> npt.NDArray[np.int32]:
        """Tokens that the model reads for each text, all windows together."""
        return np.bincount(self.text_index, weights=self.lengths, minlength=self.num_texts).astype(np.int32)


def window_starts(num_tokens: int, length: int, stride: int) -> list[int]:
    """Starts of the windows that cover `num_tokens`: every stride until one reaches the end."""
    last = max(0, num_tokens - length)
    return list(range(0, last + stride, stride)) if last else [0]


class Tokenizer:
    """A transformers tokenizer with a recipe's text rules around it."""

    def __init__(self, tokenizer: Any, model_config: Any, encoder: Encoder, folder: FolderSettings) -> None:
        self.tokenizer, self.encoder = tokenizer, encoder
        self._fast = FastBertweet.of(tokenizer)
        self.lower_case = folder.lower_case
        prompts = dict(folder.prompts)
        own = encoder.query_prompt if encoder.encode_as == "query" else encoder.document_prompt
        self.prompt = own if own is not None else prompts.get(encoder.encode_as, "")
        self.max_length = _max_length(tokenizer, model_config, encoder, folder)
        self._num_words = getattr(model_config.get_text_config(), "vocab_size", None)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self.mask_id = tokenizer.mask_token_id
        specials = {str(token) for token in tokenizer.all_special_tokens}
        specials |= {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        self._specials = re.compile(
            "|".join(re.escape(s) for s in sorted(specials, key=len, reverse=True) if len(s) > 1)
        )
        self._before, self._after = self._sequence_ends()
        self.template = encoder.template if encoder.template is not None else folder.template
        if self.template is not None:
            self._template = self._split_template(self.template)
        elif encoder.long_documents == "windows":
            self._prompt_ids = self._ids([self.prompt])[0] if self.prompt else []
            needed = encoder.window_length + len(self._before) + len(self._after) + len(self._prompt_ids)
            if needed > self.max_length:
                fits = encoder.window_length - (needed - self.max_length)
                raise ConfigError(
                    f"encoder.window_length {encoder.window_length} makes sequences of {needed} tokens, the limit is "
                    f"{self.max_length}; set it to {fits} or less, or raise encoder.max_length"
                )

    def harmless(self, text: str) -> str:
        """The text without a string that the tokenizer would read as a special token."""
        text = text.lower() if self.lower_case else text
        return self._specials.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def encode(self, texts: list[str], *, mask_at: str | None = None) -> TokenSequences:
        """Sequences of `texts`, in their order; `mask_at` is a string that stands for the mask token in them."""
        texts = [self.harmless(text) for text in texts]
        if mask_at is not None and self.mask_id is not None:
            texts = [text.replace(mask_at, self.tokenizer.mask_token) for text in texts]
        if self.template is not None:
            sequences, owners = [self._fill_template(ids) for ids in self._ids(self._mentions(texts))], None
        elif self.encoder.long_documents == "windows":
            sequences, owners = self._windows(self._ids(texts))
        else:
            sequences = self._call([self.prompt + text for text in texts], truncation=True, max_length=self.max_length)
            owners = None
        lengths = np.fromiter((len(s) for s in sequences), np.int64, len(sequences))
        return TokenSequences(
            tokens=self._flat(sequences),
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            text_index=np.arange(len(texts), dtype=np.int32) if owners is None else np.asarray(owners, np.int32),
            num_texts=len(texts),
        )

    def _flat(self, sequences: list[list[int]]) -> npt.NDArray[np.int32]:
        """All tokens one after another; one that the model does not know would end in the middle of a batch."""
        tokens = np.fromiter(chain.from_iterable(sequences), np.int64)
        largest = int(tokens.max(initial=0))
        if self._num_words is not None and largest >= self._num_words:
            raise InputError(
                f"encoder.model: its tokenizer makes token {largest}, its config.json knows {self._num_words}; "
                "fetch the model again"
            )
        return tokens.astype(np.int32)

    def _call(self, texts: list[str], **options: Any) -> list[list[int]]:
        if not texts:
            return []
        if self._fast is not None:
            return self._fast(texts, **options)
        encoded = self.tokenizer(texts, return_attention_mask=False, return_token_type_ids=False, **options)
        return list(encoded["input_ids"])

    def _ids(self, texts: list[str]) -> list[list[int]]:
        """Token ids without the special tokens at the ends, uncut."""
        return self._call(texts, add_special_tokens=False, verbose=False)

    def _sequence_ends(self) -> tuple[list[int], list[int]]:
        """Special tokens that the tokenizer puts before and after a sequence."""
        bare, whole = self._ids(["a"])[0], self._call(["a"])[0]
        start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]

    def _windows(self, ids_of_texts: list[list[int]]) -> tuple[list[list[int]], list[int]]:
        sequences, owners = [], []
        length, stride = self.encoder.window_length, self.encoder.window_stride
        for owner, ids in enumerate(ids_of_texts):
            for start in window_starts(len(ids), length, stride):
                sequences.append([*self._before, *self._prompt_ids, *ids[start : start + length], *self._after])
                owners.append(owner)
        return sequences, owners

    def _split_template(self, template: str) -> tuple[list[int], list[int]]:
        """Token ids before and after the mention, checked to hold one mask token and leave room."""
        before, after = template.split("{text}")
        # byte-level tokenizers keep a space with the word after it: it goes over to the mention
        self._mention_prefix = before[len(before.rstrip()) :]
        before_ids = [*self._before, *(self._ids([before.rstrip()])[0] if before.strip() else [])]
        after_ids = [*(self._ids([after])[0] if after else []), *self._after]
        masks = [*before_ids, *after_ids].count(self.mask_id) if self.mask_id is not None else 0
        if masks != 1:
            token = self.tokenizer.mask_token
            raise ConfigError(f"encoder.template {template!r}: holds {masks} mask tokens; write {token} exactly once")
        if len(before_ids) + len(after_ids) >= self.max_length:
            raise ConfigError(f"encoder.template {template!r}: leaves no token for the text; raise encoder.max_length")
        return before_ids, after_ids

    def _mentions(self, texts: list[str]) -> list[str]:
        return [self._mention_prefix + text for text in texts]

    def _fill_template(self, ids: list[int]) -> list[int]:
        before, after = self._template
        return [*before, *ids[: self.max_length - len(before) - len(after)], *after]


def _max_length(tokenizer: Any, model_config: Any, encoder: Encoder, folder: FolderSettings) -> int:
    """Tokens of a sequence: the recipe's, else the folder's, else the model's; never above the model's."""
    positions = getattr(model_config, "max_position_embeddings", None) or 10**9
    if model_config.model_type in OFFSET_POSITIONS and positions < 10**9:
        positions -= (getattr(model_config, "pad_token_id", None) or 0) + 1
    if encoder.max_length is not None and encoder.max_length > positions:
        raise ConfigError(f"encoder.max_length {encoder.max_length}: the model reads at most {positions} tokens")
    known = encoder.max_length or folder.max_length or tokenizer.model_max_length
    return int(min(known, positions))
