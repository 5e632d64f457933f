"""Stage `migrate`: from the vectors of one model, or adapter, to those of another, keeping topics alive where it can.

1. Draw: different texts of the newest day of the earlier embeddings, by hashes (anchors.py).
2. Embed: these anchors by the new recipe's encoder, as shards of the embed stage, on the same actors.
3. Compare: one task fits maps to one half, judges them by the other half's neighbours, and writes them (maps.py).
4. Carry over: where the chosen map finds `migrate.min_overlap` of the neighbours, centroids are mapped and topics go on
   under the new fingerprint (carry_over.py). Else topics begin anew, and the page says so.
5. Plan: what embedding everything again would take, or only the clusters that the map serves badly.

The driver sees figures, and centroids. A rerun takes up what an interrupted run has drawn and embedded.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus import staging
from theta_ray.encoder.job import make_job as make_embed_job
from theta_ray.encoder.map_shards import map_shards, num_gpus
from theta_ray.errors import InputError
from theta_ray.gpu_hours import holding_gpus
from theta_ray.lease import Lease, holding
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.nightly.anchors import GatherTask, MigrateJob, draw_anchors, draw_tasks, embed_tasks, gather_anchors
from theta_ray.nightly.carry_over import Clusters, carry, find_clusters, is_carried, own_day, topics_job
from theta_ray.nightly.compare_models import CompareTask, compare_models
from theta_ray.nightly.earlier_embeddings import find_earlier, full_cost, partial_cost, vector_columns
from theta_ray.runcard import Phases, Plan, PlanStep, RunCard
from theta_ray.runtime import cluster
from theta_ray.schemas import EMBEDDING_MAPS
from theta_ray.stale import compare_settings, cut
from theta_ray.store import Record, digest_of, fingerprint, finished_shards
from theta_ray.tasks import Executor
from theta_ray.topics.topic_tasks import TopicsJob

STAGE = "migrate"
# What decides the maps; the others say which vectors they are of, and what is done with them.
DECIDES = ("num_anchors", "num_neighbours", "seed")
NUM_SHOWN = 10


@dataclass(frozen=True)
class Migration:
    """A job with what is committed of the earlier model."""

    job: MigrateJob
    earlier: dict[str, Any]
    """Manifest of the earlier embeddings."""
    clusters: Clusters | None
    topics: TopicsJob | None
    """The clusters' day under the new fingerprint."""

    @property
    def inputs(self) -> dict[str, Any]:
        """What the maps are made of, as their manifest holds it."""
        found = {"embeddings": identity_of(self.earlier), **(self.clusters.inputs if self.clusters else {})}
        source = self.job.embed.source
        return {**found, "model": source.identity, "adapter": source.adapter_identity}


def make_migration(config: Config, day: str) -> Migration:
    """The tables of both models.

    Raises:
        ConfigError: `migrate.previous` names embeddings that cannot be come from.
        InputError: there are no earlier embeddings.
    """
    settings, embed_job = config.recipe.migrate, make_embed_job(config, day)
    previous, earlier = find_earlier(embed_job, settings.previous)
    columns, dim = vector_columns(earlier)
    corpus, embeddings = (replace(each, date=previous.date) for each in (embed_job.corpus, embed_job.embeddings))
    clusters = find_clusters(config, corpus, previous, dim)
    topics = None
    if clusters is not None:
        topics = topics_job(config, corpus, replace(embeddings, date=clusters.centroids.date), embed_job.dim)
    metric = config.recipe.cluster.metric if config.recipe.cluster is not None else "cosine"
    sections = {name: value for name, value in settings.model_dump(mode="json").items() if name in DECIDES}
    inputs = {"previous": previous.fingerprint, "embeddings": embeddings.fingerprint}
    inputs["centroids"] = topics.centroids.fingerprint if topics is not None else ""
    maps = replace(
        previous,
        table="embedding_maps",
        fingerprint=fingerprint("embedding_maps", EMBEDDING_MAPS, {STAGE: sections}, inputs),
    )
    job = MigrateJob(
        replace(embed_job, corpus=corpus, embeddings=embeddings),
        previous,
        columns,
        maps,
        settings,
        metric,
        clusters.centroids if clusters is not None else None,
    )
    return Migration(job, earlier, clusters, topics)


def plan(config: Config, day: str) -> Plan:
    """What `run` would do, and what embedding everything again would take."""
    found = make_migration(config, day)
    job, manifest = found.job, _committed(found)
    figures = _names(found)
    if manifest is None:
        status, reasons = "would run", ["the vectors of both models have not been compared"]
        full = full_cost(job.embed, job.previous, config.resources)
        share = min(1.0, job.settings.num_anchors / max(1, full["documents"]))
        figures |= {"anchors": min(job.settings.num_anchors, found.earlier["num_rows"])}
        figures |= {"estimated_tokens_of_anchors": round(full["tokens"] * share), **_of("full", full)}
    else:
        will_carry = _why_not(found, manifest) is None and not _is_done(found, manifest)
        status = "would carry centroids and topics over" if will_carry else "nothing to do: committed"
        reasons = []
        figures |= {**_judgement(found, manifest), **_costs(config, found, manifest)}
    step = PlanStep(STAGE, job.maps.path, status, figures, reasons)
    return Plan([step], config.sections("encoder", "embed", "cluster", STAGE))


def run(config: Config, day: str) -> RunCard:
    """Commit the maps from the earlier vectors to the new ones, and carry topics over where they are good enough.

    Raises:
        ConfigError: `migrate.previous` names embeddings that cannot be come from.
        InputError: there are no earlier embeddings, or too few documents in them.
        ConflictError: another run holds the partition and the resources say not to wait.
    """
    phases = Phases()
    with phases.measure("check model"):
        found = make_migration(config, day)
    with ExitStack() as stack:
        lease = stack.enter_context(holding(found.job.maps, config.resources))
        manifest, status = _committed(found), "nothing to do"
        if manifest is None:
            stack.enter_context(cluster(config.resources))
            manifest, status = _compare(config, found, (lease, phases)), "committed"
        if _why_not(found, manifest) is None and not _is_done(found, manifest):
            assert found.clusters is not None, "there is no reason not to"
            assert found.topics is not None, "there is no reason not to"
            with phases.measure("carry over"):
                carry(config, found.clusters, found.topics, (found.job.maps, manifest))
            status = "committed"
    staging.remove_left(found.job.maps)
    with phases.measure("plan"):
        card = _to_card(config, found, manifest)
    card.status, card.seconds = status, phases.seconds
    card.save(found.job.maps, manifest["version"])
    return card


def _committed(found: Migration) -> dict[str, Any] | None:
    """The newest maps, where they are of the current tables."""
    manifest = read_manifest(found.job.maps)
    return manifest if manifest is not None and manifest["inputs"] == found.inputs else None


def _is_done(found: Migration, manifest: dict[str, Any]) -> bool:
    return (
        found.clusters is not None and found.topics is not None and is_carried(found.clusters, found.topics, manifest)
    )


def _why_not(found: Migration, manifest: dict[str, Any]) -> str | None:
    """Why clusters do not go on under the new fingerprint; None: they do."""
    if found.clusters is None or found.topics is None:
        return "the earlier embeddings have no clusters by this recipe's section cluster"
    overlap, bound = _overlap(manifest), found.job.settings.min_overlap
    if overlap < bound:
        return f"the best map finds {overlap:.3f} of the neighbours, and migrate.min_overlap is {bound:g}"
    day = None if _is_done(found, manifest) else own_day(found.topics.centroids)
    return None if day is None else f"cluster has made centroids of its own for {day}"


def _overlap(manifest: dict[str, Any]) -> float:
    """Of the chosen map."""
    return next(float(each["overlap"][0]) for each in manifest["maps"] if each["method"] == manifest["chosen"])


def _compare(config: Config, found: Migration, run: tuple[Lease, Phases]) -> dict[str, Any]:
    lease, phases = run
    body = {"sections": config.sections(STAGE), "inputs": found.inputs}
    digest = digest_of([{name: body["sections"][STAGE][name] for name in DECIDES}, found.inputs])
    job = replace(found.job, staging=found.job.maps.at("staging", digest), epoch=lease.epoch)
    executor = Executor(STAGE, config.resources, lease.check)
    with phases.measure("draw"):
        draws = draw_tasks(job, found.earlier)
        executor.map(draw_anchors, draws)
        (gathered,) = executor.map(gather_anchors, [GatherTask(job, tuple(task.shard for task in draws))])
    if not gathered["num_rows"]:
        raise InputError(f"{job.previous.path}: has no documents; give a day that has as --date")
    with phases.measure("embed"):
        tasks, finished = embed_tasks(job, gathered), finished_shards(job.texts.embeddings)
        todo = [task for task in tasks if task.shard not in finished]
        with holding_gpus(config.resources, num_gpus(config.resources, len(todo)) if todo else 0):
            for _ in map_shards(job.texts, todo, config.resources):
                lease.check()
    version = found.clusters.manifest["version"] if found.clusters is not None else None
    task = CompareTask(job, tuple(task.shard for task in tasks), version, f"part-00000-{digest}")
    with phases.measure("compare"):
        (compared,) = executor.map(compare_models, [task])
    record = Record(**compared.pop("record"))
    counts = {"num_anchors": compared.pop("num_rows"), "num_drawn": gathered["num_rows"]}
    lease.check()
    with phases.measure("commit"):
        return commit(job.maps, EMBEDDING_MAPS, [record], {**body, **compared, "counts": counts})


def _names(found: Migration) -> dict[str, Any]:
    job = found.job
    before = [found.earlier["inputs"]["model"], found.earlier["inputs"]["adapter"]]
    now = [job.embed.source.identity, job.embed.source.adapter_identity]
    return {
        "from": f"{job.previous.fingerprint}  {_model(before)}",
        "to": f"{job.embed.embeddings.fingerprint}  {_model(now)}",
        "settings": "; ".join(cut(compare_settings(found.earlier["sections"], _sections(job)))) or "as before",
        "day_of_anchors": job.previous.date,
    }


def _sections(job: MigrateJob) -> dict[str, Any]:
    return {"encoder": job.embed.encoder.model_dump(mode="json"), "embed": job.embed.embed.model_dump(mode="json")}


def _model(parts: list[str | None]) -> str:
    return " + ".join(part for part in parts if part)


def _judgement(found: Migration, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the anchors say, and what follows."""
    drift, why_not = manifest["drift"], _why_not(found, manifest)
    if why_not is not None:
        verdict = f"begin anew: {why_not}"
    elif found.clusters is not None and found.clusters.topics_manifest is not None:
        verdict = f"go on: {found.clusters.topics.date} is carried over"
    else:
        verdict = "centroids go on; the earlier embeddings have no topics"
    return {
        "anchors": manifest["counts"]["num_anchors"],
        "neighbours_kept": _interval(drift["overlap"]),
        **({} if drift["cosine"] is None else {"cosine_before": _interval(drift["cosine"]), "shift": drift["shift"]}),
        **{f"overlap_by_{each['method']}": _interval(each["overlap"]) for each in manifest["maps"]},
        "map": manifest["chosen"],
        **({} if manifest["clusters"] is None else {"clusters_agree_ari": _interval(manifest["agreement"])}),
        "topic_ids": verdict,
    }


def _interval(found: list[float]) -> str:
    value, low, high = found
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _costs(config: Config, found: Migration, manifest: dict[str, Any]) -> dict[str, Any]:
    """What embedding the earlier documents again would take: all of them, and of the worst clusters only."""
    job = found.job
    full = full_cost(job.embed, job.previous, config.resources)
    figures = _of("full", full)
    if manifest["clusters"] is None:
        return figures
    partial, weak = partial_cost(full, manifest["clusters"], job.settings.min_overlap)
    figures |= {"clusters_below_bound": f"{len(weak)} of {len(manifest['clusters'])}", **_of("partial", partial)}
    for each in weak[:NUM_SHOWN]:
        figures[f"cluster_{each['cluster_id']}"] = f"overlap {each['overlap']:.3f}, {each['documents']:,} documents"
    return figures


def _of(which: str, cost: dict[str, float]) -> dict[str, Any]:
    """Lines of a page."""
    shown: dict[str, Any] = {
        f"{which}_{name}": int(cost[name]) for name in ("days", "documents", "tokens") if name in cost
    }
    shown |= {f"{which}_device_hours": float(f"{cost['hours']:.3g}")}
    shown |= {f"{which}_{name}": round(cost[name], 2) for name in ("cost",) if name in cost}
    return shown | {f"{which}_{name}_after": round(cost[name], 3) for name in ("overlap",) if name in cost}


def _to_card(config: Config, found: Migration, manifest: dict[str, Any]) -> RunCard:
    return RunCard.of(
        STAGE,
        found.job.maps,
        {**_names(found), **_judgement(found, manifest), **_costs(config, found, manifest)},
        recipe=config.sections("encoder", "embed", "cluster", STAGE),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={STAGE: found.job.settings.seed},
    )
