"""Losses of texts by themselves, through whole runs: a classifier beside the adapter, and the next token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.adapters import change_json, embed
from tests.corpora import DAY
from tests.gradients import make_encoder
from tests.models import SENTENCES, save_qwen3
from tests.tuned import LABELS, tuning_config
from theta_ray.config import Encoder
from theta_ray.config_finetune import Finetune, Loss
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError, InputError
from theta_ray.training import finetune, loop
from theta_ray.training.classifier import Classifier, load_classifier
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.language import NextToken

HEAD = {"widths": [16], "dropout": 0.1, "learning_rate": 3e-2}
CLASSIFIED: dict[str, Any] = {
    "loss": {"name": "ce_head", "head": HEAD},
    "learning_rate": 5e-3,
    "epochs": 3,
    "max_steps": 36,
}


def adapter_of(config: Any) -> Path:
    return Path(finetune.make_job(config, DAY).job.adapter.path)


def losses_of(config: Any) -> list[float]:
    found: list[float] = json.loads((adapter_of(config) / "metrics.json").read_text())["losses"]
    return found


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen3(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def classified(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = tuning_config(tmp_path_factory.mktemp("classified"), decoder, **CLASSIFIED)
    finetune.run(config, DAY)
    return config


def test_a_classifier_learns_its_labels(classified: Any) -> None:
    losses = losses_of(classified)
    assert sum(losses[-5:]) < sum(losses[:5]) / 2


def test_the_head_and_its_classes_lie_beside_the_adapter(classified: Any) -> None:
    head, classes = load_classifier(adapter_of(classified))
    assert classes == sorted(LABELS)
    assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, torch.nn.Linear)] == [(16, 64), (4, 16)]
    told = json.loads((adapter_of(classified) / "classifier" / "config.json").read_text())
    assert told["input"] == "pooled vector, not normalised"


def test_embed_does_without_the_head(classified: Any, decoder: Path) -> None:
    folder = adapter_of(classified)
    before = embed(decoder, folder)
    copy = folder.parent / "copy"
    copy.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "contract.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert (embed(decoder, copy) == before).all()
    identities = {
        resolve_model(Encoder(model=str(decoder), adapter=str(place))).adapter_identity for place in (folder, copy)
    }
    assert len(identities) == 1


def test_a_head_that_was_killed_in_training_goes_on_where_it_was(
    classified: Any, decoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, real, steps = tuning_config(tmp_path, decoder, **CLASSIFIED), loop.add_gradients, []

    def stopping(step: Any, batch: Any, number: int) -> float:
        steps.append(number)
        if len(steps) == 7:
            raise KeyboardInterrupt
        return real(step, batch, number)

    monkeypatch.setattr(loop, "add_gradients", stopping)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(config, DAY)
    finetune.run(config, DAY)
    assert steps == [*range(7), *range(4, 36)]
    assert losses_of(config) == losses_of(classified)
    name = "classifier/model.safetensors"
    assert (adapter_of(config) / name).read_bytes() == (adapter_of(classified) / name).read_bytes()


def test_the_head_has_a_rate_of_its_own() -> None:
    settings = Finetune.model_validate({"loss": {"name": "ce_head"}, "learning_rate": 5e-5, "weight_decay": 0.5})
    shapes = {"model.lora_A": (2, 2), "head.0.weight": (2, 2), "head.0.bias": (2,)}
    parameters = {name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    groups = loop.make_optimizer(parameters, settings).param_groups
    assert [(group["initial_lr"], group["weight_decay"]) for group in groups] == [(5e-5, 0.5), (1e-3, 0.5), (1e-3, 0)]


@pytest.mark.parametrize(("classes", "told"), [((), "0 classes (no group)"), (("sun",), "1 class (sun)")])
def test_a_classifier_of_fewer_than_two_classes_is_refused(classes: Any, told: str, tmp_path: Path) -> None:
    encoder = make_encoder("bert", tmp_path)
    with pytest.raises(InputError) as caught:
        Classifier(encoder, classes, Loss(name="ce_head"), 0)
    assert str(caught.value) == (
        f"finetune.loss ce_head: the training pairs have {told}, a classifier needs two; mine pairs of more labels"
    )


def test_a_decoder_learns_to_predict_the_texts(decoder: Path, tmp_path: Path) -> None:
    config = tuning_config(tmp_path, decoder, pairs={"kind": "self"}, loss={"name": "clm"}, learning_rate=2e-2)
    finetune.run(config, DAY)
    losses = losses_of(config)
    assert sum(losses[-3:]) < sum(losses[:3])
    assert embed(decoder, adapter_of(config)).shape == (len(SENTENCES), 64)


def test_a_model_that_does_not_predict_the_next_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="finetune.loss clm: BertModel sees later tokens, so it cannot"):
        NextToken(make_encoder("bert", tmp_path / "bert"))
    folder = save_qwen3(tmp_path / "qwen3")
    config = Encoder(model=str(folder), pooling="last")
    for change, message in (
        ({"tie_word_embeddings": False}, "Qwen3Model does not use its input embeddings as output"),
        ({"tie_word_embeddings": True, "logit_scale": 0.5}, r"Qwen3Model changes its logits \(logit_scale\)"),
    ):
        change_json(folder / "config.json", **change)
        with pytest.raises(ConfigError, match=message):
            NextToken(LearningEncoder(config, resolve_model(config), device="cpu"))
