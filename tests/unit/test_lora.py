from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, Qwen3Config, Qwen3Model, RobertaConfig, RobertaModel

from theta_ray.config_finetune import Lora
from theta_ray.errors import ConfigError
from theta_ray.training.lora import add_lora, num_trainable, targets_of

TINY = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def qwen3(hidden_size: int, num_layers: int, num_heads: int) -> Any:
    """A Qwen3-Embedding by its shape alone."""
    config = Qwen3Config(
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=8,
        head_dim=128,
    )
    with torch.device("meta"):
        return Qwen3Model(config)


@pytest.mark.parametrize(
    ("hidden_size", "num_layers", "num_heads", "expected"),
    [(1024, 28, 16, 2_293_760), (2560, 36, 32, 5_898_240)],
    ids=["0.6B", "4B"],
)
def test_adapters_of_qwen3_embedding_have_as_many_numbers_as_the_published_ones(
    hidden_size: int, num_layers: int, num_heads: int, expected: int
) -> None:
    query, key = num_heads * 128, 8 * 128
    layer = 2 * 8 * (hidden_size + query) + 2 * 8 * (hidden_size + key)  # q and o, k and v; 8 is the rank
    model = add_lora(qwen3(hidden_size, num_layers, num_heads), Lora(), seed=0)
    assert num_trainable(model) == num_layers * layer == expected


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        (BertModel(BertConfig(**TINY)), ("query", "key", "value", "attention.output.dense")),
        (RobertaModel(RobertaConfig(**TINY)), ("query", "key", "value", "attention.output.dense")),
    ],
    ids=["bert", "roberta"],
)
def test_attention_is_found_and_nothing_else_learns(model: Any, targets: tuple[str, ...]) -> None:
    assert targets_of(model) == targets
    adapted = add_lora(model, Lora(rank=2), seed=0)
    names = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(names) == 2 * 4 * 2  # layers, projections, factors
    assert all(".attention." in name and ".lora_" in name for name in names)
    assert num_trainable(adapted) == 2 * 4 * 2 * (16 + 16)


def test_fresh_adapters_change_nothing_and_are_the_same_for_equal_seeds() -> None:
    ids, weights = torch.arange(5).reshape(1, 5), []
    for _ in range(2):
        torch.manual_seed(0)
        model = BertModel(BertConfig(**TINY)).eval()
        before = model(ids).last_hidden_state
        torch.manual_seed(len(weights))  # what was drawn before has no say
        adapted = add_lora(model, Lora(), seed=7).eval()
        assert torch.equal(adapted(ids).last_hidden_state, before)
        weights.append(torch.cat([p.flatten() for p in adapted.parameters() if p.requires_grad]))
    assert torch.equal(*weights)
    other = add_lora(BertModel(BertConfig(**TINY)), Lora(), seed=8)
    assert not torch.equal(weights[0], torch.cat([p.flatten() for p in other.parameters() if p.requires_grad]))


def test_drawing_adapters_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    model = BertModel(BertConfig(**TINY))
    torch.manual_seed(3)
    add_lora(model, Lora(), seed=9)
    assert torch.equal(torch.rand(1), expected)


def test_named_targets_are_taken_instead() -> None:
    adapted = add_lora(BertModel(BertConfig(**TINY)), Lora(targets=("query",)), seed=0)
    assert {name.split(".lora_")[0][-5:] for name, p in adapted.named_parameters() if p.requires_grad} == {"query"}


def test_a_target_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="has no linear layer q_proj; name some of query, key"):
        targets_of(BertModel(BertConfig(**TINY)), ("query", "q_proj"))


def test_an_attention_of_an_unknown_kind_asks_for_targets() -> None:
    with pytest.raises(ConfigError, match="finetune.lora.targets: is missing.*name some of 0, 2"):
        targets_of(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)))
    with pytest.raises(ConfigError, match="no linear layers at all"):
        targets_of(torch.nn.ReLU())
