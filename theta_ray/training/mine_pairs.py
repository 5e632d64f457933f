"""Stage `mine_pairs`: the corpus becomes pairs of an anchor and a positive.

1. Read: each corpus shard becomes staged candidates, documents in their groups (candidates.py).
2. Resolve: of documents of the same words, in any shard, the first one stays.
3. Pair: each range of groups over all shards becomes one shard of pairs (groups.py, pairing.py). A shard's name holds a
   digest of the corpus version, so one that is finished stays.
4. Where the recipe asks for hard negatives: find them in the embeddings of the corpus (negatives.py), which are made
   first where they are missing.
5. Commit: every candidate is in a pair or was dropped for one reason.

The driver sees counts only: neither candidates nor pairs pass it. A rerun takes up what an interrupted run has staged
and finished; the manifest's bytes are the same as without the interruption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from theta_ray.config import Config
from theta_ray.corpus import prepare, staging
from theta_ray.corpus.duplicates import num_buckets
from theta_ray.corpus.survey import Survey, look, partition_of
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, identity_of, manifest_digest, read_manifest
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card
from theta_ray.runtime import cluster
from theta_ray.schemas import PAIRS
from theta_ray.stale import against_other_fingerprints
from theta_ray.store import Partition, Record, digest_of, fingerprint, finished_shards, read_records
from theta_ray.tasks import Executor
from theta_ray.training.candidates import merged
from theta_ray.training.pair_buckets import PairTask, WriteTask, pair_bucket, stage_bucket, write_bucket
from theta_ray.training.pair_checks import check_found, check_recipe, sum_up
from theta_ray.training.pair_phases import (
    CopiesTask,
    PairsJob,
    ReadTask,
    count_hours,
    find_candidates,
    read_patterns,
    resolve_copies,
)
from theta_ray.training.splits import limit_of_hours, limit_of_share

if TYPE_CHECKING:
    from theta_ray.training.negative_files import NegativesJob

Writing = TypeVar("Writing", bound=PairTask | WriteTask)
STAGE = "mine_pairs"
FOUND = ("num_rows", "num_staged", "num_keys", "num_candidates")
NOT_COMMITTED = {
    "prepare": "the corpus is not committed in this version",
    "embed": "the embeddings are not committed in this version",
}
NEGATIVE_FIGURES = ("negatives", "pairs_without_negatives", "pairs_without_vector")


def make_job(config: Config, day: str) -> PairsJob:
    """What the tasks need.

    Raises:
        ConfigError: the recipe has no section `pairs`, or one that its corpus cannot serve.
    """
    pairs = check_recipe(config.recipe)
    corpus, embeddings = partition_of(config, day), None
    inputs = {"corpus": corpus.fingerprint}
    if pairs.negatives is not None:
        from theta_ray.training.negatives import embeddings_of  # which loads torch

        embeddings = embeddings_of(config, day, pairs.negatives)
        inputs["embeddings"] = embeddings.fingerprint
    name = fingerprint("pairs", PAIRS, config.sections("pairs"), inputs)
    return PairsJob(corpus, Partition(config.root, "pairs", name, day), pairs, embeddings)


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why: the corpus first where it is missing, and embeddings where negatives need them."""
    job, found = make_job(config, day), look(config, day)
    steps = _upstream(job).plan(config, day, found).steps
    figures: dict[str, Any] = {"kind": job.pairs.kind, "split_by": job.pairs.split_by}
    if job.embeddings is not None:
        figures["negatives_from"] = job.embeddings.path
    if found.is_current and found.manifest is not None:
        figures |= {"corpus_shards": len(found.manifest["shards"]), "documents": found.manifest["num_rows"]}
    missing = [step.stage for step in steps if not step.status.startswith("nothing to do")]
    if missing:
        status, reasons = f"would run after {missing[-1]}", [NOT_COMMITTED[missing[0]]]
    elif _committed(job, found):
        status, reasons = "nothing to do: committed", []
    else:
        status, reasons = "would run", _reasons(config, job, found)
    steps.append(PlanStep(STAGE, job.partition.path, status, figures, reasons))
    sections = ("corpus", "pairs") if job.embeddings is None else ("corpus", "encoder", "embed", "pairs")
    return Plan(steps, config.sections(*sections))


def _upstream(job: PairsJob) -> ModuleType:
    """The stage before: `embed` where negatives are looked for in what the recipe's encoder makes, else `prepare`."""
    if job.pairs.negatives is None or job.pairs.negatives.embeddings is not None:
        return prepare
    from theta_ray.encoder import embed  # which loads torch

    return embed


def _reasons(config: Config, job: PairsJob, found: Survey) -> list[str]:
    newest, inputs = read_manifest(job.partition), _inputs(job, found)
    if newest is not None:
        stale = [name for name, identity in inputs.items() if newest["inputs"][name] != identity]
        versions_of = ", ".join(f"{name} version {newest['inputs'][name]['version']}" for name in stale)
        return [f"version {newest['version']} is of {versions_of}"]
    settings = {"sections": config.sections("pairs"), "inputs": inputs}
    return against_other_fingerprints(job.partition, settings) or ["nothing is committed for this day"]


def run(config: Config, day: str) -> RunCard:
    """Commit the pairs of a day's corpus, going on from what is staged and finished.

    Raises:
        ConfigError: the recipe's corpus cannot serve its pairs.
        InputError: no document has what the kind needs, one label or tag only, or a side of the split is empty.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    job, phases = make_job(config, day), Phases()
    with phases.measure("list"):
        found = look(config, day)
    manifest = _committed(job, found)
    if manifest is not None:
        return _nothing_to_do(config, job, manifest)
    with holding(job.partition, config.resources) as lease:
        if lease.waited:
            found = look(config, day)
            manifest = _committed(job, found)
            if manifest is not None:
                return _nothing_to_do(config, job, manifest)
        with cluster(config.resources):
            upstream = _upstream(job).run(config, day, found)
            card = _make(config, replace(job, epoch=lease.epoch), lease, phases)
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _committed(job: PairsJob, found: Survey) -> dict[str, Any] | None:
    """The newest manifest of the pairs, where it is of the current corpus and embeddings."""
    manifest = read_manifest(job.partition)
    if manifest is None or not found.is_current:
        return None
    inputs = _inputs(job, found)
    return manifest if all(manifest["inputs"][name] == identity for name, identity in inputs.items()) else None


def _inputs(job: PairsJob, found: Survey) -> dict[str, Any]:
    """Which versions of the corpus, and of the embeddings, are there now."""
    assert found.manifest is not None, "it is current"
    inputs = {"corpus": identity_of(found.manifest)}
    if job.embeddings is not None:
        embeddings = read_manifest(job.embeddings)
        inputs["embeddings"] = identity_of(embeddings) if embeddings is not None else {}
    return inputs


def _nothing_to_do(config: Config, job: PairsJob, manifest: dict[str, Any]) -> RunCard:
    partition = job.partition
    staging.remove_left(partition)
    return finished_card(_to_card(config, job, manifest), partition, manifest["version"])


def _make(config: Config, job: PairsJob, lease: Lease, phases: Phases) -> RunCard:
    corpus = read_manifest(job.corpus)
    assert corpus is not None, "prepare has committed"
    negatives = _negatives_job(config, job)
    lineage, taken = negatives.lineage if negatives is not None else {}, dict[str, int]()
    digest = digest_of([manifest_digest(corpus), lineage])
    job = replace(job, staging=job.partition.at("staging", digest))
    shards = tuple(shard["shard"] for shard in corpus["shards"])
    executor = Executor(STAGE, config.resources, lease.check)
    with phases.measure("read"):
        if job.pairs.expand:
            executor.map(read_patterns, [ReadTask(job, *each) for each in enumerate(shards)])
        patterns = shards if job.pairs.expand else ()
        summaries = executor.map(find_candidates, [ReadTask(job, *each, patterns) for each in enumerate(shards)])
    found = {name: sum(summary[name] for summary in summaries) for name in FOUND}
    dropped = dict(merged([summary["dropped"] for summary in summaries]))
    check_found(job, found["num_candidates"], found["num_staged"], dropped)
    by_time, share = job.pairs.split_by == "time", job.pairs.split.test_share
    limit = limit_of_hours(count_hours(summaries), share) if by_time else limit_of_share(share)
    buckets = max(1, -(-found["num_staged"] // job.pairs.shard_candidates))
    copies = num_buckets(found["num_keys"])
    with phases.measure("resolve"):
        executor.map(resolve_copies, [CopiesTask(job, bucket, copies, shards) for bucket in range(copies)])
    names = [f"part-{bucket:05d}-{digest}" for bucket in range(buckets)]
    tasks = [PairTask(job, name, bucket, buckets, copies, shards, limit) for bucket, name in enumerate(names)]
    if negatives is None:
        with phases.measure("pair"):
            records = _write(pair_bucket, tasks, executor)
    else:
        records, taken = _with_negatives(tasks, replace(negatives, staging=job.staging), executor, phases)
    lease.check()
    with phases.measure("commit"):
        body = {
            "sections": config.sections("pairs"),
            "inputs": {"corpus": identity_of(corpus), **lineage},
            "counts": sum_up(job, found, dropped, records) | taken,
        }
        manifest = commit(job.partition, PAIRS, records, body)
    card = _to_card(config, job, manifest)
    card.seconds = phases.seconds
    card.save(job.partition, manifest["version"])
    staging.remove(job.partition.at("staging"))
    return card


def _negatives_job(config: Config, job: PairsJob) -> NegativesJob | None:
    if job.pairs.negatives is None:
        return None
    from theta_ray.training.negatives import make_negatives_job  # which loads torch

    return make_negatives_job(config, job.partition.date, job.pairs.negatives)


def _with_negatives(
    tasks: list[PairTask], negatives: NegativesJob, executor: Executor, phases: Phases
) -> tuple[list[Record], dict[str, int]]:
    """Records of all shards of pairs with their negatives, and what was counted on the way."""
    from theta_ray.training.negatives import mine_negatives

    with phases.measure("pair"):
        executor.map(stage_bucket, tasks)
    files = [task.job.staged("pairs", task.name, "parquet") for task in tasks]
    with phases.measure("negatives"):
        counts = mine_negatives(negatives, files, executor)
    with phases.measure("write"):
        records = _write(write_bucket, [WriteTask(task, negatives) for task in tasks], executor)
    return records, {f"num_{name}": count for name, count in counts.items() if name != "pairs"}


def _write(function: Callable[[Writing], Record], tasks: list[Writing], executor: Executor) -> list[Record]:
    """Records of all shards; those that an earlier run finished are taken as they are."""
    partition, finished = tasks[0].job.partition, finished_shards(tasks[0].job.partition)
    done = read_records(partition, [task.name for task in tasks if task.name in finished])
    return [*done, *executor.map(function, [task for task in tasks if task.name not in finished])]


def _to_card(config: Config, job: PairsJob, manifest: dict[str, Any]) -> RunCard:
    counts = manifest["counts"]
    return RunCard.of(
        STAGE,
        job.partition,
        {
            "kind": job.pairs.kind,
            "documents": counts["num_documents"],
            "pairs": manifest["num_rows"],
            "train": counts["num_train"],
            "test": counts["num_test"],
            "split_by": job.pairs.split_by,
            "groups": counts["num_groups"],
            "candidates": counts["num_candidates"],
            "candidates_in_pairs": counts["num_in_pairs"],
            **{f"dropped_{reason}": count for reason, count in counts["dropped"].items()},
            **{name: counts[f"num_{name}"] for name in NEGATIVE_FIGURES if f"num_{name}" in counts},
            "shards": len(manifest["shards"]),
        },
        quarantined={},
        recipe=config.sections("pairs"),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={"pairs": job.pairs.seed},
    )
