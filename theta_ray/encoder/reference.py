"""The reference: plain transformers, one text at a time, float32, nothing clever.

Every run compares its vectors with this one. It shares the model folder and the rule that makes
special tokens in a text harmless with the fast path, and no line of tokenising, batching, pooling
or averaging. It is never optimised.
"""

from __future__ import annotations

from typing import Any

import torch

from theta_ray.config import Encoder
from theta_ray.encoder.attention import attention_of
from theta_ray.encoder.encoder import VectorRules
from theta_ray.encoder.tokenize import Tokenizer


class Reference:
    """Plain transformers for one recipe. `model` must be float32 and in evaluation mode."""

    def __init__(self, model: Any, tokenizer: Tokenizer, encoder: Encoder, rules: VectorRules) -> None:
        self.model, self.text_rules, self.encoder, self.rules = model, tokenizer, encoder, rules
        self.tokenizer = tokenizer.tokenizer
        self.device = next(model.parameters()).device

    @torch.inference_mode()
    def embed(self, text: str) -> torch.Tensor:
        """The float32 vector of one text, [dim]."""
        vectors = [self._project(self._pool(ids)) for ids in self._sequences(self.text_rules.harmless(text))]
        if len(vectors) > 1:
            vectors = [torch.stack([vector / vector.norm() for vector in vectors]).mean(dim=0)]
        vector = vectors[0][: self.rules.dim]
        return (vector / vector.norm() if self.rules.normalize else vector).cpu()

    def _sequences(self, text: str) -> list[list[int]]:
        limit, prompt = self.text_rules.max_length, self.text_rules.prompt
        if self.text_rules.template is not None:
            return [self._cloze(text, limit)]
        if self.encoder.long_documents == "truncate":
            return [list(self.tokenizer(prompt + text, truncation=True, max_length=limit).input_ids)]
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        length, stride = self.encoder.window_length, self.encoder.window_stride
        head, tail = self._special_ends()
        head = head + (self.tokenizer(prompt, add_special_tokens=False).input_ids if prompt else [])
        sequences, start = [], 0
        while True:
            sequences.append(head + ids[start : start + length] + tail)
            if start + length >= len(ids):
                return sequences
            start += stride

    def _cloze(self, text: str, limit: int) -> list[int]:
        """The filled template; where it is too long, tokens are taken from the end of the text."""
        template = str(self.text_rules.template)
        whole = self.tokenizer(template.replace("{text}", text), verbose=False).input_ids
        without_end = self.tokenizer(template.split("{text}")[0] + text, verbose=False).input_ids
        num_end = len(whole) - len(without_end) + len(self._special_ends()[1])
        excess = max(0, len(whole) - limit)
        return list(whole[: len(whole) - num_end - excess] + whole[len(whole) - num_end :])

    def _special_ends(self) -> tuple[list[int], list[int]]:
        """The special tokens around a sequence, read off a one-letter text."""
        whole, inside = (self.tokenizer("a", add_special_tokens=special).input_ids for special in (True, False))
        at = next(i for i in range(len(whole)) if whole[i : i + len(inside)] == inside)
        return whole[:at], whole[at + len(inside) :]

    def _project(self, vector: torch.Tensor) -> torch.Tensor:
        """What the linear layers on top make of a pooled vector, one matrix after another in float32."""
        for layer in self.rules.projection:
            bias = 0.0 if layer.bias is None else layer.bias.to(vector.device)
            vector = layer.weight.to(vector.device) @ vector + bias
        return vector

    def _pool(self, ids: list[int]) -> torch.Tensor:
        with attention_of(self.model, "eager"):
            output = self.model(input_ids=torch.tensor([ids], device=self.device))
        tokens_TD: torch.Tensor = output.last_hidden_state[0].float()
        if self.rules.pooling == "mean":
            return tokens_TD.mean(dim=0)
        if self.rules.pooling == "pooler":
            pooler_D: torch.Tensor = output.pooler_output[0].float()
            return pooler_D
        position = {"cls": 0, "first": 0, "last": -1}.get(self.rules.pooling)
        return tokens_TD[ids.index(self.tokenizer.mask_token_id) if position is None else position]
