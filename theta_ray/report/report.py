"""Stage `report`: the committed tables of a day become one HTML page.

1. Make: tables that the recipe describes and that are missing, by their own stages.
2. Gather: bounded reads of the tables, and of those of the night before (gather.py).
3. Render: one file that asks nobody for anything (page.py).
4. Commit: the manifest of table `report` names the file, and the versions of all tables that it is of.

<root>/report/<fingerprint>/dt=<day>/report-<digest>.html   created once; the digest is of its bytes
                                    /manifests/00000001.json
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from theta_ray.config import Config
from theta_ray.config_report import Report
from theta_ray.corpus import prepare
from theta_ray.corpus.survey import Survey
from theta_ray.encoder import embed
from theta_ray.errors import InputError, StageError
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, read_manifest
from theta_ray.network import analyze_network
from theta_ray.objects import open_filesystem
from theta_ray.report.before import nights_before, tables_before
from theta_ray.report.gather import Nights, gather
from theta_ray.report.page import made_with, render
from theta_ray.report.tables import Committed, committed_of, partitions_of
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card
from theta_ray.runtime import cluster
from theta_ray.stale import against_other_fingerprints
from theta_ray.store import Partition, create_same, fingerprint
from theta_ray.tasks import Executor
from theta_ray.topics import label_topics
from theta_ray.uris import SCHEME

logger = logging.getLogger(__name__)
STAGE = "report"
# A page is files alone: its table has no rows.
SCHEMA = pa.schema([])
MAX_BYTES = 5_000_000


@dataclass(frozen=True)
class ReportJob:
    """A page: where it goes, and of what."""

    report: Partition
    settings: Report
    tables: Mapping[str, Committed]
    before: Mapping[str, Committed] | None
    nights: tuple[Committed, ...] = ()
    """Topics of earlier nights, oldest first."""
    missing: tuple[str, ...] = ()
    """Tables that the recipe describes and that are not committed."""

    @property
    def body(self) -> dict[str, Any]:
        """What its manifest says it is made of; a page is stale when this is another."""
        before = None
        if self.before is not None:
            day = self.before["corpus"].partition.date
            before = {"date": day, "tables": {name: found.identity for name, found in sorted(self.before.items())}}
        return {
            "inputs": {name: found.identity for name, found in sorted(self.tables.items())},
            "before": before,
            "nights": {found.partition.date: found.identity for found in self.nights},
            "sections": {STAGE: self.settings.model_dump(mode="json")},
            "made_with": made_with(),
        }


def partition_of(config: Config, day: str) -> Partition:
    """The partition of a day's page, committed or not."""
    return _partition(config, list(partitions_of(config, day)))


def _partition(config: Config, places: Sequence[Partition]) -> Partition:
    inputs = {place.table: place.fingerprint for place in places}
    name = fingerprint(STAGE, SCHEMA, config.sections(STAGE), inputs)
    return Partition(config.root, STAGE, name, places[0].date)


def make_job(config: Config, day: str) -> ReportJob:
    """The page of a day's committed tables.

    Raises:
        InputError: there is no corpus.
    """
    places = list(partitions_of(config, day))
    tables = committed_of(places)
    if "corpus" not in tables:
        raise InputError(f"{places[0].path}: not committed; run jobs/prepare.py for {day} first")
    missing = tuple(place.table for place in places if place.table not in tables)
    before = tables_before(config, day, tables)
    nights = tuple(nights_before(tables["topics"])) if "topics" in tables else ()
    return ReportJob(_partition(config, places), config.recipe.report, tables, before, nights, missing)


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why: tables that are missing first."""
    steps, recipe = list[PlanStep](), dict[str, Any]()
    for stage in _stages(config):
        each = stage.plan(config, day)
        steps += [step for step in each.steps if step.stage not in {known.stage for known in steps}]
        recipe |= each.recipe
    status, reasons = "would run after them", ["not all of its tables are committed in this version"]
    place = partition_of(config, day)
    if all(step.status.startswith("nothing to do") for step in steps):
        job = make_job(config, day)
        status, reasons = "nothing to do: committed", []
        if _committed(job) is None:
            made_of = {"sections": config.sections(STAGE), "inputs": job.body["inputs"]}
            status = "would run"
            reasons = against_other_fingerprints(place, made_of) or ["no page is committed for these tables"]
    settings = config.recipe.report
    figures = {"points": settings.num_points, "topics": settings.num_topics, "texts": settings.show_text}
    steps.append(PlanStep(STAGE, place.path, status, figures, reasons))
    return Plan(steps, {**recipe, **config.sections(STAGE)})


def committed(config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
    """The newest page, where it is of the tables of now; None where `run` has something to do."""
    return None if prepare.committed(config, day, found) is None else _committed(make_job(config, day))


def run(config: Config, day: str, found: Survey | None = None) -> RunCard:
    """Commit the page of a day, whose tables are made first where they are missing.

    Args:
        config: recipe, resources and root.
        day: YYYY-MM-DD.
        found: what `look` has found a moment ago; absent: look now.

    Raises:
        InputError: there is no corpus, and the recipe says that nothing is made.
        StageError: the page is 5 MB or more.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    with cluster(config.resources):
        made = [stage.run(config, day, found) for stage in _stages(config)]
        card = write(config, day)
    card.upstream = [each for run in made for each in ([run] if run.status == "committed" else run.upstream)]
    return card


def _stages(config: Config) -> list[Any]:
    """Stages that make what a page is of; each runs those before it."""
    if not config.recipe.report.make_missing:
        return []
    if config.recipe.cluster is not None:
        return [prepare, label_topics, analyze_network]
    return [prepare, analyze_network] if config.recipe.encoder is None else [prepare, embed, analyze_network]


def write(config: Config, day: str) -> RunCard:
    """Commit the page of tables that are committed.

    Raises:
        InputError: there is no corpus.
        StageError: the page is 5 MB or more.
    """
    job = make_job(config, day)
    manifest = _committed(job)
    if manifest is None:
        with holding(job.report, config.resources) as lease, cluster(config.resources):
            job = make_job(config, day)  # another run may have been first while this one waited
            manifest = _committed(job)
            if manifest is None:
                return _make(config, job, lease)
    return finished_card(_to_card(config, job, manifest), job.report, manifest["version"])


def _committed(job: ReportJob) -> dict[str, Any] | None:
    """The newest page, where it is of the current tables and of this version of the templates."""
    manifest = read_manifest(job.report)
    return manifest if manifest is not None and {name: manifest.get(name) for name in job.body} == job.body else None


def _make(config: Config, job: ReportJob, lease: Lease) -> RunCard:
    phases = Phases()
    executor = Executor(STAGE, config.resources, lease.check)
    if job.missing:
        logger.info("%s: without %s; the page says how to make them", STAGE, ", ".join(job.missing))
    with phases.measure("gather"):
        facts = gather(config, Nights(job.tables, job.before, job.nights), executor)
    with phases.measure("render"):
        page = render(facts, job.settings)
    if len(page) >= MAX_BYTES:
        raise StageError(
            f"{job.report.path}: the page would have {len(page):,} bytes, {MAX_BYTES:,} are too many; set a smaller "
            "report.num_points or report.num_topics"
        )
    sha256 = hashlib.sha256(page).hexdigest()
    name = f"report-{sha256[:16]}.html"
    lease.check()
    with phases.measure("commit"):
        uri = job.report.at(name)
        if create_same(uri, page) is not None:
            raise StageError(f"{uri}: holds something else than its name says; remove it, then rerun")
        body = {**job.body, "files": [name], "num_bytes": len(page), "sha256": sha256}
        manifest = commit(job.report, SCHEMA, [], body)
    card = _to_card(config, job, manifest)
    card.seconds = phases.seconds
    card.save(job.report, manifest["version"])
    return card


def page_of(report: Partition, manifest: Mapping[str, Any]) -> str:
    """Where the page of a version lies: a path that a browser opens, or a URI."""
    uri = report.at(manifest["files"][0])
    return uri if SCHEME.match(uri) else open_filesystem(uri)[1]


def _to_card(config: Config, job: ReportJob, manifest: Mapping[str, Any]) -> RunCard:
    figures = {
        "page": page_of(job.report, manifest),
        "bytes": manifest["num_bytes"],
        "tables": len(manifest["inputs"]),
        "compared_with": manifest["before"]["date"] if manifest["before"] else "no earlier night",
    }
    return RunCard.of(
        STAGE,
        job.report,
        figures,
        recipe=config.sections(STAGE),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={STAGE: job.settings.seed},
    )
