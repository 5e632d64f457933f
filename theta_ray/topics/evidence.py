"""One corpus shard with its assignments in, what evaluation counts in it, staged; and the sums of all shards.

    staging/<digest>/npmi/<corpus shard>.parquet    cells of [G, T, M, M] and the windows that they have; c_v, documents
                     labels/<corpus shard>.parquet  documents by group, label and cluster
                     texts/<corpus shard>.parquet   documents that represent topics, cut
                     terms/<corpus shard>.parquet   documents by topic and term of any topic, which FREX compares
                     sample/<corpus shard>.parquet  the sample of document_sample.py
                     counted/<corpus shard>.json    its shard is counted when it is there

Of many documents an even share is looked at, by their texts: copies are in it together, or not at all. Words are those
of words.py without punctuation.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config_quality import Evaluate
from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.store import Partition
from theta_ray.topics.cooccurrences import Cooccurrences, Counter, Terms
from theta_ray.topics.document_sample import COLUMNS as SAMPLE_COLUMNS
from theta_ray.topics.document_sample import Sampling, hashes, is_drawn, with_vectors
from theta_ray.topics.nested import Plan
from theta_ray.topics.topic_tasks import ShardTask, TopicsJob, documents_of
from theta_ray.topics.words import words

COLUMNS = ("doc_id", "text", "text_hash", "label", "lang")
CELLS = pa.schema([("cell", pa.int64()), ("windows", pa.int64())])
LABELS = pa.schema(
    [("group", pa.int64()), ("label", pa.string()), ("cluster_id", pa.int32()), ("documents", pa.int64())]
)
TEXTS = pa.schema([("doc_id", pa.string()), ("text", pa.string())])
IN_TOPIC = pa.schema([("topic", pa.int64()), ("term", pa.string()), ("documents", pa.int64())])
# Cells of all groups together: 256 MiB.
MAX_CELLS = 2**25
LINE_CHARS = 4


@dataclass(frozen=True)
class ListedTopics:
    """What the topics of a day are, by topic id."""

    topic_ids: tuple[int, ...]
    cluster_ids: tuple[int, ...]
    terms: tuple[Terms, ...]
    """Best first, all that the table has."""
    representative_ids: tuple[tuple[str, ...], ...]
    sizes: tuple[int, ...]

    def first(self, count: int) -> tuple[Terms, ...]:
        """The first terms of each topic."""
        return tuple(terms[:count] for terms in self.terms)


@dataclass(frozen=True)
class EvaluateJob:
    """What all tasks need: the tables, the settings, and where things go."""

    topics: TopicsJob
    quality: Partition
    tree: Partition
    settings: Evaluate
    share: float = 1.0
    """Of the documents that are looked at."""
    sampling: Sampling | None = None
    """Of the documents that further fits are made of; None: no sample is staged."""
    plan: Plan | None = None
    """The fit of the recipe; None: there are no further ones."""
    epoch: int = 0

    @property
    def windows(self) -> dict[str, int | None]:
        """Kinds of counts, and the words of their windows."""
        return {"npmi": self.settings.npmi_window, "c_v": self.settings.c_v_window, "documents": None}


@dataclass(frozen=True)
class EvidenceTask:
    """One corpus shard, and the topics to look for."""

    job: EvaluateJob
    documents: ShardTask
    listed: ListedTopics

    def staged(self, kind: str, suffix: str = "parquet") -> str:
        """Where a staged file of this shard lies."""
        return self.job.topics.staged(kind, self.documents.shard, suffix)


def num_groups(settings: Evaluate, num_topics: int) -> int:
    """Groups of documents: fewer where so many topics would not fit in memory."""
    cells = max(1, num_topics * settings.top_terms**2)
    return max(10, min(settings.num_groups, MAX_CELLS // cells))


def count_evidence(task: EvidenceTask) -> dict[str, Any]:
    """Stage what is counted of one corpus shard; how many documents it has, and the windows of each kind and group."""
    found = staging.read_json(task.staged("counted", "json"))
    if found is not None:
        return found
    shard = ShardEvidence(task)
    for rows in documents_of(task.documents, COLUMNS):
        shard.add(rows)
    for kind, table in shard.tables().items():
        write_rows(task.staged(kind), table)
    sample = shard.sample()
    write_rows(task.staged("sample"), sample)
    windows = {kind: counter.result().windows_G.tolist() for kind, counter in shard.counters.items()}
    found = {"num_rows": shard.num_rows, "num_documents": shard.num_documents, "windows": windows}
    found["num_sampled"] = sample.num_rows
    staging.write_json(task.staged("counted", "json"), found)
    return found


class ShardEvidence:
    """Counts of one shard, or of a sample."""

    def __init__(self, task: EvidenceTask) -> None:
        job, listed = task.job, task.listed
        self._job, self._assigned = job, task.documents.assigned
        self.num_groups = num_groups(job.settings, len(listed.topic_ids))
        first = listed.first(job.settings.top_terms)
        self.counters = {kind: Counter(first, window, self.num_groups) for kind, window in job.windows.items()}
        self._place = {cluster_id: place for place, cluster_id in enumerate(listed.cluster_ids)}
        self._wanted = pa.array([id_ for ids in listed.representative_ids for id_ in ids], pa.string())
        self._labels: Tally[tuple[int, str, int]] = Tally()
        self._in_topic: Tally[tuple[int, str]] = Tally()
        self._texts = [TEXTS.empty_table()]
        self._sample: list[pa.Table] = []
        self.num_rows = self.num_documents = 0

    def add(self, rows: pa.Table) -> None:
        """Count documents with COLUMNS and `cluster_id`."""
        self.num_rows += rows.num_rows
        shown = rows.filter(pc.is_in(rows["doc_id"], self._wanted)).select(["doc_id", "text"])
        # cut with room for runs of spaces, which become one
        cut = pc.utf8_slice_codeunits(shown["text"], 0, self._job.settings.max_chars * LINE_CHARS)
        self._texts.append(pa.table([shown["doc_id"], cut], schema=TEXTS))
        which, group = hashes(rows["text_hash"])
        if self._job.sampling is not None:
            self._sample.append(rows.filter(pa.array(is_drawn(which, self._job.sampling.share))).select(SAMPLE_COLUMNS))
        rows = rows.append_column("group", pa.array((group % np.uint64(self.num_groups)).astype(np.int64)))
        rows = rows.filter(pa.array(is_drawn(which, self._job.share)))
        self.num_documents += rows.num_rows
        columns = (rows[name].to_pylist() for name in ("text", "group", "label", "cluster_id"))
        for text, number, label, cluster_id in zip(*columns, strict=True):
            self._add(text, number, cluster_id)
            if label is not None:
                self._labels[number, label, cluster_id] += 1

    def _add(self, text: str, group: int, cluster_id: int) -> None:
        of_text = [word for word in words(text) if word[0].isalnum() or len(word) > 1]
        found = self.counters["documents"].find(of_text)
        for counter in self.counters.values():
            counter.add_found(found, len(of_text), group)
        if cluster_id in self._place:
            place = self._place[cluster_id]
            self._in_topic.update((place, term) for term in self.counters["documents"].terms_of(found))

    def tables(self) -> dict[str, pa.Table]:
        """Kinds of staged files."""
        cells = {kind: _to_cells(counter.result()) for kind, counter in self.counters.items()}
        labels = [(*key, count) for key, count in sorted(self._labels.items())]
        terms = [(*key, count) for key, count in sorted(self._in_topic.items())]
        return {
            **cells,
            "labels": _to_table(labels, LABELS),
            "terms": _to_table(terms, IN_TOPIC),
            "texts": pa.concat_tables(self._texts).combine_chunks(),
        }

    def sample(self) -> pa.Table:
        """Documents that were drawn, with their vectors."""
        rows = pa.concat_tables(self._sample) if self._sample else TEXTS.empty_table()
        return with_vectors(rows, self._job.sampling, self._assigned) if self._job.sampling and rows.num_rows else rows


def _to_cells(found: Cooccurrences) -> pa.Table:
    counts = found.counts_GTMM.reshape(-1)
    cells = np.flatnonzero(counts)
    return pa.table([cells, counts[cells]], schema=CELLS)


def _to_table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def sum_cells(tasks: Sequence[EvidenceTask], counted: Sequence[Mapping[str, Any]], kind: str) -> Cooccurrences:
    """Counts of one kind over all shards, a shard at a time."""
    job, listed = tasks[0].job, tasks[0].listed
    width = max(map(len, listed.first(job.settings.top_terms)), default=0)
    shape = (num_groups(job.settings, len(listed.topic_ids)), len(listed.topic_ids), width, width)
    counts = np.zeros(shape, np.int64)
    for task in tasks:
        cells = read_rows(task.staged(kind))
        counts.reshape(-1)[cells["cell"].to_numpy()] += cells["windows"].to_numpy()
    return Cooccurrences(np.sum([each["windows"][kind] for each in counted], axis=0), counts)


def sum_rows(tasks: Sequence[EvidenceTask], kind: str, schema: pa.Schema) -> pa.Table:
    """Counts by the other columns, over all shards."""
    keys = schema.names[:-1]
    rows = pa.concat_tables([read_rows(task.staged(kind)) for task in tasks])
    grouped = rows.group_by(keys, use_threads=False).aggregate([(schema.names[-1], "sum")])
    return grouped.rename_columns(schema.names).sort_by([(key, "ascending") for key in keys])


def texts_of(tasks: Sequence[EvidenceTask], ids: Iterator[str] | Sequence[str], max_chars: int) -> dict[str, str]:
    """Cut texts of documents by id."""
    rows = pa.concat_tables([read_rows(task.staged("texts")) for task in tasks]).to_pylist()
    texts = {row["doc_id"]: " ".join(row["text"].split())[:max_chars] for row in rows}
    return {id_: texts[id_] for id_ in ids if id_ in texts}
