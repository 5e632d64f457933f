"""What all shards have counted in, the rows of `topics` and `topic_counts` out. Shapes: T topics, M terms of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config_topics import Topics
from theta_ray.schemas import TOPIC_COUNTS, TOPICS
from theta_ray.topics.align import Alignment
from theta_ray.topics.change_points import change_points
from theta_ray.topics.coherence import npmi
from theta_ray.topics.ctfidf import diverse

# Terms of which a label is made where no model is asked.
NUM_LABEL_TERMS = 4
Scored = list[tuple[str, float]]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Summed:
    """What the shards have counted, summed up."""

    totals: pa.Table
    """counts.TOTALS"""
    ranked: pa.Table
    """ctfidf.RANKED of clusters, with a few terms more than are shown where they are to be diverse."""
    ranked_buckets: pa.Table
    """ctfidf.RANKED of clusters and buckets."""
    representative: pa.Table
    borderline: pa.Table
    """representatives.CANDIDATES"""
    num_templates: Mapping[int, int]
    templates: pa.Table
    """representatives.TEMPLATES, the largest of each cluster."""


@dataclass(frozen=True)
class Described:
    """What a cluster is, before it has a topic id."""

    cluster_id: int
    terms: Scored
    coherence: float | None
    label: str


def terms_of(ranked: pa.Table, cluster_ids: Sequence[int]) -> list[Scored]:
    """Terms of each cluster with their scores, best first."""
    found: dict[int, Scored] = {cluster_id: [] for cluster_id in cluster_ids}
    for row in ranked.select(["cluster_id", "term", "score"]).to_pylist():
        found[row["cluster_id"]].append((row["term"], row["score"]))
    return [found[cluster_id] for cluster_id in cluster_ids]


def choose_terms(candidates: list[Scored], num_texts: int, counts_TMM: Counts, settings: Topics) -> list[Described]:
    """The terms that each cluster shows, and how well they belong together; cluster ids are places.

    Args:
        candidates: of each cluster, best first.
        num_texts: documents that were looked at.
        counts_TMM: documents with term i and term j of cluster t; on the diagonal those with term i.
        settings: of the recipe.
    """
    described = []
    for place, (terms, counts) in enumerate(zip(candidates, counts_TMM, strict=True)):
        counts = counts[: len(terms), : len(terms)]
        chosen = list(range(min(settings.num_terms, len(terms))))
        if settings.diversity:
            scores = np.array([score for _, score in terms])
            chosen = diverse(scores, overlap(counts), settings.num_terms, settings.diversity)
        shown = [terms[place] for place in chosen]
        label = ", ".join(term for term, _ in shown[:NUM_LABEL_TERMS]) or "no words"
        coherence = None
        if len(chosen) > 1:
            coherence = float(npmi(np.array(num_texts), counts[np.ix_(chosen, chosen)][None])[0])
        described.append(Described(place, shown, coherence, label))
    return described


def overlap(counts_MM: Counts) -> npt.NDArray[np.float64]:
    """[M, M] cosine of the sets of documents that terms are in: together / root(alone i * alone j)."""
    alone = np.maximum(np.diagonal(counts_MM), 1).astype(np.float64)
    return np.asarray(counts_MM / np.sqrt(np.outer(alone, alone)))


def to_topics(described: Sequence[Described], alignment: Alignment, summed: Summed) -> pa.Table:
    """TOPICS, by topic id."""
    sizes, languages = sizes_of(summed.totals), _languages(summed.totals)
    changes = _changes(summed.totals)
    chosen = {role: _lists(getattr(summed, role), "doc_id") for role in ("representative", "borderline")}
    templates = _lists(summed.templates, "doc_id", "documents")
    rows = []
    for topic, aligned in zip(described, alignment.topics, strict=True):
        cluster_id = topic.cluster_id
        size = sizes.get(cluster_id, 0)
        rows.append(
            {
                "topic_id": aligned.topic_id,
                "cluster_id": cluster_id,
                "label": topic.label,
                "terms": [{"term": term, "score": score} for term, score in topic.terms],
                "representative_ids": chosen["representative"].get(cluster_id, []),
                "borderline_ids": chosen["borderline"].get(cluster_id, []),
                "size": size,
                "event": aligned.event,
                "previous_ids": list(aligned.previous_ids),
                "coherence": None if topic.coherence is None or np.isnan(topic.coherence) else topic.coherence,
                "duplicate_share": 1 - summed.num_templates.get(cluster_id, 0) / size if size else 0.0,
                "templates": templates.get(cluster_id, []),
                "languages": languages.get(cluster_id, []),
                "changes": changes.get(cluster_id, []),
            }
        )
    return pa.Table.from_pylist(rows, schema=TOPICS).sort_by("topic_id")


def quality_of(topics: pa.Table) -> dict[str, float | None]:
    """Mean coherence of the topics that have one, and the share of all documents that repeat another's template."""
    sizes, shares = topics["size"].to_numpy(), topics["duplicate_share"].to_numpy()
    coherence = pc.mean(topics["coherence"]).as_py()
    return {
        "mean_coherence": None if coherence is None else round(coherence, 6),
        "duplicate_share": round(float((sizes * shares).sum() / max(1, sizes.sum())), 6),
    }


def to_topic_counts(topic_ids: Mapping[int, int], summed: Summed) -> pa.Table:
    """TOPIC_COUNTS, by topic id and bucket.

    Args:
        topic_ids: of each cluster.
        summed: of all shards.
    """
    terms: dict[tuple[int, Any], list[dict[str, Any]]] = {}
    for row in summed.ranked_buckets.to_pylist():
        terms.setdefault((row["cluster_id"], row["bucket"]), []).append({"term": row["term"], "score": row["score"]})
    rows = [
        {
            "topic_id": topic_ids[row["cluster_id"]],
            "bucket": row["bucket"],
            "count": row["documents"],
            "terms": terms.get((row["cluster_id"], row["bucket"]), []),
        }
        for row in _sum_by(summed.totals, ["cluster_id", "bucket"])
    ]
    table = pa.Table.from_pylist(rows, schema=TOPIC_COUNTS)
    return table.sort_by([("topic_id", "ascending"), ("bucket", "ascending")])


def sizes_of(totals: pa.Table) -> dict[int, int]:
    """Documents of each cluster that has any."""
    return {row["cluster_id"]: row["documents"] for row in _sum_by(totals, ["cluster_id"])}


def _sum_by(totals: pa.Table, by: list[str]) -> list[dict[str, Any]]:
    summed = totals.group_by(by, use_threads=False).aggregate([("documents", "sum")])
    rows: list[dict[str, Any]] = summed.rename_columns([*by, "documents"]).to_pylist()
    return rows


def _languages(totals: pa.Table) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in _sum_by(totals, ["cluster_id", "lang"]):
        found.setdefault(row.pop("cluster_id"), []).append(row)
    return {k: sorted(rows, key=lambda row: (-row["documents"], row["lang"] or "")) for k, rows in found.items()}


def _lists(table: pa.Table, *names: str) -> dict[int, list[Any]]:
    """Values of a column, or rows of several, of each cluster, in their order."""
    found: dict[int, list[Any]] = {}
    for row in table.select(["cluster_id", *names]).to_pylist():
        cluster_id = row.pop("cluster_id")
        found.setdefault(cluster_id, []).append(row[names[0]] if len(names) == 1 else row)
    return found


def _changes(totals: pa.Table) -> dict[int, list[dict[str, Any]]]:
    """Changes of each cluster's share of the documents that have a time."""
    timed = _sum_by(totals.filter(pc.is_valid(totals["bucket"])), ["cluster_id", "bucket"])
    buckets = sorted({row["bucket"] for row in timed})
    place = {bucket: number for number, bucket in enumerate(buckets)}
    counts: dict[int, Counts] = {}
    for row in timed:
        counts.setdefault(row["cluster_id"], np.zeros(len(buckets), np.int64))[place[row["bucket"]]] = row["documents"]
    of_all = np.sum(list(counts.values()), axis=0) if counts else np.zeros(0, np.int64)
    return {
        cluster_id: [
            {"bucket": buckets[change.place], "before": change.before, "after": change.after}
            for change in change_points(mine, of_all)
        ]
        for cluster_id, mine in counts.items()
    }
