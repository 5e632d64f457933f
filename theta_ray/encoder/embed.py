"""Stage: the corpus table becomes the embeddings table.

plan shards by tokens -> leave out finished ones -> rows of shard names through Ray Data
-> CPU map: read, tokenise -> actors: vectors, check, write the shard under its name -> receipt
-> driver: counts add up, manifest, run card
"""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from theta_ray.config import Config, Resources
from theta_ray.corpus import prepare
from theta_ray.corpus.survey import Survey, look
from theta_ray.encoder.commit import Work, commit_embeddings, inputs_of, make_card
from theta_ray.encoder.job import estimate, input_strata, make_job, reasons_for
from theta_ray.encoder.shard import EmbedJob, ShardEmbedder, tokenize_shard
from theta_ray.encoder.sizing import draw_strata
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard, plan_tasks
from theta_ray.errors import CostLimitError, InputError
from theta_ray.lease import Lease, holding
from theta_ray.manifest import read_manifest
from theta_ray.progress import Progress
from theta_ray.ray_errors import raise_cause
from theta_ray.runcard import Plan, PlanStep, RunCard, load_run_card
from theta_ray.runtime import cluster
from theta_ray.store import Record, finished_shards, read_records

logger = logging.getLogger(__name__)
# Shares of a core, so that a tokenising task always fits beside the actor that owns the core.
TOKENIZE_CPUS, ACTOR_CPUS = 0.1, 0.9


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why: the corpus first where it is missing, then the shards that are not finished."""
    job, found = make_job(config, day), look(config, day)
    steps = prepare.plan(config, day, found).steps
    corpus = found.manifest if found.is_current else None
    if corpus is None:
        figures: dict[str, Any] = {"shards": "known once the corpus is prepared"}
        todo, strata = [], input_strata(found)
        status, reasons = "would run after prepare", ["the corpus is not committed in this version"]
    else:
        tasks, finished = plan_tasks(corpus, job.embed), finished_shards(job.embeddings)
        todo = [task for task in tasks if task.shard not in finished]
        strata = draw_strata(job, corpus, todo)
        figures = {"shards": len(tasks), "shards_finished": len(tasks) - len(todo)}
        figures["rows_to_embed"] = sum(task.num_rows for task in todo)
        figures["bytes_of_text"] = sum(g["text_bytes"] for s in corpus["shards"] for g in s["details"]["row_groups"])
        committed = _committed(job, found)
        status = "nothing to do: committed" if committed else "would run"
        reasons = [] if committed else reasons_for(job, config, corpus, [task.shard for task in todo])
    figures["model"] = job.source.identity
    figures["vectors"] = f"{job.dim} x {job.embed.store_dtype}"
    figures |= estimate(job, config.resources, strata, todo)
    steps.append(PlanStep("embed", job.embeddings.path, status, figures, reasons))
    return Plan(steps, config.recipe.model_dump(mode="json"))


def run(config: Config, day: str) -> RunCard:
    """Commit the embeddings of a day's corpus, going on from the shards that are finished.

    Raises:
        ConflictError: another run holds the partition and the resources say not to wait.
        CostLimitError: the GPU-hours of the resources file are used up; what is finished stays.
    """
    work = Work()
    with work.phases.measure("check model"):
        job = make_job(config, day)
    with work.phases.measure("list"):
        found = look(config, day)
    if _committed(job, found) is not None:
        return _finished_card(config, job, found)
    with ExitStack() as stack:
        lease = stack.enter_context(holding(job.embeddings, config.resources, joins=True))
        if lease.waited:
            found = look(config, day)
            if _committed(job, found) is not None:
                return _finished_card(config, job, found)
        with work.phases.measure("start Ray"):
            stack.enter_context(cluster(config.resources))
            num_actors(config.resources)  # a missing GPU stops the job before anything is read
        upstream = prepare.run(config, day, found)
        corpus = read_manifest(job.corpus)
        assert corpus is not None, "prepare has committed"
        records = _make_shards(replace(job, epoch=lease.epoch), corpus, config.resources, (lease, work))
    with work.phases.measure("commit"):
        manifest = commit_embeddings(job, corpus, records)
    card = make_card(config, job, manifest, work)
    card.save(job.embeddings, manifest["version"])
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _make_shards(job: EmbedJob, corpus: dict[str, Any], resources: Resources, run: tuple[Lease, Work]) -> list[Record]:
    """Records of all shards of a corpus version, made where there is none yet."""
    lease, work = run
    tasks, finished = plan_tasks(corpus, job.embed), finished_shards(job.embeddings)
    todo = [task for task in tasks if task.shard not in finished]
    done = read_records(job.embeddings, [task.shard for task in tasks if task.shard in finished])
    logger.info("embed: %d shards, %d finished before, model %s", len(tasks), len(done), job.source.identity)
    if lease.joined:
        todo.reverse()  # the other run began at the front; a shard that it has finished is not made again
    gpus = resources.gpus_per_actor * min(num_actors(resources), max(1, len(todo)))
    started = time.monotonic()
    with work.phases.measure("embed"):
        for receipt in _receipts(job, todo, resources):
            lease.check()
            done.append(work.add(receipt))
            check_cost(resources, gpus * (time.monotonic() - started) / 3600)
    lease.check()
    work.num_shards = len(tasks)
    return done


def check_cost(resources: Resources, gpu_hours: float) -> None:
    """Raise CostLimitError when a run has used more GPU-hours than it may."""
    if resources.max_gpu_hours is not None and gpu_hours > resources.max_gpu_hours:
        raise CostLimitError(
            f"max_gpu_hours: {resources.max_gpu_hours:g} are used up ({gpu_hours:.2f}); "
            "rerun to go on from the finished shards, or raise it in the resources file"
        )


def _committed(job: EmbedJob, found: Survey) -> dict[str, Any] | None:
    """The newest embeddings, where they are of exactly the inputs of now."""
    manifest = read_manifest(job.embeddings)
    if manifest is None or not found.is_current or found.manifest is None:
        return None
    return manifest if manifest["inputs"] == inputs_of(job, found.manifest) else None


def _finished_card(config: Config, job: EmbedJob, found: Survey) -> RunCard:
    """The card of a committed table; made from the manifest where its run was killed before writing one."""
    prepare.run(config, found.partition.date, found)  # writes its own card where that is missing
    manifest = read_manifest(job.embeddings)
    assert manifest is not None, "run has looked"
    card = load_run_card(job.embeddings, manifest["version"])
    if card is None:
        card = make_card(config, job, manifest, Work(num_shards=len(manifest["shards"])))
        card.save(job.embeddings, manifest["version"])
    card.status = "nothing to do"
    return card


def _receipts(job: EmbedJob, tasks: list[ShardTask], resources: Resources) -> Iterator[dict[str, Any]]:
    """Make the shards on the cluster, or in this process, and yield their receipts as they come."""
    if not tasks:
        return
    with Progress("embed", len(tasks)) as progress:
        receipts = _locally(job, tasks) if resources.executor == "local" else _on_ray(job, tasks, resources)
        for receipt in receipts:
            progress.waiting_for = "shards on the actors"
            progress.advance(receipt["record"]["num_rows"])
            yield receipt


def _locally(job: EmbedJob, tasks: list[ShardTask]) -> Iterator[dict[str, Any]]:
    embedder = ShardEmbedder(job)
    for task in tasks:
        yield embedder.embed(tokenize_shard(job, task))


def _on_ray(job: EmbedJob, tasks: list[ShardTask], resources: Resources) -> Iterator[dict[str, Any]]:
    import ray

    count = min(num_actors(resources), len(tasks))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.issue_detectors_config.detectors = []  # advice on memory that is not ours to follow
    for handler in logging.getLogger("ray.data").handlers:
        handler.setLevel(logging.ERROR)  # what users need is in our own lines
    context.max_errored_blocks = 0
    context.raise_original_map_exception = True  # so that our own errors keep their type and exit code
    context.execution_no_progress_timeout_s = resources.max_idle_seconds
    rows = [{"task": task.to_json()} for task in tasks]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    with warnings.catch_warnings():
        # Ray 2.60 calls restart limits deprecated and has no other way to set them; unset, a crash repeats for ever
        warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
        tokenized = dataset.map_batches(
            partial(_tokenize_row, job=job),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.TaskPoolStrategy(size=_num_tokenizers(count, resources)),
            num_cpus=TOKENIZE_CPUS,
            max_retries=resources.max_retries,
        )
        receipts = tokenized.map_batches(
            _EmbedActor,
            fn_constructor_kwargs={"job": job},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1 if resources.gpus_per_actor else ACTOR_CPUS * resources.threads_per_actor,
            num_gpus=resources.gpus_per_actor or None,
            max_restarts=resources.max_retries,
            max_task_retries=resources.max_retries,
        )
    try:
        for row in receipts.iter_rows():
            yield json.loads(row["receipt"])
    except ray.exceptions.RayError as error:
        raise_cause(error)


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
        room = int(available.get("CPU", 0) / resources.threads_per_actor)
        wanted = f"threads_per_actor: {resources.threads_per_actor}"
    if room < (resources.num_actors or 1):
        raise InputError(
            f"resources ask for {resources.num_actors or 1} actors with {wanted}; the cluster has room for {room} "
            f"({available.get('GPU', 0):g} GPUs, {available.get('CPU', 0):g} cores); change the resources file"
        )
    return resources.num_actors or room


def _num_tokenizers(num_actors: int, resources: Resources) -> int:
    """Processes that tokenise. Each costs seconds to start; one feeds 8 CPU actors or half a GPU with ease."""
    return 2 * num_actors if resources.gpus_per_actor else -(-num_actors // 8)


def _tokenize_row(row: pa.Table, job: EmbedJob) -> pa.Table:
    """Ray Data map: one shard's name in, its tokens out."""
    return tokenize_shard(job, ShardTask.from_json(row["task"][0].as_py())).to_row()


class _EmbedActor:
    """Ray Data actor: one shard's tokens in, one receipt out."""

    def __init__(self, job: EmbedJob) -> None:
        self.embedder = ShardEmbedder(job)

    def __call__(self, row: pa.Table) -> pa.Table:
        receipt = self.embedder.embed(TokenizedShard.from_row(row))
        return pa.table({"receipt": [json.dumps(receipt)]})
