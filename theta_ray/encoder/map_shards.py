"""Shards to make in, their receipts out: in this process, or through Ray Data.

    CPU:  shard name -> actor: read, tokenise, vectors, check, write -> receipt
    GPU:  shard name -> CPU actor: read, tokenise -> GPU actor: vectors, check, write -> receipt

Tokenising is 2 % of the work on a CPU and needs no process of its own there. Beside a GPU it has one,
and the GPU's actor has two calls at once: one computes while the other reads its tokens or writes.
"""

from __future__ import annotations

import gc
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from theta_ray.config import Resources
from theta_ray.encoder.shard import EmbedJob, tokenize_shard
from theta_ray.encoder.shard_embedder import ShardEmbedder
from theta_ray.encoder.source import num_parameters
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard
from theta_ray.errors import InputError
from theta_ray.metrics import COUNTS
from theta_ray.progress import Progress
from theta_ray.ray_errors import raise_cause

# What a GPU of today computes for encoders at the most, and what a core tokenises at the least.
GPU_FLOPS, TOKENS_PER_CORE = 4e14, 5e5


def map_shards(job: EmbedJob, tasks: list[ShardTask], resources: Resources) -> Iterator[dict[str, Any]]:
    """Make the shards on the cluster, or in this process, and yield their receipts as they come."""
    if not tasks:
        return
    with Progress("embed", len(tasks)) as progress:
        is_local = resources.executor == "local"
        if is_local:
            progress.waiting_for = "this process, which makes one shard after another"
        for receipt in _locally(job, tasks) if is_local else _on_ray(job, tasks, resources):
            if not is_local:
                progress.waiting_for = "shards on the actors"
            progress.advance(receipt["record"]["num_rows"])
            if receipt["made"]:
                COUNTS.observe("theta_shard_seconds", sum(receipt["seconds"].values()), stage="embed")
            yield receipt
    # Ray Data's objects refer to each other: until they are collected their actors hold cores that a next stage wants
    gc.collect()


def _locally(job: EmbedJob, tasks: list[ShardTask]) -> Iterator[dict[str, Any]]:
    embedder = ShardEmbedder(job)
    for task in tasks:
        yield embedder.embed_task(task)


def _on_ray(job: EmbedJob, tasks: list[ShardTask], resources: Resources) -> Iterator[dict[str, Any]]:
    import ray

    _prepare_ray_data(resources)
    count = min(num_actors(resources), len(tasks))
    rows = [{"task": task.to_json()} for task in tasks]
    dataset: ray.data.Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    same: dict[str, Any] = {
        "fn_constructor_kwargs": {"job": job},
        "batch_size": 1,
        "batch_format": "pyarrow",
        "max_restarts": resources.max_retries,
        "max_task_retries": resources.max_retries,
    }
    with warnings.catch_warnings():
        # Ray 2.60 calls restart limits deprecated and has no other way to set them; unset, a crash repeats for ever
        warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
        if resources.gpus_per_actor:
            # actors, not tasks: Ray ends the processes of idle tasks after a second, and loading costs several
            num_tokenizers = count * tokenizers_per_actor(num_parameters(job.source.folder), resources)
            pool = ray.data.ActorPoolStrategy(size=min(num_tokenizers, len(tasks)))
            dataset = dataset.map_batches(_TokenizeActor, compute=pool, num_cpus=1, **same)
        calls = calls_at_once(resources)
        receipts = dataset.map_batches(
            _EmbedActor,
            compute=ray.data.ActorPoolStrategy(
                size=count, max_concurrent_calls_per_actor=calls, enable_true_multi_threading=calls > 1
            ),
            num_cpus=1 if resources.gpus_per_actor else resources.threads_per_actor or 1,
            num_gpus=resources.gpus_per_actor or None,
            **same,
        )
    try:
        for row in receipts.iter_rows():
            yield json.loads(row["receipt"])
    except ray.exceptions.RayError as error:
        raise_cause(error)


def _prepare_ray_data(resources: Resources) -> None:
    """Ray Data stops at the first error, keeps its type, and leaves the talking to us."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []  # advice on memory that is not ours to follow
    for handler in logging.getLogger("ray.data").handlers:
        handler.setLevel(logging.ERROR)  # what users need is in our own lines
    context.max_errored_blocks = 0
    context.raise_original_map_exception = True  # so that our own errors keep their type and exit code
    context.execution_no_progress_timeout_s = resources.max_idle_seconds


def num_actors(resources: Resources) -> int:
    """One actor per core, or per GPU share, of the cluster, or as many as the resources file says.

    Raises:
        InputError: the cluster has no room for them.
    """
    if resources.executor == "local":
        return 1
    import ray

    available = ray.cluster_resources()
    if resources.gpus_per_actor:
        room = int(available.get("GPU", 0) / resources.gpus_per_actor)
        wanted = f"gpus_per_actor: {resources.gpus_per_actor:g}"
    else:
        threads = resources.threads_per_actor or 1
        room = int(available.get("CPU", 0) / threads)
        wanted = f"threads_per_actor: {threads}"
    if room < (resources.num_actors or 1):
        raise InputError(
            f"resources ask for {resources.num_actors or 1} actors with {wanted}; the cluster has room for {room} "
            f"({available.get('GPU', 0):g} GPUs, {available.get('CPU', 0):g} cores); change the resources file"
        )
    return resources.num_actors or room


def num_gpus(resources: Resources, num_tasks: int) -> float:
    """GPUs that the actors of so many shards hold together."""
    return resources.gpus_per_actor * min(num_actors(resources), max(1, num_tasks))


def calls_at_once(resources: Resources) -> int:
    """Shards that an actor has at a time: on a GPU one is read or written while another computes."""
    return 2 if resources.gpus_per_actor and resources.executor == "ray" else 1


def tokenizers_per_actor(num_parameters: int, resources: Resources) -> int:
    """Tokenising processes that keep an actor's share of a GPU busy: a forward pass is 2 operations per weight."""
    tokens_per_second = GPU_FLOPS * min(1.0, resources.gpus_per_actor) / (2 * num_parameters)
    return max(1, round(tokens_per_second / TOKENS_PER_CORE))


class _TokenizeActor:
    """Ray Data actor: one shard's name in, its tokens out."""

    def __init__(self, job: EmbedJob) -> None:
        self.job = job

    def __call__(self, row: pa.Table) -> pa.Table:
        return tokenize_shard(self.job, _task_of(row)).to_row()


class _EmbedActor:
    """Ray Data actor: one shard's name or tokens in, one receipt out."""

    def __init__(self, job: EmbedJob) -> None:
        self.embedder = ShardEmbedder(job)

    def __call__(self, row: pa.Table) -> pa.Table:
        if "tokens" in row.column_names:
            receipt = self.embedder.embed(TokenizedShard.from_row(row))
        else:
            receipt = self.embedder.embed_task(_task_of(row))
        return pa.table({"receipt": [json.dumps(receipt)]})


def _task_of(row: pa.Table) -> ShardTask:
    return ShardTask.from_json(row["task"][0].as_py())
