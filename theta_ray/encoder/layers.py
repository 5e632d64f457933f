"""A model out of which only the first layers are kept: the depth of 2-D Matryoshka models.

Paper: Li et al. 2024, "2D Matryoshka Sentence Embeddings". Whatever comes before and after the
layers stays, such as the final norm of Qwen3 and ModernBERT, or a pooler.
"""

from __future__ import annotations

import torch

from theta_ray.errors import ConfigError


def find_layers(model: torch.nn.Module, num_layers: int) -> torch.nn.ModuleList | None:
    """The model's one list of as many layers as its configuration says; None where it is not plain which.

    Lists inside a layer (experts, such as) do not count.
    """
    found: dict[str, torch.nn.ModuleList] = {}
    for name, module in model.named_modules():
        is_list = isinstance(module, torch.nn.ModuleList) and len(module) == num_layers
        if is_list and not any(name.startswith(f"{outer}.") for outer in found):
            found[name] = module
    return next(iter(found.values())) if len(found) == 1 else None


def keep_first_layers(model: torch.nn.Module, of: int, num_layers: int) -> None:
    """Take the layers after the first `num_layers` of `of` out of a model, in place.

    Raises:
        ConfigError: it has fewer, or no list of layers is found in it.
    """
    if num_layers > of:
        raise ConfigError(f"encoder.num_layers {num_layers}: the model has {of} layers; set {of} or less")
    layers = find_layers(model, of)
    if layers is None:
        raise ConfigError(
            f"encoder.num_layers {num_layers}: no list of {of} layers is found in {type(model).__name__}; leave it out"
        )
    del layers[num_layers:]
