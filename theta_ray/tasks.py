"""Tasks of a stage: a function over many items, on Ray or one after another in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from theta_ray.config import Resources
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

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], *, gpus: float = 0) -> list[Result]:
        """Results of all items, in no order, with progress told. A task has one core, and so many GPUs."""
        results = []
        name = f"{self.stage}: {function.__name__.replace('_', ' ')}"
        with Progress(name, len(items), "tasks") as progress:
            for result in map_tasks(function, items, self.resources, progress, gpus):
                self.check()
                results.append(result)
                progress.advance(_num_rows(result))
        return results


def _num_rows(result: Any) -> int:
    """Rows that a task has dealt with."""
    return int(result.num_rows if isinstance(result, Record) else result.get("num_rows", result.get("keys", 0)))


def map_tasks(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    resources: Resources,
    progress: Progress,
    gpus: float = 0,
) -> Iterator[Result]:
    """`function` over items as Ray tasks (or in this process), results as they finish.

    Functions must be safe to repeat: a lost worker's item runs again.
    """
    if resources.executor == "local":
        for item in items:
            progress.waiting_for = "this process"
            yield function(item)
        return
    import ray

    remote = ray.remote(max_retries=resources.max_retries, num_cpus=1, num_gpus=gpus)(function)
    window = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    todo = list(reversed(items))
    running: list[Any] = []
    while todo or running:
        while todo and len(running) < window:
            running.append(remote.remote(todo.pop()))
        progress.waiting_for = f"{len(running)} tasks"
        done, running = ray.wait(running, timeout=HEARTBEAT_SECONDS)
        for reference in done:
            yield result_of(reference)
