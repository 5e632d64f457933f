"""What is committed of the earlier model and of the new one, and whether topics go on from one to the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from theta_ray.config import Config
from theta_ray.encoder.job import make_job as make_embed_job
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.nightly.anchors import MigrateJob
from theta_ray.nightly.carry_over import Carrying, Clusters, find_clusters, own_day, topics_job
from theta_ray.nightly.earlier_embeddings import find_earlier, vector_columns
from theta_ray.schemas import EMBEDDING_MAPS
from theta_ray.store import fingerprint
from theta_ray.topics.topic_tasks import TopicsJob

# What decides the maps; the others say which vectors they are of, and what is done with them.
DECIDES = ("num_anchors", "num_neighbours", "seed")


@dataclass(frozen=True)
class Migration:
    """A job with what is committed of the earlier model."""

    config: Config
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
        topics = topics_job(config, corpus, replace(embeddings, date=clusters.job.centroids.date), embed_job.dim)
    metric = config.recipe.cluster.metric if config.recipe.cluster is not None else "cosine"
    sections = {name: value for name, value in settings.model_dump(mode="json").items() if name in DECIDES}
    inputs = {"previous": previous.fingerprint, "embeddings": embeddings.fingerprint}
    inputs["centroids"] = topics.centroids.fingerprint if topics is not None else ""
    maps = replace(
        previous,
        table="embedding_maps",
        fingerprint=fingerprint("embedding_maps", EMBEDDING_MAPS, {"migrate": sections}, inputs),
    )
    job = MigrateJob(
        replace(embed_job, corpus=corpus, embeddings=embeddings),
        previous,
        columns,
        maps,
        settings,
        metric,
        clusters.job.centroids if clusters is not None else None,
    )
    return Migration(config, job, earlier, clusters, topics)


def read_maps(found: Migration) -> dict[str, Any] | None:
    """The newest maps, where they are of the current tables."""
    manifest = read_manifest(found.job.maps)
    return manifest if manifest is not None and manifest["inputs"] == found.inputs else None


def carrying_of(found: Migration, manifest: dict[str, Any]) -> Carrying | None:
    """What is carried over by these maps; None: the earlier embeddings have no clusters."""
    if found.clusters is None or found.topics is None:
        return None
    return Carrying(found.config, found.clusters, found.topics, found.job.maps, manifest)


def why_not(found: Migration, manifest: dict[str, Any]) -> str | None:
    """Why clusters do not go on under the new fingerprint; None: they do, or have."""
    carrying = carrying_of(found, manifest)
    if carrying is None:
        return "the earlier embeddings have no clusters by this recipe's section cluster"
    overlap, bound = overlap_of(manifest), found.job.settings.min_overlap
    if overlap < bound:
        return f"the best map finds {overlap:.3f} of the neighbours, and migrate.min_overlap is {bound:g}"
    day = None if carrying.is_done() else own_day(carrying.job.centroids)
    return None if day is None else f"cluster has made centroids of its own for {day}"


def overlap_of(manifest: dict[str, Any]) -> float:
    """Of the chosen map."""
    return next(float(each["overlap"][0]) for each in manifest["maps"] if each["method"] == manifest["chosen"])
