"""Workers that hold the blocks of a graph: Ray actors, or one worker of this process.

    files of edges -> tasks: count edges at nodes -> limits of blocks -> tasks: write each file by block
    blocks -> as many groups as workers, alike in edges -> an actor each, which reads its blocks when first asked

An actor that dies starts again from the files, and the call that it was in is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from theta_ray.config import Resources
from theta_ray.encoder.map_shards import num_actors
from theta_ray.network.block_worker import BlockJob, BlockWorker
from theta_ray.network.blocks import Counts, bin_width, limits_of
from theta_ray.network.edge_files import EdgeFiles, FileTask, count_ends, spread_file
from theta_ray.objects import join, remove
from theta_ray.progress import Progress
from theta_ray.runtime import WORKER_ENV
from theta_ray.store import digest_of
from theta_ray.tasks import map_tasks
from theta_ray.topics.row_actors import ONE_THREAD, RayWorkers, share_out
from theta_ray.topics.workers import LocalWorkers, Workers


@contextmanager
def block_workers(
    files: EdgeFiles, num_blocks: int, scratch: str, resources: Resources, check: Callable[[], None]
) -> Iterator[Workers]:
    """Workers that have all blocks of a graph between them, for the time of a `with` block.

    Args:
        files: the edges.
        num_blocks: never depends on the number of workers, so that nothing else does.
        scratch: folder or URI that all workers reach, for the edges by block; emptied where nothing fails.
        resources: where they run; a cluster is there already.
        check: called before each question, and may raise: a lease's own.
    """
    with Progress("network", 2 * len(files.names), "files") as progress:
        ends = sum(_done(count_ends, files.tasks(), resources, progress))
        limits = tuple(limits_of(ends, files.num_nodes, num_blocks).tolist())
        job = BlockJob(files, limits, join(scratch, f"blocks-{digest_of(limits)}"))
        written = list(_done(spread_file, files.tasks(limits, job.spread), resources, progress))
        with _started(job, _sizes(ends, job), resources, progress, check) as workers:
            yield workers
    for path in written:
        remove(path)


def _done(function: Callable[[FileTask], Any], tasks: list[FileTask], resources: Resources, progress: Progress) -> Any:
    for found in map_tasks(function, tasks, resources, progress):
        progress.advance(0)
        yield found


def _sizes(ends: Counts, job: BlockJob) -> list[int]:
    """Edges of each block, those within it twice."""
    width = bin_width(job.files.num_nodes)
    return [int(part.sum()) for part in np.split(ends, [limit // width for limit in job.limits[1:-1]])]


@contextmanager
def _started(
    job: BlockJob, sizes: Sequence[int], resources: Resources, progress: Progress, check: Callable[[], None]
) -> Iterator[Workers]:
    numbers = [str(number) for number in range(len(sizes))]
    groups = [tuple(int(number) for number in group) for group in share_out(numbers, sizes, num_actors(resources))]
    if resources.executor == "local":
        yield LocalWorkers([BlockWorker(job, group) for group in groups])
        return
    import ray

    actor = ray.remote(
        num_cpus=resources.threads_per_actor or 1,
        max_restarts=resources.max_retries,
        max_task_retries=resources.max_retries,
        runtime_env={"env_vars": {**WORKER_ENV, **ONE_THREAD}},
    )(_BlockActor)
    actors: list[Any] = [actor.remote(job, group) for group in groups]
    try:
        yield RayWorkers(actors, progress, check)
    finally:
        for each in actors:
            ray.kill(each)


class _BlockActor:
    """Ray actor: some blocks of a graph."""

    def __init__(self, job: BlockJob, numbers: tuple[int, ...]) -> None:
        self.worker = BlockWorker(job, numbers)

    def call(self, method: str, *arguments: Any) -> Any:
        return getattr(self.worker, method)(*arguments)
