from __future__ import annotations

import pytest
import torch

from theta_ray.encoder.pooling import POOLINGS, Hidden, pool_last, pool_mask, pool_mean


def make_hidden(mask: list[list[int]], *, mask_tokens: list[list[int]] | None = None) -> Hidden:
    mask_BT = torch.tensor(mask, dtype=torch.bool)
    tokens_BTD = torch.arange(mask_BT.numel() * 2, dtype=torch.float32).reshape(*mask_BT.shape, 2)
    is_mask_token = torch.tensor(mask_tokens or [[0] * mask_BT.shape[1]] * len(mask), dtype=torch.bool)
    return Hidden(tokens_BTD, mask_BT, torch.full((len(mask), 2), 0.5), is_mask_token)


def test_mean_leaves_padding_out() -> None:
    hidden = make_hidden([[1, 1, 0], [1, 1, 1]])
    pooled = pool_mean(hidden)
    assert torch.equal(pooled, torch.stack([hidden.tokens_BTD[0, :2].mean(0), hidden.tokens_BTD[1].mean(0)]))


@pytest.mark.parametrize(("mask", "position"), [([[1, 1, 0, 0]], 1), ([[0, 0, 1, 1]], 3), ([[1, 1, 1, 1]], 3)])
def test_last_is_the_last_real_token_whatever_side_is_padded(mask: list[list[int]], position: int) -> None:
    hidden = make_hidden(mask)
    assert torch.equal(pool_last(hidden)[0], hidden.tokens_BTD[0, position])


@pytest.mark.parametrize("name", ["cls", "first"])
@pytest.mark.parametrize(("mask", "position"), [([[1, 1, 0]], 0), ([[0, 1, 1]], 1)])
def test_cls_is_the_first_real_token(name: str, mask: list[list[int]], position: int) -> None:
    hidden = make_hidden(mask)
    assert torch.equal(POOLINGS[name](hidden)[0], hidden.tokens_BTD[0, position])


def test_mask_takes_the_mask_token() -> None:
    hidden = make_hidden([[1, 1, 1], [1, 1, 0]], mask_tokens=[[0, 1, 0], [1, 0, 0]])
    assert torch.equal(pool_mask(hidden), torch.stack([hidden.tokens_BTD[0, 1], hidden.tokens_BTD[1, 0]]))


@pytest.mark.parametrize("mask_tokens", [[[0, 0, 0]], [[1, 0, 1]]])
def test_mask_refuses_none_or_two_mask_tokens(mask_tokens: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="one mask token"):
        pool_mask(make_hidden([[1, 1, 1]], mask_tokens=mask_tokens))


@pytest.mark.parametrize("name", sorted(POOLINGS))
def test_every_pooling_gives_float32_from_half_precision(name: str) -> None:
    hidden = make_hidden([[1, 1, 1]], mask_tokens=[[0, 1, 0]])
    assert hidden.pooler_BD is not None
    half = hidden._replace(tokens_BTD=hidden.tokens_BTD.bfloat16(), pooler_BD=hidden.pooler_BD.bfloat16())
    assert POOLINGS[name](half).dtype == torch.float32
