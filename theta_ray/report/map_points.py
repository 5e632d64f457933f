"""Committed tables in, the documents of a topic map out: a bounded sample, drawn where the shards are read.

A document is drawn by the hash of its text: the same ones whatever the shards, most of them again the next night, and
copies of a text once. Each shard's task sends only what it drew (in all about `num_points` vectors, as float16: 15 MB
of 20,000 x 384), and one more task lays them out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from theta_ray.config import Config
from theta_ray.encoder.stored import read_vectors
from theta_ray.report.map_picture import MAX_TEXT, MAX_TEXTS, OTHER, MapPoints
from theta_ray.report.projection import project
from theta_ray.report.tables import Committed
from theta_ray.store import Partition, read_shard
from theta_ray.tasks import Executor
from theta_ray.topics.document_sample import hashes, is_drawn

# Hashes are spread by chance: so much more is drawn, that `num_points` are there.
ALLOWANCE = 1.05


@dataclass(frozen=True)
class DrawTask:
    """One shard of assignments, and the share of the texts that is drawn."""

    corpus: Partition
    embeddings: Partition
    assignments: Partition
    columns: tuple[str, ...]
    """Of the embeddings, those that hold vectors."""
    shard: str
    share: float
    text_share: float
    """Of those whose text is read; 0 where the recipe shows none."""


@dataclass(frozen=True)
class Layout:
    """What is laid out."""

    vectors: NDArray[np.float16]
    topic_ids: NDArray[np.int64]
    keys: NDArray[np.uint64]
    seed: int


def map_points(
    config: Config, tables: Mapping[str, Committed], shown: Collection[int], executor: Executor
) -> MapPoints | None:
    """Places and topics of at most `report.num_points` documents; None where the recipe or the day has no map.

    Args:
        config: its sections `report` and `embed`.
        tables: `corpus`, `embeddings`, `assignments` and `topics` of a day.
        shown: topics that are told apart.
        executor: draws, and lays out.
    """
    settings = config.recipe.report
    if not settings.num_points or not {"corpus", "embeddings", "assignments", "topics"} <= set(tables):
        return None
    counts = tables["corpus"].manifest["counts"]
    share = min(1.0, ALLOWANCE * settings.num_points / max(counts["num_texts"], 1))
    text_share = min(share, MAX_TEXTS / max(counts["num_texts"], 1)) if settings.show_text else 0.0
    corpus, embeddings, assignments = (tables[name].partition for name in ("corpus", "embeddings", "assignments"))
    columns = ("embedding", "scale") if config.recipe.embed.store_dtype == "int8" else ("embedding",)
    tasks = [
        DrawTask(corpus, embeddings, assignments, columns, entry["shard"], share, text_share)
        for entry in tables["assignments"].manifest["shards"]
    ]
    drawn = executor.map(draw_documents, tasks)
    rows = _together(drawn, settings.num_points)
    if rows is None:
        return None
    topic_of = _topics_by_cluster(tables["topics"], shown)
    topic_ids = np.array([topic_of.get(cluster, OTHER) for cluster in rows["clusters"].tolist()], np.int64)
    laid_out = executor.map(lay_out, [Layout(rows["vectors"], topic_ids, rows["keys"], settings.seed)])[0]
    texts = {row: rows["texts"][key] for row, key in enumerate(rows["keys"].tolist()) if key in rows["texts"]}
    return MapPoints(laid_out["places"], topic_ids, texts, counts["num_rows"])


def draw_documents(task: DrawTask) -> dict[str, Any]:
    """One shard's documents of the sample: keys, clusters, vectors, and the texts of some, by key."""
    embedded = task.shard.rpartition("-")[0]  # and a digest
    assigned = read_shard(task.assignments, task.shard, columns=["doc_id", "cluster_id"])
    assigned = assigned.filter(pc.greater_equal(assigned["cluster_id"], 0))
    names = ["doc_id", "text_hash", *(["text"] if task.text_share else [])]
    corpus = read_shard(task.corpus, embedded.rpartition("-")[0], columns=names)
    corpus = corpus.filter(pa.array(is_drawn(hashes(corpus["text_hash"])[0], task.share)))
    corpus = corpus.filter(pc.is_in(corpus["doc_id"], assigned["doc_id"].combine_chunks()))
    keys = hashes(corpus["text_hash"])[0]
    keys, first = np.unique(keys, return_index=True)  # copies of a text once
    corpus = corpus.take(pa.array(first)).combine_chunks()
    vectors = read_shard(task.embeddings, embedded, columns=["doc_id", *task.columns])
    vectors = vectors.filter(pc.is_in(vectors["doc_id"], corpus["doc_id"].combine_chunks()))
    found = {
        "num_rows": assigned.num_rows,
        "keys": keys,
        "clusters": _of(corpus, assigned)["cluster_id"].to_numpy(),
        "vectors": read_vectors(_of(corpus, vectors).select(list(task.columns))).astype(np.float16),
    }
    has_text = is_drawn(keys, task.text_share) if task.text_share else np.zeros(len(keys), bool)
    texts = corpus["text"].filter(pa.array(has_text)).to_pylist() if task.text_share else []
    cut = [text[: 4 * MAX_TEXT] for text in texts]
    return {**found, "texts": dict(zip(keys[has_text].tolist(), cut, strict=True))}


def lay_out(task: Layout) -> dict[str, Any]:
    """Places of the sample."""
    places = project(task.vectors.astype(np.float32), task.topic_ids, task.keys, task.seed)
    return {"num_rows": len(places), "places": places}


def _of(documents: pa.Table, rows: pa.Table) -> pa.Table:
    """The row of each document."""
    return rows.take(pc.index_in(documents["doc_id"].combine_chunks(), rows["doc_id"].combine_chunks()))


def _together(drawn: list[dict[str, Any]], num_points: int) -> dict[str, Any] | None:
    """The documents of all shards with the smallest keys; a text that several shards have is once in it."""
    parts = [part for part in drawn if len(part["keys"])]
    if not parts:
        return None
    names = ("keys", "clusters", "vectors")
    keys, clusters, vectors = (np.concatenate([part[name] for part in parts]) for name in names)
    # a text has one vector, and so one cluster, wherever it is
    keys, first = np.unique(keys, return_index=True)
    keys, first = keys[:num_points], first[:num_points]
    texts: dict[int, str] = {}
    for part in parts:
        texts |= part["texts"]
    return {"keys": keys, "clusters": clusters[first], "vectors": vectors[first], "texts": texts}


def _topics_by_cluster(topics: Committed, shown: Collection[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for entry in topics.manifest["shards"]:
        rows = read_shard(topics.partition, entry["shard"], columns=["topic_id", "cluster_id"])
        found |= dict(zip(rows["cluster_id"].to_pylist(), rows["topic_id"].to_pylist(), strict=True))
    return {cluster: topic_id for cluster, topic_id in found.items() if topic_id in set(shown)}
