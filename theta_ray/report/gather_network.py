"""Committed networks in, what a page says of them out: statistics, curves, communities, the best-connected people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config import Config
from theta_ray.privacy import OTHER, publishable
from theta_ray.report.facts import Cell, Community, Curve, GraphFacts, NetworkFacts, Person, Stat
from theta_ray.report.tables import Committed
from theta_ray.store import Partition, read_shard
from theta_ray.tasks import Executor

CORPUS = "corpus"
LORENZ = ("posts", "comments", "score")
RANKS = ("hub", "authority")
NUM_PEOPLE, NUM_COMMUNITIES, NUM_POINTS = 10, 20, 300
# Digits of a pseudonym that tell people apart on a page.
NUM_DIGITS = 12
# What is compared from night to night.
WATCHED = ("reciprocity", "modularity", "transitivity", "posts_gini", "comments_gini", "peak_six_hours_share")
Tables = Mapping[str, Committed]


@dataclass(frozen=True)
class TopTask:
    """One shard of `nodes`, and the best of it by a column of each graph."""

    nodes: Partition
    shard: str
    count: int


def network_of(config: Config, tables: Tables, executor: Executor) -> NetworkFacts:
    """What the tables of networks say."""
    stats, curves = stats_of(tables["network_stats"]), _curves(tables["network_curves"])
    names = sorted({graph for graph, _ in stats} - {CORPUS}, key=lambda name: (name.startswith("co_"), name))
    top = top_people(tables["nodes"], executor)
    communities = _communities(config, tables)
    cells = _cells(tables.get("topic_communities"), config.recipe.report.min_cell)
    graphs = []
    for name in names:
        shown = communities.get(name, ())
        rows = _named([row for row in top if row["graph"] == name], {each.name for each in shown}, config)
        graphs.append(
            GraphFacts(
                name=name,
                stats={statistic: row for (graph, statistic), row in stats.items() if graph == name},
                communities=shown,
                degrees={
                    of: curve for (graph, of), curve in curves.items() if graph == name and of.endswith("degree_ccdf")
                },
                hubs=_best(rows, "hub"),
                authorities=_best(rows, "authority"),
                cells=tuple(cell for cell in cells.get(name, ()) if cell.community in {each.name for each in shown}),
            )
        )
    return NetworkFacts(
        graphs=tuple(graphs),
        stats={statistic: row for (graph, statistic), row in stats.items() if graph == CORPUS},
        lorenz={name: curves[CORPUS, f"{name}_lorenz"] for name in LORENZ if (CORPUS, f"{name}_lorenz") in curves},
        hours=tuple(int(count) for count in curves.get((CORPUS, "hour"), ((), ()))[1]),
    )


def stats_of(table: Committed) -> dict[tuple[str, str], Stat]:
    """Statistics by graph and name."""
    fields = list(Stat.__dataclass_fields__)
    return {
        (row["graph"], row["statistic"]): Stat(**{name: row[name] for name in fields})
        for row in _rows(table)
        if row["value"] is not None
    }


def watched_stats(table: Committed) -> dict[tuple[str, str], Stat]:
    """Those that are compared from night to night."""
    return {key: row for key, row in stats_of(table).items() if key[1] in WATCHED}


def _rows(table: Committed) -> list[dict[str, Any]]:
    return [row for s in table.manifest["shards"] for row in read_shard(table.partition, s["shard"]).to_pylist()]


def _curves(table: Committed) -> dict[tuple[str, str], Curve]:
    """Curves by graph and name, each of a bounded number of points, its ends included."""
    found = dict[tuple[str, str], Curve]()
    for shard in table.manifest["shards"]:
        rows = read_shard(table.partition, shard["shard"])
        lists = rows.group_by(["graph", "curve"], use_threads=False).aggregate([("x", "list"), ("y", "list")])
        for row in lists.to_pylist():
            x, y = np.array(row["x_list"]), np.array(row["y_list"])
            kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), NUM_POINTS)).round().astype(int))
            found[row["graph"], row["curve"]] = tuple(x[kept].tolist()), tuple(y[kept].tolist())
    return found


def _communities(config: Config, tables: Tables) -> dict[str, tuple[Community, ...]]:
    """The largest communities of each graph; small ones, and those beyond the list, are one row."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(tables["communities"]):
        found.setdefault(row["graph"], []).append(row)
    return {graph: _shown(rows, config.recipe.report.min_cell) for graph, rows in found.items()}


def _shown(rows: list[dict[str, Any]], minimum: int) -> tuple[Community, ...]:
    sizes = {str(row["community_id"]): row["size"] for row in rows}
    conductance = {str(row["community_id"]): row["conductance"] for row in rows}
    visible = publishable(sizes, minimum)
    named = sorted((name for name in visible if name != OTHER), key=lambda name: (-visible[name], int(name)))
    left = sum(visible.values()) - sum(visible[name] for name in named[:NUM_COMMUNITIES])
    shown = [Community(name, visible[name], conductance[name]) for name in named[:NUM_COMMUNITIES]]
    return (*shown, Community(OTHER, left, None)) if left else tuple(shown)


def _cells(table: Committed | None, minimum: int) -> dict[str, list[Cell]]:
    """Topics in communities by graph, those of enough documents: few documents are of few people."""
    found: dict[str, list[Cell]] = {}
    for row in _rows(table) if table is not None else ():
        if row["num_documents"] < minimum:
            continue
        numbers = {name: row[name] for name in ("num_documents", "expected", "log2_ratio", "q_value")}
        found.setdefault(row["graph"], []).append(Cell(row["topic_id"], str(row["community_id"]), **numbers))
    return found


def top_people(nodes: Committed, executor: Executor) -> list[dict[str, Any]]:
    """Rows of the nodes with the largest hub or authority scores of each graph; shards are read beside each other."""
    tasks = [TopTask(nodes.partition, shard["shard"], NUM_PEOPLE) for shard in nodes.manifest["shards"]]
    found = executor.map(best_of_shard, tasks)
    return _top(pa.concat_tables([each["rows"] for each in found]), NUM_PEOPLE).to_pylist() if found else []


def best_of_shard(task: TopTask) -> dict[str, Any]:
    """The best nodes of one shard."""
    columns = ["graph", "author_id", "degree", "hub", "authority", "pagerank", "community_id"]
    rows = read_shard(task.nodes, task.shard, columns=columns)
    return {"num_rows": rows.num_rows, "rows": _top(rows, task.count)}


def _top(rows: pa.Table, count: int) -> pa.Table:
    """The nodes of each graph that are among the best by any rank; of equal ones, those whose ids come first."""
    parts = [rows.slice(0, 0)]
    for graph in pc.unique(rows["graph"]).to_pylist():
        mine = rows.filter(pc.equal(rows["graph"], graph))
        best = [
            mine.sort_by([(rank, "descending"), ("author_id", "ascending")])["author_id"].slice(0, count).to_pylist()
            for rank in RANKS
        ]
        parts.append(mine.filter(pc.is_in(mine["author_id"], pa.array(sorted({*best[0], *best[1]}), pa.string()))))
    return pa.concat_tables(parts).sort_by([("graph", "ascending"), ("author_id", "ascending")])


def _named(rows: list[dict[str, Any]], shown: set[str], config: Config) -> list[tuple[str, dict[str, Any]]]:
    """Those with enough neighbours to be named, under a pseudonym; of a corpus that has none, under none at all."""
    is_pseudonym = config.recipe.corpus.authors == "pseudonym"
    return [
        (row["author_id"][:NUM_DIGITS] if is_pseudonym else "", {**row, "community": _name_of(row, shown)})
        for row in rows
        if row["degree"] >= config.recipe.report.min_cell
    ]


def _name_of(row: Mapping[str, Any], shown: set[str]) -> str:
    name = str(row["community_id"])
    return name if name in shown else OTHER


def _best(rows: list[tuple[str, dict[str, Any]]], rank: str) -> tuple[Person, ...]:
    """The best by a rank."""
    best = sorted(rows, key=lambda each: (-each[1][rank], each[1]["author_id"]))[:NUM_PEOPLE]
    return tuple(
        Person(
            name=name or f"no. {place}",
            key=row["author_id"],
            **{field: row[field] for field in ("community", "degree", "hub", "authority", "pagerank")},
        )
        for place, (name, row) in enumerate(best, 1)
    )


def top_keys(config: Config, tables: Tables, executor: Executor) -> dict[str, frozenset[str]]:
    """Who is among the best of each graph, whether named or not."""
    found: dict[str, set[str]] = {}
    for row in top_people(tables["nodes"], executor):
        found.setdefault(row["graph"], set()).add(row["author_id"])
    return {graph: frozenset(keys) for graph, keys in found.items()}
