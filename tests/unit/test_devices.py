"""Peak rates of devices: the table's for the GPUs it names and no others, a measured one for the rest."""

from __future__ import annotations

import re

import pytest
from transformers import BertConfig

from theta_ray.encoder.devices import GPUS, measure_peak, peak_in_table, peak_of

TINY = BertConfig(hidden_size=64, intermediate_size=128)


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H200", 989.5),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA A10", 125),
        ("Tesla T4", 65),
        ("Tesla V100-SXM2-16GB", 125),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce RTX 3090", 71),
        ("NVIDIA B200", 2250),
    ],
)
def test_a_known_gpu_has_its_makers_peak(name: str, teraflops: float) -> None:
    peak = peak_in_table(name, "float16")
    assert peak is not None
    assert (peak.flops, peak.source) == (teraflops * 1e12, "table")
    single = peak_in_table(name, "float32")
    assert single is not None
    assert single.flops < peak.flops
    assert sum(re.fullmatch(gpu.name, name) is not None for gpu in GPUS) == 1


@pytest.mark.parametrize(
    "name",
    ["NVIDIA A100-SXM4-80GB MIG 1g.10gb", "NVIDIA A10G", "NVIDIA L40", "NVIDIA GeForce RTX 4090 Laptop GPU", "cpu", ""],
)
def test_part_of_a_gpu_and_another_one_are_not_taken_for_a_known_one(name: str) -> None:
    assert peak_in_table(name, "float16") is None


def test_a_gpu_without_bfloat16_has_no_stated_peak_for_it() -> None:
    assert peak_in_table("Tesla T4", "bfloat16") is None


def test_the_peak_of_a_cpu_is_measured_and_above_any_plain_loop() -> None:
    peak = peak_of("cpu", "float32", TINY)
    assert peak.source == "measured"
    assert 1e8 < peak.flops < 1e14


def test_a_longer_look_finds_no_lower_peak() -> None:
    short, long = (measure_peak("cpu", "float32", TINY, seconds=seconds).flops for seconds in (0.001, 0.2))
    assert long > 0.5 * short
