"""One optimizer step whose gradient does not depend on the number of workers, nor on the tokens of a forward pass.

    packs of the whole batch -> each worker encodes its own -> vectors of all -> its rows of the loss
    -> gradients of the vectors, summed over workers -> each pack once more, with its gradient -> summed over workers

Representation gradients first, parameters by replay: GradCache (Gao et al. 2021, section 3). A pack's random numbers
are seeded by (seed, step, pack), so that dropout is the same in the replay and on any number of workers. A worker with
one pack keeps its graph and needs no replay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from theta_ray.config_finetune import Loss
from theta_ray.encoder.packing import Pack, plan_packs
from theta_ray.training.batch import Batch
from theta_ray.training.objective import part_of_loss


class Workers(Protocol):
    """The processes of a run, as one of them sees the others."""

    rank: int
    size: int

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of this tensor over all workers, in place."""


@dataclass
class Alone:
    """One process."""

    rank: int = 0
    size: int = 1

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor itself."""
        return tensor


@dataclass
class Distributed:
    """The process group of torch.distributed."""

    rank: int
    size: int

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks, in place."""
        torch.distributed.all_reduce(tensor)
        return tensor


@dataclass(frozen=True)
class Step:
    """What a step is computed with, beside the batch."""

    encode: Callable[[Batch, Pack], torch.Tensor]
    """Pooled vectors [len(pack), D] of a pack, with a graph where gradients are on."""
    width: int
    """D."""
    parameters: Sequence[torch.nn.Parameter]
    workers: Workers
    loss: Loss
    pack_tokens: int
    seed: int
    equal_passes: bool = False
    """Whether a worker makes as many passes as any other: layers that are spread over the workers need it."""


def own_packs(packs: Sequence[Pack], workers: Workers, *, equal: bool) -> list[tuple[int, Pack]]:
    """Places and packs of this worker, every pack being one worker's.

    With `equal`, a worker that has fewer than another is given the last pack once more, at place `len(packs)`: its
    vectors are for nobody.
    """
    own = [(place, packs[place]) for place in range(workers.rank, len(packs), workers.size)]
    if equal and len(own) * workers.size < len(packs):
        own.append((len(packs), packs[-1]))
    return own


def add_gradients(step: Step, batch: Batch, number: int) -> float:
    """Put the gradient of a global batch into the parameters, which must have none, and give its loss.

    Args:
        step: encoder, parameters, workers and loss.
        batch: the same on all workers.
        number: of the optimizer step, which seeds the dropout.
    """
    workers = step.workers
    packs = plan_packs(batch.sequences.lengths, step.pack_tokens)
    own = own_packs(packs, workers, equal=step.equal_passes)
    keeps_graph = len(own) == 1
    kept: list[torch.Tensor] = []
    pooled: list[tuple[Pack, torch.Tensor]] = []
    for place, pack in own:
        with torch.set_grad_enabled(keeps_graph), seeded(step.seed, number, place):
            vectors = step.encode(batch, pack)
        kept += [vectors] if keeps_graph else []
        pooled += [(pack, vectors.detach())] if place < len(packs) else []
    value, gradient_SD = _score(step, batch, pooled)
    for place, pack, vectors in _replayed(step, batch, own, kept, number):
        gradient = gradient_SD[torch.from_numpy(pack.sequences_B).to(vectors.device)].to(vectors.dtype)
        vectors.backward(gradient if place < len(packs) else torch.zeros_like(gradient))
    _sum_gradients(step)
    return value


def _replayed(
    step: Step, batch: Batch, own: list[tuple[int, Pack]], kept: list[torch.Tensor], number: int
) -> Iterator[tuple[int, Pack, torch.Tensor]]:
    """Places and packs of this worker with their vectors in a graph, one at a time."""
    for index, (place, pack) in enumerate(own):
        if kept:
            yield place, pack, kept[index]
            continue
        with seeded(step.seed, number, place):
            vectors = step.encode(batch, pack)
        yield place, pack, vectors


def _score(step: Step, batch: Batch, pooled: list[tuple[Pack, torch.Tensor]]) -> tuple[float, torch.Tensor]:
    """The loss of the batch, and its gradient in the vectors of all texts [S, D]."""
    workers, device = step.workers, step.parameters[0].device
    pooled_SD = torch.zeros((batch.num_texts, step.width), device=device)
    for pack, vectors in pooled:
        pooled_SD[torch.from_numpy(pack.sequences_B).to(device)] = vectors.float()
    pooled_SD = workers.add(pooled_SD).requires_grad_()
    part = part_of_loss(pooled_SD, batch, (workers.rank, workers.size), step.loss)
    part.backward()  # type: ignore[no-untyped-call]
    assert pooled_SD.grad is not None, "each part depends on the vectors"
    return float(workers.add(part.detach().double())), workers.add(pooled_SD.grad)


def _sum_gradients(step: Step) -> None:
    """Each parameter's gradient over all workers: one message, in the order of the parameters."""
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in step.parameters]
    flat = step.workers.add(torch.cat([gradient.flatten() for gradient in gradients]))
    start = 0
    for parameter in step.parameters:
        end = start + parameter.numel()
        parameter.grad = flat[start:end].view_as(parameter).clone()
        start = end


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Torch's random numbers from a seed of these numbers for a while, and as they were afterwards."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]))
        yield
