"""The staged counts of all shards in, what a version of `topic_quality` has out: figures, a tree, and task sheets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_quality import Evaluate
from theta_ray.schemas import TOPIC_TREE
from theta_ray.store import Partition, read_shard
from theta_ray.topics.cooccurrences import Cooccurrences
from theta_ray.topics.days import Day
from theta_ray.topics.evidence import (
    IN_TOPIC,
    LABELS,
    EvidenceTask,
    ListedTopics,
    num_groups,
    sum_cells,
    sum_rows,
    texts_of,
)
from theta_ray.topics.hierarchy import Tree, tree
from theta_ray.topics.quality import (
    COHERENCE,
    Row,
    agreement_rows,
    coherence_rows,
    people_rows,
    term_rows,
    tree_rows,
)
from theta_ray.topics.refits import OfSample
from theta_ray.topics.sheet_files import read_answers, to_csv, to_jsonl
from theta_ray.topics.task_sheets import (
    PREFIXES,
    Item,
    Kind,
    SheetSettings,
    SheetTopic,
    key_rows,
    make_items,
    sheet_rows,
)

KINDS: tuple[Kind, ...] = get_args(Kind)
Answered = dict[str, dict[str, str]]
"""Person -> item -> answer."""


@dataclass(frozen=True)
class Judged:
    """What a version has."""

    rows: list[Row]
    tree: Tree
    files: dict[str, bytes]
    """Sheets and keys by their name in the partition."""
    counts: dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What there is to judge by."""

    tasks: Sequence[EvidenceTask]
    counted: Sequence[Mapping[str, Any]]
    """What each task has returned."""
    day: Day
    people: Answered
    digest: str
    """Of the topics and the settings, which the sheets are of."""
    of_sample: OfSample = OfSample()

    @property
    def listed(self) -> ListedTopics:
        """The topics."""
        return self.tasks[0].listed

    @property
    def settings(self) -> Evaluate:
        """Of the recipe."""
        return self.tasks[0].job.settings

    @property
    def num_documents(self) -> int:
        """That were looked at."""
        return sum(each["num_documents"] for each in self.counted)


def list_topics(partition: Partition, manifest: Mapping[str, Any]) -> ListedTopics:
    """The committed topics, by id."""
    table = pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])
    rows = table.sort_by("topic_id").to_pylist()
    return ListedTopics(
        tuple(row["topic_id"] for row in rows),
        tuple(row["cluster_id"] for row in rows),
        tuple(tuple(term["term"] for term in row["terms"]) for row in rows),
        tuple(tuple(row["representative_ids"]) for row in rows),
        tuple(row["size"] for row in rows),
    )


def read_people(sheets: Mapping[str, bytes]) -> Answered:
    """Answers of each person, by the name of the file."""
    return {name: read_answers(data, name) for name, data in sheets.items()}


def judge(found: Evidence) -> Judged:
    """Everything that is said of the topics."""
    listed, settings = found.listed, found.settings
    documents = sum_cells(found.tasks, found.counted, "documents")
    rows = list(_coherence(found, documents))
    rows += term_rows(listed.terms, listed.topic_ids, sum_rows(found.tasks, "terms", IN_TOPIC), settings)
    labels = sum_rows(found.tasks, "labels", LABELS)
    rows += agreement_rows(labels, num_groups(settings, len(listed.topic_ids)), settings)
    over = tree(listed.topic_ids, _centroids(found), listed.sizes, label_counts_LT=_label_counts(labels, listed))
    rows += [*tree_rows(over), *found.of_sample.rows]
    sheets = make_sheets(found, documents)
    automatic = {metric: _of_topics(rows, metric) for metric in COHERENCE}
    for kind, items in sheets.items():
        people = {name: _of_kind(answers, kind) for name, answers in found.people.items()}
        rows += people_rows(items, people, automatic, settings.confidence)
    files = dict(_files(sheets, found.digest))
    counts = {
        "num_rows": sum(each["num_rows"] for each in found.counted),
        "num_documents": found.num_documents,
        "num_sampled": sum(each["num_sampled"] for each in found.counted),
        "refits": found.of_sample.told(),
        "num_groups": len(documents.windows_G),
        "num_items": {kind: len(items) for kind, items in sheets.items()},
        "figures": {row["metric"]: row["value"] for row in rows if row["topic_id"] is None},
    }
    return Judged(rows, over, files, counts)


def _coherence(found: Evidence, documents: Cooccurrences) -> Iterator[Row]:
    for metric, (kind, _) in COHERENCE.items():
        counts = documents if kind == "documents" else sum_cells(found.tasks, found.counted, kind)
        yield from coherence_rows(metric, counts, found.listed.topic_ids, found.num_documents, found.settings)


def _centroids(found: Evidence) -> npt.NDArray[np.float32]:
    """[T, D] of the topics."""
    place = {cluster_id: row for row, cluster_id in enumerate(found.day.cluster_ids)}
    return found.day.centroids[[place[cluster_id] for cluster_id in found.listed.cluster_ids]]


def _label_counts(labels: pa.Table, listed: ListedTopics) -> npt.NDArray[np.int64]:
    """[L, T] documents; topics in their order."""
    names, of_row = np.unique(labels["label"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    counts = np.zeros((len(names), len(listed.topic_ids)), np.int64)
    place = {cluster_id: column for column, cluster_id in enumerate(listed.cluster_ids)}
    topic_of = np.array([place.get(cluster_id, -1) for cluster_id in labels["cluster_id"].to_pylist()], np.int64)
    known = topic_of >= 0
    np.add.at(counts, (of_row[known], topic_of[known]), labels["documents"].to_numpy()[known])
    return counts


def make_sheets(found: Evidence, documents: Cooccurrences) -> dict[Kind, list[Item]]:
    """The items of each sheet that has any."""
    listed, settings = found.listed, found.settings
    wanted = [id_ for ids in listed.representative_ids for id_ in ids]
    texts = texts_of(found.tasks, wanted, settings.max_chars)
    centroids_TD = _centroids(found)
    topics = [
        SheetTopic(topic_id, terms, centroids_TD[place], tuple(texts[id_] for id_ in ids if id_ in texts))
        for place, (topic_id, terms, ids) in enumerate(
            zip(listed.topic_ids, listed.terms, listed.representative_ids, strict=True)
        )
    ]
    how = SheetSettings(settings.items_per_topic, settings.max_items, settings.seed, f"-{found.digest[:4]}")
    documents_of = _documents_of(documents, listed.first(settings.top_terms))
    sheets = {kind: make_items(kind, topics, documents_of, how) for kind in KINDS}
    return {kind: items for kind, items in sheets.items() if items}


def _documents_of(found: Cooccurrences, first: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """In how many documents each term is."""
    alone_TM = np.diagonal(found.counts_GTMM.sum(axis=0), axis1=1, axis2=2)
    return {term: int(alone_TM[topic, place]) for topic, terms in enumerate(first) for place, term in enumerate(terms)}


def _of_topics(rows: Sequence[Row], metric: str) -> dict[int, float]:
    known = (row for row in rows if row["metric"] == metric and row["value"] is not None)
    return {row["topic_id"]: row["value"] for row in known if row["topic_id"] is not None}


def _of_kind(answers: Mapping[str, str], kind: Kind) -> dict[str, str]:
    return {item: answer for item, answer in answers.items() if item.startswith(PREFIXES[kind])}


def _files(sheets: Mapping[Kind, list[Item]], digest: str) -> Iterator[tuple[str, bytes]]:
    for kind, items in sheets.items():
        for folder, make_rows in (("sheets", sheet_rows), ("keys", key_rows)):
            rows = list(make_rows(items))
            yield f"{folder}/{digest}/{kind}.csv", to_csv(rows)
            yield f"{folder}/{digest}/{kind}.jsonl", to_jsonl(rows)


def to_tree_table(over: Tree) -> pa.Table:
    """TOPIC_TREE, topics first and the whole last."""
    levels: dict[str, list[int]] = {}
    for level in over.levels:
        for node_id in set(level.node_ids):
            levels.setdefault(node_id, []).append(level.num_nodes)
    rows = [
        {
            **{name: getattr(node, name) for name in ("node_id", "parent_id", "topic_ids", "size", "height")},
            "persistence": None if node.parent_id is None else node.persistence,
            "levels": sorted(levels.get(node.node_id, [])),
        }
        for node in over.nodes
    ]
    return pa.Table.from_pylist(rows, schema=TOPIC_TREE)
