"""Night after night in one process, each cleaned up after: memory, open files and what lies about do not grow."""

from __future__ import annotations

import gc
import os
import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import pytest

from tests.nights import nightly_config, write_night
from theta_ray import clean_up
from theta_ray.config import CleanUp, Config
from theta_ray.nightly import refresh
from theta_ray.publication import Publications

FIRST = date(2026, 1, 1)


@dataclass
class Soak:
    """What was there after each night."""

    resident: list[int] = field(default_factory=list)
    """Bytes of this process."""
    files: list[int] = field(default_factory=list)
    """Open ones of this process."""
    shared: list[set[str]] = field(default_factory=list)
    """Names in /dev/shm that this process has mapped."""
    objects: list[int] = field(default_factory=list)
    """Below the root."""
    orphans: list[int] = field(default_factory=list)
    """Objects that no retained version names, after the clean-up."""

    def look(self, config: Config, day: str) -> None:
        """Add a night."""
        gc.collect()
        status, maps = Path("/proc/self/status").read_text(), Path("/proc/self/maps").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        self.resident.append(int(resident[1]) * 1024)
        self.files.append(len(os.listdir("/proc/self/fd")))
        self.shared.append(set(re.findall(r"/dev/shm/\S+", maps)))
        self.objects.append(sum(path.is_file() for path in Path(config.root).rglob("*")))
        self.orphans.append(clean_up.plan(config, day).steps[0].figures["objects"])


def soak(folder: Path, model: Path, num_nights: int, stages: list[str]) -> Soak:
    """Refresh and clean up so many nights, each with a late file of the night before."""
    config = nightly_config(folder, model, num_days=2, stages=stages)
    settings = CleanUp(remove=True, min_age_hours=0, keep_versions=1)
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"clean_up": settings})})
    seen = Soak()
    for number in range(num_nights):
        day, before = (FIRST + timedelta(days=number)).isoformat(), (FIRST + timedelta(days=number - 1)).isoformat()
        write_night(folder, day, "a", count=24)
        if number:
            write_night(folder, before, "late", count=8)
        refresh.run(config, day)
        clean_up.run(config, day)
        seen.look(config, day)
    current = Publications(config.root, config.recipe.name).read()
    assert current is not None
    assert (current["date"], current["missing"]) == (day, [])
    return seen


def check(seen: Soak) -> None:
    """Nothing grows but by what a night is."""
    warm = len(seen.resident) // 4
    assert seen.orphans == [0] * len(seen.orphans)
    growth = [later - earlier for earlier, later in zip(seen.objects, seen.objects[1:], strict=False)][warm:]
    assert max(growth) - min(growth) <= 2, growth
    assert len(set(seen.files[warm:])) == 1, seen.files
    assert all(names == seen.shared[warm] for names in seen.shared[warm:])
    assert seen.resident[-1] < 1.1 * median(seen.resident[warm : 2 * warm + 1]), seen.resident


def test_eight_nights_leave_nothing_about(tmp_path: Path, bert: Path) -> None:
    check(soak(tmp_path, bert, 8, ["embed"]))


@pytest.mark.soak
def test_sixty_nights_leave_nothing_about(request: pytest.FixtureRequest, tmp_path: Path, bert: Path) -> None:
    if "soak" not in request.config.getoption("markexpr"):
        pytest.skip("takes many minutes; pytest -m soak, which make chaos runs as well")
    check(soak(tmp_path, bert, 60, ["label_topics"]))
