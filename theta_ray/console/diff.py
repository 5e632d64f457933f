"""`theta-ray diff`: what changed between two nights, in counts, topics, statistics, settings and versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from theta_ray.console.days import Night
from theta_ray.console.read_tables import Tables, rows_of
from theta_ray.console.text_table import TextTable
from theta_ray.errors import ConfigError
from theta_ray.report.tables import Committed
from theta_ray.runcard import load_run_card
from theta_ray.stale import compare_settings

Topic = dict[str, Any]
NAMES = ("rows", "quarantine", "topics", "statistics", "settings", "versions")


def make_diff(before: Night, after: Night, only: str | None = None) -> list[TextTable]:
    """The tables that tell what changed, or the one that is asked for; those without a row are left out.

    Raises:
        ConfigError: there is no such table.
    """
    if only is not None and only not in NAMES:
        raise ConfigError(f"--table {only}: there is no such table; choose one of {', '.join(NAMES)}")
    a, b = before.tables, after.tables
    tables = [
        count_changes("rows", _rows(a), _rows(b)),
        count_changes("quarantine", _quarantined(a), _quarantined(b)),
        topic_changes(_topics(a), _topics(b)),
        statistic_changes(_statistics(a), _statistics(b)),
        _lines("settings", compare_settings(_of_cards(a, "recipe"), _of_cards(b, "recipe"))),
        _lines("versions", compare_settings(_of_cards(a, "versions"), _of_cards(b, "versions"))),
    ]
    return [table for table in tables if table.rows and only in (None, table.name)]


def count_changes(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> TextTable:
    """Counts of both nights and how they differ; equal ones too, since that is an answer."""
    keys = [*before, *(key for key in after if key not in before)]
    rows = [(key, before.get(key, 0), after.get(key, 0), after.get(key, 0) - before.get(key, 0)) for key in keys]
    return TextTable(name, ("what", "before", "after", "change"), tuple(rows))


def topic_changes(before: Mapping[int, Topic], after: Mapping[int, Topic]) -> TextTable:
    """What became of each topic: kept, born, split, merged or died; most documents first.

    Ids last from night to night. A new id that comes from earlier ones was split from them or merged them; an
    earlier id that is gone has merged into those that name it, or has died.
    """
    heirs: dict[int, list[int]] = {}
    for topic_id, topic in after.items():
        for previous in topic["previous_ids"]:
            heirs.setdefault(previous, []).append(topic_id)
    rows: list[tuple[Any, ...]] = []
    for topic_id, topic in after.items():
        size = before[topic_id]["size"] if topic_id in before else 0
        event = "kept" if topic_id in before else _event_of_new(topic, before)
        rows.append((event, str(topic_id), topic["label"], size, topic["size"], topic["size"] - size))
    for topic_id in before.keys() - after.keys():
        into = ", ".join(map(str, sorted(heirs.get(topic_id, []))))
        topic, event = before[topic_id], f"merged into {into}" if into else "died"
        rows.append((event, str(topic_id), topic["label"], topic["size"], 0, -topic["size"]))
    rows.sort(key=lambda row: (row[0] == "kept", -max(row[3], row[4]), int(row[1])))
    return TextTable("topics", ("event", "topic", "label", "before", "after", "change"), tuple(rows))


def _event_of_new(topic: Topic, before: Mapping[int, Topic]) -> str:
    known = [previous for previous in topic["previous_ids"] if previous in before]
    return topic["event"] if known and topic["event"] in ("split", "merged") else "born"


def statistic_changes(
    before: Mapping[tuple[str, str], dict[str, Any]], after: Mapping[tuple[str, str], dict[str, Any]]
) -> TextTable:
    """Statistics that have an interval on both nights, where these do not overlap; the farthest apart first."""
    rows = []
    for key in before.keys() & after.keys():
        a, b = before[key], after[key]
        if a["low"] is None or b["low"] is None or (a["low"] <= b["high"] and b["low"] <= a["high"]):
            continue
        if a["low"] == a["high"] and b["low"] == b["high"]:
            continue  # exact: nothing says how far chance would move it
        gap = max(a["low"] - b["high"], b["low"] - a["high"])
        width = max(a["high"] - a["low"], b["high"] - b["low"])
        rows.append((-gap / width if width else float("-inf"), (*key, a["value"], b["value"], _interval(a, b))))
    columns = ("graph", "statistic", "before", "after", "intervals")
    return TextTable("statistics", columns, tuple(row for _, row in sorted(rows)), records=True)


def _interval(*rows: dict[str, Any]) -> str:
    return ", ".join(f"{row['low']:.4g} to {row['high']:.4g}" for row in rows)


def _lines(name: str, lines: list[str]) -> TextTable:
    return TextTable(name, ("what differs",), tuple((line,) for line in lines), prose=True)


def _rows(tables: Tables) -> dict[str, int]:
    """Documents in, and rows of each table."""
    counts = {"documents in": tables["corpus"].manifest["counts"]["num_rows_in"]} if "corpus" in tables else {}
    return counts | {name: each.manifest["num_rows"] for name, each in sorted(tables.items())}


def _quarantined(tables: Tables) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name in ("corpus", "embeddings"):
        if name in tables:
            counts.update(tables[name].manifest["quarantined"])
    return dict(counts.most_common())


def _topics(tables: Tables) -> dict[int, Topic]:
    if "topics" not in tables:
        return {}
    found = rows_of(tables["topics"], ["topic_id", "label", "size", "event", "previous_ids"])
    return {row["topic_id"]: row for row in found}


def _statistics(tables: Tables) -> dict[tuple[str, str], dict[str, Any]]:
    if "network_stats" not in tables:
        return {}
    found = rows_of(tables["network_stats"], ["graph", "statistic", "value", "low", "high"])
    return {(row["graph"], row["statistic"]): row for row in found}


def _of_cards(tables: Tables, name: str) -> dict[str, Any]:
    """What the run cards of all tables say of recipe or versions, as one tree."""
    cards = [load_run_card(each.partition, each.manifest["version"]) for each in _in_order(tables)]
    merged: dict[str, Any] = {}
    for card in cards:
        merged |= getattr(card, name) if card else {}
    return merged


def _in_order(tables: Tables) -> list[Committed]:
    return [tables[name] for name in sorted(tables)]
