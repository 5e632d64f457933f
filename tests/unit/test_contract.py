from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from tests.adapters import NOWHERE, change_json, partition, save_by_peft, train
from tests.models import SENTENCES, save_bert, save_qwen3
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.contract import Contract, model_name, read_contract
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.probes import check_contract
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import InputError, StageError
from theta_ray.training.adapter import commit_adapter


def load(**encoder: Any) -> TextEncoder:
    config = Encoder(**{"precision": "float32", **encoder})
    return TextEncoder(config, Embed(), resolve_model(config))


@pytest.fixture(scope="module")
def committed(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = partition(tmp_path_factory.mktemp("root"))
    commit_adapter(place, train(bert, document_prompt="post: "))
    return Path(place.path)


@pytest.fixture
def adapter(committed: Path, tmp_path: Path) -> Path:
    """A copy outside of the table that a test may change."""
    return Path(shutil.copytree(committed, tmp_path / "adapter"))


def test_what_a_recipe_leaves_out_is_the_contracts(bert: Path, committed: Path) -> None:
    encoder = load(model=str(bert), adapter=str(committed))
    assert (encoder.rules.pooling, encoder.rules.normalize, encoder.rules.dim) == ("mean", True, 32)
    assert (encoder.tokenizer.max_length, encoder.tokenizer.prompt) == (24, "post: ")
    said = load(model=str(bert), adapter=str(committed), pooling="mean", max_length=24, document_prompt="post: ")
    assert np.array_equal(encoder.embed_texts(SENTENCES), said.embed_texts(SENTENCES))


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ({"pooling": "cls"}, "pooling 'mean', the recipe says 'cls'; leave encoder.pooling out"),
        ({"normalize": False}, "normalize true, the recipe says false"),
        ({"max_length": 48}, "max_length 24, the recipe says 48"),
        ({"document_prompt": "tweet: "}, "document_prompt 'post: ', the recipe says 'tweet: '"),
        ({"query_prompt": "find: "}, "query_prompt '', the recipe says 'find: '"),
        ({"pooling": "mask", "template": "{text} [MASK]"}, "pooling 'mean', the recipe says 'mask'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_recipe_that_says_something_else_is_refused(
    bert: Path, committed: Path, setting: dict[str, Any], advice: str
) -> None:
    with pytest.raises(InputError, match=advice):
        resolve_model(Encoder(model=str(bert), adapter=str(committed), **setting))


def test_another_base_is_refused_and_the_same_from_elsewhere_is_not(
    bert: Path, committed: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bert, tmp_path / "copy"))
    (copy / "added.json").write_text("{}")  # another identity, the same weights
    assert resolve_model(Encoder(model=str(copy), adapter=str(committed))).adapter_identity is not None
    other = save_bert(tmp_path / "other", seed=5)
    with pytest.raises(InputError, match=f"was made on {bert.name} .*set encoder.model: {bert.name}"):
        resolve_model(Encoder(model=str(other), adapter=str(committed)))


def test_weights_that_are_not_those_of_the_contract_are_refused(bert: Path, adapter: Path) -> None:
    change_json(adapter / "adapter_config.json", lora_alpha=99)
    with pytest.raises(InputError, match="its weights are not those of its contract.json; fetch"):
        resolve_model(Encoder(model=str(bert), adapter=str(adapter)))


def check(bert: Path, adapter: Path, **encoder: Any) -> float | None:
    config = Encoder(model=str(bert), adapter=str(adapter), **encoder)
    return check_contract(config, resolve_model(config), device="cpu")


@pytest.mark.parametrize(
    "setting",
    [{"precision": "float32"}, {"encode_as": "query"}, {"long_documents": "windows", "window_length": 8}, {}],
    ids=str,
)
def test_probes_are_reproduced_whatever_the_recipe_embeds(bert: Path, committed: Path, setting: dict[str, Any]) -> None:
    if setting.get("window_length"):
        setting = {**setting, "window_stride": 4}
    assert (check(bert, committed, **setting) or 0) > 0.99999


def test_probes_of_the_whole_model_are_reproduced_where_a_run_takes_its_first_layers(
    bert: Path, committed: Path
) -> None:
    assert (check(bert, committed, num_layers=1) or 0) > 0.99999


def test_a_probe_that_is_not_reproduced_is_told_with_its_cosine(bert: Path, adapter: Path) -> None:
    contract = json.loads((adapter / "contract.json").read_text())
    vector = np.array(contract["probes"][1]["vector"])
    vector[0] += 0.03 * np.linalg.norm(vector)
    contract["probes"][1]["vector"] = vector.tolist()
    (adapter / "contract.json").write_text(json.dumps(contract))
    with pytest.raises(
        StageError, match=r"probe 2 \(.Nurses .*\.\.\..\) has cosine 0\.999\d+ .*must reach 0.99999; use"
    ):
        check(bert, adapter, precision="float32")
    assert (check(bert, adapter, precision="bfloat16") or 1) < 0.9999  # what three digits cannot tell apart


def test_an_adapter_without_a_contract_has_nothing_to_check(bert: Path, adapter: Path) -> None:
    (adapter / "contract.json").unlink()
    assert check(bert, adapter, pooling="mean") is None
    assert load(model=str(bert), adapter=str(adapter), pooling="cls").rules.pooling == "cls"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pooling": "max"}, "pooling: "),
        ({"dim": 31}, "a probe has 32 values, dim is 31"),
        ({"probes": []}, "probes: "),
        ({"unknown": 1}, "unknown: "),
        ({"max_length": 10**12}, "max_length: "),
        ({"adapter_sha256": "\u001b[2J"}, "adapter_sha256: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_contract_that_makes_no_sense_is_refused(adapter: Path, change: dict[str, Any], reason: str) -> None:
    change_json(adapter / "contract.json", **change)
    with pytest.raises(InputError, match=f"{reason}.*; fetch the adapter again") as caught:
        read_contract(adapter)
    assert str(caught.value).isprintable()


def test_every_contract_reads_back_as_it_was(committed: Path) -> None:
    contract = read_contract(committed)
    assert contract is not None
    assert Contract.model_validate_json(contract.model_dump_json()) == contract
    assert all(
        np.float32(value) == value or str(np.float32(value)) == str(value) for value in contract.probes[0].vector
    )


@pytest.mark.parametrize(
    ("model", "name"),
    [("/home/someone/models/bert/", "bert"), ("~/bert", "bert"), ("owner/name", "owner/name"), ("package:a/b",) * 2],
)
def test_a_path_of_a_machine_is_not_told(model: str, name: str) -> None:
    assert model_name(model) == name


BERT, QWEN3 = ["query", "attention.output.dense"], ["q_proj", "o_proj"]


@pytest.mark.parametrize(
    ("save", "kind", "targets", "config"),
    [
        (save_bert, AutoModel, BERT, {"task_type": "FEATURE_EXTRACTION"}),
        (save_bert, AutoModelForMaskedLM, BERT, {}),
        (save_qwen3, AutoModel, QWEN3, {"task_type": "FEATURE_EXTRACTION", "use_rslora": True}),
        (
            save_qwen3,
            AutoModelForCausalLM,
            QWEN3,
            {"task_type": "CAUSAL_LM", "alpha_pattern": {"model.layers.0.self_attn.q_proj": 32}},
        ),
    ],
    ids=["bert", "bert below a head", "qwen3", "qwen3 below a head"],
)
@pytest.mark.filterwarnings("ignore:.*tied weights mapping")
def test_adapters_of_others_load_whatever_they_call_their_base(
    tmp_path: Path, save: Any, kind: Any, targets: list[str], config: dict[str, Any]
) -> None:
    base = save(tmp_path / "base")
    model = kind.from_pretrained(base).eval()
    adapter = save_by_peft(model, tmp_path / "adapter", targets, **config)
    assert NOWHERE in (adapter / "adapter_config.json").read_text()
    encoder = load(model=str(base), adapter=str(adapter), pooling="mean", normalize=False)
    inner = getattr(model, model.base_model_prefix, model)  # PEFT has changed it in place
    for text, vector in zip(SENTENCES, encoder.embed_texts(SENTENCES), strict=True):
        expected = inner(**encoder.tokenizer.tokenizer(text, return_tensors="pt", return_token_type_ids=False))
        assert np.abs(vector - expected.last_hidden_state[0].mean(dim=0).detach().numpy()).max() < 1e-5
