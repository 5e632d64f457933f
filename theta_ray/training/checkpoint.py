"""Where a run goes on after a kill: weights that learn, the optimizer's moments, the step, and the losses so far.

    <adapter partition>/checkpoints/00000100.safetensors

Create-only objects below the table that is being made, so that any later run finds them, with any number of workers
and on any machine. The last two are kept; all go once the adapter is committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from theta_ray.errors import StageError
from theta_ray.objects import create, list_names, read_bytes, remove
from theta_ray.steps import reached
from theta_ray.store import Partition

KEPT = 2
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    """Optimizer steps that are done."""
    losses: list[float]
    """Of each step."""
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    """`step` and `metrics` of those during training."""


def save_checkpoint(
    partition: Partition,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Create the checkpoint of a step, and remove those before the last two."""
    tensors = {f"parameter.{name}": parameter.detach() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        tensors |= {f"{moment}.{name}": optimizer.state[parameter][moment] for moment in MOMENTS}
    told = {name: json.dumps(value) for name, value in vars(progress).items()}
    data = save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, told)
    create(_uri(partition, progress.step), data)  # one that is there has the same step of the same run
    reached("checkpoint_created", partition.table, str(progress.step))
    for step in _steps(partition)[:-KEPT]:
        remove(_uri(partition, step))


def load_checkpoint(
    partition: Partition, parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> Progress:
    """Put the newest checkpoint into parameters and optimizer, and say how far it is; step 0 where there is none.

    Raises:
        StageError: it is damaged, or of other parameters.
    """
    steps = _steps(partition)
    if not steps:
        return Progress(0, [])
    uri = _uri(partition, steps[-1])
    data = read_bytes(uri)
    try:
        tensors, told = load(data), _metadata(data)
        for name, parameter in parameters.items():
            with torch.no_grad():
                parameter.copy_(tensors[f"parameter.{name}"])
            state: dict[str, Any] = {m: tensors[f"{m}.{name}"].to(parameter.device) for m in MOMENTS}
            optimizer.state[parameter] = {"step": torch.tensor(float(told["step"])), **state}
    except (KeyError, RuntimeError, ValueError, SafetensorError) as error:
        raise StageError(f"{uri}: is no checkpoint of this run ({error}); remove it, then rerun") from error
    return Progress(**{name: json.loads(told[name]) for name in ("step", "losses", "evaluations")})


def remove_checkpoints(partition: Partition) -> None:
    """Remove all of them: the adapter is committed."""
    for step in _steps(partition):
        remove(_uri(partition, step))


def _metadata(data: bytes) -> dict[str, str]:
    """The strings in a safetensors header, which is JSON behind its length in 8 bytes."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length])["__metadata__"])


def newest_step(partition: Partition) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    return max(_steps(partition), default=0)


def _steps(partition: Partition) -> list[int]:
    names = list_names(partition.at("checkpoints"))
    return sorted(int(name.removesuffix(".safetensors")) for name in names if name.endswith(".safetensors"))


def _uri(partition: Partition, step: int) -> str:
    return partition.at("checkpoints", f"{step:08d}.safetensors")
