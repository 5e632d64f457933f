"""Adapters and layers on top by somebody who means no good, or who made a mistake: one line, and nothing is run."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from tests.adapters import change_json, embed, partition, save_by_peft, train
from theta_ray.config import Encoder
from theta_ray.encoder.source import read_folder_settings, resolve_model
from theta_ray.errors import ConfigError, InputError
from theta_ray.training.adapter import commit_adapter


@pytest.fixture
def adapter(bert: Path, tmp_path: Path) -> Path:
    return save_by_peft(AutoModel.from_pretrained(bert), tmp_path / "adapter", ["query"])


@pytest.fixture
def merged(bert: Path, tmp_path: Path) -> Path:
    """A model's folder with a linear layer on top."""
    commit_adapter(partition(tmp_path), train(bert, projection=8), merged=True)
    return Path(partition(tmp_path).at("merged"))


@pytest.mark.parametrize(
    "config",
    [
        {"rank_pattern": [1]},
        {"alpha_pattern": 3},
        {"alpha_pattern": {"(": 3}},
        {"target_modules": [5]},
        {"target_modules": "(((("},
        {"target_modules": None},
        {"peft_type": "NOBODY_HAS_THIS"},
        {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 3},
        {"lora_alpha": "\u001b[2J"},
        {"r": "many"},
        {"layers_to_transform": [99]},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_configuration_that_makes_no_sense_is_an_error_of_the_user(
    bert: Path, adapter: Path, config: dict[str, Any]
) -> None:
    change_json(adapter / "adapter_config.json", **config)
    with pytest.raises((InputError, ConfigError)) as caught:
        embed(bert, adapter, pooling="mean")
    assert "encoder.adapter" in str(caught.value)
    assert str(caught.value).isprintable()


def test_tensors_with_a_forged_name_cannot_steer_a_terminal(bert: Path, adapter: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors["base_model.model.\x1b[2J.lora_A.weight"] = torch.zeros(4, 32)
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"\\x1b\[2J.* has no partner") as caught:
        embed(bert, adapter, pooling="mean")
    assert str(caught.value).isprintable()


def test_a_contract_nested_without_end_is_refused(bert: Path, adapter: Path) -> None:
    (adapter / "contract.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="contract.json: cannot be read as JSON"):
        embed(bert, adapter)


def test_a_pickled_layer_is_not_opened(bert: Path, tmp_path: Path) -> None:
    commit_adapter(partition(tmp_path), train(bert, projection=8))
    folder = Path(partition(tmp_path).path).rename(tmp_path / "copy")
    (folder / "contract.json").unlink()
    layer = folder / "projection"
    (layer / "model.safetensors").unlink()
    (layer / "pytorch_model.bin").write_bytes(pickle.dumps({"linear.weight": torch.zeros(8, 32)}))
    with pytest.raises(InputError, match="make no linear layer"):
        embed(bert, folder, pooling="mean")


@pytest.mark.parametrize(
    "config",
    [{"in_features": 10**12}, {"out_features": -1}, {"out_features": "8"}, {"bias": True}, {"out_features": 9}],
    ids=str,
)
def test_a_layer_whose_numbers_cannot_be_true_is_refused(merged: Path, config: dict[str, Any]) -> None:
    change_json(merged / "2_Dense" / "config.json", **config)
    with pytest.raises(InputError, match="make no linear layer; fetch it again"):
        embed(merged)


@pytest.mark.parametrize(
    "config",
    [
        {"activation_function": "torch.nn.modules.activation.Tanh"},
        {"activation_function": "os.system"},
        {"use_residual": True},
        {"module_output_name": "other"},
    ],
    ids=str,
)
def test_a_layer_that_does_more_is_not_supported(merged: Path, config: dict[str, Any]) -> None:
    (merged / "contract.json").unlink()
    change_json(merged / "2_Dense" / "config.json", **config)
    with pytest.raises(ConfigError, match="encoder.pooling is missing and module Dense of modules.json is not support"):
        embed(merged)


@pytest.mark.parametrize("path", ["../outside", "/outside"])
def test_a_module_outside_of_the_folder_is_refused(merged: Path, path: str) -> None:
    modules = json.loads((merged / "modules.json").read_text())
    modules[2]["path"] = path
    (merged / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match="modules.json names a folder outside of it"):
        read_folder_settings(str(merged))


def test_a_head_of_another_task_is_left_out(bert: Path, adapter: Path) -> None:
    expected = embed(bert, adapter, pooling="mean")
    change_json(adapter / "adapter_config.json", task_type="SEQ_CLS", modules_to_save=["classifier", "score"])
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors["base_model.model.classifier.weight"] = torch.zeros(2, 32)
    save_file(tensors, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    assert abs(embed(bert, adapter, pooling="mean") - expected).max() < 1e-6


def test_the_identity_of_an_adapter_is_of_what_decides_a_vector(bert: Path, adapter: Path) -> None:
    recipe = Encoder(model=str(bert), adapter=str(adapter), pooling="mean")
    before = resolve_model(recipe).adapter_identity
    (adapter / "training_log.json").write_text("{}")
    (adapter / "README.md").write_text("changed")
    assert resolve_model(recipe).adapter_identity == before
    change_json(adapter / "adapter_config.json", lora_alpha=9)
    assert resolve_model(recipe).adapter_identity != before
