"""Committed tables in, what a page says out: bounded reads, small groups of people neither named nor counted apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from theta_ray.config import Config
from theta_ray.config_report import Report
from theta_ray.privacy import publishable
from theta_ray.report.excerpts import texts_of
from theta_ray.report.facts import (
    Ended,
    Facts,
    Intake,
    LevelChange,
    Night,
    Rejected,
    Source,
    Topic,
    Topics,
)
from theta_ray.report.gather_network import network_of, top_keys, watched_stats
from theta_ray.report.map_points import map_points
from theta_ray.report.tables import Committed
from theta_ray.runcard import RunCard, load_run_card
from theta_ray.schemas import DAMAGED, FILTERED
from theta_ray.store import read_shard
from theta_ray.tasks import Executor

# In the order of the stages; each table's run card is of the stage that made it.
OF_STAGES = ("corpus", "embeddings", "assignments", "topics", "network_stats")
NUM_TERMS, NUM_LANGUAGES, NUM_EXCERPTS, NUM_CHANGES = 10, 5, 2, 3
Tables = Mapping[str, Committed]


@dataclass(frozen=True)
class Nights:
    """The committed tables that a page is of."""

    tables: Tables
    """Of the day; `corpus` is one of them."""
    before: Tables | None = None
    """Of an earlier night."""
    topics: tuple[Committed, ...] = ()
    """Of the nights before, oldest first."""


def gather(config: Config, nights: Nights, executor: Executor) -> Facts:
    """What the tables of a day say.

    Args:
        config: whose section `report` says what may be shown.
        nights: the tables.
        executor: reads the nodes of large graphs.
    """
    tables, before, settings = nights.tables, nights.before, config.recipe.report
    corpus = tables["corpus"]
    topics = topics_of(config, nights) if "topics" in tables else None
    return Facts(
        title=settings.title or config.recipe.name,
        recipe=config.recipe.name,
        day=corpus.partition.date,
        intake=intake_of(tables, settings),
        topics=topics,
        network=network_of(config, tables, executor) if "network_stats" in tables else None,
        drift=_drift(tables.get("centroids")),
        cards=tuple(_cards(tables)),
        sources={name: _source(found) for name, found in sorted(tables.items())},
        before=None if before is None else night_of(config, before, executor),
        map=None if topics is None else map_points(config, tables, {t.topic_id for t in topics.listed}, executor),
    )


def read_rows(table: Committed, columns: list[str] | None = None) -> pa.Table:
    """All rows of a table of few: topics, statistics, curves."""
    shards = [read_shard(table.partition, s["shard"], columns=columns) for s in table.manifest["shards"]]
    return pa.concat_tables(shards) if shards else pa.table({})


def intake_of(tables: Tables, settings: Report) -> Intake:
    """What came in, what was turned away and why; vectors that are none count as turned away later."""
    manifest = tables["corpus"].manifest
    counts = manifest["counts"]
    languages = Counter[str]()
    for shard in manifest["shards"]:
        languages.update({name or "unknown": count for name, count in shard["details"].get("languages", {}).items()})
    skipped = manifest.get("skipped") or {}
    return Intake(
        rows_in=counts["num_rows_in"],
        kept=counts["num_rows"],
        num_texts=counts["num_texts"],
        num_files=len(manifest["inputs"]),
        rejected=_rejected(manifest["quarantined"]),
        skipped=sum(skipped.values()),
        languages=publishable(languages, settings.min_cell),
    )


def _rejected(counts: Mapping[str, int]) -> tuple[Rejected, ...]:
    known = {**DAMAGED, **FILTERED}
    rows = [Rejected(reason, known.get(reason, reason), count, reason in DAMAGED) for reason, count in counts.items()]
    return tuple(sorted(rows, key=lambda row: (-row.rows, row.reason)))


def topics_of(config: Config, nights: Nights) -> Topics:
    """The largest topics, with their counts by time, and those that ended."""
    settings, tables, before = config.recipe.report, nights.tables, nights.before
    table = tables["topics"]
    rows = sorted(read_rows(table).to_pylist(), key=lambda row: (-row["size"], row["topic_id"]))
    # a topic of a few documents tells on those few who wrote them
    large = [row for row in rows if row["size"] >= settings.min_cell][: settings.num_topics]
    counts = _counts(tables.get("topic_counts"), [row["topic_id"] for row in large])
    buckets = sorted({bucket for each in counts.values() for bucket in each})
    is_of_nights = len(buckets) < 2 and bool(nights.topics)
    if is_of_nights:
        counts = _sizes_by_night((*nights.topics, table), list(counts))
        buckets = [each.partition.date for each in (*nights.topics, table)]
    texts = texts_of(tables["corpus"], _shown_ids(large)) if settings.show_text else {}
    listed = tuple(_topic(row, counts.get(row["topic_id"], {}), buckets, texts) for row in large)
    known = {} if before is None or "topics" not in before else _sizes(before["topics"], settings)
    manifest = table.manifest
    ended = [
        Ended(each["topic_id"], each["event"], tuple(each["next_ids"]), *known.get(each["topic_id"], (None, None)))
        for each in manifest.get("ended", ())
    ]
    return Topics(
        listed=listed,
        num_topics=len(rows),
        num_documents=manifest["counts"]["num_documents"],
        buckets=tuple(buckets),
        is_of_nights=is_of_nights,
        ended=tuple(sorted(ended, key=lambda each: (-(each.size or 0), each.topic_id))[: settings.num_topics]),
        mean_coherence=manifest["counts"]["mean_coherence"],
        before=manifest["before"]["date"] if manifest.get("before") else None,
    )


def _shown_ids(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return [doc_id for row in rows for doc_id in row["representative_ids"][:NUM_EXCERPTS]]


def _topic(row: dict[str, Any], counts: dict[str, int], buckets: list[str], texts: Mapping[str, str]) -> Topic:
    shown = tuple(row["representative_ids"][:NUM_EXCERPTS])
    changes = [LevelChange(each["bucket"].isoformat(), each["before"], each["after"]) for each in row["changes"]]
    return Topic(
        topic_id=row["topic_id"],
        label=row["label"],
        terms=tuple(term["term"] for term in row["terms"][:NUM_TERMS]),
        size=row["size"],
        coherence=row["coherence"],
        event=row["event"],
        previous_ids=tuple(row["previous_ids"]),
        languages=tuple((each["lang"] or "unknown", each["documents"]) for each in row["languages"][:NUM_LANGUAGES]),
        duplicate_share=row["duplicate_share"],
        changes=tuple(changes[-NUM_CHANGES:]),
        counts=tuple(counts.get(bucket, 0) for bucket in buckets),
        representative_ids=shown,
        excerpts=tuple(texts[doc_id] for doc_id in shown if doc_id in texts),
    )


def _counts(table: Committed | None, topic_ids: list[int]) -> dict[int, dict[str, int]]:
    """Documents of each topic and bucket that has a time."""
    found: dict[int, dict[str, int]] = {topic_id: {} for topic_id in topic_ids}
    if table is None:
        return found
    for row in read_rows(table, ["topic_id", "bucket", "count"]).to_pylist():
        if row["topic_id"] in found and row["bucket"] is not None:
            found[row["topic_id"]][row["bucket"].isoformat()] = row["count"]
    return found


def _sizes_by_night(nights: Sequence[Committed], topic_ids: list[int]) -> dict[int, dict[str, int]]:
    """Documents of each topic on each night, where it was there."""
    found: dict[int, dict[str, int]] = {topic_id: {} for topic_id in topic_ids}
    for night in nights:
        for row in read_rows(night, ["topic_id", "size"]).to_pylist():
            if row["topic_id"] in found:
                found[row["topic_id"]][night.partition.date] = row["size"]
    return found


def _sizes(topics: Committed, settings: Report) -> dict[int, tuple[str, int]]:
    rows = read_rows(topics, ["topic_id", "label", "size"]).to_pylist()
    return {row["topic_id"]: (row["label"], row["size"]) for row in rows if row["size"] >= settings.min_cell}


def night_of(config: Config, tables: Tables, executor: Executor) -> Night:
    """An earlier night, as far as it is compared with."""
    intake = intake_of(tables, config.recipe.report)
    has_network = "network_stats" in tables
    return Night(
        date=tables["corpus"].partition.date,
        rows_in=intake.rows_in,
        kept=intake.kept,
        rejected={each.reason: each.rows for each in intake.rejected},
        topics=_sizes(tables["topics"], config.recipe.report) if "topics" in tables else {},
        stats=watched_stats(tables["network_stats"]) if has_network else {},
        people=top_keys(config, tables, executor) if has_network else {},
    )


def _drift(centroids: Committed | None) -> str | None:
    if centroids is None or not centroids.manifest.get("drift") or centroids.manifest["mode"] == "assign":
        return None
    return str(centroids.manifest["reason"])


def _cards(tables: Tables) -> Iterable[RunCard]:
    for name in OF_STAGES:
        found = tables.get(name)
        card = None if found is None else load_run_card(found.partition, found.manifest["version"])
        if card is not None:
            yield card


def _source(found: Committed) -> Source:
    place, manifest = found.partition, found.manifest
    return Source(place.table, place.path, place.fingerprint, manifest["version"], manifest["num_rows"])
