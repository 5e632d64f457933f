"""One day without its deleted documents: the stages make new versions, then the old ones go, last those that hold ids.

A rerun of a killed run finds the same day again: what holds the ids goes after all that was made from it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from theta_ray.clean_up import key_of, owner_of, removable, remove_objects
from theta_ray.config import Config, Resources
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import InputError
from theta_ray.lease import holding
from theta_ray.manifest import identity_of, list_versions, read_manifest
from theta_ray.nightly.forget_places import Made
from theta_ray.publication import Publications, content_of
from theta_ray.schemas import QUARANTINE
from theta_ray.steps import reached
from theta_ray.store import Partition
from theta_ray.table import open_table

logger = logging.getLogger(__name__)


@dataclass
class Removed:
    """Objects that are gone, by table, and the versions that took their place."""

    objects: Counter[str] = field(default_factory=Counter)
    num_bytes: Counter[str] = field(default_factory=Counter)
    shards_made: Counter[str] = field(default_factory=Counter)
    versions: dict[str, int] = field(default_factory=dict)
    """Newest version of each partition that was made again, by its path."""

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "objects_removed": dict(self.objects),
            "bytes_removed": dict(self.num_bytes),
            "shards_made": dict(self.shards_made),
            "versions": self.versions,
        }

    def figures(self) -> dict[str, Any]:
        """For the run card."""
        return {
            "partitions_made_again": len(self.versions),
            "shards_made": self.shards_made.total(),
            "objects_removed": self.objects.total(),
            "bytes_removed": self.num_bytes.total(),
        }


def bring_up_to_date(config: Config, day: str, stages: Sequence[Made], removed: Removed) -> list[Partition]:
    """Run what the recipe has committed for a day before; a stage whose tables are current does nothing.

    Returns:
        Tables that cannot be made of the documents that are left, such as pairs of one label only, and still are there.
    """
    not_made: list[Partition] = []
    for made in stages:
        if not made.is_committed:
            continue
        before = {partition: _shards(partition) for partition in made.partitions}
        try:
            made.run(config, day)
        except InputError as error:
            if made is stages[0]:  # the corpus itself: its inputs are to be mended first
                raise
            logger.warning("forget: %s cannot be made again for %s: %s", made.stage, day, error)
            not_made += _give_up(config, made, stages[0].partitions[0], removed)
            continue
        for partition, shards in before.items():
            new = _shards(partition) - shards
            removed.shards_made[partition.table] += len(new)
            if new or shards - _shards(partition):
                removed.versions[partition.path] = list_versions(partition)[-1]
        reached("tables_made_again", made.stage, day)
    return not_made


def _give_up(config: Config, made: Made, corpus: Partition, removed: Removed) -> Sequence[Partition]:
    """Remove what a stage cannot make of an empty day; where others' documents are left, nothing, and these tables."""
    manifest = read_manifest(corpus)
    assert manifest is not None, "it was made again"
    if manifest["num_rows"]:
        return made.partitions
    publish_again(config, corpus.date, gone=made.partitions)
    for partition in reversed(made.partitions):
        remove_all(config, partition, removed)
    return ()


def publish_again(config: Config, day: str, gone: Collection[Partition] = ()) -> None:
    """Publish the new versions of what is published of a day, before the old ones go; tables that go are left out."""
    publications = Publications(config.root, config.recipe.name)
    highest, newest = publications.highest(), publications.of_day(day)
    if newest is None:
        return
    left_out = {(each.table, each.fingerprint) for each in gone}
    named = newest["tables"].items()
    kept = {table: each for table, each in named if (each["table"], each["fingerprint"]) not in left_out}
    tables = {name: _newest_of(config, day, identity) for name, identity in kept.items()}
    if tables != newest["tables"]:
        publications.publish({**content_of(newest), "tables": tables}, highest)


def _newest_of(config: Config, day: str, identity: dict[str, Any]) -> dict[str, Any]:
    manifest = read_manifest(Partition(config.root, identity["table"], identity["fingerprint"], day))
    return identity if manifest is None else identity_of(manifest)


def _shards(partition: Partition) -> set[str]:
    manifest = read_manifest(partition)
    return {shard["shard"] for shard in manifest["shards"]} if manifest is not None else set()


def remove_old(config: Config, stages: Sequence[Made], affected: Iterable[Partition], removed: Removed) -> None:
    """Remove what the newest versions of a day do not name, whatever its age, while no other run is at work there.

    Raises:
        ConflictError: another run is, and the resources say not to wait.
    """
    wanted = set(affected)
    order = [each for made in reversed(stages) for each in reversed(made.partitions) if each in wanted]
    with ExitStack() as stack:
        for owner in dict.fromkeys(owner_of(each) for each in order):
            stack.enter_context(holding(owner, _patient(config), shareable=False))
        for partition in order:
            manifest = read_manifest(partition)
            retained = {} if manifest is None else {(*key_of(partition), manifest["version"]): manifest}
            _remove(partition, retained, removed)


def remove_all(config: Config, partition: Partition, removed: Removed) -> None:
    """Remove all that a partition holds, but for its lease."""
    with holding(owner_of(partition), _patient(config), shareable=False):
        _remove(partition, {}, removed)


def _remove(partition: Partition, retained: dict[Any, dict[str, Any]], removed: Removed) -> None:
    objects = removable(partition, retained)
    remove_objects(partition, objects)
    removed.objects[partition.table] += len(objects)
    removed.num_bytes[partition.table] += sum(each.num_bytes for each in objects)
    reached("objects_removed", partition.table, partition.date)


def _patient(config: Config) -> Resources:
    """A run that is at work may be shared by no removal."""
    wait = "wait" if config.resources.on_conflict == "join" else config.resources.on_conflict
    return config.resources.model_copy(update={"on_conflict": wait})


def raw_files(config: Config, day: str) -> set[str]:
    """The input files that still hold deleted documents of a day, as its quarantine names them."""
    rejects = Partition(config.root, "quarantine", partition_of(config, day).fingerprint, day)
    if read_manifest(rejects) is None:
        return set()
    is_deleted = pc.field("reason") == "deleted_id"
    rows = open_table(rejects.path, schema=QUARANTINE).to_table(columns=["source_ref"], filter=is_deleted)
    return {place.rpartition("#")[0] for place in rows["source_ref"].to_pylist()}
