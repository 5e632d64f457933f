"""An earlier layer's vectors in training: those of a model that has no later layers, and drawn alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    PreTrainedModel,
)

from tests.corpora import DAY
from tests.gradients import assert_equal, copies, gradient, make_encoder
from tests.models import SENTENCES, SMALL, save_bert, save_modernbert, save_qwen3, save_roberta, save_with_wordpieces
from tests.tuned import labelled_texts, tuning_config
from theta_ray.config import Embed, Encoder
from theta_ray.config_finetune import Loss
from theta_ray.encoder.encoder import TextEncoder, unit
from theta_ray.encoder.forward import PaddedForward
from theta_ray.encoder.packing import plan_packs
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError
from theta_ray.training import finetune
from theta_ray.training.batch import Batch, Keys
from theta_ray.training.encode import LearningEncoder
from theta_ray.training.layers import EarlierLayers, draw
from theta_ray.training.step import Alone

LONG: dict[str, Any] = {"max_steps": 36, "epochs": 3, "learning_rate": 1e-2}


def learning(folder: Path, pooling: Any, **options: Any) -> LearningEncoder:
    config = Encoder(model=str(folder), pooling=pooling)
    return LearningEncoder(config, resolve_model(config), device="cpu", **options)


def earlier_vectors(encoder: LearningEncoder, num_layers: int) -> Any:
    sequences = encoder.tokenizer.encode(SENTENCES)
    batch = Batch(sequences, Keys(np.arange(len(SENTENCES)), np.arange(len(SENTENCES))), num_pairs=len(SENTENCES))
    vectors = torch.zeros((len(SENTENCES), encoder.width))
    for pack in plan_packs(sequences.lengths, 40):
        both = encoder(batch, pack, num_layers=num_layers)
        assert both.shape[1] == 2 * encoder.width
        assert torch.equal(both[:, : encoder.width], encoder(batch, pack))
        vectors[torch.from_numpy(pack.sequences_B)] = both[:, encoder.width :].detach()
    return unit(vectors.numpy())


@pytest.mark.parametrize(
    ("save_model", "pooling"),
    [(save_bert, "mean"), (save_roberta, "pooler"), (save_modernbert, "mean"), (save_qwen3, "last")],
)
@pytest.mark.parametrize("is_packed", [True, False], ids=["packed", "padded"])
def test_the_vectors_of_an_earlier_layer_are_those_that_embed_gives(
    save_model: Callable[[Path], Path], pooling: Any, is_packed: bool, tmp_path: Path
) -> None:
    encoder = learning(save_model(tmp_path), pooling)
    if not is_packed:
        encoder.model.set_attn_implementation("sdpa")
        encoder.forward_pass = PaddedForward(encoder.model, encoder.tokenizer.pad_id)
    recipe = Encoder(model=str(tmp_path), pooling=pooling, num_layers=1, precision="float32")
    expected = TextEncoder(recipe, Embed(), resolve_model(recipe)).embed_texts(SENTENCES)
    assert np.abs(earlier_vectors(encoder, 1) - expected).max() < 2e-6
    assert len(encoder.earlier._layers) == encoder.model.config.num_hidden_layers


@pytest.mark.parametrize("family", ["bert", "qwen3"])
def test_layers_that_are_computed_once_more_have_the_same_gradient(family: str, tmp_path: Path) -> None:
    encoder, loss = make_encoder(family, tmp_path).train(), Loss(layers=True)
    kept, recomputed = copies(encoder, 2)
    recomputed.model.activation_checkpointing_enable({"use_reentrant": False})
    value, expected = gradient(kept, Alone(), loss, 64)
    found_value, found = gradient(recomputed, Alone(), loss, 64)
    assert found_value == pytest.approx(value, rel=1e-6)
    assert_equal(found, expected)


def test_each_step_draws_an_earlier_layer_and_a_width_of_its_own() -> None:
    drawn = [draw(7, step, 4, (32, 16, 8)) for step in range(200)]
    assert drawn == [draw(7, step, 4, (32, 16, 8)) for step in range(200)]
    assert drawn != [draw(8, step, 4, (32, 16, 8)) for step in range(200)]
    pairs = {(one.num_layers, one.width) for one in drawn}
    assert pairs == {(layer, width) for layer in (1, 2, 3) for width in (32, 16, 8)}


def test_a_run_at_two_layers_makes_an_adapter_for_fewer_layers_and_values(tmp_path: Path) -> None:
    folder = save_qwen3(tmp_path / "qwen3", num_layers=3)
    found = {}
    for name, more in (("plain", {}), ("layers", {"layers": True, "dims": [16]})):
        config = tuning_config(tmp_path / name, folder, loss={"name": "supcon", "temperature": 0.2, **more}, **LONG)
        finetune.run(config, DAY)
        adapter = finetune.make_job(config, DAY).job.adapter
        recipe = config.recipe.encoder.model_copy(update={"adapter": adapter.path, "num_layers": 1})
        short = TextEncoder(recipe, Embed(dim=16), resolve_model(recipe))
        records = labelled_texts(200, seed=1)
        vectors = short.embed_texts([record["text"] for record in records])
        labels = np.array([record["label"] for record in records])
        alike = labels[:, None] == labels[None]
        cosines = vectors @ vectors.T
        found[name] = float(cosines[alike].mean() - cosines[~alike].mean())
    assert found["layers"] > found["plain"] + 0.05


def refused(model: PreTrainedModel, folder: Path) -> str:
    encoder = learning(save_with_wordpieces(folder, model), "mean")
    with pytest.raises(ConfigError) as caught:
        EarlierLayers(encoder.model, encoder.forward_pass)
    return str(caught.value)


def test_a_model_without_an_earlier_layer_is_refused(tmp_path: Path) -> None:
    single = BertModel(BertConfig(**{**SMALL, "num_hidden_layers": 1}), add_pooling_layer=False)
    assert refused(single, tmp_path) == "finetune.loss.layers: BertModel has one layer; leave it out"


def test_a_model_whose_layers_are_one_and_the_same_is_refused(tmp_path: Path) -> None:
    shared = AlbertModel(AlbertConfig(**SMALL, embedding_size=16), add_pooling_layer=False)
    assert "no list of 3 layers is found in AlbertModel; leave it out" in refused(shared, tmp_path)


def test_a_model_that_does_more_after_its_layers_is_refused(tmp_path: Path) -> None:
    encoder = learning(save_bert(tmp_path), "mean")
    plain = encoder.forward_pass

    def scaled(pack: Any, ids: Any) -> torch.Tensor:
        return 2 * plain(pack, ids)

    with pytest.raises(ConfigError, match="what BertModel does after its layers is not found; leave it out"):
        EarlierLayers(encoder.model, scaled)  # type: ignore[arg-type]
