"""Stage `prepare`: the files of a recipe's inputs become one partition of the corpus table.

1. Look: list the files, cut them into units, gather the units into shards (survey.py).
2. Read: each shard is normalised, identified and filtered into staged rows (phases.read_shard). Where a forgotten
   author has written something new, its id becomes a tombstone, and all is read again.
3. Resolve: repeated ids over the whole partition, then repeated texts among the rows that stay.
4. Write: each shard without its repeats, its quarantined rows before it (phases.write_shard). A
   shard's name holds a digest of its units and its repeats, so one that is finished stays.
5. Commit: quarantine first, then the corpus.

The driver sees file names and counts only. A rerun takes up what an interrupted run has staged and
finished; the manifest's bytes are the same as without the interruption. Inputs that have changed
since a commit make the next version, whose unchanged shards are those of the one before.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus import authors, staging, tombstones
from theta_ray.corpus.damage import check_balance, check_damage, told, total
from theta_ray.corpus.drift import drift
from theta_ray.corpus.duplicates import num_buckets
from theta_ray.corpus.estimate import estimate
from theta_ray.corpus.phases import (
    BucketTask,
    ShardTask,
    WriteTask,
    quarantine_of,
    read_shard,
    resolve_bucket,
    write_shard,
)
from theta_ray.corpus.survey import Survey, look
from theta_ray.corpus.tombstones import Tombstones
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit
from theta_ray.privacy import publishable
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card
from theta_ray.runtime import cluster
from theta_ray.schemas import CORPUS, QUARANTINE
from theta_ray.steps import reached
from theta_ray.store import Partition, Record, canonical_json, create_same, digest_of, finished_shards, read_records
from theta_ray.tasks import Executor

logger = logging.getLogger(__name__)
STAGE = "prepare"
NUM_LANGUAGES_SHOWN = 5


def plan(config: Config, day: str, found: Survey | None = None) -> Plan:
    """Files, shards and about how many documents and tokens a run would read, and why."""
    found = found or look(config, day)
    documents, tokens = estimate(*found.sample)
    figures = {
        "files": len(found.files),
        "bytes": sum(file.num_bytes for file in found.files),
        "shards": len(found.shards),
        "estimated_documents": documents,
        "estimated_tokens": tokens,
    }
    status = "nothing to do: committed" if found.is_current else "would run"
    if found.manifest is not None and not found.is_current:
        status = f"would run: version {found.manifest['version'] + 1} of this day"
    return Plan([PlanStep(STAGE, found.partition.path, status, figures, found.reasons())], config.sections("corpus"))


def committed(config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
    """The newest version, where it is of exactly the files of now; None where `run` has something to do."""
    found = found or look(config, day)
    return found.manifest if found.is_current else None


def run(config: Config, day: str, found: Survey | None = None) -> RunCard:
    """Read the inputs of a day and commit their corpus partition.

    Args:
        config: recipe, resources and root.
        day: YYYY-MM-DD.
        found: what `look` has found a moment ago; absent: look now.

    Raises:
        ConfigError: no key for pseudonyms, or inputs and root lie within each other.
        InputError: no input file, a mapped column that is not there, or an input that changed meanwhile.
        StageError: damage whose policy is `fail`, too much of it, or rows that do not add up.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    phases = Phases()
    with phases.measure("list"):
        found = found or look(config, day)
    if found.is_current:
        return _nothing_to_do(config, found)
    with holding(found.partition, config.resources) as lease:
        if not found.is_newest():  # another run has committed since
            found = look(config, day)
            if found.is_current:
                return _nothing_to_do(config, found)
        return _make(config, found, lease, phases)


def _nothing_to_do(config: Config, found: Survey) -> RunCard:
    partition, manifest = found.partition, found.manifest
    assert manifest is not None, "it is current"
    staging.remove_left(partition)
    return finished_card(_to_card(config, partition, manifest), partition, manifest["version"])


def _make(config: Config, found: Survey, lease: Lease, phases: Phases) -> RunCard:
    corpus, partition = found.corpus, found.partition
    create_same(partition.at("plans", f"{found.digest}.json"), canonical_json({"inputs": found.inputs}))
    reached("plan_created", partition.table, found.digest)
    folder, key = partition.at("staging", found.digest), authors.read_key(corpus)
    shards = [
        ShardTask(index, f"part-{index:05d}", tuple(units), corpus, partition, folder, lease.epoch, found.deleted, key)
        for index, units in enumerate(found.shards)
    ]
    executor = Executor(STAGE, config.resources, lease.check)
    with cluster(config.resources):
        with phases.measure("read"):
            summaries = executor.map(read_shard, shards)
        if new := {bytes.fromhex(digest) for summary in summaries for digest in summary.get("of_authors", ())}:
            # answers to them, in any shard of any night, must find their ids
            tombstones.add(config.root, Tombstones.of_digests(new))
            return _make(config, look(config, partition.date), lease, phases)
        check_damage(partition.path, summaries, corpus.max_damaged_share)
        for line in drift(summary["columns"] for summary in summaries):
            logger.warning("prepare: %s", line)
        with phases.measure("resolve"):
            num_rows = sum(summary["num_rows"] for summary in summaries)
            resolved = _resolve(shards, num_buckets(num_rows), config, executor)
        with phases.measure("write"):
            resolved["deleted"] = {summary["shard"]: summary["deleted"] for summary in summaries}
            records = _write(_named(shards, found, resolved), executor)
    lease.check()
    with phases.measure("commit"):
        manifest = _commit(config, found, records, resolved["num_texts"])
    card = _to_card(config, partition, manifest)
    card.seconds = phases.seconds
    card.save(partition, manifest["version"])
    staging.remove(partition.at("staging"))
    return card


def _resolve(shards: list[ShardTask], buckets: int, config: Config, executor: Executor) -> dict[str, Any]:
    """Two rounds over the key ranges. Ids come first, or a text whose only other row goes could go whole."""
    names, folder = tuple(shard.shard for shard in shards), shards[0].staging
    ids = [BucketTask("ids", bucket, buckets, names, folder) for bucket in range(buckets)]
    by_id = _in_order(executor.map(resolve_bucket, ids))
    id_repeats = sum(count["repeats"] for count in by_id)
    texts = [BucketTask("texts", bucket, buckets, names, folder, id_repeats > 0) for bucket in range(buckets)]
    by_text = _in_order(executor.map(resolve_bucket, texts))
    text_repeats = sum(count["repeats"] for count in by_text)
    drops_texts = config.recipe.corpus.duplicates == "drop"
    return {
        "id_buckets": buckets if id_repeats else 0,
        "text_buckets": buckets if text_repeats and drops_texts else 0,
        "num_texts": sum(count["keys"] for count in by_text) - text_repeats,
        "digests": [[count["digests"] for count in found] for found in (by_id, by_text if drops_texts else [])],
    }


def _in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda bucket: int(bucket["bucket"]))


def _named(shards: list[ShardTask], found: Survey, resolved: dict[str, Any]) -> list[WriteTask]:
    """The shards under the names that hold a digest of all that decides them."""
    tasks = []
    for shard in shards:
        units = found.units_digest(list(shard.units))
        dropped = [[d[shard.index] for d in digests if shard.index in d] for digests in resolved["digests"]]
        name = f"{shard.shard}-{digest_of([units, resolved['deleted'][shard.index], dropped])}"
        tasks.append(WriteTask(shard, name, units, resolved["id_buckets"], resolved["text_buckets"]))
    return tasks


def _write(tasks: list[WriteTask], executor: Executor) -> list[Record]:
    """Records of all shards; those that an earlier run finished are taken as they are."""
    partition = tasks[0].read.partition
    finished = finished_shards(partition)
    done = read_records(partition, [task.name for task in tasks if task.name in finished])
    return [*done, *executor.map(write_shard, [task for task in tasks if task.name not in finished])]


def _commit(config: Config, found: Survey, records: list[Record], num_texts: int) -> dict[str, Any]:
    """Check the totals and create both manifests."""
    partition = found.partition
    quarantined = total(record.quarantined for record in records)
    skipped = total(record.details["skipped"] for record in records)
    num_rows_in = sum(record.details["num_rows_in"] for record in records)
    num_rows = sum(record.num_rows for record in records)
    check_balance(partition.path, num_rows_in, num_rows, sum(quarantined.values()), sum(skipped.values()))
    key, rejects = authors.read_key(found.corpus), quarantine_of(partition)
    rejected = read_records(rejects, sorted(record.shard for record in records if record.quarantined))
    commit(rejects, QUARANTINE, rejected, {"stage": STAGE, "quarantined": quarantined})
    body = {
        "sections": config.sections("corpus"),
        "inputs": found.inputs,
        "tombstones": found.deleted,
        "quarantined": quarantined,
        "skipped": skipped,
        "counts": {
            "num_rows_in": num_rows_in,
            "num_rows": num_rows,
            "num_texts": num_texts,
            "num_quarantined": sum(quarantined.values()),
            "num_skipped": sum(skipped.values()),
        },
        "key_id": authors.key_id(key) if key else None,
        "versions": found.versions,
    }
    return commit(partition, CORPUS, records, body)


def _to_card(config: Config, partition: Partition, manifest: dict[str, Any]) -> RunCard:
    counts, quarantined = manifest["counts"], manifest["quarantined"]
    languages = Counter(total(shard["details"]["languages"] for shard in manifest["shards"]))
    shown = sorted(publishable(languages).items(), key=lambda item: (-item[1], item[0]))[:NUM_LANGUAGES_SHOWN]
    repeats = counts["num_rows"] - counts["num_texts"] + quarantined.get("duplicate_text", 0)
    return RunCard.of(
        STAGE,
        partition,
        {
            "documents_in": counts["num_rows_in"],
            "documents_kept": counts["num_rows"],
            "distinct_texts": counts["num_texts"],
            "duplicate_texts": repeats,
            "languages": ", ".join(f"{language} {count:,}" for language, count in shown),
            "shards": len(manifest["shards"]),
            **({"skipped": told(manifest["skipped"])} if manifest["skipped"] else {}),
        },
        quarantined=quarantined,
        recipe=config.sections("corpus"),
        resources=config.resources.model_dump(mode="json"),
        inputs={"files": len(manifest["inputs"]), "bytes": sum(file["bytes"] for file in manifest["inputs"])},
    )
