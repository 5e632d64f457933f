from __future__ import annotations

import pytest
import torch

from theta_ray.encoder.pooling import POOLINGS, Hidden, pool_last, pool_mask, pool_mean


def make_hidden(lengths: list[int], *, mask_tokens: list[int] | None = None) -> Hidden:
    num_tokens = sum(lengths)
    is_mask_token = torch.zeros(num_tokens, dtype=torch.bool)
    is_mask_token[mask_tokens or []] = True
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    tokens_TD = torch.arange(num_tokens * 2, dtype=torch.float32).reshape(num_tokens, 2)
    return Hidden(tokens_TD, offsets, is_mask_token, pooler=lambda first_B1D: first_B1D[:, 0] + 1)


def test_mean_is_over_the_tokens_of_one_sequence() -> None:
    hidden = make_hidden([2, 3])
    pooled = pool_mean(hidden)
    assert torch.equal(pooled, torch.stack([hidden.tokens_TD[:2].mean(0), hidden.tokens_TD[2:].mean(0)]))


def test_last_is_the_last_token_of_each_sequence() -> None:
    hidden = make_hidden([2, 1, 3])
    assert torch.equal(pool_last(hidden), hidden.tokens_TD[[1, 2, 5]])


@pytest.mark.parametrize("name", ["cls", "first"])
def test_cls_is_the_first_token_of_each_sequence(name: str) -> None:
    hidden = make_hidden([2, 1, 3])
    assert torch.equal(POOLINGS[name](hidden), hidden.tokens_TD[[0, 2, 3]])


def test_pooler_sees_the_first_token_of_each_sequence() -> None:
    hidden = make_hidden([2, 1, 3])
    assert torch.equal(POOLINGS["pooler"](hidden), hidden.tokens_TD[[0, 2, 3]] + 1)


def test_mask_takes_the_mask_token() -> None:
    hidden = make_hidden([3, 2], mask_tokens=[1, 3])
    assert torch.equal(pool_mask(hidden), hidden.tokens_TD[[1, 3]])


@pytest.mark.parametrize("mask_tokens", [[], [0, 2], [3], [0, 1, 3]])
def test_mask_refuses_sequences_with_none_or_two_mask_tokens(mask_tokens: list[int]) -> None:
    with pytest.raises(ValueError, match="one mask token"):
        pool_mask(make_hidden([3, 2], mask_tokens=mask_tokens))


@pytest.mark.parametrize("name", sorted(POOLINGS))
def test_every_pooling_gives_float32_from_half_precision(name: str) -> None:
    hidden = make_hidden([3], mask_tokens=[1])
    half = hidden._replace(tokens_TD=hidden.tokens_TD.bfloat16())
    assert POOLINGS[name](half).dtype == torch.float32
