"""Stage `refresh`: all tables of a night, made where they are missing or stale, and published together.

1. Days: the one asked for and, where the recipe says so, those before it, the oldest first; late files of yesterday
   are thus made up for before today (nights.py).
2. Look: each day's input files are listed once. A day without any is told and passed over, unless it is the one asked
   for.
3. Make: each stage, in order, whose newest version is not of exactly these files and this recipe (refresh_stages.py).
4. Publish: when all of them are, one object names their versions (publication.py). Readers see nothing before.

Where all are current and published, nothing is started: no cluster, no model. A killed refresh is run again.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import UTC, datetime

from theta_ray.config import Config
from theta_ray.corpus.listing import paths_of
from theta_ray.corpus.survey import Survey, look, partition_of
from theta_ray.errors import ConfigError, ConflictError, MissingInputError, StageError
from theta_ray.lease import store_now
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.nightly.nights import missing, window, yesterday
from theta_ray.nightly.refresh_card import Night, card_of, save, withdrawn_line
from theta_ray.nightly.refresh_stages import (
    SECTIONS,
    all_turned_away,
    apart,
    find_tables,
    module_of,
    partitions_of,
    stages_of,
    why_stale,
)
from theta_ray.nightly.rollback import roll_back
from theta_ray.objects import join, list_names
from theta_ray.publication import PAGE, Publication, Publications, content_of
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, load_run_card
from theta_ray.runtime import cluster
from theta_ray.store import digest_of

logger = logging.getLogger(__name__)
STAGE = "refresh"
# Other runs that publish at the same moment are let pass so often.
TRIES = 10


def default_day(config: Config) -> str:
    """The day before today, by the store's clock and in the recipe's time zone: what a nightly run is about."""
    return yesterday(store_now(config.root), config.recipe.refresh.time_zone)


def planned_day(config: Config) -> str:
    """The day of a plan. It writes nothing, so that it cannot ask the store: it goes by this machine's clock."""
    day = yesterday(datetime.now(UTC), config.recipe.refresh.time_zone)
    logger.info("%s: the plan is of %s, yesterday by this machine's clock; a run goes by the store's", STAGE, day)
    return day


def plan(config: Config, day: str) -> Plan:
    """What `run` would do on each day, and why."""
    stages, steps = _check(config), list[PlanStep]()
    publications = Publications(config.root, config.recipe.name)
    if config.recipe.refresh.publish_version is not None:
        version = config.recipe.refresh.publish_version
        step = PlanStep(STAGE, publications.path(version), f"would publish version {version} again", {})
        return Plan([step], config.sections(STAGE))
    for each in window(day, config.recipe.refresh.num_days):
        found = _look(config, each, asked=each == day)
        if found is None:
            steps.append(PlanStep(STAGE, partition_of(config, each).path, "passed over: no input files", {}))
            continue
        of_day = [_plan_stage(config, stage, found) for stage in stages]
        made = [step.stage for step in of_day if not step.status.startswith("nothing to do")]
        status = _plan_publication(config, each, stages, made)
        if found.is_current and found.manifest is not None and all_turned_away(found.manifest):
            status = f"would not publish: {all_turned_away(found.manifest)}"
        steps += [*of_day, PlanStep(STAGE, join(config.root, "published", config.recipe.name), status, {})]
    sections = [name for stage in stages for name in SECTIONS[stage]]
    return Plan(steps, config.sections(*sections, STAGE))


def _plan_stage(config: Config, stage: str, found: Survey) -> PlanStep:
    day, module = found.partition.date, module_of(stage)
    place = partitions_of(stage, config, day)[-1].path
    if found.is_current and module.committed(config, day, found) is not None:
        return PlanStep(stage, place, "nothing to do: committed", {})
    return module.plan(config, day).steps[-1]


def _plan_publication(config: Config, day: str, stages: tuple[str, ...], made: list[str]) -> str:
    # a new page alone does not bring back what was withdrawn
    if any(stage != PAGE for stage in made) or (made and apart(find_tables(stages, config, day)) is not None):
        return "would publish"
    publications = Publications(config.root, config.recipe.name)
    content, newest = _content(config, day, stages), publications.of_day(day)
    if newest is not None and content_of(newest) == content:
        return "would publish" if made else f"nothing to do: published as version {newest['version']}"
    withdrawn = publications.withdrawn_version(content)
    return "would publish" if withdrawn is None else withdrawn_line(withdrawn)


def run(config: Config, day: str) -> RunCard:
    """Bring the tables of a day, and of days before it, up to date, and publish each day that changed.

    Raises:
        ConfigError: a section that the stages need is missing, or all days would be of the same files.
        InputError: the day has no input files, or a version that is to be published again is gone.
        StageError: rows came in, and all were turned away; or a stage's own check failed.
        ConflictError: another run is making other versions of the same tables.
    """
    stages, phases = _check(config), Phases()
    publications = Publications(config.root, config.recipe.name)
    if config.recipe.refresh.publish_version is not None:
        return roll_back(config, config.recipe.refresh.publish_version)
    before, nights = publications.read(), list[Night]()
    with ExitStack() as stack:
        for each in window(day, config.recipe.refresh.num_days):
            with phases.measure("list"):
                found = _look(config, each, asked=each == day)
            if found is not None:
                nights.append(_refresh_day(config, stages, found, (stack, phases)))
                _check_rows(nights[-1], found, asked=each == day)
    card = card_of(config, nights, before, phases)
    save(config, card, nights)
    return card


def _check(config: Config) -> tuple[str, ...]:
    stages, num_days = stages_of(config), config.recipe.refresh.num_days
    for index, spec in enumerate(config.recipe.corpus.inputs):
        if num_days > 1 and paths_of(spec, "2026-01-01") == paths_of(spec, "2026-01-02"):
            raise ConfigError(
                f"refresh.num_days {num_days}: corpus.inputs.{index}.path has no {{date}}, so that all days would be "
                "of the same files; put it into the path, or set num_days: 1"
            )
    return stages


def _look(config: Config, day: str, *, asked: bool) -> Survey | None:
    """The day's files and what is committed of them; None for an earlier day without files."""
    try:
        return look(config, day)
    except MissingInputError as error:
        if asked:
            raise
        logger.info("%s: %s is passed over: %s", STAGE, day, str(error).partition(";")[0])
        return None


def _check_rows(night: Night, found: Survey, *, asked: bool) -> None:
    """Raise StageError where all rows of the day asked for were turned away; of an earlier day it is told."""
    if not night.turned_away:
        return
    hint = "nothing of it is published; look at the quarantine, then mend the input or the recipe's section corpus"
    line = f"{found.partition.path}: {night.turned_away}; {hint}"
    if asked:
        raise StageError(line)
    logger.warning("%s: %s", STAGE, line)


def _refresh_day(config: Config, stages: tuple[str, ...], found: Survey, run: tuple[ExitStack, Phases]) -> Night:
    (stack, phases), day = run, found.partition.date
    night = Night(day)
    for number, stage in enumerate(stages):
        if number == 1:  # the corpus is there
            night.look_at(found.manifest)
            if night.turned_away:
                return night
        module = module_of(stage)
        with phases.measure("check"):
            manifest, place = module.committed(config, day, found), partitions_of(stage, config, day)[-1]
        if manifest is not None:
            night.reasons[stage] = "current"
            if load_run_card(place, manifest["version"]) is None:
                module.run(config, day, found)  # killed after its commit: the card, and staging to be removed
            continue
        newest = read_manifest(place)
        reason = why_stale(newest, find_tables(stages[:number], config, day)) if number else found.reasons()[0]
        logger.info("%s: %s runs %s: %s", STAGE, day, stage, reason)
        night.reasons[stage] = reason
        with phases.measure(stage):
            stack.enter_context(cluster(config.resources))  # one for all that is run
            night.cards.append(module.run(config, day, found))
        found = found.again()
    with phases.measure("publish"):
        _publish(config, stages, night)
    return night


def _content(config: Config, day: str, stages: tuple[str, ...]) -> Publication:
    """What is published of a day: versions that belong together.

    Raises:
        ConflictError: they do not, since another run is making others.
    """
    tables = find_tables(stages, config, day)
    problem = apart(tables)
    if problem is not None:
        raise ConflictError(f"{problem}; another run is at work there: rerun when it is done")
    sections = config.sections(*(name for stage in stages for name in SECTIONS[stage]))
    known = _committed_days(config, day)
    return {
        "date": day,
        "tables": {table: found.identity for table, found in sorted(tables.items())},
        "recipe": digest_of(sections),
        "missing": missing(day, config.recipe.refresh.num_days, known),
    }


def _committed_days(config: Config, day: str) -> list[str]:
    """Days of the corpus: those of the window by their versions, earlier ones by their folders."""
    place, days = partition_of(config, day), set(window(day, config.recipe.refresh.num_days))
    folders = list_names(join(config.root, place.table, place.fingerprint))
    found = [name.removeprefix("dt=") for name in folders if name.startswith("dt=")]
    return [each for each in found if each not in days or list_versions(partition_of(config, each))]


def _publish(config: Config, stages: tuple[str, ...], night: Night) -> None:
    """Create the publication of a day, unless the newest one of that day says the same or it was withdrawn."""
    publications = Publications(config.root, config.recipe.name)
    for _ in range(TRIES):
        # read before the tables: whoever publishes in between makes the create fail
        highest = publications.highest()
        content, newest = _content(config, night.day, stages), publications.of_day(night.day)
        if newest is not None and content_of(newest) == content:
            night.publication = newest
            return
        withdrawn = publications.withdrawn_version(content)
        if withdrawn is not None:
            night.withdrawn = withdrawn
            logger.warning("%s: %s is %s", STAGE, night.day, withdrawn_line(withdrawn))
            return
        try:
            night.publication, night.is_new = publications.publish(content, highest), True
        except ConflictError as error:
            logger.info("%s: %s", STAGE, error)
            continue
        return
    raise ConflictError(f"{join(config.root, 'published', config.recipe.name)}: others publish all the time; rerun")
