"""Two models of which one is the other rotated and shifted, and recipes over the one or the other, for tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

from tests.clustered import TOPICS, rows_of, texts_of, topic_config
from tests.models import SMALL, save_with_wordpieces
from theta_ray.config import Config
from theta_ray.config_nightly import Migrate
from theta_ray.topics import label_topics

NIGHTS = ("2026-01-01", "2026-01-02")
# A word that only texts of a topic have.
WORDS = {"marathon": "running", "sourdough": "bread", "telescope": "stars", "election": "votes", "compost": "garden"}
FEW = {"num_anchors": 200, "num_neighbours": 5}


def save_plain(folder: Path) -> Path:
    """A model whose layers do little, so that its vectors are about those of the texts' words."""
    torch.manual_seed(0)
    return save_with_wordpieces(folder, BertModel(BertConfig(**SMALL, initializer_range=0.02), add_pooling_layer=False))


def save_rotated(folder: Path, base: Path) -> Path:
    """A copy of a tiny model, its vectors rotated and shifted by a linear layer on top."""
    shutil.copytree(base, folder)
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Dense", "Dense")]
    named = [
        {"idx": int(i), "name": i, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, path, kind in modules
    ]
    (folder / "modules.json").write_text(json.dumps(named))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "2_Dense").mkdir()
    settings = {
        "in_features": 32,
        "out_features": 32,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "2_Dense" / "config.json").write_text(json.dumps(settings))
    generator = torch.Generator().manual_seed(5)
    rotation = torch.linalg.qr(torch.randn(32, 32, generator=generator))[0].contiguous()
    weights = {"linear.weight": rotation, "linear.bias": 0.2 * torch.randn(32, generator=generator)}
    save_file(weights, folder / "2_Dense" / "model.safetensors")
    return folder


def with_model(config: Config, model: Path, **settings: Any) -> Config:
    """The recipe with another model, and few anchors."""
    recipe = config.recipe
    encoder = recipe.encoder.model_copy(update={"model": str(model)})
    changed = recipe.model_copy(update={"encoder": encoder, "migrate": Migrate(**{**FEW, **settings})})
    return config.model_copy(update={"recipe": changed})


def two_nights(folder: Path, model: Path) -> Config:
    """A recipe with vectors as the model makes them, and texts of the same four topics on both nights."""
    config = topic_config(
        folder, model, {night: texts_of(list(TOPICS), 400, seed) for seed, night in enumerate(NIGHTS)}
    )
    return with_model(with_plain_vectors(config), model)


def topic_of_word(config: Config, night: str) -> dict[str, dict[str, Any]]:
    """Rows of a night's topics, by what they are about."""
    rows = rows_of(label_topics.make_job(config, night).topics).to_pylist()
    return {WORDS[word]: row for row in rows for word in WORDS if word in {term["term"] for term in row["terms"]}}


def with_plain_vectors(config: Config) -> Config:
    """The recipe with vectors as the model makes them, which another one's can be rotated and shifted from."""
    encoder = config.recipe.encoder.model_copy(update={"normalize": False, "precision": "float32"})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"encoder": encoder})})
