"""A recipe becomes the description of its embedding work: where it goes, what decides it, what it would take."""

from __future__ import annotations

import os
from typing import Any

from theta_ray.config import Config, Resources
from theta_ray.corpus.survey import partition_of
from theta_ray.encoder.commit import inputs_of
from theta_ray.encoder.encoder import make_tokenizer, vector_rules
from theta_ray.encoder.model import check_num_layers
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.source import ModelSource, num_parameters, resolve_model
from theta_ray.errors import ConfigError
from theta_ray.manifest import read_manifest
from theta_ray.schemas import embeddings_schema
from theta_ray.stale import against_other_fingerprints, cut
from theta_ray.store import Partition, fingerprint

# Model-independent guesses for --plan: what one core and one GPU reach on a plain forward pass.
GUESSED_FLOPS = {"cpu": 4e10, "cuda": 1e14}
# What the model's own files say enters the fingerprint by its digest, not by the path it lies at.
IDENTITY_FIELDS = ("model", "revision", "adapter", "weights_sha256")


def make_job(config: Config, day: str) -> EmbedJob:
    """Everything workers need, after a check that the model, its pooling and its tokenizer fit."""
    encoder, embed, resources = config.recipe.encoder, config.recipe.embed, config.resources
    source = resolve_model(encoder)
    rules = vector_rules(encoder, embed, source)
    if encoder.num_layers is not None:
        check_num_layers(source, encoder.num_layers)
    if embed.store_dtype == "binary" and rules.dim % 8:
        raise ConfigError(
            f"embed.store_dtype binary: a byte holds 8 signs, and the vectors have {rules.dim} values; "
            f"set embed.dim to a multiple of 8, such as {max(8, rules.dim // 8 * 8)}"
        )
    make_tokenizer(encoder, source)
    corpus = partition_of(config, day)
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


def estimate_time(job: EmbedJob, resources: Resources, num_tokens: int) -> str:
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
