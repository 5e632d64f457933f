"""Stage `finetune`: pairs of documents become an adapter.

    committed pairs -> Ray Train workers, one per core or GPU (or this process) -> the same steps on all (loop.py)
    -> checkpoints below the adapter's partition -> metrics beside the base model -> rank 0 commits the adapter

A run that was killed goes on from its last checkpoint, with any number of workers: the batches, their negatives and
their dropout are those of the recipe, whatever the workers are.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import torch

from theta_ray.config import Config, Resources
from theta_ray.config_finetune import Finetune
from theta_ray.encoder.processor import usable_cores
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import ConfigError, InputError, StageError, ThetaError
from theta_ray.lease import holding
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.objects import read_bytes
from theta_ray.progress import Progress
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, load_run_card
from theta_ray.runtime import cluster
from theta_ray.store import Partition, fingerprint
from theta_ray.training import mine_pairs
from theta_ray.training.adapter import Trained, commit_adapter
from theta_ray.training.checkpoint import newest_step, remove_checkpoints
from theta_ray.training.checks import check_recipe
from theta_ray.training.loop import Learner, TrainJob, num_steps
from theta_ray.training.order import Order
from theta_ray.training.step import Alone, Workers
from theta_ray.training.teacher import find_teacher
from theta_ray.training.worker_group import run_on_workers

logger = logging.getLogger(__name__)
STAGE = "finetune"
NUM_LOSSES_SHOWN = 5


@dataclass(frozen=True)
class Asked:
    """A run's job and what its artefact says about it."""

    job: TrainJob
    sections: dict[str, Any]
    inputs: dict[str, Any]


def plan(config: Config, day: str) -> Plan:
    """What `run` would train on and for how many steps; the pairs first where they are missing."""
    settings = finetune_section(config)
    steps = mine_pairs.plan(config, day).steps
    pairs = mine_pairs.make_job(config, day).partition
    manifest = read_manifest(pairs)
    figures: dict[str, Any] = {"batch_size": settings.batch_size, "method": settings.method, "loss": settings.loss.name}
    if manifest is None:
        return Plan(
            [*steps, PlanStep(STAGE, "", "would run after mine_pairs", figures, ["no pairs are committed"])], {}
        )
    job = make_job(config, day).job
    adapter, figures = job.adapter, {**figures, "training_pairs": _num_pairs(job), "steps": _num_steps(job)}
    is_done = read_manifest(adapter) is not None
    status, reasons = ("nothing to do: committed", []) if is_done else ("would run", ["no adapter of these pairs yet"])
    sections = config.sections("pairs", "encoder", "finetune")
    return Plan([*steps, PlanStep(STAGE, adapter.path, status, figures, reasons)], sections)


def run(config: Config, day: str) -> RunCard:
    """Train on a day's pairs, mined first where they are missing, and commit the adapter.

    Raises:
        ConfigError: the recipe has no `finetune` or `pairs` section.
        InputError: pairs that cannot make a step, or none to evaluate on.
        StageError: the loss or the vectors have broken down.
        ConflictError: another run holds the adapter and the resources say not to wait.
    """
    settings = finetune_section(config)
    if settings.loss.teacher is not None:
        find_teacher(settings.loss.teacher, config.root)  # before hours of mining
    phases = Phases()
    upstream = mine_pairs.run(config, day)
    with phases.measure("check model"):
        asked = make_job(config, day)
    _check_number_of_workers(asked.job, config.resources)
    adapter, workers = asked.job.adapter, {}
    if read_manifest(adapter) is None:
        with holding(adapter, config.resources):
            if read_manifest(adapter) is None:  # another run may have committed while this one waited
                with phases.measure("train"):
                    workers = _train(asked, config.resources)
    manifest = read_manifest(adapter)
    assert manifest is not None, "rank 0 has committed"
    remove_checkpoints(adapter)  # also those of a run that was killed after its commit
    card = load_run_card(adapter, manifest["version"])
    if card is None:
        card = _card(config, adapter, workers)
        card.seconds = phases.seconds
        card.save(adapter, manifest["version"])
    card.status = "committed" if workers else "nothing to do"
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def finetune_section(config: Config) -> Finetune:
    """The recipe's section.

    Raises:
        ConfigError: it has none, or its pairs cannot serve its loss.
    """
    settings = config.recipe.finetune
    if settings is None:
        raise ConfigError("finetune: is missing in the recipe; add the section, such as `finetune: {epochs: 1}`")
    if config.recipe.pairs is not None:
        check_recipe(config.recipe.pairs, settings)
    return settings


def make_job(config: Config, day: str) -> Asked:
    """Everything that the workers need, and the partition that the adapter goes to."""
    settings, resources, encoder = finetune_section(config), config.resources, config.encoder
    if encoder.adapter is not None:
        raise ConfigError("encoder.adapter: training starts from the base model; leave it out, then name the new one")
    if resources.fsdp and settings.method == "full":
        raise ConfigError(
            "resources.fsdp: shards a base that stays as it is; leave it out, or set finetune.method to lora"
        )
    source = resolve_model(encoder)
    mined = mine_pairs.make_job(config, day)
    manifests = {table.table: read_manifest(table) for table in (mined.corpus, mined.partition)}
    teacher = None
    if settings.loss.teacher is not None:
        teacher = find_teacher(settings.loss.teacher, config.root, manifests["corpus"])
        manifests["teacher"] = read_manifest(teacher)
    inputs = {name: identity_of(manifest) for name, manifest in manifests.items() if manifest}
    digests = {name: identity["sha256"] for name, identity in inputs.items()}
    sections = config.sections("pairs", "encoder", "finetune")
    loss = {**sections["finetune"]["loss"], "teacher": None}  # which is known by its manifest, wherever it lies
    decisive = {**sections, "finetune": {**sections["finetune"], "loss": loss}}
    name = fingerprint("adapter", pa.schema([]), decisive, {**digests, "model": source.identity})
    job = TrainJob(
        corpus=mined.corpus,
        pairs=mined.partition,
        adapter=replace(mined.corpus, table="adapter", fingerprint=name),
        encoder=encoder,
        finetune=settings,
        pair_settings=mined.pairs,
        source=source,
        device="cuda" if resources.gpus_per_actor else "cpu",
        threads=resources.threads_per_actor or (usable_cores() if resources.executor == "local" else 1),
        fsdp=resources.fsdp,
        teacher=teacher,
    )
    return Asked(job, sections, {**inputs, "model": source.identity})


def _num_pairs(job: TrainJob) -> int:
    manifest = read_manifest(job.pairs)
    assert manifest is not None, "they are mined"
    count: int = manifest["counts"]["num_train"]
    return count


def _num_steps(job: TrainJob) -> int:
    return num_steps(Order(_num_pairs(job), job.finetune.batch_size, job.finetune.seed), job.finetune)


def _check_number_of_workers(job: TrainJob, resources: Resources) -> None:
    """Raise InputError where not every worker could have a pair, before any is started."""
    count = _num_pairs(job)
    name = "min_actors" if resources.min_actors else "num_actors"
    asked = getattr(resources, name) or 1
    if resources.executor == "ray" and asked > count:
        raise InputError(f"finetune: {asked} workers for {count} training pairs; set {name} to {count} or less")


def _train(asked: Asked, resources: Resources) -> dict[str, Any]:
    """Train and commit; figures of the workers."""
    if resources.executor == "local":
        learner = Learner(asked.job, Alone())
        with Progress(STAGE, learner.num_steps, "steps") as progress:
            progress.waiting_for = "this process"
            work(asked, learner, progress)
        return {"workers": 1}
    with cluster(resources), Progress(STAGE, 1, "adapters") as progress:
        total = _num_steps(asked.job)
        progress.look = lambda: f"step {newest_step(asked.job.adapter)} of {total} is saved"
        found, count = run_on_workers(work_as_one, asked, asked.job.adapter.fingerprint, resources, progress)
    if isinstance(found, ThetaError):
        raise found
    return {"workers": count}


def work_as_one(asked: Asked, workers: Workers) -> ThetaError | None:
    """One worker of several; an error that all of them have is the answer, as trying again would not help."""
    error: ThetaError | None = None
    try:
        learner = Learner(asked.job, workers)
    except ThetaError as found:
        error = found
    if (failed := count_failed(workers, error, asked.job.device)) == workers.size:
        return error
    if failed:  # the others would wait for this one for ever
        raise error or StageError("finetune: another worker could not start")
    try:
        work(asked, learner)
    except ThetaError as found:  # the steps are the same on all
        return found
    return None


def count_failed(workers: Workers, error: ThetaError | None, device: str) -> int:
    """How many of the workers have an error."""
    return int(workers.add(torch.tensor(float(error is not None), device=device)))


def work(asked: Asked, learner: Learner, shown: Progress | None = None) -> None:
    """Train, evaluate and, on rank 0, commit."""
    workers = learner.workers

    def tell(values: dict[str, Any]) -> None:
        if workers.rank == 0:  # other ranks have the same values
            _log(values)
        if shown is not None:
            shown.reach(values["step"])

    progress = learner.train(tell)
    metrics = learner.evaluate()
    figures = {
        "training_pairs": len(learner.data),
        "negatives_a_pair": learner.data.num_negatives,
        "steps": progress.step,
        "parameters_trained": sum(parameter.numel() for parameter in learner.parameters.values()),
    }
    if workers.rank == 0:
        told = {"base": _values(metrics, "base"), "tuned": _values(metrics, "tuned"), "comparison": metrics}
        trained = Trained(
            model=learner.peft or learner.encoder.model,
            projection=learner.encoder.projection,
            classifier=learner.classifier,
            encoder=asked.job.encoder,
            source=asked.job.source,
            metrics={**told, "losses": progress.losses, "evaluations": progress.evaluations, "figures": figures},
            sections=asked.sections,
            inputs=asked.inputs,
        )
        commit_adapter(asked.job.adapter, trained, merged=asked.job.finetune.merged, device=asked.job.device)


def _values(metrics: dict[str, Any], side: str) -> dict[str, Any]:
    return {name: row[side] for name, row in metrics.items()}


def _log(values: dict[str, Any]) -> None:
    logger.info(
        "finetune: step %d, loss %.4f, gradient norm %.3g, %.0f pairs/s",
        *(values[name] for name in ("step", "loss", "gradient_norm", "pairs_per_second")),
    )


def _card(config: Config, adapter: Partition, workers: dict[str, Any]) -> RunCard:
    """The card of a committed adapter, whoever has trained it."""
    told = json.loads(read_bytes(adapter.at("metrics.json")))
    losses = told["losses"]
    every = max(1, len(losses) // NUM_LOSSES_SHOWN)
    shown = {
        name: f"{_told(row['base'])} to {_told(row['tuned'])}  {row.get('verdict', '')}".rstrip()
        for name, row in told["comparison"].items()
    }
    curve = {"loss": " ".join(f"{loss:.4f}" for loss in [*losses[:-1:every], *losses[-1:]])} if losses else {}
    return RunCard.of(
        STAGE,
        adapter,
        {**told["figures"], **workers, **curve, **shown},
        recipe=config.sections("pairs", "encoder", "finetune"),
        resources=config.resources.model_dump(mode="json"),
    )


def _told(found: dict[str, Any]) -> str:
    value = found["value"]
    return "-" if value is None else f"{value:.3f}"
