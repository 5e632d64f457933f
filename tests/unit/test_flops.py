"""Counted operations are those that torch counts while the model runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ModernBertConfig,
    Qwen3Config,
    RobertaConfig,
    XLMRobertaConfig,
)

from theta_ray.encoder.flops import count_flops, layers_of, num_pairs

SHAPE = {"vocab_size": 99, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
SHAPE |= {"intermediate_size": 80, "max_position_embeddings": 128, "pad_token_id": 0}
ENDS = {"bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
LENGTHS = np.array([1, 7, 7, 31, 64])
BIDIRECTIONAL = [
    BertConfig(**SHAPE),
    RobertaConfig(**SHAPE),
    XLMRobertaConfig(**SHAPE),
    # every length fits the window: eager attention computes the whole square and masks it
    ModernBertConfig(**SHAPE, **ENDS, local_attention=128),
]


def count_by_torch(config: Any) -> int:
    """Operations with eager attention, one sequence at a time and so without padding."""
    model = AutoModel.from_config(config, attn_implementation="eager").eval()
    model.pooler = None
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for length in LENGTHS.tolist():
            model(input_ids=torch.full((1, length), 5))
    return int(counter.get_total_flops())


@pytest.mark.parametrize("config", BIDIRECTIONAL, ids=lambda config: config.model_type)
def test_an_encoder_costs_what_torch_counts(config: Any) -> None:
    assert count_flops(config, LENGTHS, 0) == count_by_torch(config)


@pytest.mark.parametrize("heads", [{"num_key_value_heads": 2, "head_dim": 24}, {"num_key_value_heads": 4}], ids=str)
def test_a_causal_decoder_costs_what_torch_counts_less_half_of_the_square(heads: dict[str, int]) -> None:
    config = Qwen3Config(**{**SHAPE, **ENDS, "head_dim": 12, **heads})
    square = 4 * (LENGTHS**2).sum() * 4 * config.head_dim * 3
    assert count_flops(config, LENGTHS, 0) == count_by_torch(config) - square // 2


def test_a_model_that_is_not_known_costs_two_operations_a_weight_and_token() -> None:
    config = DistilBertConfig(dim=48, n_heads=4, n_layers=3)
    assert layers_of(config) is None
    assert count_flops(config, LENGTHS, 1000) == 2 * 1000 * int(LENGTHS.sum())


@pytest.mark.parametrize("config", [*BIDIRECTIONAL, DistilBertConfig(n_layers=3)], ids=lambda config: config.model_type)
def test_the_first_layers_cost_their_share(config: Any) -> None:
    assert 3 * count_flops(config, LENGTHS, 300, num_layers=1) == count_flops(config, LENGTHS, 300)


def test_layers_with_windows_cost_less_than_whole_ones() -> None:
    long = np.array([120])
    whole, narrow = (ModernBertConfig(**SHAPE, **ENDS, local_attention=width) for width in (256, 16))
    saved = 4 * 48 * (num_pairs(long, None) - num_pairs(long, 8))
    num_narrow = narrow.layer_types.count("sliding_attention")
    assert num_narrow == 2
    assert count_flops(whole, long, 0) - count_flops(narrow, long, 0) == num_narrow * saved


@given(st.lists(st.integers(0, 40), max_size=5), st.integers(0, 50))
def test_pairs_are_those_of_the_mask(lengths: list[int], window: int) -> None:
    masks = [np.abs(np.subtract.outer(np.arange(n), np.arange(n))) for n in lengths]
    array = np.array(lengths, np.int64)
    assert num_pairs(array, window) == sum(int((mask <= window).sum()) for mask in masks)
    assert num_pairs(array, None) == sum(mask.size for mask in masks)


@given(st.lists(st.integers(0, 512), max_size=8), st.lists(st.integers(0, 512), max_size=8))
def test_operations_of_two_shards_add_up(first: list[int], second: list[int]) -> None:
    def count(lengths: list[int]) -> int:
        return count_flops(BIDIRECTIONAL[0], np.array(lengths, np.int64), 0)

    assert count(first + second) == count(first) + count(second)


def test_a_shard_of_long_sequences_does_not_overflow() -> None:
    config = Qwen3Config(hidden_size=4096, num_hidden_layers=64, num_attention_heads=64, head_dim=128)
    lengths = np.full(4000, 32768)
    assert count_flops(config, lengths, 0) > 2**63
