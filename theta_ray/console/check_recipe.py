"""Checks of what a recipe names: its input files, its model with hashes and contract, and what embedding would cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from theta_ray.config import Config
from theta_ray.console.checks import Finding, fail, ok, warn
from theta_ray.corpus.listing import list_files, paths_of
from theta_ray.encoder.source import resolve_model, weights_sha256
from theta_ray.errors import InputError, ThetaError
from theta_ray.objects import join
from theta_ray.uris import SCHEME

DATE = "{date}"
# So much is hashed within the time of a check, at 400 MB/s.
MAX_HASHED_BYTES = 4 * 2**30


def check_inputs(config: Config, day: str, *, asked: bool) -> Sequence[Finding]:
    """The input files of the day are there; of a day that nobody asked for they may be yet to come."""
    try:
        files = list_files(config.recipe.corpus, day)
    except InputError as error:
        paths = [path for spec in config.recipe.corpus.inputs for path in paths_of(spec, DATE)]
        if asked or not any(DATE in path for path in paths):
            raise
        return [warn("input", str(error).partition("; ")[0], "name the day: --date")]
    told = f"{len(files):,} files of {day}, {sum(file.num_bytes for file in files):,} bytes"
    return [ok("input", told)]


def check_places(config: Config, *, joins: bool) -> Sequence[Finding]:
    """The recipe itself has been read; a local root is only right where all nodes have it."""
    findings = [ok("recipe", f"{config.recipe.name}: every key is known")]
    if joins and not SCHEME.match(config.root):
        advice = "it must be a folder that every node shares; else use s3://bucket/name"
        findings.append(warn("root", f"{config.root} is on this machine", advice))
    return findings


def check_model(config: Config) -> Sequence[Finding]:
    """The model is on this machine, in safetensors, with the weights that the recipe pins and its contract's settings.

    Nothing is fetched.
    """
    encoder, what = config.recipe.encoder, "model"
    if encoder is None:
        return [ok(what, "none: the recipe has no section encoder")]
    if encoder.adapter is not None and encoder.adapter.startswith("adapter/"):
        encoder = encoder.model_copy(update={"adapter": join(config.root, encoder.adapter)})
    if Path(encoder.model).is_absolute() and _weight_bytes(Path(encoder.model)) > MAX_HASHED_BYTES:
        return [warn(what, f"{encoder.model}: too large to hash here", "--plan compares its hashes")]
    source = resolve_model(encoder.model_copy(update={"weights_sha256": None}))
    size = _weight_bytes(Path(source.folder))
    told = f"{encoder.model}, {size / 2**20:,.0f} MiB"
    told += f", adapter {source.adapter_identity}" if source.adapter_identity else ""
    if encoder.weights_sha256 is None:
        advice = "pin weights_sha256 in the recipe, so that other weights are refused"
        return [warn(what, f"{told}, its weights are not pinned", advice)]
    if size > MAX_HASHED_BYTES:
        return [warn(what, f"{told}, too large to hash here", "--plan compares its hashes")]
    found = weights_sha256(Path(source.folder))
    if found != encoder.weights_sha256:
        advice = "get the pinned weights, or change weights_sha256 if you trust these"
        return [fail(what, f"{told}, weights have SHA-256 {found}, the recipe pins {encoder.weights_sha256}", advice)]
    return [ok(what, f"{told}, SHA-256 as pinned")]


def _weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def check_cost(config: Config, day: str) -> Sequence[Finding]:
    """What embedding the day would take, as `--plan` estimates it."""
    what = "estimate"
    if config.recipe.encoder is None:
        return [ok(what, "nothing to embed")]
    from theta_ray.encoder import embed  # torch

    try:
        figures = embed.plan(config, day).steps[-1].figures
    except ThetaError as error:  # what is missing has a line of its own
        return [warn(what, "none", str(error).splitlines()[0].partition("; ")[0])]
    seconds, tokens = figures["estimated_seconds"], figures["estimated_tokens"]
    if not tokens:
        return [ok(what, "nothing to embed")]
    hours, resources = seconds / 3600, config.resources
    told = f"{tokens:,} tokens to embed, {figures['estimated_time']}"
    actors = resources.num_actors or 1
    if resources.price_per_device_hour is not None:
        cost = hours * actors * (resources.gpus_per_actor or 1) * resources.price_per_device_hour
        told += f"; cost {cost:,.2f}"
    gpu_hours = hours * actors * resources.gpus_per_actor
    if resources.max_gpu_hours is not None and gpu_hours > resources.max_gpu_hours:
        advice = f"max_gpu_hours: {resources.max_gpu_hours:g} would stop it; raise it, or rerun to go on"
        return [warn(what, f"{told}; {gpu_hours:.1f} GPU-hours", advice)]
    return [ok(what, told)]
