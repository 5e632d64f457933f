from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from theta_ray.encoder import processor

ZEN = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9B45\nflags\t\t: fpu avx512_bf16 avx512_vnni\n"
ICE_LAKE = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx512_vnni\n"
GRAVITON = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd bf16 i8mm\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    processor._first_core.cache_clear()
    yield
    processor._first_core.cache_clear()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ZEN, ("AMD EPYC 9B45", True, True)),
        (ICE_LAKE, ("Intel(R) Xeon(R)", False, False)),
        (GRAVITON, ("aarch64", True, False)),
    ],
)
def test_the_first_core_tells_name_and_abilities(
    text: str, told: tuple[str, bool, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"{text}\nprocessor\t: 1\nvendor_id\t: Other\nflags\t: amx_bf16\n")
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert (processor.processor_name(), processor.has_bfloat16(), processor.is_amd()) == told


@pytest.mark.parametrize(
    ("ceiling", "told"), [("AVX512_CORE_VNNI", False), ("avx2", False), ("AVX512_CORE_BF16", True), ("ALL", True)]
)
def test_bfloat16_that_onednn_may_not_use_does_not_count(
    ceiling: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(ZEN)
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", ceiling)
    assert processor.has_bfloat16() == told


def test_a_system_without_such_a_file_is_known_by_its_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "absent")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert processor.processor_name() == "arm64"
    assert not processor.has_bfloat16()


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "300000 100000\n"}, 3),
        ({"cpu.max": "9900000 100000\n"}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "strange\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "200000\n"}, 4),
        ({}, 4),
    ],
)
def test_a_container_s_cpu_limit_bounds_the_cores_of_a_machine(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(processor, "CGROUP", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 2, 5, 7}, raising=False)
    assert processor.usable_cores() == cores


def test_threads_that_wait_do_not_spin() -> None:
    """libgomp shows what it has read when it is loaded, which is when torch is imported."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in names} | {"OMP_DISPLAY_ENV": "true"}
    program = "import theta_ray.encoder.encoder, torch; torch.ones(9)"
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told.stderr
