from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from tests.adapters import METRICS, embed, partition, train
from tests.models import SENTENCES, save_qwen3, save_roberta
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import unit
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError, ConflictError, InputError, StageError
from theta_ray.store import Partition, file_sha256
from theta_ray.training.adapter import Trained, commit_adapter
from theta_ray.training.encode import LearningEncoder


def by_hand(trained: Trained, base: Path) -> Any:
    """Vectors of the sentences by the trained model in memory, mean pooling and all, cut at 24 tokens."""
    tokenizer, model = AutoTokenizer.from_pretrained(base), trained.model.eval()
    vectors = []
    for text in SENTENCES:
        ids = tokenizer(text, truncation=True, max_length=24, return_tensors="pt").input_ids
        pooled = model(input_ids=ids).last_hidden_state[0].mean(dim=0)
        vectors.append((pooled if trained.projection is None else trained.projection(pooled)).detach().numpy())
    return unit(np.stack(vectors))


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): file_sha256(str(p)) for p in folder.rglob("*") if p.is_file()}


def test_the_folder_loads_with_the_two_lines_of_pefts_documentation(bert: Path, tmp_path: Path) -> None:
    trained, place = train(bert), partition(tmp_path)
    commit_adapter(place, trained)
    loaded = PeftModel.from_pretrained(AutoModel.from_pretrained(bert), place.path)
    again = dataclasses.replace(trained, model=loaded)
    assert np.abs(by_hand(again, bert) - by_hand(trained, bert)).max() < 1e-6
    assert np.abs(by_hand(trained, bert) - embed(bert, pooling="mean", max_length=24)).max() > 1e-2


@pytest.mark.parametrize("projection", [None, 8])
def test_embed_gives_the_vectors_of_the_trained_model(bert: Path, tmp_path: Path, projection: int | None) -> None:
    trained, place = train(bert, projection=projection), partition(tmp_path)
    commit_adapter(place, trained)
    vectors = embed(bert, place.path)
    assert vectors.shape[1] == (projection or 32)
    assert np.abs(vectors - by_hand(trained, bert)).max() < 1e-5


def test_a_projection_counts_as_part_of_the_adapter_and_can_be_cut(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    commit_adapter(place, train(bert, projection=8))
    recipe = Encoder(model=str(bert), adapter=place.path)
    whole = embed(bert, place.path)
    assert np.abs(embed(bert, place.path, Embed(dim=4)) - unit(whole[:, :4])).max() < 1e-6
    with pytest.raises(ConfigError, match="set 8 or less"):
        embed(bert, place.path, Embed(dim=16))
    identity = resolve_model(recipe).adapter_identity
    copy = Path(shutil.copytree(place.path, tmp_path / "copy"))
    (copy / "contract.json").unlink()
    layer = load_file(copy / "projection" / "model.safetensors")
    save_file({"linear.weight": -layer["linear.weight"]}, copy / "projection" / "model.safetensors")
    assert resolve_model(recipe.model_copy(update={"adapter": str(copy)})).adapter_identity != identity


def test_a_projection_of_another_width_is_refused(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    commit_adapter(place, train(bert, projection=8))
    copy = Path(shutil.copytree(place.path, tmp_path / "copy"))
    (copy / "contract.json").unlink()
    save_file({"linear.weight": torch.zeros(8, 31)}, copy / "projection" / "model.safetensors")
    with pytest.raises(InputError, match="make no linear layer; fetch it again"):
        embed(bert, copy, pooling="mean")
    (copy / "projection" / "config.json").write_text(json.dumps({"in_features": 31, "out_features": 8, "bias": False}))
    with pytest.raises(InputError, match="takes vectors of 31 values, the model's have 32"):
        embed(bert, copy, pooling="mean")


@pytest.mark.parametrize("projection", [None, 8])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_merged_folder_gives_sentence_transformers_and_embed_the_same_vectors(
    bert: Path, tmp_path: Path, method: str, projection: int | None
) -> None:
    from sentence_transformers import SentenceTransformer

    trained, place = train(bert, projection=projection, method=method, document_prompt="post "), partition(tmp_path)
    commit_adapter(place, trained, merged=True)
    merged = Path(place.at("merged"))
    theirs = SentenceTransformer(str(merged), device="cpu").encode(SENTENCES, batch_size=1)
    assert np.abs(np.asarray(theirs) - embed(merged)).max() < 1e-5
    if method == "lora":
        assert np.abs(np.asarray(theirs) - embed(bert, place.path)).max() < 1e-5
    with pytest.raises(InputError, match="the recipe says 'cls'"):
        embed(merged, pooling="cls")


def test_full_fine_tuning_writes_no_adapter(bert: Path, tmp_path: Path) -> None:
    trained, place = train(bert, method="full"), partition(tmp_path)
    manifest = commit_adapter(place, trained)
    assert not [name for name in manifest["files"] if "adapter" in name]
    assert np.abs(embed(place.at("merged")) - by_hand(trained, bert)).max() < 1e-5


def test_the_last_token_of_a_decoder_is_merged_as_well(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    base, place = save_qwen3(tmp_path / "base"), partition(tmp_path)
    commit_adapter(place, train(base, pooling="last", max_length=64), merged=True)
    theirs = SentenceTransformer(place.at("merged"), device="cpu").encode(SENTENCES)
    assert np.abs(np.asarray(theirs) - embed(base, place.path)).max() < 1e-5


def test_a_cloze_template_is_kept_and_has_no_merged_form(bert: Path, tmp_path: Path) -> None:
    place, template = partition(tmp_path), "{text} is a [MASK] ."
    trained = train(bert, pooling="mask", template=template, projection=8)
    with pytest.raises(ConfigError, match="use the adapter"):
        commit_adapter(place, trained, merged=True)
    commit_adapter(place, trained)
    said = embed(bert, place.path, pooling="mask", template=template)
    assert np.array_equal(embed(bert, place.path), said)


def test_a_second_commit_changes_nothing_and_other_weights_are_a_conflict(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    manifest = commit_adapter(place, train(bert), merged=True)
    before = contents(Path(place.path))
    assert commit_adapter(place, train(bert), merged=True) == manifest
    assert contents(Path(place.path)) == before
    with pytest.raises(ConflictError, match="committed with other weights"):
        commit_adapter(place, train(bert, seed=2), merged=True)


def test_an_attempt_that_died_is_finished_with_the_same_bytes(bert: Path, tmp_path: Path) -> None:
    whole, torn = partition(tmp_path / "whole"), partition(tmp_path / "torn")
    manifest = commit_adapter(whole, train(bert), merged=True)
    names = [*manifest["files"], "manifests/00000001.json"]
    for kept in range(0, len(names), 4):
        shutil.rmtree(tmp_path / "torn", ignore_errors=True)
        for name in names[:kept]:
            Path(torn.at(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole.at(name), torn.at(name))
        with pytest.raises(InputError, match="is not committed; run jobs/finetune.py"):
            embed(bert, torn.path)
        commit_adapter(torn, train(bert), merged=True)
        assert contents(Path(torn.path)) == contents(Path(whole.path))


def test_what_another_machine_computed_a_little_differently_is_taken_over(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    commit_adapter(place, train(bert))
    contract = json.loads(Path(place.at("contract.json")).read_text())
    contract["probes"][0]["vector"][0] += 2e-6
    contract["versions"]["torch"] = "another"
    Path(place.at("contract.json")).write_text(json.dumps(contract))
    shutil.rmtree(place.at("manifests"))
    manifest = commit_adapter(place, train(bert))
    assert manifest["files"]["contract.json"]["sha256"] == file_sha256(place.at("contract.json"))
    assert json.loads(Path(place.at("contract.json")).read_text()) == contract
    assert embed(bert, place.path).shape == (len(SENTENCES), 32)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "contract.json", "README.md"])
def test_what_somebody_else_left_there_is_not_taken_over(bert: Path, tmp_path: Path, name: str) -> None:
    place = partition(tmp_path)
    commit_adapter(place, train(bert, seed=2))
    shutil.rmtree(place.at("manifests"))
    for other in contents(Path(place.path)).keys() - {name}:
        Path(place.at(other)).unlink()
    if not name.startswith("adapter_m"):
        Path(place.at(name)).write_text("{}")
    with pytest.raises(StageError, match=f"{name}: holds something else .*remove the partition"):
        commit_adapter(place, train(bert))


def test_a_committed_adapter_that_was_changed_is_refused(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    commit_adapter(place, train(bert))
    Path(place.at("contract.json")).unlink()
    with pytest.raises(InputError, match="contract.json is gone, its manifest says [0-9a-f]{64}; restore it"):
        embed(bert, place.path)


def test_a_partition_of_another_table_is_no_adapter(bert: Path, tmp_path: Path) -> None:
    place = Partition(str(tmp_path), "corpus", "0123456789ab", "2026-11-21")
    Path(place.at("manifests")).mkdir(parents=True)
    Path(place.at("manifests", "00000001.json")).write_text(json.dumps({"shards": [], "version": 1}))
    with pytest.raises(InputError, match="name a partition of the adapter table"):
        embed(bert, place.path)


def test_equal_runs_give_equal_bytes_and_sets_have_an_order(bert: Path, tmp_path: Path) -> None:
    trained = train(bert)
    for name in ("first", "second"):
        commit_adapter(partition(tmp_path / name), train(bert))
    found = [contents(Path(partition(tmp_path / name).path)) for name in ("first", "second")]
    assert found[0] == found[1]
    targets = trained.model.peft_config["default"].target_modules
    config = json.loads(Path(partition(tmp_path / "first").at("adapter_config.json")).read_text())
    assert isinstance(targets, set)  # whose order differs between processes
    assert config["target_modules"] == sorted(targets)


def test_no_path_and_no_secret_of_this_machine_is_in_an_artefact(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    trained = train(bert)
    sections = {**trained.sections, "pairs": {"path": "/home/me/list.txt", "uri": "s3://me:secret@bucket/x"}}
    commit_adapter(place, dataclasses.replace(trained, sections=sections), merged=True)
    for path in Path(place.path).rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [said for said in (str(tmp_path), str(bert.parent), "/home/me", "secret") if said.encode() in data]
    config = json.loads(Path(place.at("adapter_config.json")).read_text())
    assert config["base_model_name_or_path"] == bert.name


def test_the_card_tells_what_was_reached_and_on_what(bert: Path, tmp_path: Path) -> None:
    place = partition(tmp_path)
    commit_adapter(place, train(bert))
    card = Path(place.at("README.md")).read_text()
    assert "| recall\\_at\\_10 | 0.41 (0.38 to 0.44) | 0.52 (0.49 to 0.55) |" in card
    assert "| mrr | 0.3 | 0.4 |" in card
    assert f"| pairs | pairs | ba9876543210 | 1 | {'f' * 64} |" in card
    assert "    model = PeftModel.from_pretrained(base" in card
    assert json.loads(Path(place.at("metrics.json")).read_text()) == METRICS


def test_strangers_text_stays_text_in_the_card(bert: Path, tmp_path: Path) -> None:
    place, evil = partition(tmp_path), "a|b\n# Title\n```\n<script>alert(1)</script>\x1b[2J[x](http://y)"
    trained = train(bert, document_prompt=evil)
    metrics = {"base": {evil: float("nan")}, "tuned": {evil: 0.5}}
    commit_adapter(place, dataclasses.replace(trained, metrics=metrics, inputs={evil: {"table": evil}}))
    lines = Path(place.at("README.md")).read_text().splitlines()
    told = [line for line in lines if "alert" in line and not line.startswith("    ")]
    assert len(told) == 3
    for line in told:
        assert "<script>" not in line
        assert line.isprintable()
        assert "\\[x\\]" in line
        assert "a\\|b" in line
    assert "# Title" not in [line.strip() for line in lines if not line.startswith("    ")]


def test_a_base_that_brings_a_layer_of_its_own_keeps_it_below_the_adapters(bert: Path, tmp_path: Path) -> None:
    first, second = partition(tmp_path), partition(tmp_path, "b" * 12)
    below = train(bert, projection=16)
    commit_adapter(first, below, merged=True)
    base = Path(first.at("merged"))
    above = torch.nn.Linear(16, 8, bias=False)
    trained = dataclasses.replace(train(base, seed=4), projection=above)
    commit_adapter(second, trained, merged=True)
    assert below.projection is not None
    both = dataclasses.replace(trained, projection=torch.nn.Sequential(below.projection, above))
    expected = by_hand(both, base)
    assert np.abs(embed(base, second.path) - expected).max() < 1e-5
    assert np.abs(embed(second.at("merged")) - expected).max() < 1e-5
    learning = LearningEncoder(trained.encoder, trained.source, device="cpu", projection=4)
    assert [layer.out_features for layer in learning.given] == [16]
    assert (learning.width, learning.projection and learning.projection.in_features) == (4, 16)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_pooler_is_part_of_the_model(tmp_path: Path, method: str) -> None:
    base, place = save_roberta(tmp_path / "base"), partition(tmp_path)
    trained = train(base, pooling="pooler", method=method)
    commit_adapter(place, trained)
    tokenizer, model = AutoTokenizer.from_pretrained(base), trained.model.eval()
    ids = tokenizer(SENTENCES[0], truncation=True, max_length=24, return_tensors="pt").input_ids
    expected = unit(model(input_ids=ids).pooler_output.detach().numpy())
    vectors = embed(base, place.path) if method == "lora" else embed(place.at("merged"))
    assert np.abs(vectors[0] - expected[0]).max() < 1e-5


def test_a_merged_folder_is_in_float32_and_says_nothing_of_where_its_base_lay(bert: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    base, place = Path(shutil.copytree(bert, tmp_path / "base")), partition(tmp_path)
    config = json.loads((base / "config.json").read_text())
    del config["dtype"]
    (base / "config.json").write_text(json.dumps({**config, "torch_dtype": "bfloat16", "_name_or_path": "/home/me/b"}))
    commit_adapter(place, train(base), merged=True)
    theirs = SentenceTransformer(place.at("merged"), device="cpu").encode(SENTENCES)
    assert np.abs(np.asarray(theirs) - embed(base, place.path)).max() < 1e-5
    assert "/home/me" not in Path(place.at("merged", "config.json")).read_text()
