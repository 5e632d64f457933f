"""Small corpora of a few topics in words of their own, and what stage `cluster` makes of them, for tests."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.small_jobs import make_config
from tests.small_jobs import write_jsonl as write_texts
from theta_ray.config import Config
from theta_ray.manifest import read_manifest
from theta_ray.store import Partition, read_shard
from theta_ray.topics import cluster

TOPICS = {
    "running": "marathon starts nine road closed run",
    "bread": "sourdough starter doubled overnight my",
    "stars": "telescope saw first light young galaxy",
    "votes": "election polls move debate tonight vote",
}


def texts_of(topics: list[str], count: int, seed: int = 0) -> list[str]:
    """Texts of eight words of one topic each, the topics in turn; the same from a seed."""
    generator = random.Random(seed)
    return [" ".join(generator.choices(TOPICS[topics[i % len(topics)]].split(), k=8)) for i in range(count)]


def topic_config(folder: Path, model: Path, days: dict[str, list[str]], **section: Any) -> Config:
    """A configuration over one file a day, with a section `cluster`, in this process."""
    for day, texts in days.items():
        write_texts(folder / f"raw-{day}.jsonl", texts)
    resources = {"executor": "local", "threads_per_actor": 1}
    # several shards of embeddings, so that workers have something to share
    config = make_config(
        folder / "raw-{date}.jsonl", str(folder / "root"), model, resources=resources, corpus={"shard_bytes": 8000}
    )
    settings = {"num_clusters": len(TOPICS), **section}
    recipe = type(config.recipe).model_validate({**config.recipe.model_dump(mode="json"), "cluster": settings})
    return config.model_copy(update={"recipe": recipe})


def committed(config: Config, day: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifests of centroids and assignments."""
    job = cluster.make_job(config, day)
    centroids, assignments = read_manifest(job.centroids), read_manifest(job.assignments)
    assert centroids is not None
    assert assignments is not None
    return centroids, assignments


def rows_of(partition: Partition) -> pa.Table:
    """The rows of a committed table."""
    manifest = read_manifest(partition)
    assert manifest is not None
    return pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])
