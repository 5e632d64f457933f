"""Stage `cluster` killed at each of its steps goes on to the bytes of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.chaos.processes import PROCESSES
from tests.clustered import TOPICS, texts_of, topic_config
from tests.small_jobs import DAY
from theta_ray.config import Config
from theta_ray.encoder import embed
from theta_ray.steps import FOLDER_VARIABLE
from theta_ray.topics import cluster

pytestmark = pytest.mark.chaos
COMMIT = {"shard_computed", "shard_created", "record_created", "all_done", "manifest_created"}
STEPS = {"centroids:lease_taken", *(f"{table}:{step}" for table in ("centroids", "assignments") for step in COMMIT)}


def _run(config: Config, steps: Path) -> None:
    os.environ[FOLDER_VARIABLE] = str(steps)
    cluster.run(config, DAY)


def run(config: Config, steps: Path) -> int:
    """Exit code of a process that runs the stage."""
    steps.mkdir(exist_ok=True)
    process = PROCESSES.Process(target=_run, args=(config, steps))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def made(root: str) -> dict[str, bytes]:
    """Every object of both tables, but for the lease, whose epoch is in the records, and how long it took."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for table in ("centroids", "assignments")
        for path in (Path(root) / table).rglob("*")
        if path.is_file() and not {"lease", "run_cards", "records"} & set(path.parts)
    }


def test_a_kill_at_any_step_changes_nothing(tmp_path: Path, bert: Path) -> None:
    whole = topic_config(tmp_path, bert, {DAY: texts_of(list(TOPICS), 300)})
    embed.run(whole, DAY)
    shutil.copytree(whole.root, tmp_path / "embedded")
    assert run(whole, tmp_path / "steps") == 0
    reached = {line.split()[1] for line in (tmp_path / "steps" / "log").read_text().splitlines()}
    assert {step for step in reached if step.split(":")[0] in ("centroids", "assignments")} == STEPS
    expected = made(whole.root)
    assert len(expected) > 4  # several shards of assignments, one of centroids, two manifests
    for step in sorted(STEPS):
        mine = whole.model_copy(update={"root": str(tmp_path / step)})
        shutil.copytree(tmp_path / "embedded", mine.root)
        steps = tmp_path / f"steps-{step}"
        steps.mkdir()
        (steps / "kill").write_text(f"{step} 1")
        assert [run(mine, steps) for _ in range(2)] == [-signal.SIGKILL, 0], step
        assert made(mine.root) == expected, step
