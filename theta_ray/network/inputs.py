"""What a day's networks are made of: the committed corpus, and its topics where the recipe has them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from theta_ray.config import Config
from theta_ray.errors import InputError
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.network.job import NetworkJob, ReadTask
from theta_ray.store import Partition, read_shard

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """Committed tables."""

    identities: dict[str, Any]
    """As a manifest holds them."""
    num_rows: int
    shards: tuple[str, ...]
    assigned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Corpus shard -> the shards that assign its documents."""
    topics: Partition | None = None
    assignments: Partition | None = None
    topic_of_cluster: tuple[tuple[int, int], ...] = ()

    def tasks(self, job: NetworkJob) -> list[ReadTask]:
        """One for each shard."""
        return [ReadTask(job, shard, self.assigned.get(shard, ())) for shard in self.shards]


def find_inputs(config: Config, job: NetworkJob, day: str) -> Inputs:
    """The corpus of a day, with topics where the recipe has clusters and their topics are committed.

    Raises:
        InputError: the corpus is not committed.
    """
    corpus = read_manifest(job.corpus)
    if corpus is None:
        raise InputError(f"{job.corpus.path}: not committed; run jobs/prepare.py for {day} first")
    shards = tuple(shard["shard"] for shard in corpus["shards"])
    identities: dict[str, Any] = {"corpus": identity_of(corpus), "topics": None}
    if config.recipe.cluster is None:
        return Inputs(identities, corpus["num_rows"], shards)
    from theta_ray.topics import label_topics  # which loads the model

    made = label_topics.make_job(config, day)
    topics, assignments = read_manifest(made.topics), read_manifest(made.assignments)
    if topics is None or assignments is None or topics["inputs"]["corpus"] != identities["corpus"]:
        logger.info("no topics of this corpus are committed; run jobs/label_topics.py to have them by community")
        return Inputs(identities, corpus["num_rows"], shards)
    identities["topics"] = identity_of(topics)
    rows = pa.concat_tables([read_shard(made.topics, shard["shard"]) for shard in topics["shards"]])
    assigned: dict[str, tuple[str, ...]] = {}
    for shard in sorted(shard["shard"] for shard in assignments["shards"]):
        of_corpus = shard.rsplit("-", 2)[0]
        assigned[of_corpus] = (*assigned.get(of_corpus, ()), shard)
    pairs = zip(rows["cluster_id"].to_pylist(), rows["topic_id"].to_pylist(), strict=True)
    return Inputs(
        identities,
        corpus["num_rows"],
        shards,
        assigned,
        topics=made.topics,
        assignments=made.assignments,
        topic_of_cluster=tuple(pairs),
    )
