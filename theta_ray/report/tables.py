"""The committed tables of a recipe's day: recipe and day in, a partition and its manifest for each table out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus.survey import partition_of
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.store import Partition


@dataclass(frozen=True)
class Committed:
    """One version of one table."""

    partition: Partition
    manifest: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """As another manifest, or a publication, names it."""
        return identity_of(self.manifest)


def find_tables(config: Config, day: str) -> dict[str, Committed]:
    """The newest versions of all tables that the recipe names and that are committed for the day, by table."""
    return committed_of(partitions_of(config, day))


def committed_of(partitions: Iterable[Partition]) -> dict[str, Committed]:
    """The newest versions of those of some partitions that are committed, by table."""
    found = {partition.table: (partition, read_manifest(partition)) for partition in partitions}
    return {
        table: Committed(partition, manifest) for table, (partition, manifest) in found.items() if manifest is not None
    }


def published_tables(root: str, publication: Mapping[str, Any]) -> dict[str, Committed]:
    """The tables of a publication in the versions that it names.

    Raises:
        InputError: one of these versions is no longer there.
    """
    found = {}
    for table, identity in publication["tables"].items():
        partition = Partition(root, table, identity["fingerprint"], publication["date"])
        manifest = read_manifest(partition, identity["version"])
        assert manifest is not None, "a version that is not there is an error"
        found[table] = Committed(partition, manifest)
    return found


def partitions_of(config: Config, day: str) -> Iterator[Partition]:
    """Where the tables of a day are, or will be."""
    # stages load their libraries, and some the model
    from theta_ray.network.analyze_network import make_job as network_job

    corpus = partition_of(config, day)
    yield corpus
    if config.recipe.cluster is None and config.recipe.encoder is not None:
        from theta_ray.encoder.job import make_job as embed_job

        yield embed_job(config, day).embeddings
    elif config.recipe.cluster is not None:
        from theta_ray.topics.cluster import make_job as cluster_job
        from theta_ray.topics.label_topics import job_of

        made = cluster_job(config, day)
        yield made.embeddings
        topics = job_of(config, corpus, made.centroids, made.assignments)
        yield from (topics.centroids, topics.assignments, topics.topics, topics.topic_counts)
    yield from network_job(config, day).tables.values()
