"""Base and adapter in one: a folder that sentence-transformers and transformers load without knowing of adapters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from theta_ray.config import Encoder
from theta_ray.encoder.model import load_tokenizer
from theta_ray.encoder.model_files import read_json
from theta_ray.encoder.projection import save_projection
from theta_ray.encoder.source import ModelSource, read_folder_settings
from theta_ray.errors import ConfigError

MODE_OF_POOLING = {"mean": "mean", "cls": "cls", "first": "cls", "last": "lasttoken"}
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
MAX_SHARD = "4GB"  # no store takes more than 5 in one request


def check_mergeable(pooling: str) -> None:
    """Raise ConfigError where sentence-transformers has no such pooling."""
    if pooling not in MODE_OF_POOLING:
        raise ConfigError(
            f"encoder.pooling {pooling}: sentence-transformers has none such, so no merged folder can be written; "
            "use the adapter"
        )


def write_model(model: torch.nn.Module, source: ModelSource, folder: Path) -> None:
    """Weights in float32, configuration and tokenizer of a transformers model; equal models give equal bytes.

    Args:
        model: with its own weights alone, adapters merged.
        source: the model whose configuration and tokenizer it has.
        folder: to write to.
    """
    from huggingface_hub import save_torch_state_dict

    folder.mkdir(parents=True)
    for name in {*TOKENIZER_FILES, *load_tokenizer(source).vocab_files_names.values()}:
        if (Path(source.folder) / name).is_file():
            shutil.copyfile(Path(source.folder) / name, folder / name)
    config = read_json(Path(source.folder) / "config.json")
    config = {name: value for name, value in config.items() if name not in ("_name_or_path", "torch_dtype")}
    _write(folder / "config.json", {**config, "dtype": "float32"})
    state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_torch_state_dict(state, folder, max_shard_size=MAX_SHARD)


def write_modules(encoder: Encoder, source: ModelSource, layers: tuple[torch.nn.Linear, ...], folder: Path) -> None:
    """The files of sentence-transformers around a model's folder.

    Args:
        encoder: with every setting filled in; its pooling is mergeable.
        source: the base model.
        layers: on the pooled vector.
        folder: that holds the model.
    """
    assert encoder.pooling is not None, "filled in"
    width = layers[0].in_features if layers else _width(folder)
    (folder / "1_Pooling").mkdir()
    # the older form, which all versions read
    flags = {"mean": "mean_tokens", "cls": "cls_token", "lasttoken": "lasttoken"}
    mode = MODE_OF_POOLING[encoder.pooling]
    pooling = {f"pooling_mode_{flag}": name == mode for name, flag in flags.items()}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **pooling})
    modules = ["Transformer", "Pooling"]
    for layer in layers:
        save_projection(layer, folder / f"{len(modules)}_Dense")
        modules.append("Dense")
    modules += ["Normalize"] if encoder.normalize else []
    entries = [_module(place, kind) for place, kind in enumerate(modules)]
    _write(folder / "modules.json", entries)
    lower = read_folder_settings(source.folder).lower_case
    _write(folder / "sentence_bert_config.json", {"max_seq_length": encoder.max_length, "do_lower_case": lower})
    prompts = {"document": encoder.document_prompt or "", "query": encoder.query_prompt or ""}
    settings = {"prompts": prompts, "default_prompt_name": "document", "similarity_fn_name": "cosine"}
    _write(folder / "config_sentence_transformers.json", settings)


def _module(place: int, kind: str) -> dict[str, Any]:
    path = f"{place}_{kind}" if place else ""
    return {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}


def _width(folder: Path) -> int:
    config = read_json(folder / "config.json")
    return int((config.get("text_config") or config)["hidden_size"])


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
