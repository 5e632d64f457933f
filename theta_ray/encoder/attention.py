"""Attention over a pack: each sequence attends to itself alone, and no pad token is ever computed.

transformers' own models call it in place of their attention, as its AttentionInterface describes,
with the pack's layout as a further option; their other code runs as it is, on one row of T tokens.
On the CPU, and wherever there is no flash attention, sequences of equal length go through
`scaled_dot_product_attention` together, which needs no mask for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

GROUPED, FLASH = "theta_ray_grouped", "theta_ray_flash"


@dataclass(frozen=True)
class Layout:
    """How the sequences lie in a pack, as attention wants to know it."""

    groups: list[tuple[int, int]]
    """Runs of equal length: how many sequences, and of how many tokens."""
    offsets: torch.Tensor
    """int32 on the device: start of each sequence, and the end of the last."""
    longest: int


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """[1, T, heads, dim] of [1, heads, T, dim] queries: one call for each run of equal lengths."""
    causal, window = _is_causal(module, options), options.get("sliding_window")
    groups = options["layout"].groups
    sizes = [count * length for count, length in groups]
    outputs = []
    # split, not slices: the gradient of a slice is as long as the whole
    parts = zip(groups, *(states[0].split(sizes, dim=1) for states in (query, key, value)), strict=True)
    for (count, length), *states in parts:
        # a normalisation may have left float32 beside half-precision values
        query_CHLD, key_CHLD, value_CHLD = (
            part.unflatten(1, (count, length)).transpose(0, 1).to(value.dtype) for part in states
        )
        mask = _window_mask(length, window, causal=causal, device=query.device)
        attended = F.scaled_dot_product_attention(
            *(query_CHLD, key_CHLD, value_CHLD),
            attn_mask=mask,
            dropout_p=options.get("dropout") or 0.0,  # of a model in training
            is_causal=causal and mask is None,
            scale=options.get("scaling"),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        outputs.append(attended.transpose(1, 2).flatten(0, 1))
    return torch.cat(outputs).unsqueeze(0), None


def flash_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """[1, T, heads, dim] of [1, heads, T, dim] queries: torch's own varlen kernel, CUDA and 16-bit values only."""
    layout: Layout = options["layout"]
    causal, window = _is_causal(module, options), options.get("sliding_window")
    reach = window - 1 if window is not None else None
    states = [tensor[0].transpose(0, 1).to(value.dtype).contiguous() for tensor in (query, key, value)]
    # what torch.nn.attention.varlen.varlen_attn calls; its own options differ from one version of torch to the next
    attended = torch.ops.aten._flash_attention_forward(
        *states,
        layout.offsets,
        layout.offsets,
        layout.longest,
        layout.longest,
        0.0,
        causal,
        return_debug_mask=False,
        scale=options.get("scaling"),
        window_size_left=reach,
        window_size_right=0 if causal else reach,
    )[0]
    return attended.unsqueeze(0), None


def _is_causal(module: torch.nn.Module, options: dict[str, Any]) -> bool:
    said = options.get("is_causal")
    return bool(getattr(module, "is_causal", True) if said is None else said)


def _window_mask(length: int, window: int | None, *, causal: bool, device: torch.device) -> torch.Tensor | None:
    """True where a token may look: nearer than `window`, and not ahead where causal. None: no window is in reach."""
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=device)
    distance = places[:, None] - places[None, :]
    return (distance < window) & (distance >= 0 if causal else distance > -window)


@contextmanager
def attention_of(model: Any, name: str) -> Iterator[None]:
    """The model with another attention implementation for a while."""
    before = model.config._attn_implementation
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def register() -> None:
    """Make both known to transformers. Without a mask function of that name its models build no masks."""
    from transformers import AttentionInterface

    AttentionInterface.register(GROUPED, grouped_attention)
    AttentionInterface.register(FLASH, flash_attention)
