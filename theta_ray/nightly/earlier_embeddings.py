"""Which embeddings a recipe's new model takes over from, which days it has embedded, and what the others would take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from theta_ray.config import Resources
from theta_ray.encoder.job import estimate
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.sizing import draw_strata
from theta_ray.encoder.tokenized import plan_tasks
from theta_ray.errors import ConfigError, InputError
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.objects import READERS, join, list_names
from theta_ray.schemas import type_named
from theta_ray.store import Partition

TABLE = "embeddings"


@dataclass(frozen=True)
class EarlierDay:
    """A day of the earlier embeddings."""

    date: str
    documents: int
    is_embedded: bool
    """By the new model as well."""
    is_mapped: bool
    """Not embedded by the new model: under its fingerprint are clusters and topics that were carried over alone."""


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


def earlier_days(embeddings: Partition, previous: Partition, centroids: Partition | None) -> list[EarlierDay]:
    """Days of the earlier embeddings up to that of `previous`, the newest first.

    Args:
        embeddings: of the new recipe.
        previous: the newest of the earlier ones.
        centroids: of the new recipe; None: there are none.
    """
    folder = join(previous.root, previous.table, previous.fingerprint)
    days = [name.removeprefix("dt=") for name in list_names(folder) if name.startswith("dt=")]

    def look(day: str) -> EarlierDay | None:
        manifest = read_manifest(replace(previous, date=day))
        if manifest is None:
            return None
        is_embedded = bool(list_versions(replace(embeddings, date=day)))
        is_mapped = centroids is not None and not is_embedded and bool(list_versions(replace(centroids, date=day)))
        return EarlierDay(day, manifest["num_rows"], is_embedded, is_mapped)

    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(look, sorted((day for day in days if day <= previous.date), reverse=True)))
    return [each for each in found if each is not None]


def full_cost(job: EmbedJob, days: Sequence[EarlierDay], resources: Resources) -> dict[str, float]:
    """Days and documents that the new model has not embedded, and tokens and hours on one device to do it.

    Args:
        job: of the new recipe and the newest day of the earlier embeddings.
        days: all that have earlier embeddings.
        resources: whose device and price count.
    """
    left = [day for day in days if not day.is_embedded]
    documents = sum(day.documents for day in left)
    figures: dict[str, float] = {"days": len(left), "documents": documents, "tokens": 0, "hours": 0.0}
    if documents:
        corpus = read_manifest(job.corpus)
        assert corpus is not None, "it has embeddings"
        times = documents / max(1, corpus["num_rows"])
        strata = [
            replace(each, num_rows=each.num_rows * times, num_bytes=each.num_bytes * times)
            for each in draw_strata(job, corpus, plan_tasks(corpus, job.embed))
        ]
        found = estimate(job, resources.model_copy(update={"num_actors": 1}), strata, [], 0.0)
        figures |= {"tokens": found["estimated_tokens"], "hours": found["estimated_seconds"] / 3600}
    if resources.price_per_device_hour is not None:
        figures["cost"] = figures["hours"] * (resources.gpus_per_actor or 1) * resources.price_per_device_hour
    return figures


def partial_cost(full: dict[str, float], days: Sequence[EarlierDay], num_days: int) -> dict[str, float]:
    """As `full_cost`, for the newest so many days; a document of these is taken to be as long as one of the others."""
    left = [day.documents for day in days[:num_days] if not day.is_embedded]
    share = sum(left) / max(1, full["documents"])
    scaled = {name: value * share for name, value in full.items() if name in ("tokens", "hours", "cost")}
    return {**scaled, "days": len(left), "documents": sum(left)}


def below_bound(clusters: list[dict[str, Any]], min_overlap: float) -> list[dict[str, Any]]:
    """Clusters that the map serves worse than the bound, the worst first.

    Args:
        clusters: rows of `MappedClusters`.
        min_overlap: the bound.
    """
    weak = (each for each in clusters if each["overlap"] < min_overlap)
    return sorted(weak, key=lambda each: (each["overlap"], each["cluster_id"]))
