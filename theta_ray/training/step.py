"""One optimizer step whose gradient does not depend on the number of workers, nor on the tokens of a forward pass.

    packs of the whole batch -> each worker encodes its own -> vectors of all -> its rows of the loss
    -> gradients of the vectors, summed over workers -> each pack once more, with its gradient -> summed over workers

Representation gradients first, parameters by replay: GradCache (Gao et al. 2021, section 3). A pack's random numbers
are seeded by (seed, step, pack), so that dropout is the same in the replay and on any number of workers. A worker with
one pack keeps its graph and needs no replay. Nor does a loss of texts that do not see each other: its gradient is known
pack by pack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch

from theta_ray.config_finetune import Loss
from theta_ray.encoder.packing import Pack, plan_packs
from theta_ray.training.batch import Batch
from theta_ray.training.layers import Drawn, draw
from theta_ray.training.objective import OfTexts, part_of_loss, widths_of


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

    encode: Callable[..., torch.Tensor]
    """Of a batch and a pack: pooled vectors [len(pack), D], with a graph where gradients are on. With `num_layers`
    [len(pack), 2 D], beside each vector that of the first layers."""
    width: int
    """D."""
    parameters: Sequence[torch.nn.Parameter]
    workers: Workers
    loss: Loss
    pack_tokens: int
    seed: int
    equal_passes: bool = False
    """Whether a worker makes as many passes as any other: layers that are spread over the workers need it."""
    of_texts: OfTexts | None = None
    """The loss of each text by itself, in the place of one of vectors."""
    num_layers: int = 0
    """Of the model, where the loss is taken at an earlier one as well."""
    drawn: Drawn | None = None
    """Which one, and at which width: drawn anew for each step."""

    def drawing(self, number: int) -> Step:
        """The step with what is drawn for it: vectors of two layers side by side are vectors of twice the width."""
        if not self.loss.layers:
            return self
        drawn = draw(self.seed, number, self.num_layers, widths_of(self.loss, self.width))
        encode = partial(self.encode, num_layers=drawn.num_layers)
        return replace(self, encode=encode, width=2 * self.width, drawn=drawn)


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
    if step.of_texts is not None:
        return _add_of_texts(step, step.of_texts, batch, number)
    step = step.drawing(number)
    packs = plan_packs(batch.sequences.lengths, step.pack_tokens)
    own = own_packs(packs, step.workers, equal=step.equal_passes)
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


def _add_of_texts(step: Step, of_texts: OfTexts, batch: Batch, number: int) -> float:
    """As `add_gradients`: one pass with its gradient for each pack."""
    batch = of_texts.counted(batch)
    packs = plan_packs(batch.sequences.lengths, step.pack_tokens)
    value = torch.zeros((), dtype=torch.float64, device=step.parameters[0].device)
    for place, pack in own_packs(packs, step.workers, equal=step.equal_passes):
        with seeded(step.seed, number, place):
            part = of_texts(batch, pack) * (place < len(packs))
        part.backward()  # type: ignore[no-untyped-call]
        value += part.detach()
    _sum_gradients(step)
    return float(step.workers.add(value))


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
    part = part_of_loss(pooled_SD, batch, (workers.rank, workers.size), step.loss, step.drawn)
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
