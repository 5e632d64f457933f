"""Stage `migrate`: from the vectors of one model, or adapter, to those of another, keeping topics alive where it can.

1. Draw: different texts of the newest day of the earlier embeddings, by hashes (anchors.py).
2. Embed: these anchors by the new recipe's encoder, as shards of the embed stage, on the same actors.
3. Compare: one task fits maps to one half, judges them by the other half's neighbours, and writes them (maps.py).
4. Carry over: where the chosen map finds `migrate.min_overlap` of the neighbours, centroids of all earlier days are
   mapped, and topics go on under the new fingerprint (carry_over.py). Else topics begin anew, and the page says so.
5. Plan: what embedding all earlier days again would take, or the last `migrate.num_days`, and which command does it.

The driver sees figures. A rerun takes up what an interrupted run has drawn, embedded and carried over.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus import staging
from theta_ray.encoder.map_shards import map_shards, num_gpus
from theta_ray.errors import InputError
from theta_ray.gpu_hours import holding_gpus
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit
from theta_ray.nightly.anchors import GatherTask, draw_anchors, draw_tasks, embed_tasks, gather_anchors
from theta_ray.nightly.carry_over import carry_days
from theta_ray.nightly.compare_models import CompareTask, compare_models
from theta_ray.nightly.migrate_card import costs, judgement, names, to_card
from theta_ray.nightly.migration import DECIDES, Migration, carrying_of, make_migration, read_maps, why_not
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard
from theta_ray.runtime import cluster
from theta_ray.schemas import EMBEDDING_MAPS
from theta_ray.store import Record, digest_of, finished_shards
from theta_ray.tasks import Executor

STAGE = "migrate"


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and what embedding everything again would take."""
    found = make_migration(config, day)
    job, manifest = found.job, read_maps(found)
    figures, told = names(found), costs(found, manifest)
    if manifest is None:
        status, reasons = "would run", ["the vectors of both models have not been compared"]
        anchors = min(job.settings.num_anchors, found.earlier["num_rows"])
        tokens = round(told["full_tokens"] * anchors / max(1, told["full_documents"]))
        figures |= {"anchors_at_most": anchors, "estimated_tokens_of_anchors": tokens}
    else:
        carrying, reasons = carrying_of(found, manifest), []
        will_carry = carrying is not None and why_not(found, manifest) is None and not carrying.is_done()
        status = "would carry centroids and topics over" if will_carry else "nothing to do: committed"
        figures |= judgement(found, manifest)
    step = PlanStep(STAGE, job.maps.path, status, {**figures, **told}, reasons)
    return Plan([step], config.sections("encoder", "embed", "cluster", STAGE))


def run(config: Config, day: str) -> RunCard:
    """Commit the maps from the earlier vectors to the new ones, and carry topics over where they are good enough.

    Raises:
        ConfigError: `migrate.previous` names embeddings that cannot be come from.
        InputError: there are no earlier embeddings, or too few documents in them.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    phases = Phases()
    with phases.measure("check model"):
        found = make_migration(config, day)
    with ExitStack() as stack:
        lease = stack.enter_context(holding(found.job.maps, config.resources))
        manifest, status = read_maps(found), "nothing to do"
        if manifest is None:
            stack.enter_context(cluster(config.resources))
            manifest, status = _compare(config, found, (lease, phases)), "committed"
        carrying = carrying_of(found, manifest)
        if carrying is not None and why_not(found, manifest) is None and not carrying.is_done():
            stack.enter_context(cluster(config.resources))
            with phases.measure("carry over"):
                carry_days(carrying, Executor(STAGE, config.resources, lease.check))
            status = "committed"
    staging.remove_left(found.job.maps)
    with phases.measure("plan"):
        card = to_card(found, manifest)
    card.status, card.seconds = status, phases.seconds
    card.save(found.job.maps, manifest["version"])
    return card


def _compare(config: Config, found: Migration, run: tuple[Lease, Phases]) -> dict[str, Any]:
    lease, phases = run
    body = {"sections": config.sections(STAGE), "inputs": found.inputs}
    digest = digest_of([{name: body["sections"][STAGE][name] for name in DECIDES}, found.inputs])
    job = replace(found.job, staging=found.job.maps.at("staging", digest), epoch=lease.epoch)
    executor = Executor(STAGE, config.resources, lease.check)
    with phases.measure("draw"):
        draws = draw_tasks(job, found.earlier)
        executor.map(draw_anchors, draws)
        (gathered,) = executor.map(gather_anchors, [GatherTask(job, tuple(task.shard for task in draws))])
    if not gathered["num_rows"]:
        raise InputError(f"{job.previous.path}: has no documents; give a day that has as --date")
    with phases.measure("embed"):
        tasks, finished = embed_tasks(job, gathered), finished_shards(job.texts.embeddings)
        todo = [task for task in tasks if task.shard not in finished]
        with holding_gpus(config.resources, num_gpus(config.resources, len(todo)) if todo else 0):
            for _ in map_shards(job.texts, todo, config.resources):
                lease.check()
    version = found.clusters.manifest["version"] if found.clusters is not None else None
    task = CompareTask(job, tuple(task.shard for task in tasks), version, f"part-00000-{digest}")
    with phases.measure("compare"):
        (compared,) = executor.map(compare_models, [task])
    record = Record(**compared.pop("record"))
    counts = {"num_anchors": compared.pop("num_rows"), "num_drawn": gathered["num_rows"]}
    lease.check()
    with phases.measure("commit"):
        return commit(job.maps, EMBEDDING_MAPS, [record], {**body, **compared, "counts": counts})
