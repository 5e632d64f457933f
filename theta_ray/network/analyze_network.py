"""Stage `analyze_network`: the corpus becomes graphs, their statistics, communities and backbone.

1. Read: each corpus shard becomes staged events (events.py); replies and reposts find the authors of their targets
   (resolve.py); contexts are numbered and counted (contexts.py), authors, threads and texts measured (people.py).
2. Price: projections that would cost more than the recipe allows are refused before a pair is built (pricing.py).
3. Number: nodes of each graph get numbers; projections are made in ranges of actors (numbered.py).
4. Measure: each graph in one task, or by workers that hold its blocks where it is larger (measure.py); random graphs
   of the same degrees, a task each (null_graphs.py).
5. Commit: every event is in an edge, or was left out for one reason.

The driver sees counts and statistics only. A rerun takes up what an interrupted run has staged.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus import prepare, staging
from theta_ray.corpus.survey import Survey, partition_of
from theta_ray.lease import Lease, holding
from theta_ray.manifest import read_manifest
from theta_ray.network.contexts import GraphTask
from theta_ray.network.finish import commit_tables, figures_of
from theta_ray.network.inputs import Inputs, find_inputs
from theta_ray.network.job import NetworkJob
from theta_ray.network.phases import (
    graph_task,
    measure_graphs,
    measure_people,
    number_graph,
    price_graphs,
    stage_events,
)
from theta_ray.network.preview_price import price_corpus
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card, versions
from theta_ray.runtime import cluster
from theta_ray.schemas_network import NETWORK_TABLES
from theta_ray.stale import against_other_fingerprints
from theta_ray.store import Partition, digest_of, fingerprint
from theta_ray.tasks import Executor

STAGE = "analyze_network"
# Committed last: readers of it find the others.
LAST = "network_stats"
PACKAGES = ("networkit", "numpy", "scipy")


def make_job(config: Config, day: str) -> NetworkJob:
    """The tables of a day."""
    corpus, sections = partition_of(config, day), config.sections("network")
    tables = {
        name: Partition(config.root, name, fingerprint(name, schema, sections, {"corpus": corpus.fingerprint}), day)
        for name, schema in NETWORK_TABLES.items()
    }
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
    return NetworkJob(corpus, tables, config.recipe.network, last_time=int(midnight.timestamp()) * 10**6 - 1)


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why; what each projection costs, where the corpus is there to count."""
    before, job = prepare.plan(config, day), make_job(config, day)
    figures: dict[str, Any] = {"graphs": ", ".join(job.settings.graphs)}
    status, reasons = "would run after prepare", ["the corpus is not committed in this version"]
    if before.steps[-1].status.startswith("nothing to do"):
        inputs = find_inputs(config, job, day)
        settings = {"sections": config.sections("network"), "inputs": inputs.identities}
        status = "would run"
        reasons = against_other_fingerprints(job.tables[LAST], settings) or ["nothing is committed for this corpus"]
        if _committed(job, inputs) is not None:
            status, reasons = "nothing to do: committed", []
        else:
            figures |= price_corpus(job, inputs, config.resources)
    step = PlanStep(STAGE, job.tables[LAST].path, status, figures, reasons)
    return Plan([*before.steps, step], {**before.recipe, **config.sections("network")})


def committed(config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
    """The newest statistics, where they are of the corpus and topics of now; None where `run` has something to do."""
    if prepare.committed(config, day, found) is None:
        return None
    job = make_job(config, day)
    return _committed(job, find_inputs(config, job, day))


def run(config: Config, day: str, found: Survey | None = None) -> RunCard:
    """Commit the networks of a day's corpus, which is made first where it is missing.

    Args:
        config: recipe, resources and root.
        day: YYYY-MM-DD.
        found: what `look` has found a moment ago; absent: look now.

    Raises:
        ConfigError: a projection is over its budget.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    phases = Phases()
    with cluster(config.resources):
        upstream = prepare.run(config, day, found)
        job = make_job(config, day)
        with phases.measure("list"):
            inputs = find_inputs(config, job, day)
        manifest = _committed(job, inputs)
        if manifest is not None:
            return _finished(config, job, manifest)
        with holding(job.tables[LAST], config.resources) as lease:
            manifest = _committed(job, inputs)  # another run may have been first while this one waited
            if manifest is not None:
                return _finished(config, job, manifest)
            card = _make(config, replace(job, epoch=lease.epoch), inputs, (lease, phases))
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _committed(job: NetworkJob, inputs: Inputs) -> dict[str, Any] | None:
    """The newest statistics, where they are of the current corpus and topics."""
    manifest = read_manifest(job.tables[LAST])
    return manifest if manifest is not None and manifest["inputs"] == inputs.identities else None


def _finished(config: Config, job: NetworkJob, manifest: dict[str, Any]) -> RunCard:
    staging.remove_left(job.tables[LAST])
    return finished_card(_to_card(config, job, manifest), job.tables[LAST], manifest["version"])


def _make(config: Config, job: NetworkJob, inputs: Inputs, run: tuple[Lease, Phases]) -> RunCard:
    lease, phases = run
    made_with = {name: importlib.metadata.version(name) for name in PACKAGES}
    # graphs in blocks have other parts than those of one task: neither may take up the other's
    digest = digest_of([inputs.identities, made_with, config.resources.max_task_edges])
    job = replace(
        job,
        topics=inputs.topics,
        assignments=inputs.assignments,
        topic_of_cluster=inputs.topic_of_cluster,
        staging=job.tables[LAST].at("staging", digest),
    )
    executor = Executor(STAGE, config.resources, lease.check)
    tasks = inputs.tasks(job)
    with phases.measure("read"):
        counted = stage_events(job, tasks, executor)
    job = replace(job, end=counted.end)
    with phases.measure("authors"):
        measure_people(job, tasks, counted, executor)
    prices = price_graphs(job, counted)
    with phases.measure("edges"):
        graphs = [number_graph(job, name, counted, prices.get(name), executor) for name in job.settings.graphs]
    of_graph: dict[str, GraphTask] = {
        name: graph_task(job, name, counted, prices.get(name)) for name in job.settings.graphs
    }
    with phases.measure("statistics"):
        statistics = measure_graphs(graphs, of_graph, config.resources, executor)
    lease.check()
    with phases.measure("commit"):
        body = {"sections": config.sections("network"), "inputs": inputs.identities, "versions": made_with}
        found = (counted, graphs, prices, statistics)
        manifest = commit_tables(job, found, (body, digest), executor)
    card = _to_card(config, job, manifest)
    card.seconds = phases.seconds
    card.save(job.tables[LAST], manifest["version"])
    staging.remove(job.tables[LAST].at("staging"))
    return card


def _to_card(config: Config, job: NetworkJob, manifest: dict[str, Any]) -> RunCard:
    return RunCard.of(
        STAGE,
        job.tables[LAST],
        figures_of(job, manifest),
        recipe=config.sections("network"),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={"network": job.settings.seed},
        versions=versions() | manifest["versions"],
    )
