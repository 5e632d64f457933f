"""Stage `cluster`: embeddings become centroids, and a cluster for each document.

    shards of embeddings -> workers that hold their rows -> centroids: the earlier ones, or a fit (fitted.py)
    -> committed -> each worker writes the assignments of its shards -> committed

Only centroids and sums pass the driver. Their bits do not depend on the number of workers, so a rerun of a killed run
makes the same objects and takes up those that are there.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from theta_ray.config import Config
from theta_ray.config_cluster import Cluster
from theta_ray.corpus.survey import Survey, partition_of
from theta_ray.encoder import embed
from theta_ray.encoder.job import make_job as make_embed_job
from theta_ray.errors import ConfigError, StageError
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.progress import Progress
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard, finished_card
from theta_ray.runtime import cluster
from theta_ray.schemas import ASSIGNMENTS, centroids_schema
from theta_ray.store import Partition, Record, ShardWriter, digest_of, fingerprint
from theta_ray.topics.cluster_worker import ClusterJob
from theta_ray.topics.fitted import (
    Committed,
    Found,
    find_centroids,
    keep_centroids,
    of_no_documents,
    to_table,
    without_deleted,
)
from theta_ray.topics.row_actors import row_workers
from theta_ray.topics.workers import Data, Workers

STAGE = "cluster"
# How a day comes to its centroids, not what they are of: another mode goes on in the same table.
HOW = ("drift", "mode", "on_drift")


def make_job(config: Config, day: str) -> ClusterJob:
    """The tables of a day; its shards are those of embeddings that are committed now.

    Raises:
        ConfigError: the recipe has no section `cluster`.
    """
    settings = _section(config)
    embedding = make_embed_job(config, day)
    embeddings = embedding.embeddings
    centroids, assignments = partitions_of(config, embeddings, embedding.dim)
    return ClusterJob(
        embeddings,
        centroids,
        assignments,
        settings.metric,
        settings.seed,
        _shards(embeddings),
        ("embedding", "scale") if embedding.embed.store_dtype == "int8" else ("embedding",),
    )


def partitions_of(config: Config, embeddings: Partition, dim: int) -> tuple[Partition, Partition]:
    """Where the centroids and assignments of some embeddings of `dim` values are, or will be.

    Raises:
        ConfigError: the recipe has no section `cluster`.
    """
    section = {name: value for name, value in _section(config).model_dump(mode="json").items() if name not in HOW}
    inputs = {"embeddings": embeddings.fingerprint}
    name = fingerprint("centroids", centroids_schema(dim), {STAGE: section}, inputs)
    centroids = replace(embeddings, table="centroids", fingerprint=name)
    name = fingerprint("assignments", ASSIGNMENTS, {}, {"centroids": name})
    return centroids, replace(embeddings, table="assignments", fingerprint=name)


def _section(config: Config) -> Cluster:
    if config.recipe.cluster is None:
        raise ConfigError(f"{config.where}: has no section cluster; add one, such as cluster: {{num_clusters: 50}}")
    return config.recipe.cluster


def plan(config: Config, day: str) -> Plan:
    """What `run` would do: embed first where that is missing."""
    job, settings = make_job(config, day), _section(config)
    before = embed.plan(config, day)
    figures: dict[str, Any] = {"clusters": settings.num_clusters, "metric": settings.metric, "mode": settings.mode}
    status, reasons = "would run after embed", ["the embeddings are not committed in this version"]
    if before.steps[-1].status.startswith("nothing to do"):
        manifest = read_manifest(job.embeddings)
        assert manifest is not None, "it is committed"
        figures |= {"shards": len(manifest["shards"]), "rows": manifest["num_rows"]}
        status, reasons = "would run", ["nothing is committed for these embeddings"]
        if _committed(config, job) is not None:
            status, reasons = "nothing to do: committed", []
    step = PlanStep(STAGE, job.assignments.path, status, figures, reasons)
    return Plan([*before.steps, step], {**before.recipe, **config.sections(STAGE)})


def committed(config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
    """The newest assignments, where they are of exactly the embeddings of now; None where `run` has something to do."""
    is_current = embed.committed(config, day, found) is not None
    return _committed(config, make_job(config, day)) if is_current else None


def run(config: Config, day: str, found: Survey | None = None) -> RunCard:
    """Commit the centroids and assignments of a day's embeddings.

    Args:
        config: recipe, resources and root.
        day: YYYY-MM-DD.
        found: what `look` has found a moment ago; absent: look now.

    Raises:
        ConfigError: the recipe has no section `cluster`.
        InputError: no row can be clustered, or the mode needs earlier centroids and there are none.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    phases = Phases()
    with phases.measure("check model"):
        job = make_job(config, day)
    with ExitStack() as stack:
        if read_manifest(job.embeddings) is None:  # one cluster for both
            stack.enter_context(cluster(config.resources))
        upstream = embed.run(config, day, found)
        manifest = _committed(config, job)
        if manifest is not None:
            return _finished_card(config, job, manifest)
        lease = stack.enter_context(holding(job.centroids, config.resources))
        job = replace(job, shards=_shards(job.embeddings), epoch=lease.epoch)
        manifest = _committed(config, job)  # another run may have been first while this one waited
        if manifest is not None:
            return _finished_card(config, job, manifest)
        stack.enter_context(cluster(config.resources))
        card = _make(config, job, lease, phases)
    card.upstream = [upstream] if upstream.status == "committed" else []
    return card


def _shards(partition: Partition) -> tuple[str, ...]:
    """Of the newest version; none where nothing is committed."""
    manifest = read_manifest(partition)
    return tuple(shard["shard"] for shard in manifest["shards"]) if manifest else ()


def _inputs(config: Config, job: ClusterJob) -> dict[str, Any]:
    """What decides a version beside the earlier centroids, which are those of when it was made."""
    manifest = read_manifest(job.embeddings)
    assert manifest is not None, "embed has committed"
    return {"sections": config.sections(STAGE), "inputs": {"embeddings": identity_of(manifest)}}


def _committed(config: Config, job: ClusterJob) -> dict[str, Any] | None:
    """The assignments, where they are of the current embeddings, centroids and recipe."""
    centroids, assignments = _committed_centroids(config, job), read_manifest(job.assignments)
    if centroids is None or assignments is None or assignments["inputs"]["centroids"] != identity_of(centroids):
        return None
    return assignments


def _committed_centroids(config: Config, job: ClusterJob) -> dict[str, Any] | None:
    manifest, wanted = read_manifest(job.centroids), _inputs(config, job)
    return manifest if manifest is not None and all(manifest[name] == wanted[name] for name in wanted) else None


def _make(config: Config, job: ClusterJob, lease: Lease, phases: Phases) -> RunCard:
    embeddings = read_manifest(job.embeddings)
    assert embeddings is not None, "embed has committed"
    if not embeddings["num_rows"]:
        job = replace(job, shards=())
    sizes = [shard["num_rows"] for shard in embeddings["shards"]]
    with (
        Progress(STAGE, 2, "tables") as progress,
        row_workers(job, sizes, config.resources, progress, lease.check) as workers,
    ):
        manifest = _committed_centroids(config, job)  # of a run that was killed before its assignments
        if manifest is None:
            manifest = _make_centroids(config, job, workers, phases)
        progress.advance(manifest["num_rows"])
        committed = Committed.of(job.centroids, manifest)
        with phases.measure("assign"):
            sha256 = manifest["shards"][0]["sha256"]
            records = [r for part in workers.each("write", committed.centroids, sha256) for r in part]
        progress.advance(embeddings["num_rows"])
    lease.check()
    with phases.measure("commit"):
        assignments = _commit_assignments(job, (embeddings, manifest), records)
    card = _to_card(config, job, assignments, manifest)
    card.seconds = phases.seconds
    card.save(job.assignments, assignments["version"])
    return card


def _make_centroids(config: Config, job: ClusterJob, workers: Workers, phases: Phases) -> dict[str, Any]:
    dim = make_embed_job(config, job.embeddings.date).dim
    with phases.measure("read"):
        data = Data.of(workers) if job.shards else Data.nothing(dim)
    with phases.measure("fit"):
        kept = without_deleted(job.centroids, _corpus_of(config, job), config.sections(STAGE))
        settings = _section(config)
        if not job.shards:  # of deleted documents alone nothing is kept
            found = of_no_documents(job, dim)
        else:
            found = find_centroids(job, data, settings) if kept is None else keep_centroids(data, settings, kept)
    schema, inputs = centroids_schema(found.centroids.shape[1]), _inputs(config, job)
    record = found.record()
    shard = f"part-00000-{digest_of([inputs, record['mode'], record['earlier']])}"
    with ShardWriter(job.centroids, shard, schema) as writer:
        writer.write(to_table(found, schema))
        made = writer.publish(epoch=job.epoch)
    same = found.mode == "assign"
    fitted_on = found.earlier.fitted_on if same and found.earlier is not None else job.centroids.date
    counts = _counts(found, data)
    return commit(job.centroids, schema, [made], {**inputs, **record, "fitted_on": fitted_on, "counts": counts})


def _corpus_of(config: Config, job: ClusterJob) -> dict[str, Any]:
    manifest = read_manifest(partition_of(config, job.embeddings.date))
    assert manifest is not None, "embed has committed"
    return manifest


def _counts(found: Found, data: Data) -> dict[str, Any]:
    sizes = found.day.sums.weight
    inertia = float(found.day.sums.inertias(data.grid).sum()) / max(1, int(sizes.sum()))
    return {
        "num_rows": int(sizes.sum()) + found.day.num_left_out,
        "num_left_out": found.day.num_left_out,
        "num_different_rows": data.facts.num_rows,
        "num_empty": int((sizes == 0).sum()),
        "largest_cluster": int(sizes.max(initial=0)),
        "smallest_cluster": int(sizes.min()) if len(sizes) else 0,
        "mean_squared_distance": inertia,
    }


def _commit_assignments(
    job: ClusterJob, inputs: tuple[dict[str, Any], dict[str, Any]], records: list[Record]
) -> dict[str, Any]:
    embeddings, centroids = inputs
    rows, left_out = sum(r.num_rows for r in records), sum(r.details["num_left_out"] for r in records)
    if rows != embeddings["num_rows"] or left_out != centroids["counts"]["num_left_out"]:
        raise StageError(
            f"{job.assignments.path}: {embeddings['num_rows']} rows in, {rows} out, of which {left_out} are in no "
            f"cluster and {centroids['counts']['num_left_out']} were to be; use another --root and report this as a bug"
        )
    body = {
        "inputs": {"embeddings": identity_of(embeddings), "centroids": identity_of(centroids)},
        "counts": {"num_rows_in": embeddings["num_rows"], "num_rows": rows, "num_left_out": left_out},
    }
    return commit(job.assignments, ASSIGNMENTS, records, body)


def _finished_card(config: Config, job: ClusterJob, assignments: dict[str, Any]) -> RunCard:
    centroids = read_manifest(job.centroids)
    assert centroids is not None, "its assignments are committed"
    card = _to_card(config, job, assignments, centroids)
    return finished_card(card, job.assignments, assignments["version"])


def _to_card(config: Config, job: ClusterJob, assignments: dict[str, Any], centroids: dict[str, Any]) -> RunCard:
    counts, drift, fitted = centroids["counts"], centroids["drift"] or {}, centroids["fit"]
    steps = {"steps": len(fitted["trace"])} if fitted else {}
    return RunCard.of(
        STAGE,
        job.assignments,
        {
            "documents": counts["num_rows"],
            "documents_in_no_cluster": counts["num_left_out"],
            "different_vectors": counts["num_different_rows"],
            "clusters": centroids["num_rows"],
            "mode": f"{centroids['mode']}: {centroids['reason']}",
            "fitted_on": centroids["fitted_on"],
            **{f"drift_{name}": round(value, 6) for name, value in drift.items()},
            **steps,
            "mean_squared_distance": counts["mean_squared_distance"],
            "largest_cluster": counts["largest_cluster"],
            "smallest_cluster": counts["smallest_cluster"],
            "centroids": job.centroids.path,
            "shards": len(assignments["shards"]),
        },
        recipe=config.sections("encoder", "embed", STAGE),
        resources=config.resources.model_dump(mode="json"),
        inputs=centroids["inputs"],
        seeds={STAGE: job.seed},
    )
