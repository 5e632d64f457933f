"""Tasks of a stage: a function over many items, on Ray or one after another in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from theta_ray.config import Resources
from theta_ray.gpu_hours import holding_gpus
from theta_ray.metrics import COUNTS
from theta_ray.progress import HEARTBEAT_SECONDS, Progress
from theta_ray.ray_errors import result_of
from theta_ray.store import Record

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Executor:
    """Runs the tasks of a stage where its resources say."""

    stage: str
    resources: Resources
    check: Callable[[], None]
    """Called after each task, and may raise: a lease's own."""

    def share(self, function: Callable[[Item], Any], item: Item) -> Any:
        """The result of one task, for all tasks of a `map`. On Ray it stays on the cluster, once per node."""
        if self.resources.executor == "local":
            return function(item)
        import ray

        return ray.remote(max_retries=self.resources.max_retries, num_cpus=1)(function).remote(item)

    def map(
        self, function: Callable[..., Result], items: Sequence[Any], *, gpus: float = 0, shared: Any = None
    ) -> list[Result]:
        """Results of all items, in no order, with progress told. A task has one core, and so many GPUs.

        Args:
            function: of an item, and of what is shared where something is.
            items: picklable.
            gpus: of a task.
            shared: by `share`.
        """
        results = []
        name = f"{self.stage}: {function.__name__.replace('_', ' ')}"
        held = holding_gpus(self.resources, gpus * min(len(items), _room_for(gpus)))
        with Progress(name, len(items), "tasks") as progress, held:
            for result in map_tasks(function, items, self.resources, progress, Needs(gpus, shared)):
                self.check()
                results.append(result)
                progress.advance(_num_rows(result))
        return results


def _room_for(gpus: float) -> int:
    """How many tasks with so many GPUs the cluster can run at once."""
    if not gpus:
        return 0
    import ray

    return int(ray.cluster_resources().get("GPU", 0) / gpus)


def _num_rows(result: Any) -> int:
    """Rows that a task has dealt with."""
    return int(result.num_rows if isinstance(result, Record) else result.get("num_rows", result.get("keys", 0)))


@dataclass(frozen=True)
class Needs:
    """What every task of a map has beside its item and one core."""

    gpus: float = 0
    shared: Any = None
    """A second argument, or a reference to it; None: there is none."""

    def arguments(self, item: Any) -> tuple[Any, ...]:
        """Of the task of an item."""
        return (item,) if self.shared is None else (item, self.shared)


def map_tasks(
    function: Callable[..., Result],
    items: Sequence[Any],
    resources: Resources,
    progress: Progress,
    needs: Needs = Needs(),  # noqa: B008 (frozen)
) -> Iterator[Result]:
    """`function` over items as Ray tasks (or in this process), results as they finish.

    Functions must be safe to repeat: a lost worker's item runs again.
    """
    stage = progress.name.partition(":")[0]
    if resources.executor == "local":
        for item in items:
            progress.waiting_for = "this process"
            result, seconds = _timed(function, *needs.arguments(item))
            COUNTS.observe("theta_shard_seconds", seconds, stage=stage)
            yield result
        return
    import ray

    remote: Any = ray.remote(max_retries=resources.max_retries, num_cpus=1, num_gpus=needs.gpus)(_timed)
    remote = remote.options(name=function.__name__)
    window = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    todo = list(reversed(items))
    running: list[Any] = []
    while todo or running:
        while todo and len(running) < window:
            running.append(remote.remote(function, *needs.arguments(todo.pop())))
        progress.waiting_for = f"{len(running)} tasks"
        done, running = ray.wait(running, timeout=HEARTBEAT_SECONDS)
        for reference in done:
            result, seconds = result_of(reference)
            COUNTS.observe("theta_shard_seconds", seconds, stage=stage)
            yield result


def _timed(function: Callable[..., Result], *arguments: Any) -> tuple[Result, float]:
    """What a function gives, and its seconds, on the worker."""
    began = time.perf_counter()
    return function(*arguments), time.perf_counter() - began
