"""The precision of a recipe on a device, and linear layers that reach it on a CPU.

On a CPU, bfloat16 is for the matrix products alone: residuals, normalisations and sums stay float32,
which costs little there and keeps vectors several times nearer to float32 than a bfloat16 model is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from theta_ray.encoder.processor import has_bfloat16, is_amd
from theta_ray.errors import ConfigError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Tokens of a pack that weights are laid out for; others work as well.
USUAL_TOKENS = 2048


def resolve_precision(precision: str, device: str) -> str:
    """`float32`, `bfloat16` or `float16`; `auto` is bfloat16 where the device computes it in hardware."""
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if has_bfloat16() else "float32"


class PackedLinear(torch.nn.Module):
    """A linear layer through oneDNN, its weights laid out beforehand, its inputs rounded to their precision.

    torch's compiler emits the same operators; they are not part of torch's public interface, so the
    probe of `choose_forward` and every run's comparison with plain transformers stand behind them.
    """

    def __init__(self, linear: torch.nn.Linear, dtype: torch.dtype, activation: str) -> None:
        super().__init__()
        self.dtype, self.activation = dtype, activation
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype), USUAL_TOKENS)
        self.bias = linear.bias.detach().to(dtype) if linear.bias is not None else None

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[..., out] of [..., in], in the weights' precision."""
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states.to(self.dtype), self.weight, self.bias, self.activation, [], "none"
        )
        return result


def loaded_precision(precision: str, device: str, *, has_adapter: bool) -> str:
    """The precision to load weights in: float32 where adapters are to be merged, or the CPU rounds them itself."""
    return "float32" if has_adapter or (device == "cpu" and precision == "bfloat16") else precision


def merge_adapter(model: Any) -> Any:
    """The transformers base model, a PEFT adapter merged into its weights.

    Raises:
        ConfigError: an adapter that cannot be merged.
    """
    if not hasattr(model, "get_base_model"):
        return model
    try:
        return model.merge_and_unload(safe_merge=True)
    except (AttributeError, NotImplementedError, ValueError) as error:
        reason = f"encoder.adapter: cannot be merged into the model ({error}); use a LoRA adapter"
        raise ConfigError(reason) from error


def wants_onednn(device: str, precision: str) -> bool:
    """Whether linear layers on this device are better served by oneDNN than by torch as it is.

    In float32 only on AMD's processors: torch's own product reached 96 GFLOP/s on a core of a Zen 5, oneDNN's
    224; on Intel's both are as fast.
    """
    if device != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return precision == "bfloat16" or (precision == "float32" and is_amd())


def use_onednn(model: torch.nn.Module, precision: str) -> Callable[[], None]:
    """Replace the linear layers of a float32 model on the CPU, GELU fused where BERT has it; how to put them back."""
    replaced: list[tuple[torch.nn.Module, str, torch.nn.Module]] = []
    for parent in list(model.modules()):
        activation: Any = getattr(parent, "intermediate_act_fn", None)
        has_gelu = type(activation).__name__ == "GELUActivation"
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                fused = has_gelu and name == "dense"
                setattr(parent, name, PackedLinear(child, DTYPES[precision], "gelu" if fused else "none"))
                replaced.append((parent, name, child))
        if has_gelu:
            replaced.append((parent, "intermediate_act_fn", activation))
            parent.intermediate_act_fn = torch.nn.Identity()

    def put_back() -> None:
        for parent, name, child in replaced:
            setattr(parent, name, child)

    return put_back
