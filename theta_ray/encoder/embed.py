"""Stage: the corpus table becomes the embeddings table.

plan shards by tokens -> leave out finished ones, and those that need no model (ready_made.py)
-> texts that earlier nights embedded (earlier_texts.py), texts that several shards have (shared.py)
-> receipts of the others (map_shards.py) -> where each text is embedded, for later nights (text_index.py)
-> counts add up, manifest, run card
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from theta_ray.config import Config, Resources
from theta_ray.corpus import prepare, staging
from theta_ray.corpus.survey import Survey, look
from theta_ray.encoder.commit import commit_embeddings, inputs_of, make_card
from theta_ray.encoder.earlier_texts import find_earlier, identity_of
from theta_ray.encoder.job import MAX_TIMED_WEIGHTS, estimate, input_strata, make_job, night_of, reasons_for
from theta_ray.encoder.map_shards import calls_at_once, map_shards, num_actors, num_gpus
from theta_ray.encoder.probes import check_contract
from theta_ray.encoder.ready_made import assemble_shard, carry_shard, find_carried
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.shared import Sharing, plan_sharing
from theta_ray.encoder.sizing import draw_strata
from theta_ray.encoder.source import num_parameters
from theta_ray.encoder.text_index import Segment, commit_index
from theta_ray.encoder.tokenized import ShardTask, plan_tasks
from theta_ray.encoder.work import Work
from theta_ray.errors import CostLimitError
from theta_ray.gpu_hours import holding_gpus
from theta_ray.lease import Lease, holding
from theta_ray.manifest import read_manifest
from theta_ray.runcard import Plan, PlanStep, RunCard, load_run_card
from theta_ray.runtime import cluster
from theta_ray.store import Record, finished_shards, read_records
from theta_ray.tasks import Executor

logger = logging.getLogger(__name__)


def plan(config: Config, day: str, found: Survey | None = None) -> Plan:
    """What `run` would do, and why: the corpus first where it is missing, then the shards that are not finished."""
    began = time.perf_counter()
    job = make_job(config, day)
    if job.device == "cpu" and num_parameters(job.source.folder) <= MAX_TIMED_WEIGHTS:
        check_contract(job.encoder, job.source, device="cpu")
    check_seconds, found = time.perf_counter() - began, found or look(config, day)
    steps = prepare.plan(config, day, found).steps
    corpus = found.manifest if found.is_current else None
    if corpus is None:
        figures: dict[str, Any] = {"shards": "known once the corpus is prepared", **_earlier_figures(job, [])}
        todo, strata = [], input_strata(found)
        status, reasons = "would run after prepare", ["the corpus is not committed in this version"]
    else:
        tasks, finished = plan_tasks(corpus, job.embed), finished_shards(job.embeddings)
        todo = [task for task in tasks if task.shard not in finished]
        carried = {each.record.shard for each in find_carried(job.embeddings, todo, job.epoch)}
        todo = [task for task in todo if task.shard not in carried]
        strata = draw_strata(job, corpus, todo)
        figures = {"shards": len(tasks), "shards_finished": len(tasks) - len(todo) - len(carried)}
        figures |= {"shards_carried_over": len(carried)} if carried else {}
        figures |= _earlier_figures(job, tasks) if todo else {}
        figures["rows_to_embed"] = sum(task.num_rows for task in todo)
        figures["bytes_of_text"] = sum(g["text_bytes"] for s in corpus["shards"] for g in s["details"]["row_groups"])
        committed = _committed(job, found)
        status = "nothing to do: committed" if committed else "would run"
        reasons = [] if committed else reasons_for(job, config, corpus, [task.shard for task in todo])
    figures["model"] = job.source.identity
    figures["vectors"] = f"{job.dim} x {job.embed.store_dtype}"
    figures |= estimate(job, config.resources, strata, todo, check_seconds)
    steps.append(PlanStep("embed", job.embeddings.path, status, figures, reasons))
    return Plan(steps, config.recipe.model_dump(mode="json"))


def committed(config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
    """The newest version, where it is of exactly the corpus of now; None where `run` has something to do."""
    return _committed(make_job(config, day), found or look(config, day))


def _earlier_figures(job: EmbedJob, tasks: list[ShardTask]) -> dict[str, Any]:
    """For a plan: texts of earlier nights are found by the run."""
    if not night_of(job, tasks, []).earlier_segments():
        return {}
    return {"earlier_nights": "texts that they have are looked up and taken over, which no estimate knows yet"}


def run(config: Config, day: str, found: Survey | None = None) -> RunCard:
    """Commit the embeddings of a day's corpus, going on from the shards that are finished.

    Args:
        config: recipe, resources and root.
        day: YYYY-MM-DD.
        found: what `look` has found a moment ago; absent: look now.

    Raises:
        ConflictError: another run holds the partition and the resources say not to wait.
        CostLimitError: the GPU-hours of the resources file are used up; what is finished stays.
    """
    work = Work()
    with work.phases.measure("check model"):
        job = make_job(config, day)
    with work.phases.measure("list"):
        found = found or look(config, day)
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
        sharing, records = _make_shards(replace(job, epoch=lease.epoch), corpus, config.resources, (lease, work))
    with work.phases.measure("commit"):
        manifest = commit_embeddings(job, corpus, records, sharing)
    card = make_card(config, job, manifest, work)
    card.save(job.embeddings, manifest["version"])
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _make_shards(
    job: EmbedJob, corpus: dict[str, Any], resources: Resources, run: tuple[Lease, Work]
) -> tuple[Sharing, list[Record]]:
    """Records of all shards of a corpus version, made where there is none yet, and whether they share texts."""
    lease, work = run
    tasks, finished = plan_tasks(corpus, job.embed), finished_shards(job.embeddings)
    todo = [task for task in tasks if task.shard not in finished]
    done = read_records(job.embeddings, [task.shard for task in tasks if task.shard in finished])
    logger.info("embed: %d shards, %d finished before, model %s", len(tasks), len(done), job.source.identity)
    executor, work.num_shards = Executor("embed", resources, lease.check), len(tasks)
    with work.phases.measure("look at earlier nights"):
        segments = night_of(job, tasks, done).earlier_segments()
        job, ready = _take_over(job, todo, segments, (executor, work))
    done += ready
    todo = [task for task in todo if task.shard not in {record.shard for record in ready}]
    with work.phases.measure("find shared texts"):
        sharing = plan_sharing((job.corpus, job.embeddings), corpus, tasks, resources, identity_of(segments))
    job = replace(job, shared=sharing.folder)
    if lease.joined:
        todo.reverse()  # the other run began at the front; a shard that it has finished is not made again
    gpus = num_gpus(resources, len(todo))
    started, work.began, work.calls_at_once = time.monotonic(), time.time(), calls_at_once(resources)
    with work.phases.measure("embed"), holding_gpus(resources, gpus):
        for receipt in map_shards(job, todo, resources):
            lease.check()
            done.append(work.add(receipt))
            check_cost(resources, gpus * (time.monotonic() - started) / 3600)
    lease.check()
    if job.earlier is not None:
        staging.remove(job.earlier.folder)
    with work.phases.measure("index texts"):
        commit_index(night_of(job, tasks, done), executor)
    return sharing, done


def _take_over(
    job: EmbedJob, todo: list[ShardTask], segments: list[Segment], run: tuple[Executor, Work]
) -> tuple[EmbedJob, list[Record]]:
    """The job with what earlier nights have of its texts, and records of the shards that need no model."""
    executor, work = run
    items = find_carried(job.embeddings, todo, job.epoch)
    copied = executor.map(carry_shard, items) if items else []
    carried = [Record(**each["record"]) for each in copied if each["record"] is not None]
    names = {record.shard for record in carried}
    todo = [task for task in todo if task.shard not in names]
    found = find_earlier((job.corpus, job.embeddings), todo, segments, executor)
    job = replace(job, earlier=found.texts)
    whole = [(job, task) for task in todo if task.shard in found.whole]
    assembled = executor.map(assemble_shard, whole) if whole else []
    for record in assembled:
        work.take_over(record)
    work.num_carried, work.num_assembled = len(carried), len(assembled)
    work.earlier = found.finding if segments else ""
    if work.earlier:
        logger.info("embed: %s", work.earlier)
    return job, [*carried, *assembled]


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
