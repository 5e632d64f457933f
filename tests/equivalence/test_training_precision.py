"""Training in bfloat16 stays near float32, and training that computes layers twice is the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from tests.corpora import DAY
from tests.models import save_bert, save_qwen3
from tests.tuned import tuning_config
from theta_ray.config import Config
from theta_ray.encoder.layers import find_layers
from theta_ray.objects import read_bytes
from theta_ray.training import finetune
from theta_ray.training.loop import Learner
from theta_ray.training.step import Alone, Step, add_gradients

SAVE = {"bert": save_bert, "qwen3": save_qwen3}


def in_precision(config: Config, precision: str) -> Config:
    encoder = config.recipe.encoder.model_copy(update={"precision": precision})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"encoder": encoder})})


def learner_of(config: Config) -> Learner:
    finetune.mine_pairs.run(config, DAY)
    return Learner(finetune.make_job(config, DAY).job, Alone())


def test_bfloat16_learns_as_float32_does_and_saves_float32(bert: Path, tmp_path: Path) -> None:
    config = tuning_config(tmp_path, bert, pack_tokens=64)
    losses = {}
    for precision in ("float32", "bfloat16"):
        learner = learner_of(in_precision(config, precision))
        layers = find_layers(learner.encoder.model, 2)
        assert layers is not None
        products: set[torch.dtype] = set()
        linear = next(module for module in layers[1].modules() if isinstance(module, torch.nn.Linear))
        linear.register_forward_hook(lambda _, __, output, seen=products: seen.add(output.dtype))
        losses[precision] = np.array(learner.train(lambda _: None).losses)
        assert products == {getattr(torch, precision)}
        assert {parameter.dtype for parameter in learner.encoder.parameters()} == {torch.float32}
    whole, half = losses["float32"], losses["bfloat16"]
    assert (whole != half).any()
    assert half[-3:].mean() < half[:3].mean() - 0.1
    assert np.abs(half - whole).max() < 0.05 * whole.max()


def test_an_adapter_that_was_trained_in_bfloat16_is_stored_in_float32(bert: Path, tmp_path: Path) -> None:
    config = in_precision(tuning_config(tmp_path, bert, max_steps=2), "bfloat16")
    finetune.run(config, DAY)
    adapter = finetune.make_job(config, DAY).job.adapter
    tensors = load(read_bytes(adapter.at("adapter_model.safetensors")))
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


@pytest.mark.parametrize("pack_tokens", [64, 100_000])
@pytest.mark.parametrize("family", SAVE)
def test_gradient_checkpointing_computes_layers_again_and_changes_nothing(
    family: str, pack_tokens: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"max_steps": 1, "pack_tokens": pack_tokens, "lora": {"dropout": 0.3}}
    model = SAVE[family](tmp_path / family)
    found, calls = [], []
    for is_on in (False, True):
        learner = learner_of(tuning_config(tmp_path, model, gradient_checkpointing=is_on, **settings))
        count = _counting(learner)
        found.append(_gradient(learner))
        calls.append(count[0])
    plain, again = found
    assert plain[0] == pytest.approx(again[0], rel=1e-5)
    assert float((plain[1] - again[1]).abs().max() / plain[1].abs().max()) < 1e-5
    # without: once, and once more where packs are replayed; with: once more in the backward pass
    assert calls[1] == calls[0] * (2 if pack_tokens > 64 else 1.5)


def _counting(learner: Learner) -> list[int]:
    """How often a matrix of the last layer is used."""
    layers = find_layers(learner.encoder.model, 2)
    assert layers is not None
    count = [0]

    def count_one(*_: object) -> None:
        count[0] += 1

    linear = next(module for module in layers[1].modules() if isinstance(module, torch.nn.Linear))
    linear.register_forward_hook(count_one)
    return count


def _gradient(learner: Learner) -> tuple[float, torch.Tensor]:
    """Loss and gradient of the first step with dropout, at weights that are not the first ones."""
    parameters, settings = list(learner.parameters.values()), learner.job.finetune
    generator = torch.Generator().manual_seed(0)
    for parameter in parameters:
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    learner.encoder.train()
    step = Step(learner.encoder, learner.encoder.width, parameters, Alone(), settings.loss, settings.pack_tokens, 0)
    loss = add_gradients(step, learner.data.batch(learner.order, 0), 0)
    gradients = [copy.copy(parameter.grad) for parameter in parameters]
    return loss, torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])
