"""What a migration tells: how far the models differ, what goes on, what is embedded and what is left to embed."""

from __future__ import annotations

import shlex
from typing import Any

from theta_ray.nightly.earlier_embeddings import EarlierDay, below_bound, earlier_days, full_cost, partial_cost
from theta_ray.nightly.migration import Migration, overlap_of, why_not
from theta_ray.runcard import RunCard
from theta_ray.stale import compare_settings, cut

NUM_SHOWN = 10


def names(found: Migration) -> dict[str, Any]:
    """Both models, and what of the recipe differs."""
    job = found.job
    sections = {"encoder": job.embed.encoder.model_dump(mode="json"), "embed": job.embed.embed.model_dump(mode="json")}
    before = [found.earlier["inputs"]["model"], found.earlier["inputs"]["adapter"]]
    now = [job.embed.source.identity, job.embed.source.adapter_identity]
    return {
        "from": f"{job.previous.fingerprint}  {_model(before)}",
        "to": f"{job.embed.embeddings.fingerprint}  {_model(now)}",
        "settings": "; ".join(cut(compare_settings(found.earlier["sections"], sections))) or "as before",
        "day_of_anchors": job.previous.date,
    }


def _model(parts: list[str | None]) -> str:
    return " + ".join(part for part in parts if part)


def judgement(found: Migration, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the anchors say, and what follows."""
    drift, reason = manifest["drift"], why_not(found, manifest)
    if reason is not None:
        verdict = f"begin anew: {reason}"
    elif found.clusters is not None and found.clusters.topics is not None:
        verdict = f"go on: {found.clusters.job.topics.date} and the days before it are carried over"
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


def costs(found: Migration, manifest: dict[str, Any] | None) -> dict[str, Any]:
    """Which earlier days are embedded by the new model, and what embedding the others would take: all, or the last.

    Args:
        found: the tables of both models.
        manifest: of the maps; None before they are made.
    """
    job, resources = found.job, found.config.resources
    days = earlier_days(job.embed.embeddings, job.previous, found.topics.centroids if found.topics else None)
    full = full_cost(job.embed, days, resources)
    num_days = job.settings.num_days
    figures = {**_standing(days), **_of("full", full), **_next("full", found, days)}
    if full["days"]:
        figures |= {**_of("partial", partial_cost(full, days, num_days)), **_next("partial", found, days[:num_days])}
    return figures if manifest is None else {**figures, **_overlaps(found, manifest, days)}


def _standing(days: list[EarlierDay]) -> dict[str, Any]:
    embedded, mapped = [day for day in days if day.is_embedded], [day for day in days if day.is_mapped]
    return {
        "days_embedded": len(embedded),
        "documents_embedded": sum(day.documents for day in embedded),
        "days_mapped": len(mapped),
        "documents_mapped": sum(day.documents for day in mapped),
    }


def _next(which: str, found: Migration, days: list[EarlierDay]) -> dict[str, str]:
    """The command that embeds the days that are left, but for --root, --resources and --set, which are as given."""
    left = sorted(day.date for day in days if not day.is_embedded)
    job = "jobs/embed.py" if found.config.recipe.cluster is None else "jobs/label_topics.py"
    if not left:
        return {}
    when = left[0] if len(left) == 1 else f"each of {left[0]} to {left[-1]}, the oldest first"
    recipe = found.config.recipe_path  # none where the recipe was made in a program
    command = f"python {job} --config {shlex.quote(recipe)}" if recipe else job
    return {f"{which}_by": f"{command} --date {when}"}


def _overlaps(found: Migration, manifest: dict[str, Any], days: list[EarlierDay]) -> dict[str, Any]:
    """What the map is worth, for all documents and cluster by cluster."""
    if manifest["clusters"] is None:
        return {}
    figures: dict[str, Any] = {}
    if why_not(found, manifest) is None:
        documents = max(1, sum(day.documents for day in days))
        for name, num_days in (("now", 0), ("after_partial", found.job.settings.num_days)):
            by_model = sum(day.documents for place, day in enumerate(days) if day.is_embedded or place < num_days)
            mean = (by_model + (documents - by_model) * overlap_of(manifest)) / documents
            figures[f"mean_overlap_{name}"] = round(mean, 3)
    weak = below_bound(manifest["clusters"], found.job.settings.min_overlap)
    figures["clusters_below_bound"] = f"{len(weak)} of {len(manifest['clusters'])}"
    for each in weak[:NUM_SHOWN]:
        figures[f"cluster_{each['cluster_id']}"] = f"overlap {each['overlap']:.3f}, {each['documents']:,} documents"
    return figures


def _of(which: str, cost: dict[str, float]) -> dict[str, Any]:
    """Lines of a page."""
    shown: dict[str, Any] = {f"{which}_{name}": round(cost[name]) for name in ("days", "documents", "tokens")}
    shown |= {f"{which}_device_hours": float(f"{cost['hours']:.3g}")}
    return shown | ({f"{which}_cost": round(cost["cost"], 2)} if "cost" in cost else {})


def to_card(found: Migration, manifest: dict[str, Any]) -> RunCard:
    """The card of a run."""
    config = found.config
    return RunCard.of(
        "migrate",
        found.job.maps,
        {**names(found), **judgement(found, manifest), **costs(found, manifest)},
        recipe=config.sections("encoder", "embed", "cluster", "migrate"),
        resources=config.resources.model_dump(mode="json"),
        inputs=manifest["inputs"],
        seeds={"migrate": found.job.settings.seed},
    )
