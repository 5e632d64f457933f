"""A recipe becomes the description of its embedding work: where it goes, what decides it, what it would take."""

from __future__ import annotations

import heapq
import os
import time
from functools import lru_cache
from typing import Any

import torch

from theta_ray.config import Config, Embed, Encoder, Resources
from theta_ray.corpus.estimate import kept_texts
from theta_ray.corpus.survey import Survey, partition_of
from theta_ray.encoder.commit import inputs_of
from theta_ray.encoder.devices import MEASURED_SECONDS, peak_in_table, peak_of
from theta_ray.encoder.encoder import make_tokenizer, vector_rules
from theta_ray.encoder.model import check_num_layers, load_config
from theta_ray.encoder.precision import resolve_precision
from theta_ray.encoder.processor import usable_cores
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.sizing import (
    BYTES_PER_DRAW,
    NUM_DRAWS,
    Stratum,
    count_load,
    even_texts,
    measure_rate,
)
from theta_ray.encoder.source import ModelSource, num_parameters, resolve_model
from theta_ray.encoder.text_index import Night
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.errors import ConfigError
from theta_ray.manifest import read_manifest
from theta_ray.objects import join
from theta_ray.schemas import TEXT_INDEX, embeddings_schema
from theta_ray.stale import against_other_fingerprints, cut
from theta_ray.store import Partition, Record, fingerprint

# Ray, its workers and their imports, until the first actor loads its model; measured on two cores.
RAY_SECONDS = 20.0
# Larger models are not loaded for a plan; on a CPU they reach about this share of the measured peak.
MAX_TIMED_WEIGHTS, LARGE_CPU_SHARE = 300_000_000, 0.6
# From so many weights on, this share of a GPU's peak is assumed.
GPU_MFU = ((300_000_000, 0.4), (0, 0.25))
USUAL_GPU = "NVIDIA A100-SXM4-80GB"
# What the model's own files say enters the fingerprint by its digest, not by the path it lies at.
IDENTITY_FIELDS = ("model", "revision", "adapter", "weights_sha256")


def make_job(config: Config, day: str) -> EmbedJob:
    """Everything workers need, after a check that the model, its pooling and its tokenizer fit."""
    encoder, embed, resources = _with_own_adapter(config), config.recipe.embed, config.resources
    source = resolve_model(encoder)
    dim, corpus = _checked_dim(encoder, embed, source), partition_of(config, day)
    return EmbedJob(
        corpus=corpus,
        embeddings=_partition(config, corpus, source, dim),
        encoder=encoder,
        embed=embed,
        source=source,
        dim=dim,
        device="cuda" if resources.gpus_per_actor else "cpu",
        threads=resources.threads_per_actor or (usable_cores() if resources.executor == "local" else 1),
        batch_tokens=resources.batch_tokens,
        gpus=resources.gpus_per_actor,
    )


@lru_cache(maxsize=16)
def _checked_dim(encoder: Encoder, embed: Embed, source: ModelSource) -> int:
    """Values of a vector, after the checks; remembered, since a night asks for its job dozens of times."""
    rules = vector_rules(encoder, embed, source)
    if encoder.num_layers is not None:
        check_num_layers(source, encoder.num_layers)
    if embed.store_dtype == "binary" and rules.dim % 8:
        raise ConfigError(
            f"embed.store_dtype binary: a byte holds 8 signs, and the vectors have {rules.dim} values; "
            f"set embed.dim to a multiple of 8, such as {max(8, rules.dim // 8 * 8)}"
        )
    make_tokenizer(encoder, source)
    return rules.dim


def _with_own_adapter(config: Config) -> Encoder:
    """The encoder section, its adapter found below the root where it is named `adapter/<fingerprint>/dt=<day>`."""
    encoder = config.encoder
    if encoder.adapter is None or not encoder.adapter.startswith("adapter/"):
        return encoder
    return encoder.model_copy(update={"adapter": join(config.root, encoder.adapter)})


def _partition(config: Config, corpus: Partition, source: ModelSource, dim: int) -> Partition:
    sections = config.sections("encoder", "embed")
    for name in IDENTITY_FIELDS:
        del sections["encoder"][name]
    inputs = {"corpus": corpus.fingerprint, "model": source.identity, "adapter": source.adapter_identity or ""}
    schema = embeddings_schema(dim, config.recipe.embed.store_dtype)
    return Partition(corpus.root, "embeddings", fingerprint("embeddings", schema, sections, inputs), corpus.date)


def night_of(job: EmbedJob, tasks: list[ShardTask], records: list[Record]) -> Night:
    """The shards of a version, for the text index: its fingerprint is of what decides a stored vector, and no corpus.

    Args:
        job: from `make_job`.
        tasks: all shards of the version.
        records: of those that are finished.
    """
    encoder = job.encoder.model_dump(mode="json")
    for name in IDENTITY_FIELDS:
        del encoder[name]
    sections = {"encoder": encoder, "embed": {"dim": job.dim, "store_dtype": job.embed.store_dtype}}
    inputs = {"model": job.source.identity, "adapter": job.source.adapter_identity or ""}
    name = fingerprint("text_index", TEXT_INDEX, sections, inputs)
    index = Partition(job.embeddings.root, "text_index", name, job.embeddings.date)
    missing = frozenset(record.shard for record in records if record.quarantined)
    return Night(index, job.corpus, job.embeddings, tuple(tasks), missing, {**sections, **inputs})


def reasons_for(job: EmbedJob, config: Config, corpus: dict[str, Any], todo: list[str]) -> list[str]:
    """Why shards must be made: another model or recipe, a new version of the corpus, or an interrupted run."""
    newest = read_manifest(job.embeddings)
    if newest is None:
        settings = {"sections": config.sections("encoder", "embed"), "inputs": inputs_of(job, corpus)}
        other = against_other_fingerprints(job.embeddings, settings)
        return [*other, *cut([f"{shard} has not been made yet" for shard in todo])]
    known = {shard["shard"] for shard in newest["shards"]}
    stale = [f"{shard} is stale: its part of the corpus is new or changed" for shard in todo if shard not in known]
    return [f"version {newest['version']} is of corpus version {newest['inputs']['corpus']['version']}", *cut(stale)]


def estimate(
    job: EmbedJob, resources: Resources, strata: list[Stratum], tasks: list[ShardTask], check_seconds: float
) -> dict[str, Any]:
    """Figures of a plan: tokens, seconds from start to commit, and what both were found on.

    Args:
        job: from `make_job`.
        resources: where it would run.
        strata: texts that stand for everything that is to be embedded; none where nothing is.
        tasks: the shards to make; none where they are not known yet.
        check_seconds: what `make_job` took, which a run does as well.
    """
    began = time.perf_counter()
    tokenizer = make_tokenizer(job.encoder, job.source)
    check_seconds += time.perf_counter() - began
    load = count_load(job, tokenizer, strata)
    if not load.num_tokens:
        return {"estimated_tokens": 0, "estimated_seconds": 0.0}
    num_actors, elsewhere = _num_actors(job, resources)
    num_actors = min(num_actors, len(tasks) or num_actors)
    share = busiest_share([task.num_tokens for task in tasks], num_actors)
    start = check_seconds + MEASURED_SECONDS + (RAY_SECONDS if resources.executor == "ray" else 0.0)
    if job.device == "cpu" and num_parameters(job.source.folder) <= MAX_TIMED_WEIGHTS:
        num_busy = 0 if elsewhere else max(0, min(num_actors * job.threads, os.cpu_count() or 1) - job.threads)
        rate = measure_rate(job, load, num_busy)
        flops, basis = rate.flops, "timed on this machine"
        start += rate.load_seconds + job.embed.parity_rows * rate.single_seconds * share
    else:
        flops, basis = assumed_rate(job)
    # a GPU's tokens are made beside it
    seconds = start + share * (load.flops / flops + (load.tokenize_seconds if job.device == "cpu" else 0.0))
    actors = f"{num_actors} actor{'s' if num_actors > 1 else ''} at {flops / 1e9:,.0f} GFLOP/s each ({basis})"
    return {
        "estimated_tokens": load.num_tokens,
        "tokens_counted_on": f"{sum(len(stratum.texts) for stratum in strata):,} texts",
        "estimated_seconds": round(float(seconds), 1),
        "estimated_time": f"about {_duration(seconds)} on {actors}, {_duration(start)} of it to start{elsewhere}",
    }


def input_strata(found: Survey) -> list[Stratum]:
    """The inputs' documents, before the corpus is made of them: rows that repeat others are not known yet."""
    documents, scale = found.sample
    texts = kept_texts(found.corpus, documents)
    num_bytes = sum(len(text.encode()) for text in texts)
    drawn = even_texts(texts, NUM_DRAWS * BYTES_PER_DRAW)
    return [Stratum(drawn, len(texts) * scale, num_bytes * scale)] if num_bytes else []


def busiest_share(sizes: list[int], num_actors: int) -> float:
    """Share of all work that the busiest actor does, where each takes the next shard as it gets free."""
    if not sum(sizes):
        return 1 / num_actors
    busy_until = [0] * min(num_actors, len(sizes))
    for size in sizes:
        heapq.heapreplace(busy_until, busy_until[0] + size)
    return max(busy_until) / sum(sizes)


def assumed_rate(job: EmbedJob) -> tuple[float, str]:
    """Operations a second of one actor where none are timed, and what they are taken from."""
    config, num_weights = load_config(job.source), num_parameters(job.source.folder)
    if job.device == "cpu":
        measured = peak_of("cpu", resolve_precision(job.encoder.precision, "cpu"), config)
        return LARGE_CPU_SHARE * measured.flops, f"{LARGE_CPU_SHARE:.0%} of the peak measured on this machine"
    mfu = next(share for weights, share in GPU_MFU if num_weights >= weights)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else USUAL_GPU
    half = job.encoder.precision != "float32"
    peak = peak_in_table(name, "float16" if half else "float32") or peak_in_table(USUAL_GPU, "float16")
    assert peak is not None, "the table has the usual GPU"
    where = "" if torch.cuda.is_available() else ", no GPU is here to ask"
    return mfu * peak.flops, f"{mfu:.0%} of the peak of {name} is assumed{where}"


def _num_actors(job: EmbedJob, resources: Resources) -> tuple[int, str]:
    """Actors of the run, and a remark where they are not known before Ray is there."""
    if resources.executor == "local":
        return 1, ""
    if resources.num_actors is None and (job.device == "cuda" or "RAY_ADDRESS" in os.environ):
        return 1, "; the cluster's size is known once it is joined"
    return resources.num_actors or max(1, (os.cpu_count() or 1) // (resources.threads_per_actor or 1)), ""


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
