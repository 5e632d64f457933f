"""A function on workers of Ray Train, as many as the cluster has room for between a least and a most.

    wait for room -> a group of workers -> what the first of them gives
    one is lost: the others end, and a new group is made with the room there is then

Ray Train has such a range itself (`num_workers=(1, 4)`), but takes cores that others hold for free and waits for them
without end (2.60). So the room is found here, by placement groups of one worker each; they ask an autoscaler as well.
"""

from __future__ import annotations

import gc
import logging
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from theta_ray.config import Resources
from theta_ray.encoder.map_shards import num_actors
from theta_ray.errors import ThetaError, TransientError, WorkerLostError
from theta_ray.gpu_hours import holding_gpus
from theta_ray.metrics import COUNTS
from theta_ray.progress import Progress
from theta_ray.ray_errors import raise_cause
from theta_ray.training.step import Distributed, Workers

logger = logging.getLogger(__name__)
SECONDS_TO_PLACE = 10.0
"""For all workers to find their places; what finds none by then has no room."""
NO_RETRIES: dict[str, Any] = {"max_failures": 0, "controller_failure_limit": 0}
"""Of Ray Train's own, which would ask for as many workers again."""
Work = Callable[[Any, Workers], Any]


@dataclass(frozen=True)
class WorkerRange:
    """How many workers a group may have, and what each takes."""

    least: int
    most: int
    bundle: dict[str, float]

    @staticmethod
    def of(resources: Resources) -> WorkerRange:
        """The range of a resources file; where it names no numbers, any up to the whole cluster.

        Raises:
            InputError: the cluster has no room for the least even while nobody else is there.
        """
        least = resources.min_actors or resources.num_actors or 1
        num_actors(resources.model_copy(update={"num_actors": least}))
        on_gpu = {"GPU": resources.gpus_per_actor} if resources.gpus_per_actor else {}
        bundle = {"CPU": float(resources.threads_per_actor or 1), **on_gpu}
        return WorkerRange(least, resources.num_actors or num_actors(resources), bundle)


def run_on_workers(work: Work, given: Any, name: str, resources: Resources, progress: Progress) -> tuple[Any, int]:
    """What `work(given, workers)` gives on the first worker, and how many there were in the end.

    Args:
        work: a function of a module, which goes on from what it has stored when it is called again.
        given: its first argument, the same on all workers.
        name: of the run, for Ray's dashboard.
        resources: where.
        progress: is told what is waited for.

    Raises:
        InputError: the cluster is too small.
        TransientError: others held it for `max_idle_seconds`.
        WorkerLostError: workers were lost more often than `max_retries`.
        ThetaError: what a worker raised, as often.
    """
    from ray.train.v2.api.exceptions import TrainingFailedError

    allowed = WorkerRange.of(resources)
    for failures in range(resources.max_retries + 1):
        count = wait_for_room(allowed, resources.max_idle_seconds, progress)
        progress.waiting_for = f"{count} workers"
        try:
            with holding_gpus(resources, resources.gpus_per_actor * count):
                return _fit(work, given, name, (count, allowed.bundle)), count
        except TrainingFailedError as error:
            if failures == resources.max_retries:
                _raise_cause(error)
            COUNTS.add("theta_retries_total", kind="worker")
            logger.warning("a group of %d workers has ended (%s); another goes on", count, _first_line(error))
    raise AssertionError("the last failure raises")


def wait_for_room(allowed: WorkerRange, max_seconds: float, progress: Progress) -> int:
    """How many workers there is room for now, once it is enough for the least.

    Raises:
        TransientError: it was not for so many seconds.
    """
    give_up = time.monotonic() + max_seconds
    while (room := _count_room(allowed)) < allowed.least:
        progress.waiting_for = f"room for {allowed.least} workers; there is some for {room}"
        if time.monotonic() > give_up:
            needs = ", ".join(f"{name}: {amount:g}" for name, amount in allowed.bundle.items())
            raise TransientError(
                f"resources: of {allowed.least} workers with {needs} the cluster had room for {room} in "
                f"{max_seconds:g} s, as others hold the rest; set min_actors lower, or rerun when they are done"
            )
        time.sleep(random.uniform(1, 5))  # runs that wait for each other must not look at the same moments for ever
        gc.collect()  # handles of actors that nothing refers to any more, but for each other, hold cores
    return room


def _count_room(allowed: WorkerRange) -> int:
    """How many workers find a place within SECONDS_TO_PLACE; they leave it again."""
    from ray.util import placement_group, remove_placement_group

    places = [placement_group([allowed.bundle]) for _ in range(allowed.most)]
    until = time.monotonic() + SECONDS_TO_PLACE
    try:
        return sum(place.wait(max(0.1, until - time.monotonic())) for place in places)
    finally:
        for place in places:
            remove_placement_group(place)


def _fit(work: Work, given: Any, name: str, group: tuple[int, dict[str, float]]) -> Any:
    """What the first of a new group of workers gives."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    count, bundle = group
    on_gpu = "GPU" in bundle
    with tempfile.TemporaryDirectory(prefix="theta-ray-train-") as folder:
        trainer: Any = TorchTrainer(
            _work_on_ray,
            train_loop_config={"work": work, "given": given},
            scaling_config=ScalingConfig(num_workers=count, use_gpu=on_gpu, resources_per_worker=bundle),
            torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
            run_config=RunConfig(
                name=name,
                storage_path=folder,  # of Ray's own notes: our checkpoints lie with the table
                failure_config=FailureConfig(**NO_RETRIES),
            ),
        )
        # Ctrl-C is the job's: Ray Train would end the process with code 0
        trainer._register_sigint_handler = lambda _: None
        result: Any = trainer.fit()
        return result.return_value


def _work_on_ray(settings: dict[str, Any]) -> Any:
    from ray import train

    context = train.get_context()
    return settings["work"](settings["given"], Distributed(context.get_world_rank(), context.get_world_size()))


def _raise_cause(error: Any) -> NoReturn:
    """Raise what lies behind a group's end: an error of ours, a lost worker, or as it is, as a bug."""
    import ray

    failures = [getattr(failure, "health_check_failure", failure) for failure in _failures(error)]
    for kind in (ThetaError, ray.exceptions.RayError):
        for failure in failures:
            if isinstance(failure, kind):
                raise_cause(failure)
    if not getattr(error, "worker_failures", None):  # Ray Train could not make the group
        raise WorkerLostError(f"a group of workers could not start: {_first_line(error)}; rerun to go on") from error
    raise error


def _failures(error: Any) -> list[Any]:
    """What the workers raised, or what Ray Train itself did."""
    return [*getattr(error, "worker_failures", {}).values()] or [getattr(error, "controller_failure", error)]


def _first_line(error: Any) -> str:
    """What a group's end says first of its cause."""
    cause = _failures(error)[0]
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0].rstrip(".")
