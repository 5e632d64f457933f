"""A pack of token sequences in, hidden states of its tokens out: packed where the model can, padded where not.

    packed:  ids [1, T], positions that restart -> transformers' model with our attention -> [T, D]
    padded:  ids [B, longest], a mask           -> transformers' model as it is           -> [T, D]

Which one a model gets is found by trying: packed states must be those of the model's own attention.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.encoder.attention import FLASH, GROUPED, Layout, attention_of, register
from theta_ray.encoder.packing import Pack, plan_packs
from theta_ray.encoder.precision import DTYPES, use_onednn, wants_onednn
from theta_ray.encoder.tokenize import OFFSET_POSITIONS

# Furthest apart, beside the largest value: other kernels in float32, and in formats of 8 to 11 bits.
TOLERANCE = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.06}
PROBE_LENGTHS = (9, 5, 5, 3, 1)


@dataclass(frozen=True)
class Kernels:
    """What computes a forward pass, and why."""

    attention: str
    """`flash` (varlen kernel), `grouped` (by equal lengths) or `padded`."""
    linears: str
    """`torch`, or `onednn` with weights laid out beforehand."""
    reason: str
    difference: float | None
    """Furthest that a hidden state of a probe lay from the model's own, beside the largest value."""


class PaddedForward:
    """Sequences side by side, filled up to the longest: works with every model."""

    def __init__(self, model: Any, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id

    def __call__(self, pack: Pack, ids_T: npt.NDArray[np.int64]) -> torch.Tensor:
        """[T, D] hidden states."""
        mask = np.arange(int(pack.lengths_B[0])) < pack.lengths_B[:, None]
        ids = np.full(mask.shape, self.pad_id, np.int64)
        ids[mask] = ids_T
        ids_BL, mask_BL = (torch.from_numpy(values).to(self.model.device) for values in (ids, mask))
        hidden_BLD: torch.Tensor = self.model(input_ids=ids_BL, attention_mask=mask_BL.long()).last_hidden_state
        return hidden_BLD[mask_BL]

    def num_computed(self, pack: Pack) -> int:
        """Tokens that the device computes for a pack."""
        return len(pack.lengths_B) * int(pack.lengths_B[0])


class PackedForward:
    """Sequences end to end in one row."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.first_position = 0
        if model.config.model_type in OFFSET_POSITIONS:
            self.first_position = (model.config.pad_token_id or 0) + 1

    def __call__(self, pack: Pack, ids_T: npt.NDArray[np.int64]) -> torch.Tensor:
        """[T, D] hidden states."""
        device = self.model.device
        ids_and_positions = to_device(np.stack([ids_T, pack.positions_T + self.first_position]), device)
        layout = Layout(pack.groups, to_device(pack.offsets.astype(np.int32), device), int(pack.lengths_B[0]))
        output = self.model(input_ids=ids_and_positions[:1], position_ids=ids_and_positions[1:], layout=layout)
        hidden_TD: torch.Tensor = output.last_hidden_state[0]
        return hidden_TD

    def num_computed(self, pack: Pack) -> int:
        """Tokens that the device computes for a pack: its own."""
        return pack.num_tokens


Forward = PackedForward | PaddedForward


def to_device(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """The values on the device; to a GPU by pinned memory, so that the copy waits for nothing."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@torch.inference_mode()
def choose_forward(model: Any, pad_id: int, precision: str, *, trains: bool = False) -> tuple[Forward, Kernels]:
    """The fastest way of running `model`, a transformers base model, that gives its own hidden states.

    A float32 model on the CPU is brought to `precision` here; others are in it already. A model that `trains` keeps
    torch's layers and an attention with a gradient and dropout.
    """
    padded = PaddedForward(model, pad_id)
    reasons = _why_padded(model)
    if not reasons:
        probe = _Probe(padded, model.config.get_text_config().vocab_size)
        for path in (GROUPED,) if trains else _paths(model):
            difference, problem = probe.compare(path, "float32" if model.dtype == torch.float32 else precision)
            if problem is None:
                model.set_attn_implementation(path)
                if trains:
                    why = "; ".join([*reasons, "training"])
                    return PackedForward(model), Kernels("grouped", "torch", why, difference)
                linears, final, more = _choose_linears(model, probe, (path, precision))
                name = path.removeprefix("theta_ray_")
                reason = "; ".join([*reasons, *more]) or "the fastest here"
                return PackedForward(model), Kernels(name, linears, reason, difference if final is None else final)
            reasons.append(f"{path.removeprefix('theta_ray_')}: {problem}")
    model.to(DTYPES[precision])
    return padded, Kernels("padded", "torch", "; ".join(reasons), None)


def _why_padded(model: Any) -> list[str]:
    """Why a model cannot be packed, where its class says so."""
    if not getattr(model, "_supports_attention_backend", False):
        return [f"{type(model).__name__} calls its own attention"]
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return [f"{type(model).__name__} takes no positions"]
    register()
    model.config.use_cache = False
    return []


def _paths(model: Any) -> tuple[str, ...]:
    return (FLASH, GROUPED) if model.device.type == "cuda" and model.dtype != torch.float32 else (GROUPED,)


def _choose_linears(model: Any, probe: _Probe, chosen: tuple[str, str]) -> tuple[str, float | None, list[str]]:
    """oneDNN's linear layers where they serve this processor and give the same states; difference and reasons."""
    path, precision = chosen
    if not wants_onednn(model.device.type, precision):
        model.to(DTYPES[precision])
        return "torch", None, []
    put_back = use_onednn(model, precision)
    difference, problem = probe.compare(path, precision)
    if problem is None:
        return "onednn", difference, []
    put_back()
    model.to(DTYPES[precision])
    return "torch", None, [f"onednn: {problem}"]


class _Probe:
    """Some random tokens, and the hidden states that the model's own attention gives them."""

    def __init__(self, padded: PaddedForward, vocab_size: int) -> None:
        lengths = np.array(PROBE_LENGTHS)
        (self.pack,) = plan_packs(lengths, int(lengths.sum()))
        self.ids_T = np.random.default_rng(0).integers(0, vocab_size, lengths.sum())
        self.ids_T[self.ids_T == padded.pad_id] += 1 if padded.pad_id == 0 else -1
        self.model, self.expected_TD = padded.model, padded(self.pack, self.ids_T).float()

    def compare(self, path: str, precision: str) -> tuple[float, str | None]:
        """How far packed states lie from the model's own, and what is wrong with that."""
        try:
            with attention_of(self.model, path):
                found_TD = PackedForward(self.model)(self.pack, self.ids_T).float()
        except (AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            return float("nan"), (str(error).strip().splitlines() or [type(error).__name__])[0]
        difference = float((found_TD - self.expected_TD).abs().max() / self.expected_TD.abs().max())
        if difference <= TOLERANCE[precision]:
            return difference, None
        return difference, f"hidden states are {difference:.2g} away from the model's own"
