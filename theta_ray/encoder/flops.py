"""Floating-point operations of a forward pass, counted from a model's configuration and the lengths of its sequences.

Conventions, as in the field's tables of model FLOPs utilisation: a multiplication and an addition are two operations;
padding counts nothing; a causal layer counts half of its attention square, a sliding-window layer the pairs within its
window. Counted are the matrix products of the layers: projections, feed-forward, scores and their weighted sum. Left
out are embedding look-ups, norms, activations, rotary angles, the pooler and adapters, together under 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PLAIN = ("bert", "roberta", "xlm-roberta", "camembert")
"""Types whose layers are those of BERT: query, key, value, output, and two feed-forward matrices."""
GATED = ("modernbert", "qwen3")
"""Types with a third feed-forward matrix, the gate."""
CAUSAL = ("qwen3",)


@dataclass(frozen=True)
class Layers:
    """What the cost of a model's layers depends on."""

    weights: int
    """Weights of the matrices that every token passes, all layers together."""
    attention_width: int
    """Heads x head size of the queries."""
    windows: tuple[int | None, ...]
    """Of each layer: how far a token looks in each direction; None: over the whole sequence."""
    is_causal: bool


def count_flops(
    config: Any, lengths_S: npt.NDArray[np.int64], num_parameters: int, num_layers: int | None = None
) -> int:
    """Operations of one forward pass over S sequences.

    Args:
        config: a transformers configuration.
        lengths_S: tokens of each sequence, padding left out.
        num_parameters: weights without embeddings; stands in for model types that are not known here, at two
            operations a weight and token, without attention.
        num_layers: the first layers that are kept; None: all of them.
    """
    num_tokens, config = int(lengths_S.sum()), config.get_text_config()
    layers = layers_of(config, num_layers)
    if layers is None:
        depth = getattr(config, "num_hidden_layers", None) or 1
        return 2 * num_parameters * num_tokens * (num_layers or depth) // depth
    pairs = {window: num_pairs(lengths_S, window) for window in set(layers.windows)}
    # scores and weighted sum: two products of two operations a pair and value, of which a causal layer needs half
    per_pair = (2 if layers.is_causal else 4) * layers.attention_width
    return 2 * layers.weights * num_tokens + sum(per_pair * pairs[window] for window in layers.windows)


def layers_of(config: Any, num_layers: int | None = None) -> Layers | None:
    """The layers of a configuration, or its first ones; None for a model type that is not known here."""
    if config.model_type not in (*PLAIN, *GATED):
        return None
    width, inner, depth = config.hidden_size, config.intermediate_size, num_layers or config.num_hidden_layers
    queries = config.num_attention_heads * (getattr(config, "head_dim", None) or width // config.num_attention_heads)
    keys = queries * (getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    keys //= config.num_attention_heads
    matrices = 3 if config.model_type in GATED else 2
    weights = depth * (width * (2 * queries + 2 * keys) + matrices * width * inner)
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * depth
    # a window of transformers' causal layers counts the token itself, one of ModernBERT's does not
    is_causal = config.model_type in CAUSAL
    windows = tuple(
        config.sliding_window - is_causal if kind == "sliding_attention" else None for kind in kinds[:depth]
    )
    return Layers(weights, queries, windows, is_causal)


def num_pairs(lengths_S: npt.NDArray[np.int64], window: int | None) -> int:
    """Pairs of tokens of the same sequence at most `window` apart, in either order; None: all pairs."""
    lengths = lengths_S.astype(np.int64)
    if window is None:
        return int((lengths * lengths).sum())
    reach = np.minimum(window, np.maximum(lengths - 1, 0))
    return int((lengths + 2 * reach * lengths - reach * (reach + 1)).sum())
