"""What a device can reach at best, in floating-point operations a second: from a table, or measured at start."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from theta_ray.encoder.precision import DTYPES, PackedLinear, wants_onednn
from theta_ray.errors import InputError

MEASURED_SECONDS = 0.3
NUM_ROWS = {"cpu": 1024, "cuda": 8192}
"""Tokens of the products that are timed: those of a pack that stays in a core's cache, and of one that fills a GPU."""
TERA = 1e12


@dataclass(frozen=True)
class Peak:
    """Operations a second of one device at one precision."""

    flops: float
    source: str
    """`table`, `measured`, or what was assumed."""


@dataclass(frozen=True)
class Gpu:
    """Peak rates in TFLOP/s as its maker states them: dense, sums in float32, the boost clock."""

    name: str
    """Pattern of the whole name that torch gives."""
    half: float
    """float16, and bfloat16 where `has_bfloat16`."""
    single: float
    """float32 without TF32, as torch multiplies by default."""
    has_bfloat16: bool = True


# NVIDIA's datasheets (H100, H200, HGX B200, A100, L4, L40S, A10, T4, V100) and architecture papers (GA102, Ada); where
# those give rates with structured sparsity, half of them. Parts of a GPU (MIG) and laptop parts match none.
GPUS = (
    Gpu(r"NVIDIA B200", 2250, 75),
    Gpu(r"NVIDIA H200", 989.5, 67),
    Gpu(r"NVIDIA H200 NVL", 835.5, 60),
    Gpu(r"NVIDIA H100 80GB HBM3", 989.5, 67),
    Gpu(r"NVIDIA H100 NVL", 835.5, 60),
    Gpu(r"NVIDIA H100 PCIe", 756.5, 51),
    Gpu(r"NVIDIA A100-(SXM4|PCIE|PG509)-[48]0GB|NVIDIA A100 80GB PCIe", 312, 19.5),
    Gpu(r"NVIDIA L40S", 362, 91.6),
    Gpu(r"NVIDIA L4", 121, 30.3),
    Gpu(r"NVIDIA A10", 125, 31.2),
    Gpu(r"(NVIDIA )?(Tesla )?T4", 65, 8.1, has_bfloat16=False),
    Gpu(r"(NVIDIA )?(Tesla )?V100-SXM[23].*", 125, 15.7, has_bfloat16=False),
    Gpu(r"(NVIDIA )?(Tesla )?V100-PCIE-.*", 112, 14, has_bfloat16=False),
    Gpu(r"NVIDIA GeForce RTX 4090", 165.2, 82.6),
    Gpu(r"NVIDIA GeForce RTX 3090", 71, 35.6),
)


def require_device(device: str) -> None:
    """Raise InputError where a GPU is asked for and torch sees none."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError("resources ask for a GPU and torch sees none; install a CUDA build, or set gpus_per_actor: 0")


def peak_of(device: str, precision: str, config: Any) -> Peak:
    """The peak of this process's device: the table's where it knows the device, else measured.

    Args:
        device: a torch device, such as `cpu` or `cuda`.
        precision: `float32`, `bfloat16` or `float16`.
        config: the model's configuration, whose widths are those of the products that are timed.
    """
    known = peak_in_table(torch.cuda.get_device_name(), precision) if device.startswith("cuda") else None
    return known or measure_peak(device, precision, config)


def peak_in_table(name: str, precision: str) -> Peak | None:
    """The stated peak of a GPU; None where the table has no such GPU, or none at this precision."""
    gpu = next((gpu for gpu in GPUS if re.fullmatch(gpu.name, name)), None)
    if gpu is None or (precision == "bfloat16" and not gpu.has_bfloat16):
        return None
    return Peak((gpu.single if precision == "float32" else gpu.half) * TERA, "table")


def measure_peak(device: str, precision: str, config: Any, *, seconds: float = MEASURED_SECONDS) -> Peak:
    """The best rate of the feed-forward products of a model, with the threads of this process; measured once."""
    width = int(config.get_text_config().hidden_size)
    inner = int(getattr(config.get_text_config(), "intermediate_size", None) or 4 * width)
    return Peak(_best_rate(device, precision, (width, inner), torch.get_num_threads(), seconds), "measured")


@lru_cache
@torch.inference_mode()
def _best_rate(device: str, precision: str, widths: tuple[int, int], num_threads: int, seconds: float) -> float:
    """Operations a second; `num_threads` is there to tell measurements apart."""
    width, inner = widths
    num_rows = NUM_ROWS["cuda" if device.startswith("cuda") else "cpu"]
    dtype = DTYPES[precision]
    layers: list[torch.nn.Module] = [
        torch.nn.Linear(*shape, bias=False, dtype=dtype, device=device) for shape in ((width, inner), (inner, width))
    ]
    if wants_onednn(device, precision):
        layers = [PackedLinear(layer, dtype, "none") for layer in layers if isinstance(layer, torch.nn.Linear)]
    states = torch.rand((num_rows, width), dtype=dtype, device=device)
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() < start + seconds:
        began = time.perf_counter()
        layers[1](layers[0](states))
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 4 * num_rows * width * inner / best
