"""The end of a run: shards are written, tables committed, and what a run card shows."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa

from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.manifest import commit, identity_of
from theta_ray.network.contexts import GraphTask, list_contexts
from theta_ray.network.corpus_statistics import CORPUS, measure_corpus
from theta_ray.network.graph_tables import curve_rows, statistic_rows
from theta_ray.network.job import NetworkJob
from theta_ray.network.numbered import NumberedGraph
from theta_ray.network.outputs import EnrichTask, ExportTask, PublishTask, enrich, export, publish
from theta_ray.network.phases import Counted
from theta_ray.network.pictures import draw
from theta_ray.network.pricing import Price
from theta_ray.network.statistic import Statistic, statistics_of
from theta_ray.schemas_network import NETWORK_TABLES
from theta_ray.tasks import Executor

logger = logging.getLogger(__name__)
Found = tuple[Counted, list[NumberedGraph], dict[str, Price], dict[str, pa.Table]]
SHOWN = ("num_nodes", "num_edges", "reciprocity", "modularity", "backbone_edges")


def commit_tables(
    job: NetworkJob, found: Found, body: tuple[dict[str, Any], str], executor: Executor
) -> dict[str, Any]:
    """Write what is staged and commit all tables, the statistics last. Their manifest."""
    counted, graphs, prices, statistics = found
    values, digest = body
    whole = GraphTask(job, CORPUS, counted.ranges)
    (people,) = executor.map(stage_corpus, [(whole, counted.totals)])
    rows = [read_rows(job.staged("network_stats", CORPUS)), *(statistics[graph.graph] for graph in graphs)]
    rows += [statistic_rows(graph.graph, of_events(counted.graphs[graph.graph])) for graph in graphs]
    write_rows(job.staged("all_statistics", "all"), pa.concat_tables(rows).sort_by([("graph", "ascending")]))
    curves = pa.concat_tables(
        read_rows(job.staged("network_curves", name)) for name in (CORPUS, *(graph.graph for graph in graphs))
    )
    write_rows(job.staged("all_curves", "all"), curves)
    if job.topics is not None:
        executor.map(enrich, [EnrichTask(graph, counted.ranges) for graph in graphs])
    executor.map(list_contexts, [GraphTask(job, name, counted.ranges) for name in sorted(prices)])
    files = draw(job, digest, curves, pa.concat_tables(rows))
    exported = []
    if job.settings.max_export_edges:
        # one that no task can hold has no file either
        exported = executor.map(export, [ExportTask(graph, digest) for graph in graphs if graph.in_one_task])
    counts = {
        "totals": counted.totals | {"num_shown": people["num_rows"]},
        "graphs": {
            graph.graph: counted.graphs[graph.graph] | {"num_nodes": graph.num_nodes, "num_edges": sum(graph.sizes)}
            for graph in graphs
        },
        "prices": {name: price.metadata() for name, price in sorted(prices.items())},
        "shown": _shown(pa.concat_tables(rows)),
        "exports": {
            each["graph"]: each["description"] for each in sorted(exported, key=lambda each: str(each["graph"]))
        },
    }
    beside = {"edges": sorted(file for each in exported for file in each["files"]), "network_curves": files}
    return _commit(job, _shards(job, graphs, counted.ranges, digest), ({**values, "counts": counts}, beside), executor)


def _commit(
    job: NetworkJob,
    shards: dict[str, list[PublishTask]],
    body: tuple[dict[str, Any], dict[str, list[str]]],
    executor: Executor,
) -> dict[str, Any]:
    """Commit all tables, the statistics last: they name the versions of the others. Their manifest."""
    values, beside = body
    manifest: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    for table, schema in NETWORK_TABLES.items():
        records = sorted(executor.map(publish, shards[table]), key=lambda record: record.shard)
        more: dict[str, Any] = {"files": beside[table]} if table in beside else {}
        if table == "network_stats":
            more["tables"] = versions
        manifest = commit(job.tables[table], schema, records, {**values, **more})
        versions[table] = identity_of(manifest)
    return manifest


def _shards(job: NetworkJob, graphs: list[NumberedGraph], ranges: int, digest: str) -> dict[str, list[PublishTask]]:
    """What is to be written of each table."""
    return {
        table: [
            PublishTask(job, table, kind, name, f"part-{place:05d}-{digest}")
            for place, (kind, name) in enumerate(_staged(job, table, graphs, ranges))
        ]
        for table in NETWORK_TABLES
    }


def stage_corpus(task: tuple[GraphTask, dict[str, int]]) -> dict[str, Any]:
    """Stage the statistics and curves of the corpus as a whole."""
    whole, totals = task
    statistics, curves = measure_corpus(whole, totals)
    write_rows(whole.job.staged("network_stats", CORPUS), statistic_rows(CORPUS, statistics))
    write_rows(whole.job.staged("network_curves", CORPUS), curve_rows(CORPUS, curves))
    return {"num_rows": len(statistics)}


def of_events(counts: dict[str, int]) -> list[Statistic]:
    """Statistics of what became of a graph's events."""
    values = {
        "num_events": float(counts["num_events"]),
        "num_events_without_author": float(counts["num_without_author"]),
    }
    if "num_ties" in counts:
        known = counts["num_ties"] + counts["num_loops"]
        values["num_events_without_target"] = float(counts["num_without_target"])
        values["num_loops"] = float(counts["num_loops"])
        values["loop_share"] = counts["num_loops"] / known if known else float("nan")
    return statistics_of(values, "events", counts["num_events"])


def _staged(job: NetworkJob, table: str, graphs: list[NumberedGraph], ranges: int) -> list[tuple[str, str]]:
    """Kind and name of each staged file of a table."""
    names = [graph.graph for graph in graphs]
    if table == "authors":
        return [("authors", f"{place:05d}") for place in range(ranges)]
    if table == "edges":
        return [("edge_rows", name) for graph in graphs for name in graph.edge_names]
    if table in ("nodes", "communities", "community_edges"):
        return [(table, name) for name in names]
    if table == "top_contexts":
        return [(table, name) for name in names if name.startswith("co_")]
    if table == "topic_communities":
        return [(table, name) for name in names] if job.topics is not None else []
    return [("all_statistics", "all")] if table == "network_stats" else [("all_curves", "all")]


def _shown(rows: pa.Table) -> dict[str, dict[str, float]]:
    """Statistics of each graph for the run card."""
    found: dict[str, dict[str, float]] = {}
    for row in rows.to_pylist():
        if row["statistic"] in SHOWN and row["value"] is not None and row["graph"] != CORPUS:
            found.setdefault(row["graph"], {})[row["statistic"]] = row["value"]
            if row["statistic"] == "reciprocity" and row["null_mean"] is not None:
                found[row["graph"]]["reciprocity_of_random"] = row["null_mean"]
    return found


def figures_of(job: NetworkJob, manifest: dict[str, Any]) -> dict[str, Any]:
    """What a run card shows."""
    counts = manifest["counts"]
    figures: dict[str, Any] = {
        "documents": counts["totals"]["num_documents"],
        "without_author": counts["totals"]["num_without_author"],
        "authors": counts["totals"]["num_authors"],
    }
    for graph, shown in counts["shown"].items():
        text = f"{shown.get('num_nodes', 0):,.0f} nodes, {shown.get('num_edges', 0):,.0f} edges"
        if "backbone_edges" in shown:
            text += f" ({shown['backbone_edges']:,.0f} in the backbone)"
        if "reciprocity" in shown:
            text += f", reciprocity {shown['reciprocity']:.4f}"
            if "reciprocity_of_random" in shown:
                text += f" (random {shown['reciprocity_of_random']:.4f})"
        if "modularity" in shown:
            text += f", modularity {shown['modularity']:.3f}"
        figures[graph] = text
    figures["statistics"] = manifest["num_rows"]
    figures["topics_by_community"] = "yes" if manifest["inputs"]["topics"] else "no topics are committed"
    figures |= {name: job.tables[name].path for name in ("edges", "nodes", "communities")}
    figures["pictures"] = job.tables["network_curves"].at("*.svg")
    if counts["exports"]:
        figures["graph_files"] = f"{len(counts['exports'])} graphs: {job.tables['edges'].at('*.graphml')}, *.gexf"
    return figures
