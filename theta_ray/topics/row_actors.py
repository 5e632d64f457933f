"""Workers that hold the rows of embeddings: Ray actors, or one worker of this process.

    shards -> as many groups as workers, alike in rows -> an actor each, which reads its shards when first asked

An actor that dies starts again from its shards, and the call that it was in is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from theta_ray.config import Resources
from theta_ray.encoder.map_shards import num_actors
from theta_ray.gpu_hours import holding_gpus
from theta_ray.progress import Progress
from theta_ray.ray_errors import result_of
from theta_ray.runtime import WORKER_ENV
from theta_ray.topics.cluster_worker import ClusterJob, make_worker
from theta_ray.topics.workers import LocalWorkers, Workers

# A worker has its own threads, each of which multiplies by itself.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@contextmanager
def row_workers(
    job: ClusterJob, sizes: Sequence[int], resources: Resources, progress: Progress, check: Callable[[], None]
) -> Iterator[Workers]:
    """Workers that have all shards of a job between them, for the time of a `with` block.

    Args:
        job: what they work on.
        sizes: rows of each shard.
        resources: where they run; a cluster is there already.
        progress: is told what is waited for.
        check: called before each question, and may raise: a lease's own.
    """
    device = "cuda" if resources.gpus_per_actor else None
    groups = share_out(job.shards, sizes, min(num_actors(resources), max(1, len(job.shards))))
    if resources.executor == "local":
        # no threads of its own: the matrix product of this process has them
        progress.waiting_for = "this process"
        yield LocalWorkers([make_worker(job, group, 1, device) for group in groups])
        return
    import ray

    threads = resources.threads_per_actor or 1
    actor = ray.remote(
        num_cpus=threads,
        num_gpus=resources.gpus_per_actor,
        max_restarts=resources.max_retries,
        max_task_retries=resources.max_retries,
        runtime_env={"env_vars": {**WORKER_ENV, **ONE_THREAD}},
    )(_RowActor)
    actors: list[Any] = [actor.remote(job, group, threads, device) for group in groups]
    try:
        with holding_gpus(resources, resources.gpus_per_actor * len(actors)):
            yield RayWorkers(actors, progress, check)
    finally:
        for each in actors:
            ray.kill(each)


def share_out(shards: Sequence[str], sizes: Sequence[int], count: int) -> list[tuple[str, ...]]:
    """All shards in `count` groups of about equal rows: the largest first, each to the group with the fewest."""
    groups: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for place in sorted(range(len(shards)), key=lambda place: (-sizes[place], place)):
        lightest = loads.index(min(loads))
        groups[lightest].append(place)
        loads[lightest] += sizes[place]
    return [tuple(shards[place] for place in sorted(group)) for group in groups if group]


@dataclass(frozen=True)
class RayWorkers:
    """Actors of a cluster."""

    actors: Sequence[Any]
    progress: Progress
    check: Callable[[], None]

    def each(self, method: str, *arguments: Any) -> list[Any]:
        """The answers of every actor; arrays travel once per node."""
        import ray

        self.check()
        self.progress.waiting_for = f"{len(self.actors)} workers: {method}"
        sent = [ray.put(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
        return [result_of(reference) for reference in [actor.call.remote(method, *sent) for actor in self.actors]]


class _RowActor:
    """Ray actor: some shards of a job."""

    def __init__(self, job: ClusterJob, names: tuple[str, ...], threads: int, device: str | None) -> None:
        self.worker = make_worker(job, names, threads, device)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self.worker, method)(*arguments)
