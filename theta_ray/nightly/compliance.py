"""Stage `compliance`: the ids of a corpus, or of its authors, for a platform that says which of them were deleted.

1. Each shard of each day stages its ids, by a hash (stage_ids); for authors who are pseudonyms in the tables, or are
   not in them, each shard of the raw inputs (stage_authors).
2. Each range of the hash becomes a file of different ids, sorted (write_ids); a range that is over `max_ids`, several.

    <root>/compliance/<digest of the corpus versions>/ids-00000.txt   an id a line, as platforms take them

The result that comes back is what `jobs/forget.py` takes (docs/deletions.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config import Config
from theta_ray.corpus import staging
from theta_ray.corpus.references import AUTHOR_COLUMNS, named_in
from theta_ray.corpus.survey import partition_of
from theta_ray.corpus.values import stored_id
from theta_ray.errors import InputError
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.network.job import with_hash
from theta_ray.nightly.forget_authors import InputTask, documents_of, input_tasks
from theta_ray.objects import exists, join, list_names
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard
from theta_ray.runtime import cluster
from theta_ray.store import Partition, create_same, digest_of, read_shard
from theta_ray.tasks import Executor

STAGE, FOLDER, ID = "compliance", "compliance", "id"
# A range holds so many of the ids that a file may have, or chance would make it two files.
FULL = 0.95


@dataclass(frozen=True)
class StageTask:
    """One shard of a corpus."""

    corpus: Partition
    shard: str
    source: str | None
    folder: str
    columns: tuple[str, ...] = ("doc_id",)
    """Whose values are the ids."""

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"{self.corpus.date}-{self.shard}"


@dataclass(frozen=True)
class InputsTask:
    """Some raw files of one day, or parts of them."""

    inputs: InputTask
    number: int
    source: str | None
    folder: str

    @property
    def name(self) -> str:
        """Of what is staged for it."""
        return f"inputs-{self.number:06d}"


@dataclass(frozen=True)
class FileTask:
    """One range of the hashes of all ids."""

    folder: str
    place: int
    ranges: int
    staged: tuple[str, ...]
    max_ids: int


def plan(config: Config, day: str) -> Plan:
    """How many documents would be listed."""
    versions, folder = _versions(config, day)
    figures = {"days": len(versions), "documents": sum(manifest["num_rows"] for _, manifest in versions)}
    status = "nothing to do: written" if exists(join(folder, "done.json")) else "would write"
    return Plan([PlanStep(STAGE, folder, status, figures)], config.sections("compliance"))


def run(config: Config, day: str) -> RunCard:
    """Write the ids of all days of the recipe's corpus.

    Raises:
        InputError: no day is committed, no document is of `compliance.source`, or nobody is known.
    """
    phases = Phases()
    with phases.measure("list"):
        versions, folder = _versions(config, day)
    done = staging.read_json(join(folder, "done.json"))
    status = "nothing to do" if done is not None else "committed"
    if done is None:
        with cluster(config.resources), phases.measure("write"):
            done = _write(config, versions, folder)
        if not done["ids"]:
            raise InputError(_nothing(config))
        staging.write_json(join(folder, "done.json"), done)
    staging.remove(join(folder, "staging"))
    card = RunCard(STAGE, status, folder, "", day, done, {}, recipe=config.sections("compliance"))
    card.seconds = phases.seconds
    return card


def _versions(config: Config, day: str) -> tuple[list[tuple[Partition, dict[str, Any]]], str]:
    """The newest version of each day of the corpus, and where their ids go."""
    corpus = partition_of(config, day)
    folder = join(corpus.root, corpus.table, corpus.fingerprint)
    days = [replace(corpus, date=name.removeprefix("dt=")) for name in list_names(folder) if name.startswith("dt=")]
    read = [(each, read_manifest(each)) for each in days]
    found = [(each, manifest) for each, manifest in read if manifest is not None]
    if not found:
        raise InputError(f"{folder}: no day is committed; run jobs/prepare.py first")
    digest = digest_of([[identity_of(manifest) for _, manifest in found], config.sections("compliance")])
    return found, join(config.root, FOLDER, digest)


def _write(config: Config, versions: Sequence[tuple[Partition, dict[str, Any]]], folder: str) -> dict[str, Any]:
    settings, executor = config.recipe.compliance, Executor(STAGE, config.resources, lambda: None)
    corpus, tasks = config.recipe.corpus, list[StageTask | InputsTask]()
    if settings.ids_of == "authors" and corpus.authors != "raw":
        days = [partition.date for partition, _ in versions]
        read = enumerate(input_tasks(config, days))
        tasks += [InputsTask(each, number, settings.source, folder) for number, each in read]
        staged = executor.map(stage_authors, tasks)
    else:
        columns = AUTHOR_COLUMNS if settings.ids_of == "authors" else ("doc_id",)
        tasks += [
            StageTask(partition, shard["shard"], settings.source, folder, columns)
            for partition, manifest in versions
            for shard in manifest["shards"]
        ]
        staged = executor.map(stage_ids, tasks)
    num_ids = sum(each["num_rows"] for each in staged)
    ranges = max(1, -(-num_ids // max(1, int(FULL * settings.max_ids))))
    names = tuple(task.name for task in tasks)
    files = executor.map(write_ids, [FileTask(folder, r, ranges, names, settings.max_ids) for r in range(ranges)])
    return {
        "days": len(versions),
        "documents" if settings.ids_of == "documents" else "values": num_ids,
        "ids": sum(each["num_rows"] for each in files),
        "files": sum(each["files"] for each in files),
    }


def _nothing(config: Config) -> str:
    settings = config.recipe.compliance
    if settings.ids_of == "authors":
        return f"{config.root}: no author is known, of source {settings.source or 'any'}; see docs/deletions.md"
    return f"{config.root}: no document is of source {settings.source}; leave compliance.source out"


def stage_ids(task: StageTask) -> dict[str, Any]:
    """Stage the ids of one shard by a hash; how many there are."""

    def read() -> pa.Array:
        rows = read_shard(task.corpus, task.shard, columns=[*task.columns, "source"])
        if task.source is not None:
            rows = rows.filter(pc.equal(rows["source"], task.source))
        return named_in(rows, task.columns)

    return _stage(task, read)


def stage_authors(task: InputsTask) -> dict[str, Any]:
    """Stage the ids of all whom some raw files name, by a hash; how many there are."""

    def read() -> pa.Array:
        found = set[str | None]()
        for document, source in documents_of(task.inputs):
            if task.source in (None, source):
                found |= {document.author, document.parent_author, *document.mention_ids}
        return pa.array(sorted(stored_id(author) for author in found if author is not None), pa.string())

    return _stage(task, read)


def _stage(task: StageTask | InputsTask, read: Callable[[], pa.Array]) -> dict[str, Any]:
    uri = join(task.folder, "staging", f"{task.name}.json")
    found = staging.read_json(uri)
    if found is None:
        rows = with_hash(pa.table({ID: read()}), ID)
        staging.write_rows(join(task.folder, "staging", f"{task.name}.parquet"), rows)
        found = {"num_rows": rows.num_rows}
        staging.write_json(uri, found)
    return found


def write_ids(task: FileTask) -> dict[str, Any]:
    """Write the files of one range, each id once, sorted; how many of both."""
    limits = staging.in_range("hash", task.place, task.ranges)
    read = [staging.read_rows(join(task.folder, "staging", f"{name}.parquet"), limits) for name in task.staged]
    ids = sorted(pc.unique(pa.concat_tables(read)[ID]).to_pylist())
    starts = range(0, len(ids), task.max_ids)
    for number, start in enumerate(starts):
        name = f"ids-{task.place:05d}{f'-{number}' if number else ''}.txt"
        lines = "".join(f"{doc_id}\n" for doc_id in ids[start : start + task.max_ids])
        create_same(join(task.folder, name), lines.encode())
    return {"num_rows": len(ids), "files": len(starts)}
