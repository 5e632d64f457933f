"""Training that is killed goes on: the losses, step by step, are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chaos.jobs import REPOSITORY
from tests.corpora import DAY
from tests.tuned import tuning_config

pytestmark = [pytest.mark.chaos, pytest.mark.ray]  # a cluster of its own
SECONDS_TO_WAIT = 240.0
NUM_STEPS = 12


class Job:
    """`jobs/finetune.py` over one small corpus, run as often as it takes."""

    def __init__(self, folder: Path, model: Path, resources: dict[str, Any]) -> None:
        config = tuning_config(folder, model, max_steps=NUM_STEPS, pack_tokens=64)
        self.root, self.steps = Path(config.root), folder / "steps"
        self.steps.mkdir()
        recipe, where = folder / "recipe.yaml", folder / "resources.yaml"
        recipe.write_text(yaml.safe_dump(config.recipe.model_dump(mode="json", exclude_unset=True)))
        where.write_text(yaml.safe_dump({"max_retries": 5, "lease_seconds": 12, **resources}))
        self._command = [sys.executable, str(REPOSITORY / "jobs" / "finetune.py"), "--config", str(recipe)]
        self._command += ["--resources", str(where), "--root", str(self.root), "--date", DAY]

    def start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "THETA_RAY_STEPS": str(self.steps), "HF_HUB_OFFLINE": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, env=environment, stdout=pipe, stderr=pipe, text=True)

    def finish(self, process: subprocess.Popen[str]) -> None:
        _, errors = process.communicate(timeout=SECONDS_TO_WAIT)
        assert process.returncode == 0, errors[-3000:]

    def wait_for_steps(self, count: int) -> list[tuple[int, int]]:
        """(process, step) of the steps taken, once there are so many."""
        for _ in range(int(SECONDS_TO_WAIT * 20)):
            log = self.steps / "log"
            lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
            taken = [(int(pid), int(step)) for pid, name, step in lines if name == "adapter:step_taken"]
            if len(taken) >= count:
                return taken
            time.sleep(0.05)
        raise TimeoutError(f"no {count} steps")

    def result(self) -> tuple[list[float], bytes]:
        """Losses and weights of the committed adapter."""
        (metrics,) = self.root.glob("adapter/*/dt=*/metrics.json")
        weights = metrics.with_name("adapter_model.safetensors")
        return json.loads(metrics.read_text())["losses"], weights.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[float], bytes]:
    job = Job(tmp_path_factory.mktemp("undisturbed"), bert, {"executor": "local"})
    job.finish(job.start())
    losses, weights = job.result()
    assert len(losses) == NUM_STEPS
    return losses, weights


def test_a_killed_driver_goes_on_to_the_same_weights(
    bert: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes]
) -> None:
    job = Job(tmp_path, bert, {"executor": "local"})
    done = 0
    for _ in range(2):
        process = job.start()
        done = len(job.wait_for_steps(done + random.randint(1, 5)))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    job.finish(job.start())
    steps = [step for _, step in job.wait_for_steps(NUM_STEPS)]
    assert len(steps) > NUM_STEPS  # some were taken again
    assert set(steps) == set(range(1, NUM_STEPS + 1))
    assert job.result() == undisturbed


def test_training_goes_on_without_a_killed_worker(
    bert: Path, tmp_path: Path, undisturbed: tuple[list[float], bytes]
) -> None:
    job = Job(tmp_path, bert, {"executor": "ray", "num_actors": 2})
    process = job.start()
    taken = job.wait_for_steps(random.randint(2, 12))
    os.kill(random.choice([pid for pid, _ in taken]), signal.SIGKILL)
    job.finish(process)
    workers = {pid for pid, _ in job.wait_for_steps(NUM_STEPS)}
    assert len(workers) > 2  # the killed one was replaced
    assert job.result()[0] == pytest.approx(undisturbed[0], rel=1e-4)
