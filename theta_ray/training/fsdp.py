"""A base too large for one device: each worker holds a share of every layer's weights, and has a layer whole when due.

Torch's fully sharded data parallel, second form (Zhao et al. 2023, "PyTorch FSDP"). What learns stays whole on every
worker, as it is small: gradients, optimizer, checkpoints and the adapter are those of a run without it. So do the
embeddings, as a text looks up few rows of them. A layer is gathered once a pass, so all workers must make equally many.
"""

from __future__ import annotations

from typing import Any

import torch

from theta_ray.encoder.layers import find_layers
from theta_ray.encoder.model import count_layers
from theta_ray.errors import ConfigError


def shard_layers(model: Any, *, device: str, num_workers: int) -> None:
    """Leave this worker its share of the frozen weights of each layer, on its device; the rest of the model stays.

    Args:
        model: a transformers model, on any device, after what learns was put on it; the same on all workers.
        device: `cpu` or `cuda`, where the process group of torch.distributed is.
        num_workers: of the process group.

    Raises:
        ConfigError: no list of layers is found in it.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    layers = find_layers(model, count_layers(model.config))
    if layers is None:
        raise ConfigError(f"resources.fsdp: no list of layers is found in {type(model).__name__}; leave it out")
    mesh = init_device_mesh(device, (num_workers,))
    for layer in layers:
        learning = {parameter for parameter in layer.parameters() if parameter.requires_grad}
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=learning)


def resident_bytes(module: torch.nn.Module) -> int:
    """Bytes of a module's weights that this worker holds while no layer is due."""
    held = (getattr(parameter, "_local_tensor", parameter) for parameter in module.parameters())
    return sum(tensor.numel() * tensor.element_size() for tensor in held)
