"""Committed tables as the tables of a terminal: manifests, topics, communities, statistics and hubs of one night."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.console.text_table import TextTable, of_values, trend
from theta_ray.privacy import publishable
from theta_ray.report.tables import Committed
from theta_ray.runcard import load_run_card
from theta_ray.schemas import DAMAGED, FILTERED
from theta_ray.table import open_table

NUM_HUBS = 5
PSEUDONYM_CHARS = 12
# Shown of each graph, in this order; `--table statistics` shows all.
MAIN_STATISTICS = (
    "num_nodes",
    "num_edges",
    "reciprocity",
    "transitivity",
    "average_clustering",
    "degree_assortativity",
    "modularity",
    "largest_weak_share",
    "hits_binary_effective_hubs",
    "posts_gini",
    "comments_gini",
    "activity_lifespan_median",
    "repeat_share",
)
Tables = Mapping[str, Committed]


def rows_of(committed: Committed, columns: list[str]) -> list[dict[str, Any]]:
    """Some columns of all rows of a small table."""
    dataset = open_table(committed.partition.path, committed.manifest["version"])
    rows: list[dict[str, Any]] = dataset.to_table(columns=columns).to_pylist()
    return rows


def documents(tables: Tables) -> TextTable:
    """What came in and what became of it, and how it was embedded."""
    values: dict[str, Any] = {}
    if "corpus" in tables:
        counts = tables["corpus"].manifest["counts"]
        values["documents in"] = counts["num_rows_in"]
        values["documents kept"] = counts["num_rows"]
        values["different texts"] = counts["num_texts"]
        values["quarantined"] = counts["num_quarantined"]
        if counts["num_skipped"]:
            values["skipped"] = counts["num_skipped"]
    card = _card(tables.get("embeddings"))
    for name in ("embedded", "tokens", "tokens_per_second", "smallest_cosine", "recall_at_10", "vectors"):
        if name in card:
            values[name.replace("_", " ")] = card[name]
    return of_values("documents", values)


def _card(committed: Committed | None) -> dict[str, Any]:
    """Figures of the run that made a table; none where it is not there or left no card."""
    card = load_run_card(committed.partition, committed.manifest["version"]) if committed else None
    return card.figures if card else {}


def quarantine(tables: Tables) -> TextTable:
    """Rows turned away, most first."""
    counts: Counter[str] = Counter()
    for name in ("corpus", "embeddings"):
        if name in tables:
            counts.update(tables[name].manifest["quarantined"])
    meanings = {**DAMAGED, **FILTERED}
    rows = [(reason, count, meanings.get(reason, "")) for reason, count in counts.most_common()]
    return TextTable("quarantine", ("reason", "rows", "meaning"), tuple(rows), prose=True)


def languages(tables: Tables, min_cell: int) -> TextTable:
    """Documents by language, small groups together."""
    counts: Counter[str] = Counter()
    for shard in tables["corpus"].manifest["shards"] if "corpus" in tables else ():
        counts.update({name or "unknown": count for name, count in shard["details"]["languages"].items()})
    shown = publishable(counts, min_cell)
    total = sum(shown.values())
    rows = [(lang, count, count / total) for lang, count in sorted(shown.items(), key=lambda item: -item[1])]
    return TextTable("languages", ("language", "documents", "share"), tuple(rows))


def topics(tables: Tables, min_cell: int) -> TextTable:
    """Topics by size, with their documents over time."""
    columns = ("topic", "label", "documents", "coherence", "event", "over_time")
    if "topics" not in tables:
        return TextTable("topics", columns, ())
    found = rows_of(tables["topics"], ["topic_id", "label", "size", "coherence", "event"])
    found.sort(key=lambda row: (-row["size"], row["topic_id"]))
    over_time = _over_time(tables)
    rows = [
        (str(row["topic_id"]), row["label"], row["size"], row["coherence"], row["event"], over_time[row["topic_id"]])
        for row in found
        if row["size"] >= min_cell
    ]
    small = len(found) - len(rows)
    notes = [f"{small} topics of fewer than {min_cell} documents"] if small else []
    return TextTable("topics", columns, tuple(rows), "; ".join([*notes, *_ended(tables["topics"])]))


def _ended(committed: Committed) -> list[str]:
    """Topics of the night before that are no more, and into which others they went."""
    told = []
    for each in committed.manifest.get("ended", ()):
        into = ", ".join(str(topic_id) for topic_id in each["next_ids"])
        told.append(f"topic {each['topic_id']} {each['event']}{f' into {into}' if into else ''}")
    return told


def _over_time(tables: Tables) -> Mapping[int, str]:
    """Of each topic: counts by bucket, of all buckets that any has."""
    if "topic_counts" not in tables:
        return defaultdict(str)
    found = [row for row in rows_of(tables["topic_counts"], ["topic_id", "bucket", "count"]) if row["bucket"]]
    buckets = sorted({row["bucket"] for row in found})
    counts: dict[int, Counter[Any]] = defaultdict(Counter)
    for row in found:
        counts[row["topic_id"]][row["bucket"]] += row["count"]
    return defaultdict(str, {topic: trend([of[b] for b in buckets]) for topic, of in counts.items()})


def communities(tables: Tables, min_cell: int) -> TextTable:
    """Communities of each graph by size."""
    columns = ("graph", "community", "people", "inner_edges", "conductance")
    found = rows_of(tables["communities"], ["graph", "community_id", "size", "inner_edges", "conductance"])
    rows = [(r["graph"], str(r["community_id"]), r["size"], r["inner_edges"], r["conductance"]) for r in found]
    rows = sorted((row for row in rows if row[2] >= min_cell), key=lambda row: (row[0], -row[2], row[1]))
    hidden = len(found) - len(rows)
    return TextTable("communities", columns, tuple(rows), f"{hidden} of fewer than {min_cell} people" if hidden else "")


def statistics(tables: Tables, *, whole: bool) -> TextTable:
    """Statistics with their 95 % intervals and what random graphs of the same degrees have: the main ones, or all."""
    names = ("value", "low", "high", "null_mean", "z")
    columns = ("graph", "statistic", *names, *(("definition",) if whole else ()))
    found = rows_of(tables["network_stats"], list({*columns, "definition"}))
    places = {name: place for place, name in enumerate(MAIN_STATISTICS)}
    rows = [tuple(row[name] for name in columns) for row in found if whole or row["statistic"] in places]
    if not whole:
        rows.sort(key=lambda row: (row[0] == "corpus", row[0], places[row[1]]))
    return TextTable("statistics", columns, tuple(rows), records=True)


def hubs(tables: Tables, min_cell: int) -> TextTable:
    """The first of each graph by hub and by authority, by pseudonym; those with few neighbours are left out."""
    columns = ("graph", "as", "person", "score", "degree", "community")
    has_pseudonyms = "corpus" in tables and tables["corpus"].manifest.get("key_id") is not None
    rows: list[tuple[Any, ...]] = []
    for kind in ("hub", "authority"):
        for graph, found in _first_by(tables["nodes"], kind, min_cell).items():
            if kind == "authority" and graph.startswith("co_"):
                continue  # without directions both are the same
            for place, row in enumerate(found, start=1):
                person = row["author_id"][:PSEUDONYM_CHARS] if has_pseudonyms else f"{kind} {place}"
                rows.append((graph, kind, person, row[kind], row["degree"], row["community_id"]))
    note = "" if has_pseudonyms else "by place: the corpus has no pseudonyms (authors: raw)"
    return TextTable("hubs", columns, tuple(sorted(rows, key=lambda row: (row[0], row[1] != "hub"))), note)


def _first_by(committed: Committed, kind: str, min_cell: int) -> dict[str, list[dict[str, Any]]]:
    """The largest of each graph, batch by batch: nodes may be many millions."""
    first: dict[str, pa.Table] = {}
    for batch in _batches(committed, ["graph", "author_id", "degree", "community_id", kind]):
        enough = batch.filter(pc.greater_equal(batch["degree"], min_cell))
        for graph in pc.unique(enough["graph"]).to_pylist():
            mine = pa.Table.from_batches([enough.filter(pc.equal(enough["graph"], graph))])
            both = pa.concat_tables([first[graph], mine]) if graph in first else mine
            first[graph] = both.sort_by([(kind, "descending"), ("author_id", "ascending")]).slice(0, NUM_HUBS)
    return {graph: table.to_pylist() for graph, table in sorted(first.items())}


def _batches(committed: Committed, columns: list[str]) -> Iterator[pa.RecordBatch]:
    dataset = open_table(committed.partition.path, committed.manifest["version"])
    yield from dataset.to_batches(columns=columns)


def versions(tables: Tables) -> TextTable:
    """The tables that all this is read from."""
    rows = [
        (name, each.manifest["version"], each.manifest["num_rows"], each.partition.path)
        for name, each in sorted(tables.items())
    ]
    return TextTable("versions", ("table", "version", "rows", "path"), tuple(rows), keep="path", spare="table")
