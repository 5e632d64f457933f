"""Stage: objects that no retained version names are listed, and removed where the recipe says so.

1. List all partitions below the root, with sizes and the store's own times.
2. Retain the newest versions of each, those of the newest publications, and those that they were made from.
3. What is named by none of them and older than `clean_up.min_age_hours` may go: shards with their records,
   staging, plans, run cards, old manifests, past leases, temporary files, uploads that nobody finished.
4. Remove it, holding each partition's lease meanwhile, so that no run takes over a shard that goes.

Dry run unless `clean_up.remove` is true. A partition that a run holds is left alone.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from theta_ray.config import Config
from theta_ray.errors import ConflictError
from theta_ray.lease import holding, is_held, store_now
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.objects import TEMPORARY, access, join, list_names, open_filesystem, remove
from theta_ray.publication import newest_tables
from theta_ray.runcard import RULE, Plan, PlanStep, page_line
from theta_ray.schemas import KEYS
from theta_ray.store import Partition

logger = logging.getLogger(__name__)
MAX_SHOWN = 10
# Of adapters that were trained on documents deleted since (nightly/forget.py).
MARKS = "contains_deleted/"
Version = tuple[str, str, str, int]  # table, fingerprint, date, version


@dataclass(frozen=True)
class Found:
    """One object below a partition: its path there, bytes, and time by the store's clock."""

    name: str
    num_bytes: int
    modified: datetime

    @property
    def kind(self) -> str:
        """What it is, for the summary."""
        folder, _, name = self.name.rpartition("/")
        if name.startswith(TEMPORARY):
            return "temporary files"
        kinds = {"": "shards", "run_cards": "run cards", "lease": "past leases"}
        return kinds.get(folder, folder.split("/")[0])


@dataclass
class Report:
    """What was removed, or would be."""

    date: str
    removed: bool
    objects: dict[str, list[Found]] = field(default_factory=dict)
    """By partition path."""
    held: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Counts by kind, and bytes."""
        found = [each for objects in self.objects.values() for each in objects]
        kinds = Counter(each.kind for each in found)
        return {
            "objects": len(found),
            "bytes": sum(each.num_bytes for each in found),
            **dict(sorted(kinds.items())),
            "unfinished_uploads": len(self.uploads),
            "partitions_held_by_a_run": len(self.held),
        }

    def page(self) -> str:
        """A page for a terminal."""
        status = "removed" if self.removed else "would be removed: set clean_up.remove=true"
        lines = ["", f"clean_up  {self.date}  {status}", RULE]
        lines += [page_line(name.replace("_", " "), value) for name, value in self.figures().items()]
        paths = [f"{path}/{each.name}" for path, objects in sorted(self.objects.items()) for each in objects]
        lines += [f"  {path}" for path in paths[:MAX_SHOWN]]
        lines += [f"  ... and {len(paths) - MAX_SHOWN:,} more"] if len(paths) > MAX_SHOWN else []
        return "\n".join(lines) + "\n"

    def json_line(self) -> str:
        """The figures in one line of JSON."""
        return json.dumps({"stage": "clean_up", "removed": self.removed, **self.figures()}) + "\n"


def plan(config: Config, day: str) -> Plan:
    """What would be removed."""
    report = _survey(config, day)
    paths = [f"{path}/{each.name}" for path, objects in sorted(report.objects.items()) for each in objects]
    step = PlanStep("clean_up", config.root, "would remove", report.figures(), paths[:MAX_SHOWN])
    return Plan([step], {"clean_up": config.recipe.clean_up.model_dump(mode="json")})


def run(config: Config, day: str) -> Report:
    """List what may go, and remove it where `clean_up.remove` is true."""
    report = _survey(config, day)
    if not config.recipe.clean_up.remove:
        return report
    done = Report(day, removed=True, held=report.held)
    retained, oldest = _retained(config), _oldest(config)
    for partition in partitions_below(config.root):
        if partition.path not in report.objects:
            continue
        resources = config.resources.model_copy(update={"on_conflict": "fail"})
        try:
            with holding(owner_of(partition), resources, shareable=False):
                # looked at again: what was to go may have been named by a version since
                retained |= _newest(partition, config.recipe.clean_up.keep_versions)
                objects = removable(partition, retained, oldest)
                remove_objects(partition, objects)
                done.objects[partition.path] = objects
        except ConflictError:
            done.held.append(partition.path)
    done.uploads = _abort_uploads(config, report.uploads)
    return done


def remove_objects(partition: Partition, objects: Iterable[Found]) -> None:
    """Remove objects of a partition whose lease is held."""
    for found in sorted(objects, key=_order):
        remove(partition.at(found.name))


def _oldest(config: Config) -> datetime:
    """What is younger stays."""
    return store_now(config.root) - timedelta(hours=config.recipe.clean_up.min_age_hours)


def _order(found: Found) -> tuple[int, str]:
    """Records go before their shards: a shard without a record is merely made again."""
    return 0 if found.name.startswith(("manifests/", "records/")) else 1, found.name


def _survey(config: Config, day: str) -> Report:
    report, retained = Report(day, removed=False), _retained(config)
    partitions = list(partitions_below(config.root))
    oldest = _oldest(config) if partitions else datetime.now(UTC)
    for partition in partitions:
        if is_held(owner_of(partition)):
            report.held.append(partition.path)
            continue
        objects = removable(partition, retained, oldest)
        if objects:
            report.objects[partition.path] = objects
    report.uploads = [key for key, _ in _old_uploads(config)]
    return report


def partitions_below(root: str) -> Iterator[Partition]:
    """All days of all tables, committed or not."""
    for table in KEYS:
        for name in list_names(join(root, table)):
            for day in list_names(join(root, table, name)):
                if re.fullmatch(r"dt=\d{4}-\d\d-\d\d", day):
                    yield Partition(root, table, name, day.removeprefix("dt="))


def owner_of(partition: Partition) -> Partition:
    """The partition whose lease guards this one: rejected rows are written by the run that rejects them."""
    if partition.table != "quarantine":
        return partition
    tables = [table for table in KEYS if table != "quarantine"]
    made = [table for table in tables if partition.fingerprint in list_names(join(partition.root, table))]
    return replace(partition, table=made[0]) if made else partition


def _retained(config: Config) -> dict[Version, dict[str, Any]]:
    """Manifests that stay: the newest of each partition, the published ones, and what those were made from."""
    kept: dict[Version, dict[str, Any]] = {}
    count = config.recipe.clean_up.keep_versions
    waiting = [
        (partition, version)
        for partition in partitions_below(config.root)
        for version in list_versions(partition)[-count:]
    ]
    waiting += newest_tables(config.root, count)
    while waiting:
        partition, version = waiting.pop()
        key = (partition.table, partition.fingerprint, partition.date, version)
        if key in kept or version not in list_versions(partition):
            continue
        manifest = read_manifest(partition, version)
        assert manifest is not None, "it was listed"
        kept[key] = manifest
        inputs = manifest.get("inputs")
        for source in inputs.values() if isinstance(inputs, dict) else ():
            if isinstance(source, dict) and "version" in source:
                upstream = Partition(config.root, source["table"], source["fingerprint"], partition.date)
                waiting.append((upstream, source["version"]))
    return kept


def _newest(partition: Partition, count: int) -> dict[Version, dict[str, Any]]:
    """The last versions of one partition."""
    found = {version: read_manifest(partition, version) for version in list_versions(partition)[-count:]}
    return {(*key_of(partition), version): manifest for version, manifest in found.items() if manifest is not None}


def removable(
    partition: Partition, retained: dict[Version, dict[str, Any]], oldest: datetime | None = None
) -> list[Found]:
    """Objects of a partition that no retained version names, and that are old enough; None: of any age."""
    mine = {key[3]: manifest for key, manifest in retained.items() if key[:3] == key_of(partition)}
    named = {f"{folder}/{version:08d}.json" for version in mine for folder in ("manifests", "run_cards")}
    for manifest in mine.values():
        named |= set(manifest.get("files", ()))  # of the adapter table, which has no shards
        for shard in manifest["shards"]:
            named |= {f"{shard['shard']}.parquet", f"records/{shard['shard']}.json"}
    found = list(list_objects(partition.path))
    epochs = sorted(each.name for each in found if re.fullmatch(r"lease/\d{8}\.json", each.name))
    named |= {each.name for each in found if epochs and each.name.startswith(epochs[-1].removesuffix("json"))}
    left = [each for each in found if each.name not in named and not each.name.startswith(MARKS)]
    return [each for each in left if oldest is None or each.modified < oldest]


def key_of(partition: Partition) -> tuple[str, str, str]:
    """Table, fingerprint and date."""
    return partition.table, partition.fingerprint, partition.date


def list_objects(folder: str) -> Iterator[Found]:
    """Every object below a folder."""
    fs, path = open_filesystem(folder)
    with access(folder):
        found = fs.find(path, detail=True)
    for name, info in found.items():
        yield Found(name[len(path.rstrip("/")) + 1 :], int(info["size"]), _time(info))


def _time(info: dict[str, Any]) -> datetime:
    """The store's own time of an object, under the name that each file system has for it."""
    value = next(info[key] for key in ("LastModified", "last_modified", "updated", "mtime") if info.get(key))
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _old_uploads(config: Config) -> Iterator[tuple[str, str]]:
    """Keys and ids of multipart uploads below the root that were begun long ago. S3 keeps them, and bills them."""
    if not config.root.startswith("s3://"):
        return  # GCS and Azure drop unfinished uploads after a week by themselves
    fs, path = open_filesystem(config.root)
    bucket, _, prefix = path.partition("/")
    with access(config.root):
        found = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
    oldest = _oldest(config)
    for upload in found.get("Uploads") or ():
        if upload["Initiated"].astimezone(UTC) < oldest:
            yield upload["Key"], upload["UploadId"]


def _abort_uploads(config: Config, _listed: list[str]) -> list[str]:
    aborted = []
    for key, upload in list(_old_uploads(config)):
        fs, path = open_filesystem(config.root)
        with access(config.root):
            fs.call_s3("abort_multipart_upload", Bucket=path.partition("/")[0], Key=key, UploadId=upload)
        aborted.append(key)
    return aborted
