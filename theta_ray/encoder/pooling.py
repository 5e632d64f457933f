"""Hidden states of a pack in, one vector per sequence out.

Shapes: T tokens of B sequences that lie end to end, D dimensions; `offsets` has the start of each
sequence and the end of the last. Sums run in float32 whatever the model's precision.

The trap to know: in a causal decoder position 0 has seen only the first token, so `first` (and
`cls`) make a vector of that token alone. `check_pooling` warns or refuses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch

from theta_ray.errors import ConfigError

logger = logging.getLogger(__name__)


class Hidden(NamedTuple):
    """A pack's output, as poolings see it."""

    tokens_TD: torch.Tensor
    offsets: torch.Tensor
    """int64, B + 1 values."""
    is_mask_token_T: torch.Tensor
    """True at the mask token of the template."""
    pooler: Callable[[torch.Tensor], torch.Tensor] | None = None
    """The model's own pooler, [B, 1, D] to [B, D], where it has one."""


def pool_mean(hidden: Hidden) -> torch.Tensor:
    """Mean of the tokens."""
    return torch.segment_reduce(hidden.tokens_TD.float(), "mean", offsets=hidden.offsets, axis=0)


def pool_cls(hidden: Hidden) -> torch.Tensor:
    """First token: the classification token of bidirectional encoders."""
    return hidden.tokens_TD[hidden.offsets[:-1]].float()


def pool_last(hidden: Hidden) -> torch.Tensor:
    """Last token: what a causal decoder has read everything by."""
    return hidden.tokens_TD[hidden.offsets[1:] - 1].float()


def pool_pooler(hidden: Hidden) -> torch.Tensor:
    """The model's own pooler: tanh of a linear layer on the first token (BERT, RoBERTa, BERTweet)."""
    assert hidden.pooler is not None, "check_pooling has seen a pooler"
    return hidden.pooler(hidden.tokens_TD[hidden.offsets[:-1]].unsqueeze(1)).float()


def pool_mask(hidden: Hidden) -> torch.Tensor:
    """The mask token of a cloze template; exactly one in each sequence."""
    places = hidden.is_mask_token_T.nonzero()[:, 0]
    counts_B = torch.bincount(torch.searchsorted(hidden.offsets, places, right=True), minlength=len(hidden.offsets))[1:]
    if not bool((counts_B == 1).all()):
        raise ValueError(f"pooling mask needs one mask token in each sequence, found {counts_B.tolist()}")
    return hidden.tokens_TD[places].float()


POOLINGS: dict[str, Callable[[Hidden], torch.Tensor]] = {
    "cls": pool_cls,
    "first": pool_cls,
    "last": pool_last,
    "mask": pool_mask,
    "mean": pool_mean,
    "pooler": pool_pooler,
}


@torch.inference_mode()
def is_causal(model: torch.nn.Module) -> bool:
    """Whether the first position is blind to later tokens, found by changing the last one."""
    device = next(model.parameters()).device
    outputs = [model(input_ids=torch.tensor([[5, 6, last]], device=device)).last_hidden_state[0, 0] for last in (7, 8)]
    return bool(torch.equal(outputs[0], outputs[1]))


def check_pooling(pooling: str, model: torch.nn.Module, *, has_pooler: bool) -> None:
    """Refuse or warn where a pooling does not fit the model.

    Raises:
        ConfigError: `pooler` without trained pooler weights, or `cls` on a causal decoder.
    """
    if pooling == "pooler" and not has_pooler:
        raise ConfigError("encoder.pooling pooler: the model's weights hold no pooler; choose mean or cls")
    if pooling in ("cls", "first") and is_causal(model):
        if pooling == "cls":
            raise ConfigError("encoder.pooling cls: in a causal decoder it sees the first token only; choose last")
        logger.warning(
            "encoder.pooling first on a causal decoder: each vector depends on the text's first token only; choose last"
        )
