"""Stage `forget`: deleted documents and forgotten authors leave every table, version and object below the root.

1. Their ids become a tombstone: an object of digests that is created once and wins forever (corpus/tombstones.py,
   gone_authors.py); with an author all documents of that author, wherever they are (forget_authors.py).
2. Every object with ids is searched, on the cluster, whatever recipe made it (forget_scan.py).
3. Adapters that were trained on such documents are marked; no table brings a document back out of a model.
4. Each day that holds some, or was made from what does (forget_places.py), is made again by the stages that made it: a
   deletion is an input like any other, and other documents keep their vectors, clusters, topics and pairs.
5. What the new versions do not name is removed at once, whatever its age (forget_day.py), and with it the hashes of
   their texts (encoder/gone_texts.py).
6. A report says what went, and what no job here can reach.

A killed run is run again. `forget.verify=true` deletes nothing and searches everything (verify.py).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from theta_ray.clean_up import MARKS, partitions_below
from theta_ray.config import Config
from theta_ray.corpus import gone_authors, staging, tombstones
from theta_ray.corpus.tombstones import Tombstones
from theta_ray.encoder.gone_texts import drop_gone
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.nightly import compliance, verify
from theta_ray.nightly.forget_authors import find_documents
from theta_ray.nightly.forget_day import Removed, bring_up_to_date, publish_again, raw_files, remove_all, remove_old
from theta_ray.nightly.forget_places import find_affected, has_inputs, inputs_of, stages_of
from theta_ray.nightly.forget_report import DELETIONS, Finding, find_report, save_finding, save_report
from theta_ray.nightly.forget_request import Request, read_request
from theta_ray.nightly.forget_scan import Gone, Held, scan
from theta_ray.objects import join
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard
from theta_ray.runtime import cluster
from theta_ray.store import Partition, canonical_json, create_same
from theta_ray.tasks import Executor

logger = logging.getLogger(__name__)
STAGE = "forget"


@dataclass(frozen=True)
class Search:
    """What a search of the whole root has found."""

    held: dict[Partition, dict[str, Held]]
    """By partition and object."""
    affected: set[Partition]
    """These partitions, and all that was made from them."""
    written: Tombstones
    """Ids of documents that forgotten authors have written."""

    def of_newest(self, partition: Partition) -> Held:
        """What the newest version of a partition holds."""
        manifest = read_manifest(partition)
        names = {f"{shard['shard']}.parquet" for shard in manifest["shards"]} if manifest else set()
        return sum((held for name, held in self.held.get(partition, {}).items() if name in names), Held())

    def digests(self) -> frozenset[bytes]:
        """Of all deleted ids of documents that are anywhere."""
        return frozenset().union(*(held.digests for objects in self.held.values() for held in objects.values()))

    def authors(self) -> frozenset[bytes]:
        """Of all forgotten authors who are anywhere."""
        return frozenset().union(*(held.authors for objects in self.held.values() for held in objects.values()))


def plan(config: Config, day: str) -> Plan:
    """What would be removed, by a search in this process; the ids become no tombstone yet."""
    if config.recipe.forget.verify:
        return verify.plan(config, day)
    request = read_request(config)
    alone = Executor(STAGE, config.resources.model_copy(update={"executor": "local"}), lambda: None)
    found = _search(config, request, alone)
    figures = {**_asked(request), "found": len(found.digests()), "partitions": len(found.affected)}
    days = sorted({each.date for each in found.affected})
    reasons = [f"{each.table}/{each.fingerprint} {each.date}" for each in sorted(found.affected, key=_by_day)]
    status = f"would run for {', '.join(days)}" if days else "nothing to do"
    return Plan([PlanStep(STAGE, config.root, status, figures, reasons)], config.sections("forget"))


def run(config: Config, day: str) -> RunCard:
    """Forget what the recipe's lists name, or verify that it is forgotten.

    Raises:
        InputError: a list is missing or is none; or, after all that this recipe can do, other tables hold some still.
        ConflictError: another run is at work there, and the resources say not to wait.
        StageError: `verify` has found something.
    """
    if config.recipe.forget.verify:
        return verify.run(config, day)
    phases = Phases()
    with phases.measure("read ids"):
        request = read_request(config)
        request.keep(config.root)
    with cluster(config.resources):
        executor = Executor(STAGE, config.resources, lambda: None)
        with phases.measure("search"):
            found = _search(config, request, executor)
            tombstones.add(config.root, found.written.without(tombstones.read(config.root)))
        number, finding = find_report(config.root, request.name)
        if not found.affected and finding is None and number > 1:
            return _card(config, day, (request.name, number - 1), _asked(request), status="nothing to do")
        if finding is None:
            finding = _finding(found, request)
            save_finding(config.root, request.name, number, finding)
        adapters = _mark_adapters(config, found, request.name)
        removed, remaining = Removed(), list[Partition]()
        with phases.measure("days"):
            for each in sorted({partition.date for partition in found.affected}):
                remaining += _forget_day(config, each, found, removed)
        with phases.measure("text index"):
            hashes = drop_gone(config.root, executor) if finding.days else 0
    if finding.days:
        staging.remove(join(config.root, compliance.FOLDER))  # lists of ids, which are written again when asked for
    raw = sorted({file for each in finding.days for file in raw_files(config, each)})
    done = {"adapters_marked": len(adapters), "hashes_of_texts_removed": hashes}
    figures = finding.figures() | removed.figures() | done
    told = {"adapters": adapters, "raw_files": raw, "remaining": [each.path for each in remaining]}
    if remaining:
        raise _told(remaining)  # without a report: the run that ends it writes one
    save_report(config.root, request.name, number, {**finding.facts(), **removed.facts(), **told})
    card = _card(config, day, (request.name, number), {**figures, "raw_files_that_hold_them": len(raw)})
    card.seconds = phases.seconds
    for file in raw:
        logger.warning("forget: %s still holds deleted documents; inputs are not touched", file)
    return card


def _asked(request: Request) -> dict[str, Any]:
    authors = {"authors_requested": len(request.forms)} if request.forms else {}
    return {"requested": len(request.documents), **authors}


def _search(config: Config, request: Request, executor: Executor) -> Search:
    """Look for all that was ever deleted, what the request asks for included; changes nothing."""
    known = gone_authors.read(config.root, request.authors.key)
    authors = known.with_those(request.authors.digests)
    partitions = list(partitions_below(config.root))
    written = find_documents(config, partitions, authors, executor) if authors else Tombstones()
    deleted = tombstones.read(config.root).with_those(request.documents).with_those(written)
    held = scan(partitions, Gone(deleted, authors), executor)
    return Search(held, find_affected(partitions, held.keys()), written)


def _finding(found: Search, request: Request) -> Finding:
    rows, references = dict[str, int](), dict[str, int]()
    for partition in found.held:
        held = found.of_newest(partition)
        rows[partition.table] = rows.get(partition.table, 0) + held.rows
        references[partition.table] = references.get(partition.table, 0) + held.references
    of_request = int(request.documents.has_digests(sorted(found.digests())).sum())
    days = tuple(sorted({each.date for each in found.affected}))
    people = len(request.forms), request.num_authors_among(found.authors())
    return Finding(len(request.documents), of_request, days, rows, references, *people, len(found.written))


def _mark_adapters(config: Config, found: Search, request: str) -> list[dict[str, Any]]:
    """Create a mark beside each adapter whose pairs, or corpus, held deleted documents; what is in the marks."""
    marks = []
    for partition in partitions_below(config.root):
        manifest = read_manifest(partition) if partition.table == "adapter" else None
        if manifest is None:
            continue
        named = [each for each, _ in inputs_of(partition, manifest)]
        held = [h for each in named for h in found.held.get(each, {}).values()]
        digests = frozenset[bytes]().union(*(each.digests for each in held))
        if digests:
            mark = {"adapter": partition.fingerprint, "date": partition.date, "num_documents": len(digests)}
            create_same(partition.at(f"{MARKS}{request}.json"), canonical_json(mark))
            marks.append(mark)
    return marks


def _forget_day(config: Config, day: str, found: Search, removed: Removed) -> list[Partition]:
    """Make a day again and remove what it was; partitions that this recipe cannot make again and may not remove."""
    affected = {each for each in found.affected if each.date == day}
    tables = {each.table for each in affected}
    stages = list(stages_of(config, day, tables)) if has_inputs(config, day) else []
    mine, not_made = {each for made in stages for each in made.partitions}, set[Partition]()
    if affected & mine:
        not_made = affected & set(bring_up_to_date(config, day, stages, removed))
        publish_again(config, day)
        remove_old(config, stages, affected - not_made, removed)
    others = sorted((each for each in affected - mine if each.table != "adapter"), key=_by_day)
    if config.recipe.forget.other_recipes == "remove":
        for each in others:
            remove_all(config, each, removed)
        others = []
    return others + sorted(not_made, key=_by_day)


def _by_day(partition: Partition) -> tuple[str, str, str]:
    return partition.date, partition.table, partition.fingerprint


def _told(remaining: Sequence[Partition]) -> InputError:
    for each in remaining:
        logger.error("forget: %s holds deleted documents still", each.path)
    return InputError(
        f"forget: {len(remaining)} partitions hold deleted documents, and are of other recipes, of days whose inputs "
        "are gone, or cannot be made again; run this with their recipes, or set forget.other_recipes=remove"
    )


def _card(
    config: Config, day: str, report: tuple[str, int], figures: dict[str, Any], status: str = "committed"
) -> RunCard:
    path = join(config.root, DELETIONS, report[0], f"{report[1]:08d}.json")
    return RunCard(STAGE, status, path, report[0], day, figures, {}, recipe=config.sections("forget"))
