"""Linear layers on top of the pooled vector, in the form of sentence-transformers' Dense module.

A model's own folder may bring some (modules.json), and an adapter may bring one that was trained with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from theta_ray.encoder.adapter_files import PROJECTION
from theta_ray.encoder.model_files import MAX_SIZE, read_json, shapes_of
from theta_ray.encoder.source import ModelSource, read_folder_settings
from theta_ray.errors import InputError

WEIGHTS = "model.safetensors"


def _folders(source: ModelSource) -> list[Path]:
    """Of the layers that a model and then its adapter bring."""
    folders = [Path(source.folder) / path for path in read_folder_settings(source.folder).projections]
    if source.adapter_folder is not None and (Path(source.adapter_folder) / PROJECTION / "config.json").is_file():
        folders.append(Path(source.adapter_folder) / PROJECTION)
    return folders


def load_projections(source: ModelSource, width: int) -> tuple[torch.nn.Linear, ...]:
    """The layers of a model and its adapter, in the order in which they are applied; in float32, frozen.

    Args:
        source: from `resolve_model`.
        width: of the pooled vector.

    Raises:
        InputError: no sound layer, or one for vectors of another width.
    """
    layers: list[torch.nn.Linear] = []
    for folder in _folders(source):
        layers.append(_load(folder, layers[-1].out_features if layers else width))
    return tuple(layers)


def _load(folder: Path, width: int) -> torch.nn.Linear:
    from safetensors.torch import load_file

    config = read_json(folder / "config.json")
    inputs, outputs = (_size(config.get(key)) for key in ("in_features", "out_features"))
    expected = {"linear.weight": [outputs, inputs], **({"linear.bias": [outputs]} if config.get("bias", True) else {})}
    if not inputs or not outputs or not (folder / WEIGHTS).is_file() or shapes_of(folder / WEIGHTS) != expected:
        raise InputError(f"{folder}: config.json and {WEIGHTS} make no linear layer; fetch it again")
    if inputs != width:
        raise InputError(f"{folder}: takes vectors of {inputs} values, the model's have {width}; name its own model")
    tensors = load_file(folder / WEIGHTS)
    with torch.device("meta"):
        layer = torch.nn.Linear(inputs, outputs, bias="linear.bias" in tensors)
    state = {name.removeprefix("linear."): tensor.float() for name, tensor in tensors.items()}
    layer.load_state_dict(state, assign=True)
    return layer.requires_grad_(False)


def _size(value: Any) -> int:
    """A width, or 0 for what is none."""
    return value if isinstance(value, int) and 1 <= value <= MAX_SIZE else 0


def save_projection(layer: torch.nn.Linear, folder: Path) -> None:
    """A linear layer as a Dense module without activation; equal layers give equal bytes."""
    from safetensors.torch import save_file

    config: dict[str, Any] = {
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        "bias": layer.bias is not None,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    state = {f"linear.{name}": part.detach().float().cpu().contiguous() for name, part in layer.state_dict().items()}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
