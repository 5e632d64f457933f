"""Which embeddings a recipe's new model takes over from, and what it would take to embed all of them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from theta_ray.config import Resources
from theta_ray.encoder.job import estimate
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.sizing import draw_strata
from theta_ray.encoder.tokenized import plan_tasks
from theta_ray.errors import ConfigError, InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import join, list_names
from theta_ray.schemas import type_named
from theta_ray.store import Partition

TABLE = "embeddings"


def find_earlier(job: EmbedJob, previous: str | None) -> tuple[Partition, dict[str, Any]]:
    """The earlier embeddings of the same corpus, of the newest day up to that of the job, and their manifest.

    Args:
        job: of the new recipe.
        previous: their fingerprint; None: the newest other ones.

    Raises:
        ConfigError: the recipe names its own embeddings, those of another corpus, or none of several of the same day.
        InputError: there are none.
    """
    mine, corpus = job.embeddings, job.corpus.fingerprint
    if previous == mine.fingerprint:
        raise ConfigError(
            f"migrate.previous {previous}: are the embeddings of this recipe itself; name those to come from, or leave "
            "it out for the newest other ones"
        )
    names = [previous] if previous is not None else list_names(join(mine.root, TABLE))
    found: dict[str, list[tuple[Partition, dict[str, Any]]]] = {}
    other: str | None = None
    for name in names:
        newest = next(_committed(replace(mine, fingerprint=name)), None) if name != mine.fingerprint else None
        if newest is not None:
            of_corpus = newest[1]["inputs"]["corpus"]["fingerprint"]
            other = other if of_corpus == corpus else of_corpus
            found.setdefault(newest[0].date if of_corpus == corpus else "", []).append(newest)
    days = sorted(day for day in found if day)
    if days and len(found[days[-1]]) > 1:
        which = ", ".join(sorted(partition.fingerprint for partition, _ in found[days[-1]]))
        raise ConfigError(f"migrate.previous: embeddings of {days[-1]} are there under {which}; name one of them")
    if days:
        return found[days[-1]][0]
    if previous is not None and other is not None:
        raise ConfigError(
            f"migrate.previous {previous}: are embeddings of corpus {other}, this recipe's is {corpus}; use a recipe "
            "with the section corpus that they were made with"
        )
    where = f"{join(mine.root, TABLE)}{'' if previous is None else '/' + previous}"
    raise InputError(
        f"{where}: no other embeddings of corpus {corpus} up to {mine.date} are committed there; "
        "run jobs/embed.py with the earlier recipe first, or give the day that it was last run for as --date"
    )


def _committed(partition: Partition) -> Iterator[tuple[Partition, dict[str, Any]]]:
    """Committed days up to that of the partition, the newest first."""
    names = list_names(join(partition.root, partition.table, partition.fingerprint))
    for day in sorted((name.removeprefix("dt=") for name in names if name.startswith("dt=")), reverse=True):
        place = replace(partition, date=day)
        manifest = read_manifest(place) if day <= partition.date else None
        if manifest is not None:
            yield place, manifest


def vector_columns(manifest: dict[str, Any]) -> tuple[tuple[str, ...], int]:
    """Columns of embeddings that hold vectors, and values of a vector."""
    columns = dict(manifest["schema"])
    kind = type_named(columns["embedding"])
    is_binary = kind.value_type == type_named("uint8")
    return tuple(name for name in ("embedding", "scale") if name in columns), kind.list_size * (8 if is_binary else 1)


def full_cost(job: EmbedJob, previous: Partition, resources: Resources) -> dict[str, float]:
    """Days and documents of the earlier embeddings, and tokens and hours on one device to embed all of them again.

    Args:
        job: of the new recipe and the newest day of the earlier embeddings.
        previous: that day of them.
        resources: whose device and price count.
    """
    days = [manifest["num_rows"] for _, manifest in _committed(previous)]
    corpus = read_manifest(job.corpus)
    assert corpus is not None, "it has embeddings"
    times = sum(days) / max(1, corpus["num_rows"])
    strata = [
        replace(each, num_rows=each.num_rows * times, num_bytes=each.num_bytes * times)
        for each in draw_strata(job, corpus, plan_tasks(corpus, job.embed))
    ]
    found = estimate(job, resources.model_copy(update={"num_actors": 1}), strata, [], 0.0)
    hours = found["estimated_seconds"] / 3600
    figures = {"days": len(days), "documents": sum(days), "tokens": found["estimated_tokens"], "hours": hours}
    if resources.price_per_device_hour is not None:
        figures["cost"] = hours * (resources.gpus_per_actor or 1) * resources.price_per_device_hour
    return figures


def partial_cost(
    full: dict[str, float], clusters: list[dict[str, Any]], min_overlap: float
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """What embedding only the clusters below the bound again would take, and these clusters, the worst first.

    Args:
        full: of `full_cost`.
        clusters: rows of `MappedClusters`, of the newest day, which stands for the others.
        min_overlap: the bound.

    Returns:
        Documents, tokens, hours, cost where there is a price, and the overlap of all documents afterwards.
    """
    weak = sorted((c for c in clusters if c["overlap"] < min_overlap), key=lambda c: (c["overlap"], c["cluster_id"]))
    documents = max(1, sum(c["documents"] for c in clusters))
    tokens = max(1e-9, sum(c["documents"] * c["tokens_per_text"] for c in clusters))
    share = sum(c["documents"] for c in weak) / documents
    share_of_tokens = sum(c["documents"] * c["tokens_per_text"] for c in weak) / tokens
    kept = sum(c["documents"] * c["overlap"] for c in clusters if c["overlap"] >= min_overlap)
    figures: dict[str, float] = {"documents": round(full["documents"] * share), "overlap": share + kept / documents}
    for name in ("tokens", "hours", "cost"):
        if name in full:
            figures[name] = full[name] * share_of_tokens
    return figures, weak
