"""Hidden states of a batch in, one vector per sequence out.

Shapes: B sequences, T positions, D dimensions. Sequences are padded on either side; the mask says
which positions are real. Sums run in float32 whatever the model's precision.

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
    """A batch's output, as poolings see it."""

    tokens_BTD: torch.Tensor
    mask_BT: torch.Tensor
    """True at real tokens."""
    pooler_BD: torch.Tensor | None
    """The model's own pooler output, where it has one."""
    is_mask_token_BT: torch.Tensor
    """True at the mask token of the template."""


def pool_mean(hidden: Hidden) -> torch.Tensor:
    """Mean of the real tokens."""
    weights_BT1 = hidden.mask_BT.unsqueeze(-1).float()
    return (hidden.tokens_BTD.float() * weights_BT1).sum(dim=1) / weights_BT1.sum(dim=1)


def pool_cls(hidden: Hidden) -> torch.Tensor:
    """First real token: the classification token of bidirectional encoders."""
    return _at(hidden.tokens_BTD, hidden.mask_BT.int().argmax(dim=1))


def pool_last(hidden: Hidden) -> torch.Tensor:
    """Last real token: what a causal decoder has read everything by."""
    num_positions = hidden.mask_BT.shape[1]
    positions_T = torch.arange(num_positions, device=hidden.mask_BT.device)
    return _at(hidden.tokens_BTD, (positions_T * hidden.mask_BT.int()).argmax(dim=1))


def pool_pooler(hidden: Hidden) -> torch.Tensor:
    """The model's own pooler: tanh of a linear layer on the first token (BERT, RoBERTa, BERTweet)."""
    assert hidden.pooler_BD is not None, "check_pooling has seen a pooler"
    return hidden.pooler_BD.float()


def pool_mask(hidden: Hidden) -> torch.Tensor:
    """The mask token of a cloze template; exactly one in each sequence."""
    counts_B = hidden.is_mask_token_BT.sum(dim=1)
    if not bool((counts_B == 1).all()):
        raise ValueError(f"pooling mask needs one mask token in each sequence, found {counts_B.tolist()}")
    return _at(hidden.tokens_BTD, hidden.is_mask_token_BT.int().argmax(dim=1))


def _at(tokens_BTD: torch.Tensor, positions_B: torch.Tensor) -> torch.Tensor:
    rows_B = torch.arange(tokens_BTD.shape[0], device=tokens_BTD.device)
    return tokens_BTD[rows_B, positions_B].float()


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
