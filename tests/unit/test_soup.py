from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel

from tests.adapters import change_json, embed, partition, save_by_peft, train
from tests.conftest import REPOSITORY
from tests.models import save_bert
from theta_ray.errors import ConfigError, InputError
from theta_ray.training.adapter import commit_adapter
from theta_ray.training.soup import A, B, main, make_soup, read_factors

TARGETS = ["query", "attention.output.dense"]


def changes(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """What an adapter adds to each weight of its base, as PEFT merges it."""
    before, model = (AutoModel.from_pretrained(base, add_pooling_layer=False) for _ in range(2))
    before, merged = before.state_dict(), PeftModel.from_pretrained(model, adapter)
    after = merged.merge_and_unload().state_dict()
    return {name: after[name] - before[name] for name in before if not torch.equal(after[name], before[name])}


@pytest.fixture(scope="module")
def adapters(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of several ranks, scales and layers."""
    folder, model = tmp_path_factory.mktemp("adapters"), AutoModel.from_pretrained
    first = save_by_peft(model(bert), folder / "first", TARGETS, alpha_pattern={r"layer\.1\..*query": 24})
    second = save_by_peft(model(bert), folder / "second", ["query", "value"], r=3, lora_alpha=5, use_rslora=True)
    return first, second


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.8, -0.1)])
def test_the_merged_weights_are_the_average_of_the_merged_weights(
    bert: Path, adapters: tuple[Path, Path], tmp_path: Path, weights: tuple[float, float]
) -> None:
    make_soup(adapters, weights, tmp_path / "soup")
    expected: dict[str, torch.Tensor] = {}
    for adapter, weight in zip(adapters, weights, strict=True):
        for name, change in changes(bert, adapter).items():
            expected[name] = expected.get(name, torch.zeros_like(change)) + weight * change
    found = changes(bert, tmp_path / "soup")
    assert found.keys() == expected.keys()
    assert max(float((found[name] - change).abs().max()) for name, change in expected.items()) < 1e-6
    assert json.loads((tmp_path / "soup" / "adapter_config.json").read_text())["r"] == 4 + 3


def test_an_average_of_the_factors_would_be_another_model(bert: Path, tmp_path: Path) -> None:
    folders = [save_by_peft(AutoModel.from_pretrained(bert), tmp_path / "1", TARGETS)]
    commit_adapter(partition(tmp_path), train(bert, seed=2))
    folders.append(Path(partition(tmp_path).path))
    first, second = (read_factors(folder) for folder in folders)
    name = next(iter(first))
    one, two = first[name], second[name]
    exact = (one.scale * one.up_OR @ one.down_RI + two.scale * two.up_OR @ two.down_RI) / 2
    factors = (one.scale + two.scale) / 2 * (one.up_OR + two.up_OR) / 2 @ ((one.down_RI + two.down_RI) / 2)
    make_soup(folders, [0.5, 0.5], tmp_path / "soup")
    soup = load_file(tmp_path / "soup" / "adapter_model.safetensors")
    assert (soup[name + B] @ soup[name + A] - exact).abs().max() < 1e-6
    assert (factors - exact).abs().max() > 0.1 * exact.abs().max()


def test_a_soup_is_an_adapter_that_embed_takes(bert: Path, adapters: tuple[Path, Path], tmp_path: Path) -> None:
    make_soup(adapters, (1.0, 0.0), tmp_path / "soup")
    assert abs(embed(bert, tmp_path / "soup", pooling="mean") - embed(bert, adapters[0], pooling="mean")).max() < 1e-5


def test_the_command_weighs_equally_and_gives_the_same_bytes_again(adapters: tuple[Path, Path], tmp_path: Path) -> None:
    outs = [tmp_path / "by-command", tmp_path / "by-function"]
    command = [sys.executable, "-m", "theta_ray.training.soup", *map(str, adapters), "--out", str(outs[0])]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["adapters"] == 2
    make_soup(adapters, (0.5, 0.5), outs[1])
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


def test_a_mistake_is_one_line_and_an_exit_code(
    adapters: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(adapters[0]), "--out", str(tmp_path / "soup")]) == 2
    assert capsys.readouterr().err == "soup: 1 adapters and 1 weights; give two or more, a weight each\n"
    assert main([str(tmp_path), str(tmp_path), "--out", str(tmp_path / "soup")]) == 3
    assert "save it with PEFT's save_pretrained" in capsys.readouterr().err
    assert not (tmp_path / "soup").exists()


def test_a_folder_that_is_there_and_weights_that_are_none_are_refused(
    adapters: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="is there already; name a new folder"):
        make_soup(adapters, (0.5, 0.5), tmp_path)
    with pytest.raises(ConfigError, match="must be finite"):
        make_soup(adapters, (float("nan"), 0.5), tmp_path / "soup")
    with pytest.raises(ConfigError, match="2 adapters and 3 weights"):
        make_soup(adapters, (0.5, 0.5, 0.1), tmp_path / "soup")


def test_adapters_that_do_not_belong_together_are_refused(bert: Path, tmp_path: Path) -> None:
    other = save_bert(tmp_path / "other", seed=3)
    places = [partition(tmp_path, name * 12) for name in "abc"]
    trained = [train(bert), train(other), train(bert, pooling="cls")]
    for place, each in zip(places, trained, strict=True):
        commit_adapter(place, each)
    folders = [Path(place.path) for place in places]
    with pytest.raises(InputError, match="was made on another base than .*; take adapters of one base"):
        make_soup(folders[:2], (0.5, 0.5), tmp_path / "soup")
    with pytest.raises(InputError, match="was made with another pooling than .*; take adapters made alike"):
        make_soup(folders[::2], (0.5, 0.5), tmp_path / "soup")


def test_adapters_of_several_widths_are_refused_without_contracts_too(
    bert: Path, adapters: tuple[Path, Path], tmp_path: Path
) -> None:
    wide = save_bert(tmp_path / "wide", hidden_size=64)
    other = save_by_peft(AutoModel.from_pretrained(wide), tmp_path / "adapter", TARGETS)
    with pytest.raises(InputError, match="they must be of one base"):
        make_soup((adapters[0], other), (0.5, 0.5), tmp_path / "soup")


@pytest.mark.parametrize(
    ("config", "reason"),
    [({"use_dora": True}, "use_dora"), ({"peft_type": "IA3"}, "IA3"), ({"modules_to_save": ["pooler"]}, "modules_to")],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_adapters_that_are_more_than_two_factors_are_refused(
    bert: Path, tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    folder = save_by_peft(AutoModel.from_pretrained(bert), tmp_path / "adapter", TARGETS)
    change_json(folder / "adapter_config.json", **config)
    with pytest.raises(InputError, match=f"{reason}.* cannot be averaged .*take adapters of plain LoRA"):
        read_factors(folder)


@pytest.mark.parametrize(
    "config", [{"alpha_pattern": {"(": 1}}, {"alpha_pattern": [1]}, {"lora_alpha": "\u001b"}], ids=str
)
def test_scales_that_make_no_sense_are_an_error_of_the_user(bert: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    folder = save_by_peft(AutoModel.from_pretrained(bert), tmp_path / "adapter", TARGETS)
    change_json(folder / "adapter_config.json", **config)
    with pytest.raises(InputError, match="make no scale .*; save the adapter again") as caught:
        read_factors(folder)
    assert str(caught.value).isprintable()


def test_a_projection_cannot_be_averaged(bert: Path, tmp_path: Path) -> None:
    commit_adapter(partition(tmp_path), train(bert, projection=8))
    with pytest.raises(InputError, match="a projection cannot be averaged"):
        read_factors(Path(partition(tmp_path).path))


def test_biases_that_were_trained_too_are_no_factors(bert: Path, tmp_path: Path) -> None:
    folder = save_by_peft(AutoModel.from_pretrained(bert), tmp_path / "adapter", TARGETS, bias="lora_only")
    with pytest.raises(InputError, match="bias is no factor of a linear layer"):
        read_factors(folder)
