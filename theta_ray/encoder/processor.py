"""What the CPU of this machine is, and how much of it is ours, where the system says so (Linux)."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
MEMORY_INFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
# Values of ONEDNN_MAX_CPU_ISA (oneDNN, "CPU Dispatcher Control") with which bfloat16 is not multiplied in hardware.
BELOW_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}


@lru_cache(maxsize=1)
def _first_core() -> dict[str, str]:
    """The lines on the first core; none where the system has no such file."""
    try:
        lines = CPU_INFO.read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def processor_name() -> str:
    """The CPU's own name; its architecture where the system does not say."""
    return _first_core().get("model name", platform.machine())


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware, AVX512-BF16, AMX or Arm's extension, and oneDNN may use it."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in BELOW_BFLOAT16:
        return False
    core = _first_core()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(f"{core.get('flags')} {core.get('Features')}".split())


def is_amd() -> bool:
    """Whether Intel's MKL, torch's own float32 matrix product, would take its slow path."""
    return _first_core().get("vendor_id") == "AuthenticAMD"


def usable_cores() -> int:
    """Whole cores that this process may use: its affinity, and below that its container's CPU limit (cgroup v2, v1)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(_cpu_limit())))


def _cpu_limit() -> float:
    """CPU seconds a second that the container may take; a large number without a limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((CGROUP / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        if quota not in ("max", "-1"):
            return int(quota) / int(period)
    return 1e6


def available_memory() -> int:
    """Bytes that this process may still take: what the system has left, or below that its container's limit."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError):
        lines = dict(line.split(":") for line in MEMORY_INFO.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].removesuffix("kB")))
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max" is no limit
            found.append(int((CGROUP / limit).read_text()) - int((CGROUP / used).read_text()))
    return max(0, min(found))
