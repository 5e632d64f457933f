"""Corpora with clusters that a test decides, committed as the stages before `label_topics` would, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.corpora import DAY, config_of, jsonl_input, table_of, write_jsonl
from theta_ray.config import Config, Resources
from theta_ray.config_topics import Topics
from theta_ray.corpus import prepare
from theta_ray.corpus.survey import partition_of
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.schemas import ASSIGNMENTS, TOPIC_COUNTS, TOPICS, centroids_schema
from theta_ray.store import Partition, ShardWriter, read_shard
from theta_ray.topics.label_topics import job_of, label
from theta_ray.topics.topic_tasks import TopicsJob

COLUMNS = {"created_at": "time", "label": "label", "lang": "lang"}
DIM = 8
ClusterOf = Callable[[dict[str, Any]], int]
SimilarityOf = Callable[[dict[str, Any]], float]


def topics_config(
    folder: Path, days: dict[str, list[dict[str, Any]]], section: dict[str, Any] | None = None, **corpus: Any
) -> Config:
    """A configuration over JSON lines of each day, with `id`, `text` and the columns above, in this process."""
    for day, records in days.items():
        write_jsonl(folder / f"raw-{day}.jsonl", records)
    source = jsonl_input(folder / "raw-{date}.jsonl", **COLUMNS)
    config = config_of(folder, source, **{"language": "source", "shard_bytes": 12_000, **corpus})
    recipe = config.recipe.model_copy(update={"topics": Topics.model_validate(section or {})})
    return config.model_copy(update={"recipe": recipe, "resources": Resources(executor="local")})


def commit_clusters(
    config: Config,
    cluster_of: ClusterOf,
    day: str = DAY,
    directions: Sequence[int] | None = None,
    similarity_of: SimilarityOf | None = None,
) -> TopicsJob:
    """Prepare the corpus of a day and commit clusters of it: the work of labelling them.

    Args:
        config: of `topics_config`.
        cluster_of: cluster of a row of the corpus, from 0; -1 for none, below that for a row without a vector.
        day: of the corpus.
        directions: of the centroids, by number; as the clusters are numbered where nothing else is said.
        similarity_of: a row of the corpus to its centroid, of which those of at least 0 are within its radius; None: by
            chance, within it.
    """
    prepare.run(config, day)
    corpus = partition_of(config, day)
    manifest = read_manifest(corpus)
    assert manifest is not None
    tables: dict[str, pa.Table] = {}
    for shard in manifest["shards"]:
        documents = read_shard(corpus, shard["shard"]).to_pylist()
        rows = _assign(documents, cluster_of)
        if similarity_of is not None:
            near = [similarity_of(row) for row in documents if cluster_of(row) >= -1]
            rows = rows.set_column(2, ASSIGNMENTS.field("similarity"), pa.array(near, pa.float32()))
        for number, start in enumerate(range(0, rows.num_rows, 50)):  # as embeddings have several shards
            tables[f"{shard['shard']}-{number:05d}-{'0' * 16}"] = rows.slice(start, 50)
    sizes = np.bincount([i for table in tables.values() for i in table["cluster_id"].to_pylist() if i >= 0])
    centroids = Partition(config.root, "centroids", "0" * 12, day)
    made = _commit(centroids, {"part-00000": _centroids(sizes, directions or range(len(sizes)))}, {})
    assignments = Partition(config.root, "assignments", "1" * 12, day)
    num_left_out = sum(i < 0 for table in tables.values() for i in table["cluster_id"].to_pylist())
    body = {"inputs": {"centroids": identity_of(made)}, "counts": {"num_left_out": num_left_out}}
    _commit(assignments, tables, body)
    return job_of(config, corpus, centroids, assignments)


def _assign(rows: list[dict[str, Any]], cluster_of: ClusterOf) -> pa.Table:
    kept = [(row["doc_id"], cluster_of(row)) for row in rows if cluster_of(row) >= -1]
    generator = np.random.default_rng(len(kept))
    values = {
        "doc_id": [doc_id for doc_id, _ in kept],
        "cluster_id": [cluster_id for _, cluster_id in kept],
        "similarity": generator.uniform(0.5, 1, len(kept)).astype(np.float32),
        "margin": generator.uniform(0, 0.5, len(kept)).astype(np.float32),
    }
    return pa.table(values, schema=ASSIGNMENTS)


def _centroids(sizes: np.ndarray[Any, Any], directions: Sequence[int]) -> pa.Table:
    vectors = np.stack([np.random.default_rng(i).standard_normal(DIM) for i in directions]).astype(np.float32)
    values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    ids, radius = np.arange(len(sizes), dtype=np.int32), np.ones(len(sizes), np.float32)
    return pa.table([ids, values, sizes.astype(np.int64), radius], schema=centroids_schema(DIM))


def _commit(partition: Partition, tables: dict[str, pa.Table], body: dict[str, Any]) -> dict[str, Any]:
    records = []
    for name, table in tables.items():
        with ShardWriter(partition, name, table.schema) as writer:
            writer.write(table)
            records.append(writer.publish())
    return commit(partition, next(iter(tables.values())).schema, records, body)


def topics_of(config: Config, job: TopicsJob) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run the stage; the rows of both tables."""
    label(config, job)
    return table_of(job.topics, TOPICS).to_pylist(), table_of(job.topic_counts, TOPIC_COUNTS).to_pylist()
