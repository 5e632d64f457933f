"""Stage `choose_k`: a sample of a day's embeddings becomes a curve over numbers of clusters, and a suggestion.

    embeddings -> rows of each shard in proportion -> one sample -> each k by a task of its own (k_curve.py)
    -> `k_curve`, a picture beside it, and a suggestion that may be that no k is clearly better

The driver sees figures only. A rerun takes up what an interrupted run has drawn and measured.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from theta_ray.config import Config
from theta_ray.corpus import staging
from theta_ray.encoder import embed
from theta_ray.encoder.job import make_job as make_embed_job
from theta_ray.errors import InputError, StageError
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card
from theta_ray.runtime import cluster
from theta_ray.schemas import K_CURVE
from theta_ray.stale import against_other_fingerprints
from theta_ray.store import Partition, ShardWriter, create_same, digest_of, find_record, fingerprint
from theta_ray.tasks import Executor
from theta_ray.topics.k_curve import Suggestion, suggest
from theta_ray.topics.k_plot import to_svg
from theta_ray.topics.k_sample import ChooseKJob, DrawTask, MeasureTask, draw_rows, from_json, measure_k, share_out

STAGE = "choose_k"
# Rows that a cluster has on average, at least: with fewer, held-out rows say little about it.
ROWS_PER_CLUSTER = 10
Row = dict[str, Any]


def make_job(config: Config, day: str) -> ChooseKJob:
    """The tables of a day. Clusters are of the metric of section `cluster`, of cosine without one."""
    embedding, section = make_embed_job(config, day), config.recipe.cluster
    metric = section.metric if section is not None else "cosine"
    sections = {**config.sections(STAGE), "metric": metric}
    name = fingerprint("k_curve", K_CURVE, sections, {"embeddings": embedding.embeddings.fingerprint})
    return ChooseKJob(
        embedding.corpus,
        embedding.embeddings,
        Partition(config.root, "k_curve", name, day),
        config.recipe.choose_k,
        metric,
        ("embedding", "scale") if embedding.embed.store_dtype == "int8" else ("embedding",),
    )


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and why: embed first where that is missing."""
    before, job = embed.plan(config, day), make_job(config, day)
    fits = 1 + 2 * job.settings.num_pairs + job.settings.num_references
    figures: dict[str, Any] = {"tried": ", ".join(map(str, job.settings.num_clusters)), "fits_of_each": fits}
    status, reasons = "would run after embed", ["the embeddings are not committed in this version"]
    if before.steps[-1].status.startswith("nothing to do"):
        body = _body(config, job)
        figures["sample"] = min(job.settings.sample_rows, _manifest(job.embeddings)["num_rows"])
        status = "would run"
        reasons = against_other_fingerprints(job.curve, body) or ["nothing is committed for these embeddings"]
        if _committed(job, body) is not None:
            status, reasons = "nothing to do: committed", []
    step = PlanStep(STAGE, job.curve.path, status, figures, reasons)
    return Plan([*before.steps, step], {**before.recipe, **config.sections(STAGE)})


def run(config: Config, day: str) -> RunCard:
    """Commit the curve of a day's embeddings, which are made first where they are missing.

    Raises:
        InputError: there are too few usable embeddings for two of the numbers of clusters.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    phases = Phases()
    with ExitStack() as stack:
        upstream = embed.run(config, day)
        job = make_job(config, day)
        body = _body(config, job)
        card = _finished(config, job, body)
        if card is None:
            lease = stack.enter_context(holding(job.curve, config.resources))
            card = _finished(config, job, body)  # another run may have been first while this one waited
            if card is None:
                stack.enter_context(cluster(config.resources))
                card = _make(config, replace(job, epoch=lease.epoch), body, (lease, phases))
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _manifest(partition: Partition) -> dict[str, Any]:
    manifest = read_manifest(partition)
    assert manifest is not None, "it is committed"
    return manifest


def _body(config: Config, job: ChooseKJob) -> dict[str, Any]:
    """What decides a version."""
    sections = {**config.sections(STAGE), "metric": job.metric}
    return {"sections": sections, "inputs": {"embeddings": identity_of(_manifest(job.embeddings))}}


def _committed(job: ChooseKJob, body: dict[str, Any]) -> dict[str, Any] | None:
    manifest = read_manifest(job.curve)
    return manifest if manifest is not None and manifest["inputs"] == body["inputs"] else None


def _finished(config: Config, job: ChooseKJob, body: dict[str, Any]) -> RunCard | None:
    """The card of the run that committed this version, where there is one."""
    manifest = _committed(job, body)
    if manifest is None:
        return None
    staging.remove_left(job.curve)
    return finished_card(_to_card(config, job, manifest), job.curve, manifest["version"])


def _make(config: Config, job: ChooseKJob, body: dict[str, Any], run: tuple[Lease, Phases]) -> RunCard:
    lease, phases = run
    digest = digest_of(body)
    job = replace(job, staging=job.curve.at("staging", digest))
    executor, shards = Executor(STAGE, config.resources, lease.check), _manifest(job.embeddings)["shards"]
    with phases.measure("draw"):
        counts = share_out([shard["num_rows"] for shard in shards], job.settings.sample_rows)
        draws = [DrawTask(job, shard["shard"], count) for shard, count in zip(shards, counts, strict=True) if count]
        drawn = executor.map(draw_rows, draws)
    num_usable = sum(each["num_usable"] for each in drawn)
    tried = [k for k in job.settings.num_clusters if k * ROWS_PER_CLUSTER <= num_usable]
    if len(tried) < 2:
        raise InputError(
            f"{job.embeddings.path}: has {num_usable} usable rows in the sample, and {ROWS_PER_CLUSTER} a cluster are "
            "needed for two numbers of clusters at least; set choose_k.num_clusters to smaller ones"
        )
    names = tuple(task.shard for task in draws)
    with phases.measure("measure"):
        # the largest take longest: they begin first
        found = executor.map(measure_k, [MeasureTask(job, k, names) for k in reversed(tried)])
    points = sorted((from_json(each) for each in found), key=lambda point: point.num_clusters)
    rows = [
        {"num_clusters": each["num_clusters"], **measure}
        for each in sorted(found, key=lambda each: each["num_clusters"])
        for measure in each["measures"]
    ]
    lease.check()
    with phases.measure("commit"):
        counts_ = {"num_rows_sampled": num_usable, "tried": tried}
        manifest = _commit(job, rows, suggest(points), {**body, "counts": counts_})
    card = _to_card(config, job, manifest)
    card.seconds = phases.seconds
    card.save(job.curve, manifest["version"])
    staging.remove(job.curve.at("staging"))
    return card


def _commit(job: ChooseKJob, rows: list[Row], found: Suggestion, body: dict[str, Any]) -> dict[str, Any]:
    digest = digest_of([body["sections"], body["inputs"]])
    shard, picture = f"part-00000-{digest}", f"curve-{digest}.svg"
    if create_same(job.curve.at(picture), to_svg(rows, found.num_clusters, found.why).encode()) is not None:
        raise StageError(f"{job.curve.at(picture)}: shows another curve than this attempt; remove it, then rerun")
    record = find_record(job.curve, shard)
    if record is None:
        with ShardWriter(job.curve, shard, K_CURVE) as writer:
            writer.write(pa.Table.from_pylist(rows, schema=K_CURVE))
            record = writer.publish(epoch=job.epoch)
    return commit(job.curve, K_CURVE, [record], {**body, "suggestion": asdict(found), "files": [picture]})


def _to_card(config: Config, job: ChooseKJob, manifest: dict[str, Any]) -> RunCard:
    suggestion = manifest["suggestion"]
    return RunCard.of(
        STAGE,
        job.curve,
        {
            "suggested_clusters": suggestion["num_clusters"] or "none",
            "because": suggestion["why"],
            "within_one_standard_error": ", ".join(map(str, suggestion["within"])),
            "sample": manifest["counts"]["num_rows_sampled"],
            "tried": ", ".join(map(str, manifest["counts"]["tried"])),
            "picture": job.curve.at(*manifest["files"]),
        },
        recipe=config.sections(STAGE),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={STAGE: job.settings.seed},
    )
