"""Stage `evaluate_topics`: how good a day's topics are, in figures with intervals, and as task sheets for people.

1. Count: each corpus shard with its assignments becomes staged counts (evidence.py).
2. Fit again: with other seeds, to a sample of the documents; how far the figures depend on the seed (refits.py).
3. Judge: coherence, exclusivity, agreement with labels, each with its interval (quality.py); the tree over the topics
   and its levels (hierarchy.py).
4. Ask: sheets of tasks for people, and their keys (task_sheets.py). Filled sheets that the recipe names are scored.
5. Commit `topic_tree`, then `topic_quality` with the sheets beside it:

    <partition>/sheets/<digest>/word_intrusion.csv   and .jsonl; what people get
               /keys/<digest>/word_intrusion.csv     what they must not see

The driver holds the counts of one kind at a time. A rerun takes up what an interrupted run has staged.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pyarrow as pa

from theta_ray.config import Config
from theta_ray.corpus import staging
from theta_ray.errors import InputError, StageError
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.objects import read_bytes
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card
from theta_ray.runtime import cluster
from theta_ray.schemas import TOPIC_QUALITY, TOPIC_TREE
from theta_ray.stale import against_other_fingerprints
from theta_ray.store import Partition, Record, ShardWriter, create_same, digest_of, find_record, fingerprint
from theta_ray.tasks import Executor
from theta_ray.topics import label_topics
from theta_ray.topics.days import read_day
from theta_ray.topics.evidence import EvaluateJob, EvidenceTask, count_evidence
from theta_ray.topics.fitted import to_plan
from theta_ray.topics.judged import Evidence, Judged, judge, list_topics, read_people, to_tree_table
from theta_ray.topics.quality import to_table
from theta_ray.topics.refits import fit_again, line_of, with_sample
from theta_ray.topics.topic_tasks import ShardTask, TopicsJob

STAGE = "evaluate_topics"
# Figures of all topics that a run card shows.
TERMS = ("npmi", "c_v", "u_mass", "diversity", "irbo", "exclusivity", "frex")
SHOWN = (*TERMS, "perplexity", "perplexity_one_topic", "nmi", "ari", "ami")


def make_job(config: Config, day: str) -> EvaluateJob:
    """The tables of a day.

    Raises:
        ConfigError: the recipe has no section `cluster`.
    """
    return job_of(config, label_topics.make_job(config, day))


def job_of(config: Config, topics: TopicsJob) -> EvaluateJob:
    """The work on topics that are, or will be, committed."""
    section = _section(config)
    quality, nodes = (
        replace(
            topics.topics,
            table=name,
            fingerprint=fingerprint(name, schema, section, {"topics": topics.topics.fingerprint}),
        )
        for name, schema in (("topic_quality", TOPIC_QUALITY), ("topic_tree", TOPIC_TREE))
    )
    clusters, settings = config.recipe.cluster, config.recipe.evaluate
    plan_ = to_plan(clusters) if clusters is not None and settings.num_refits else None
    return EvaluateJob(topics, quality, nodes, settings, plan=plan_)


def _section(config: Config) -> dict[str, Any]:
    """Without the answers, which make another version of the same table."""
    return {"evaluate": config.recipe.evaluate.model_dump(mode="json", exclude={"answers"})}


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why: the topics first where they are missing."""
    before, job = label_topics.plan(config, day), make_job(config, day)
    answers, status = read_sheets(config), "would run after label_topics"
    figures: dict[str, Any] = {"resamples": job.settings.num_resamples, "filled_sheets": len(answers)}
    reasons = ["the topics are not committed in this version"]
    if before.steps[-1].status.startswith("nothing to do"):
        manifest = read_manifest(job.topics.topics)
        assert manifest is not None, "it is committed"
        figures["topics"] = manifest["num_rows"]
        settings = {"sections": _section(config), "inputs": _inputs(manifest, answers)}
        status = "would run"
        reasons = against_other_fingerprints(job.quality, settings) or ["nothing is committed for these topics"]
        if _committed(job, settings["inputs"]) is not None:
            status, reasons = "nothing to do: committed", []
    step = PlanStep(STAGE, job.quality.path, status, figures, reasons)
    return Plan([*before.steps, step], {**before.recipe, **config.sections("evaluate")})


def run(config: Config, day: str) -> RunCard:
    """Commit how good a day's topics are, which are made first where they are missing.

    Raises:
        ConfigError: the recipe has no section `cluster`.
        InputError: a filled sheet is not there, or not of these topics.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    answers = read_sheets(config)
    with cluster(config.resources):
        upstream = label_topics.run(config, day)
        card = evaluate(config, make_job(config, day), answers)
    card.upstream = [upstream] if upstream.status == "committed" else upstream.upstream
    return card


def evaluate(config: Config, job: EvaluateJob, answers: dict[str, bytes] | None = None) -> RunCard:
    """Commit how good topics are that are committed; `answers` are filled sheets by name."""
    answers, phases = answers or {}, Phases()
    with phases.measure("list"):
        topics = read_manifest(job.topics.topics)
        if topics is None:
            raise InputError(f"{job.topics.topics.path}: not committed; run jobs/label_topics.py first")
        inputs = _inputs(topics, answers)
    manifest = _committed(job, inputs)
    if manifest is not None:
        return _nothing_to_do(config, job, manifest)
    with holding(job.quality, config.resources) as lease, cluster(config.resources):
        manifest = _committed(job, inputs)  # another run may have been first while this one waited
        if manifest is not None:
            return _nothing_to_do(config, job, manifest)
        return _make(config, replace(job, epoch=lease.epoch), (inputs, answers), (lease, phases))


def _inputs(topics: dict[str, Any], answers: dict[str, bytes]) -> dict[str, Any]:
    found = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(answers.items())}
    return {"topics": identity_of(topics), **({"answers": found} if found else {})}


def read_sheets(config: Config) -> dict[str, bytes]:
    """Filled sheets by the path that the recipe has."""
    found = {}
    for path in config.recipe.evaluate.answers:
        try:
            found[path] = read_bytes(path)
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such filled sheet; correct evaluate.answers") from error
    return found


def _committed(job: EvaluateJob, inputs: dict[str, Any]) -> dict[str, Any] | None:
    manifest = read_manifest(job.quality)
    return manifest if manifest is not None and manifest["inputs"] == inputs else None


def _nothing_to_do(config: Config, job: EvaluateJob, manifest: dict[str, Any]) -> RunCard:
    staging.remove_left(job.quality)
    return finished_card(_to_card(config, job, manifest), job.quality, manifest["version"])


def _make(
    config: Config, job: EvaluateJob, of: tuple[dict[str, Any], dict[str, bytes]], run: tuple[Lease, Phases]
) -> RunCard:
    (inputs, answers), (lease, phases) = of, run
    topics = read_manifest(job.topics.topics, inputs["topics"]["version"])
    assert topics is not None, "a version that is not there is an error"
    day, listed, people = read_day(job.topics), list_topics(job.topics.topics, topics), read_people(answers)
    if topics["inputs"] != day.inputs:
        raise InputError(f"{job.topics.topics.path}: is of other clusters than are committed; run jobs/label_topics.py")
    digest = digest_of([inputs["topics"], _section(config)])
    share = min(1.0, job.settings.max_documents / max(1, day.assignments["num_rows"]))
    job = replace(
        with_sample(job, day), share=share, topics=replace(job.topics, staging=job.quality.at("staging", digest))
    )
    tasks = [EvidenceTask(job, ShardTask(job.topics, *shard), listed) for shard in day.shards.items()]
    executor = Executor(STAGE, config.resources, lease.check)
    with phases.measure("count"):
        counted = executor.map(count_evidence, tasks)
    with phases.measure("fit again"):
        of_sample = fit_again(tasks, counted, executor)
    with phases.measure("judge"):
        judged = judge(Evidence(tasks, counted, day, people, digest, of_sample))
    if judged.counts["num_rows"] != topics["counts"]["num_documents"]:
        raise StageError(
            f"{job.quality.path}: {topics['counts']['num_documents']} documents have topics, of which "
            f"{judged.counts['num_rows']} were found again; use another --root and report this as a bug"
        )
    lease.check()
    with phases.measure("commit"):
        manifest = _commit(config, job, judged, inputs)
    card = _to_card(config, job, manifest)
    card.seconds = phases.seconds
    card.save(job.quality, manifest["version"])
    staging.remove(job.quality.at("staging"))
    return card


def _commit(config: Config, job: EvaluateJob, judged: Judged, inputs: dict[str, Any]) -> dict[str, Any]:
    """Commit both tables, the figures last: readers of theirs find the tree and the sheets. Their manifest."""
    for name, data in judged.files.items():
        there = create_same(job.quality.at(name), data)
        if there is not None:
            raise StageError(f"{job.quality.at(name)}: holds other items than this attempt made; remove it, then rerun")
    body = {"sections": _section(config), "inputs": inputs}
    tree = _write(job.tree, to_tree_table(judged.tree), digest_of(inputs["topics"]), job.epoch)
    commit(job.tree, TOPIC_TREE, [tree], {**body, "inputs": {"topics": inputs["topics"]}})
    quality = _write(job.quality, to_table(judged.rows), digest_of(inputs), job.epoch)
    return commit(
        job.quality, TOPIC_QUALITY, [quality], {**body, "counts": judged.counts, "files": sorted(judged.files)}
    )


def _write(partition: Partition, table: pa.Table, digest: str, epoch: int) -> Record:
    """The one shard of a table; that of an earlier attempt is taken as it is."""
    shard = f"part-00000-{digest}"
    record = find_record(partition, shard)
    if record is not None:
        return record
    with ShardWriter(partition, shard, table.schema) as writer:
        writer.write(table)
        return writer.publish(epoch=epoch)


def _to_card(config: Config, job: EvaluateJob, manifest: dict[str, Any]) -> RunCard:
    counts = manifest["counts"]
    found = counts["figures"]
    people = sorted(name for name in found if name.endswith(("_accuracy", "_alpha")))
    return RunCard.of(
        STAGE,
        job.quality,
        {
            "documents": counts["num_rows"],
            "documents_looked_at": counts["num_documents"],
            **{name: round(found[name], 6) for name in (*SHOWN, *people) if found.get(name) is not None},
            **{metric: line_of(*each) for metric, each in counts["refits"]["figures"].items()},
            **{f"items_of_{kind}": count for kind, count in counts["num_items"].items()},
            "tree": job.tree.path,
        },
        recipe=config.sections("evaluate"),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={"evaluate": job.settings.seed, **{f"refit_{i}": s for i, s in enumerate(counts["refits"]["seeds"], 1)}},
    )
