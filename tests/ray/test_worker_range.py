"""Workers of Ray Train, as many as there is room for: what they learn does not depend on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY
from tests.tuned import tuning_config
from theta_ray.config import Resources
from theta_ray.errors import InputError, TransientError, WorkerLostError
from theta_ray.objects import read_bytes
from theta_ray.progress import Progress
from theta_ray.training import finetune, worker_group
from theta_ray.training.step import Workers
from theta_ray.training.worker_group import WorkerRange, run_on_workers, wait_for_room

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_group, "SECONDS_TO_PLACE", 3.0)


@contextlib.contextmanager
def a_core_taken() -> Iterator[None]:
    """An actor of somebody else that holds one of the cluster's two cores."""
    import ray

    class Holder:
        def ready(self) -> bool:
            return True

    holder = ray.remote(num_cpus=1)(Holder).remote()
    assert ray.get(holder.ready.remote(), timeout=60)
    try:
        yield
    finally:
        ray.kill(holder)


def test_a_run_goes_on_with_the_cores_that_others_leave(bert: Path, tmp_path: Path) -> None:
    found = []
    for resources in ({}, {"executor": "ray", "num_actors": 2, "min_actors": 1}):
        config = tuning_config(tmp_path, bert, resources=resources, pack_tokens=64, max_steps=4)
        with a_core_taken():
            card = finetune.run(config, DAY)
        assert card.figures["workers"] == 1
        adapter = finetune.make_job(config, DAY).job.adapter
        found.append(json.loads(read_bytes(adapter.at("metrics.json")))["losses"])
        shutil.rmtree(adapter.path)
    assert found[0] == found[1]


def wait(**resources: Any) -> int:
    allowed = WorkerRange.of(Resources(**resources))
    return wait_for_room(allowed, 4, Progress("test", 1))


def test_cores_that_others_hold_are_not_waited_for_without_end() -> None:
    assert wait(num_actors=2) == 2
    with a_core_taken():
        assert wait() == 1
        assert wait(num_actors=2, min_actors=1) == 1
        with pytest.raises(TransientError) as told:
            wait(num_actors=2)
    assert str(told.value) == (
        "resources: of 2 workers with CPU: 1 the cluster had room for 1 in 4 s, as others hold the rest; "
        "set min_actors lower, or rerun when they are done"
    )


def test_a_cluster_that_is_too_small_is_told_at_once() -> None:
    with pytest.raises(InputError, match=r"^resources ask for 3 actors .*; the cluster has room for 2 "):
        wait(num_actors=3)
    assert wait(num_actors=3, min_actors=2) == 2


def die(_: None, __: Workers) -> None:
    """A worker that is always lost, a while after its start: earlier, Ray 2.60 keeps its core until the job ends."""
    time.sleep(5)
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_are_lost_too_often_are_told_in_one_line() -> None:
    resources = Resources(num_actors=1, max_retries=0)
    with pytest.raises(WorkerLostError, match=r"^a worker was lost too often: [^\n]*; rerun to go on$"):
        run_on_workers(die, None, "test", resources, Progress("test", 1))
