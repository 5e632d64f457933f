"""Stage: the corpus table becomes the embeddings table.

plan shards by tokens -> leave out finished ones -> rows of shard names through Ray Data
-> CPU map: read, tokenise -> actors: vectors, check, write the shard under its name -> receipt
-> driver: counts add up, manifest, run card
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pyarrow as pa

from theta_ray.config import Config, Resources
from theta_ray.corpus import prepare
from theta_ray.encoder.commit import Work, commit_embeddings, make_card
from theta_ray.encoder.encoder import make_tokenizer, vector_rules
from theta_ray.encoder.shard import EmbedJob, ShardEmbedder, tokenize_shard
from theta_ray.encoder.source import ModelSource, num_parameters, resolve_model
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard, plan_tasks
from theta_ray.errors import InputError
from theta_ray.runcard import Plan, PlanStep, RunCard, load_run_card
from theta_ray.runtime import Progress, cluster, raise_cause
from theta_ray.schemas import embeddings_schema
from theta_ray.store import Partition, fingerprint, read_manifest, read_records

logger = logging.getLogger(__name__)
# Model-independent guesses for --plan: what one core and one GPU reach on a plain forward pass.
GUESSED_FLOPS = {"cpu": 4e10, "cuda": 1e14}
# Shares of a core, so that a tokenising task always fits beside the actor that owns the core.
TOKENIZE_CPUS, ACTOR_CPUS = 0.1, 0.9
# What the model's own files say enters the fingerprint by its digest, not by the path it lies at.
IDENTITY_FIELDS = ("model", "revision", "adapter", "weights_sha256")


def make_job(config: Config, day: str) -> EmbedJob:
    """Everything workers need, after a check that the model, its pooling and its tokenizer fit."""
    encoder, embed, resources = config.recipe.encoder, config.recipe.embed, config.resources
    source = resolve_model(encoder)
    rules = vector_rules(encoder, embed, source)
    make_tokenizer(encoder, source)
    corpus = prepare.partition_of(config, day)
    return EmbedJob(
        corpus=corpus,
        embeddings=_partition(config, corpus, source, rules.dim),
        encoder=encoder,
        embed=embed,
        source=source,
        dim=rules.dim,
        device="cuda" if resources.gpus_per_actor else "cpu",
        threads=resources.threads_per_actor,
        batch_tokens=resources.batch_tokens,
    )


def _partition(config: Config, corpus: Partition, source: ModelSource, dim: int) -> Partition:
    sections = config.sections("encoder", "embed")
    for name in IDENTITY_FIELDS:
        del sections["encoder"][name]
    inputs = {"corpus": corpus.fingerprint, "model": source.identity, "adapter": source.adapter_identity or ""}
    schema = embeddings_schema(dim, config.recipe.embed.store_dtype)
    return Partition(corpus.root, "embeddings", fingerprint("embeddings", schema, sections, inputs), corpus.date)


def plan(config: Config, day: str) -> Plan:
    """What `run` would do: the corpus first where it is missing, then the shards that are not finished."""
    job = make_job(config, day)
    steps = prepare.plan(config, day).steps
    manifest = read_manifest(job.corpus)
    if manifest is None:
        figures: dict[str, Any] = {"shards": "known once the corpus is prepared"}
        num_tokens = steps[-1].figures["estimated_tokens"]
        status = "would run after prepare"
    else:
        tasks, done = plan_tasks(manifest, job.embed), read_records(job.embeddings)
        todo = [task for task in tasks if task.shard not in done]
        num_tokens = sum(task.num_tokens for task in todo)
        figures = {"shards": len(tasks), "shards_finished": len(done), "rows_to_embed": sum(t.num_rows for t in todo)}
        figures["bytes_of_text"] = sum(g["text_bytes"] for s in manifest["shards"] for g in s["details"]["row_groups"])
        status = "nothing to do: committed" if read_manifest(job.embeddings) else "would run"
    figures["estimated_tokens"] = num_tokens
    figures["model"] = job.source.identity
    figures["vectors"] = f"{job.dim} x {job.embed.store_dtype}"
    figures["estimated_time"] = _estimate_time(job, config.resources, num_tokens)
    steps.append(PlanStep("embed", job.embeddings.path, status, figures))
    return Plan(steps, config.recipe.model_dump(mode="json"))


def _estimate_time(job: EmbedJob, resources: Resources, num_tokens: int) -> str:
    """A forward pass costs about 2 floating-point operations per weight and token."""
    flops = GUESSED_FLOPS[job.device]
    num_actors, where = resources.num_actors or os.cpu_count() or 1, ""
    if resources.executor == "local":
        num_actors = 1
    elif resources.num_actors is None and (job.device == "cuda" or "RAY_ADDRESS" in os.environ):
        num_actors, where = 1, "; the cluster's size is known once it is joined"
    seconds = 2 * num_parameters(job.source.folder) * num_tokens / (flops * num_actors)
    plural = "s" if num_actors > 1 else ""
    return f"about {_duration(seconds)} on {num_actors} actor{plural} at {flops / 1e9:,.0f} GFLOP/s each{where}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run(config: Config, day: str) -> RunCard:
    """Commit the embeddings of a day's corpus, going on from the shards that are finished."""
    work = Work()
    with work.phases.measure("check model"):
        job = make_job(config, day)
    if read_manifest(job.embeddings) is not None:
        prepare.run(config, day)  # finds changed input; starts nothing where it is committed
        return _finished_card(config, job)
    with ExitStack() as stack:
        with work.phases.measure("start Ray"):
            stack.enter_context(cluster(config.resources))
            _num_actors(config.resources)  # a missing GPU stops the job before anything is read
        upstream = prepare.run(config, day)
        manifest = read_manifest(job.corpus)
        assert manifest is not None, "prepare has committed"
        tasks, done = plan_tasks(manifest, job.embed), read_records(job.embeddings)
        todo = [task for task in tasks if task.shard not in done]
        logger.info("embed: %d shards, %d finished before, model %s", len(tasks), len(done), job.source.identity)
        with work.phases.measure("embed"):
            for receipt in _receipts(job, todo, config.resources):
                record = work.add(receipt)
                done[record.shard] = record
    work.num_shards = len(tasks)
    with work.phases.measure("commit"):
        body = commit_embeddings(job, manifest, [done[task.shard] for task in tasks])
    card = make_card(config, job, body, work)
    card.save(job.embeddings)
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _finished_card(config: Config, job: EmbedJob) -> RunCard:
    """The card of a committed table; made from the manifest where its run was killed before writing one."""
    card = load_run_card(job.embeddings)
    if card is None:
        manifest = read_manifest(job.embeddings)
        assert manifest is not None, "run has looked"
        card = make_card(config, job, manifest, Work(num_shards=len(manifest["shards"])))
        card.save(job.embeddings)
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

    num_actors = min(_num_actors(resources), len(tasks))
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
            compute=ray.data.TaskPoolStrategy(size=_num_tokenizers(num_actors, resources)),
            num_cpus=TOKENIZE_CPUS,
            max_retries=resources.max_retries,
        )
        receipts = tokenized.map_batches(
            _EmbedActor,
            fn_constructor_kwargs={"job": job},
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=num_actors),
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


def _num_actors(resources: Resources) -> int:
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
