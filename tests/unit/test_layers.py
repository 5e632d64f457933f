"""The first layers of a model: which models have them, and that nothing else is lost."""

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
    AutoModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from tests.models import SENTENCES, SMALL, save_bert, save_modernbert, save_qwen3, save_roberta, save_with_wordpieces
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder, vector_rules
from theta_ray.encoder.layers import find_layers
from theta_ray.encoder.model import check_num_layers, load_model
from theta_ray.encoder.reference import Reference
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError


def save_xlm_roberta(folder: Path) -> Path:
    torch.manual_seed(0)
    return save_with_wordpieces(
        folder, XLMRobertaModel(XLMRobertaConfig(**SMALL, initializer_range=0.3), add_pooling_layer=False)
    )


@pytest.mark.parametrize(
    ("save", "pooling"),
    [
        (save_bert, "mean"),
        (save_roberta, "pooler"),
        (save_xlm_roberta, "cls"),
        (save_modernbert, "mean"),
        (save_qwen3, "last"),
    ],
)
def test_the_first_layers_are_those_of_a_model_that_was_made_shorter(
    save: Callable[[Path], Path], pooling: Any, tmp_path: Path
) -> None:
    folder = save(tmp_path)
    recipe = Encoder(model=str(folder), pooling=pooling, num_layers=1)
    encoder = TextEncoder(recipe, Embed(), resolve_model(recipe))
    # transformers' own way: a configuration of one layer over the same weights, with its final norm and pooler
    short = AutoModel.from_pretrained(folder, num_hidden_layers=1, dtype=torch.float32).eval()
    expected = Reference(short, encoder.tokenizer, recipe, encoder.rules)
    whole = TextEncoder(recipe.model_copy(update={"num_layers": None}), Embed(), resolve_model(recipe))
    for text, ours, full in zip(SENTENCES, encoder.embed_texts(SENTENCES), whole.embed_texts(SENTENCES), strict=True):
        assert ours == pytest.approx(expected.embed(text).numpy(), abs=2e-6)
        assert np.abs(ours - full).max() > 1e-2


def test_more_layers_than_the_model_has_are_refused(bert: Path) -> None:
    recipe = Encoder(model=str(bert), num_layers=3)
    with pytest.raises(ConfigError, match=r"encoder.num_layers 3: the model has 2 layers; set 2 or less"):
        check_num_layers(resolve_model(recipe), 3)
    check_num_layers(resolve_model(recipe), 2)


def test_a_model_whose_layers_are_shared_is_refused(tmp_path: Path) -> None:
    shared = AlbertModel(AlbertConfig(**SMALL, embedding_size=16), add_pooling_layer=False)
    recipe = Encoder(model=str(save_with_wordpieces(tmp_path, shared)), pooling="mean", num_layers=1)
    with pytest.raises(ConfigError, match="no list of 3 layers is found in AlbertModel; leave it out"):
        check_num_layers(resolve_model(recipe), 1)


def test_experts_inside_a_layer_are_no_layers() -> None:
    experts = [torch.nn.ModuleDict({"experts": torch.nn.ModuleList([torch.nn.Identity()] * 3)}) for _ in range(3)]
    layers = torch.nn.ModuleList(experts)
    assert find_layers(torch.nn.ModuleDict({"layers": layers}), 3) is layers
    both = torch.nn.ModuleDict({"vision": layers, "text": torch.nn.ModuleList([torch.nn.Identity()] * 3)})
    assert find_layers(both, 3) is None


def test_an_adapter_of_the_whole_model_is_cut_with_it(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    folder = save_bert(tmp_path / "bert")
    adapted = get_peft_model(
        AutoModel.from_pretrained(folder), LoraConfig(target_modules=["query"], init_lora_weights=False)
    )
    adapted.save_pretrained(tmp_path / "adapter")
    recipe = Encoder(model=str(folder), adapter=str(tmp_path / "adapter"), pooling="mean", num_layers=1)
    source = resolve_model(recipe)
    pooling = vector_rules(recipe, Embed(), source).pooling
    model = load_model(source, precision="float32", device="cpu", pooling=pooling, num_layers=1)
    names = [name for name, _ in model.named_parameters() if "lora_A" in name]
    assert [name for name in names if "layer.0" in name] == names != []
