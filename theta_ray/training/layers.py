"""An earlier layer's vectors beside those of the last, in one pass: what 2D Matryoshka training looks at.

    tokens -> layer 1 ... layer n -> what comes after the last layer -> pooling -> the vector of the first n layers
                          ... layer N -> what comes after it         -> pooling -> the vector

What comes after the layers (a final norm, or nothing) is found by trying: the states must be those of the model out of
which the later layers were taken, which is what `encoder.num_layers` embeds with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.encoder.forward import Forward
from theta_ray.encoder.layers import find_layers
from theta_ray.encoder.model import count_layers
from theta_ray.encoder.packing import Pack, plan_packs
from theta_ray.errors import ConfigError

PROBE_IDS = (5, 6, 7, 8)
# Furthest apart, beside the largest value, that the same states are in float32.
TOLERANCE = 1e-5
DEPTH = 2
"""Tells the draws of this module from others of the same seed and step."""


@dataclass(frozen=True)
class Drawn:
    """What a step draws, the same on every worker."""

    num_layers: int
    """Of the earlier layer: 1 is the first."""
    width: int
    """Of the vectors of both layers."""


def draw(seed: int, step: int, num_layers: int, widths: Sequence[int]) -> Drawn:
    """An earlier layer of `num_layers` and one of some widths."""
    rng = np.random.default_rng((seed, step, DEPTH))
    return Drawn(int(rng.integers(1, num_layers)), int(rng.choice(widths)))


class EarlierLayers:
    """Hidden states of the last and of an earlier layer of a transformers model.

    Args:
        model: before anything was put on it.
        forward: how it computes a pack.

    Raises:
        ConfigError: a model of one layer, or one whose layers or what comes after them are not found.
    """

    def __init__(self, model: Any, forward: Forward) -> None:
        self.num_layers = count_layers(model.config)
        if self.num_layers < 2:
            raise ConfigError(f"finetune.loss.layers: {type(model).__name__} has one layer; leave it out")
        layers = find_layers(model, self.num_layers)
        if layers is None:
            raise ConfigError(
                f"finetune.loss.layers: no list of {self.num_layers} layers is found in {type(model).__name__}; "
                "leave it out"
            )
        self._layers, self._forward = layers, forward
        self._finish = self._find_finish(model)

    def states(self, pack: Pack, ids_T: npt.NDArray[np.int64], num_layers: int) -> tuple[torch.Tensor, torch.Tensor]:
        """[T, D] hidden states of the whole model, and of the one that has the first `num_layers` only."""
        with self._kept(num_layers) as kept:
            last_TD = self._forward(pack, ids_T)
        return last_TD, self._finish(_flat(kept[0], pack))

    @contextmanager
    def _kept(self, num_layers: int) -> Iterator[list[torch.Tensor]]:
        """What an earlier layer gives while the model runs."""
        kept: list[torch.Tensor] = []

        def keep(_: torch.nn.Module, __: Any, output: Any) -> None:
            kept.append(output[0] if isinstance(output, tuple) else output)

        hook = self._layers[num_layers - 1].register_forward_hook(keep)
        try:
            yield kept
        finally:
            hook.remove()  # before a backward pass that computes the layer once more

    @torch.no_grad()
    def _find_finish(self, model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        ids_T = np.array(PROBE_IDS)
        (pack,) = plan_packs(np.array([len(ids_T)]), len(ids_T))
        with evaluating(model):
            with self._kept(1) as kept:
                self._forward(pack, ids_T)
            rest = self._layers[1:]
            del self._layers[1:]
            try:
                expected_TD = self._forward(pack, ids_T)
            finally:
                self._layers.extend(rest)
        for finish in (torch.nn.Identity(), *_after(model, self._layers)):
            try:
                found_TD = finish(_flat(kept[0], pack))
                if float((found_TD - expected_TD).abs().max() / expected_TD.abs().max()) < TOLERANCE:
                    return finish
            except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
                continue  # another module, which takes no hidden states
        raise ConfigError(
            f"finetune.loss.layers: what {type(model).__name__} does after its layers is not found; leave it out"
        )


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model without dropout for a while."""
    trains = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(trains)


def _after(model: torch.nn.Module, layers: torch.nn.ModuleList) -> list[torch.nn.Module]:
    """The modules that stand beside a model's list of layers."""
    for module in model.modules():
        children = list(module.children())
        if any(child is layers for child in children):
            return [child for child in children if child is not layers]
    return []


def _flat(states: torch.Tensor, pack: Pack) -> torch.Tensor:
    """[T, D] of a packed row [1, T, D], or of sequences that were filled up [B, longest, D]."""
    if len(states) == 1:
        return states[0]
    mask = np.arange(states.shape[1]) < pack.lengths_B[:, None]
    return states[torch.from_numpy(mask).to(states.device)]
