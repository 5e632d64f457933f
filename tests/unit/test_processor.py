from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from theta_ray.encoder import processor

ZEN = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9B45\nflags\t\t: fpu avx512_bf16 avx512_vnni\n"
ICE_LAKE = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx512_vnni\n"
GRAVITON = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd bf16 i8mm\n"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
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


def test_a_system_without_such_a_file_is_known_by_its_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "absent")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert processor.processor_name() == "arm64"
    assert not processor.has_bfloat16()
