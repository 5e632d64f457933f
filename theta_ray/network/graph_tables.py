"""The rows of one graph in the tables: edges, nodes, communities, statistics and curves.

`measure_graph` makes them all in one task. Of a graph beyond one task, `measure_large` asks the workers that hold it,
and each part of its edges is written by a task of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from theta_ray.config import Resources
from theta_ray.corpus import staging
from theta_ray.corpus.staging import write_rows
from theta_ray.network.community_quality import Split
from theta_ray.network.definitions import DEFINITIONS
from theta_ray.network.engines import EngineSettings, engine_for
from theta_ray.network.false_discoveries import benjamini_hochberg
from theta_ray.network.graph import Graph
from theta_ray.network.measure import Measured, is_significant, measure, measure_large
from theta_ray.network.numbered import NumberedGraph, read_names
from theta_ray.network.statistic import Statistic, statistics_of
from theta_ray.schemas_network import COMMUNITIES, COMMUNITY_EDGES, EDGES, NETWORK_CURVES, NETWORK_STATS, NODES
from theta_ray.tasks import Executor

STAGED = {
    "nodes": NODES,
    "communities": COMMUNITIES,
    "community_edges": COMMUNITY_EDGES,
    "network_stats": NETWORK_STATS,
    "network_curves": NETWORK_CURVES,
}
OF_BACKBONE = ("backbone_edges", "backbone_share", "backbone_largest_p")


def measure_graph(graph: NumberedGraph) -> dict[str, Any]:
    """Stage everything that is said of a graph but its nulls; how many edges it has."""
    job, uri = graph.job, graph.job.staged("measured", graph.graph, "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    rows, settings = pa.concat_tables(graph.parts()).combine_chunks(), job.settings
    source, target, weight, p_value = (rows[name].to_numpy() for name in ("source", "target", "weight", "p_value"))
    is_kept, p_value, backbone = is_significant(settings.backbone, (source, target), weight, p_value, graph.num_nodes)
    whole = Graph.of(graph.num_nodes, source, target, weight, directed=graph.directed)
    kept = None
    if is_kept is not None:
        ends = source[is_kept], target[is_kept]
        kept = Graph.of(graph.num_nodes, *ends, weight[is_kept], directed=graph.directed)
    measured = measure(whole, kept, settings, graph.threads)
    measured.statistics.extend(statistics_of(backbone, "edges", len(rows)))
    stage(graph, measured)
    write_rows(
        job.staged("edge_rows", graph.graph),
        edge_rows(graph.graph, read_names(job, graph.graph), rows, (p_value, is_kept)),
    )
    found = {"num_rows": len(rows), "num_nodes": graph.num_nodes}
    staging.write_json(uri, found)
    return found


def measure_in_blocks(graph: NumberedGraph, resources: Resources, executor: Executor) -> None:
    """Stage what is said of a graph that is held by workers. Vectors of its nodes are in this process."""
    job = graph.job
    limits = EngineSettings(max_edges=resources.max_task_edges)
    with engine_for(graph.files(), job.staged("blocks", graph.graph, "d"), resources, limits, executor.check) as engine:
        measured = measure_large(engine, job.settings, directed=graph.directed)
    stage(graph, measured)
    limit = executor.map(find_limit, [graph])[0]["limit"]
    tasks = [EdgesTask(graph, place, limit) for place in range(len(graph.sizes))]
    executor.map(name_edges, tasks)


def find_limit(graph: NumberedGraph) -> dict[str, Any]:
    """The largest p-value of the backbone of a graph; -1 where it has none."""
    values = np.concatenate([rows["p_value"].to_numpy() for rows in graph.parts(["p_value"])])
    if np.isnan(values).any() or graph.job.settings.backbone.method != "sdsm":
        return {"num_rows": len(values), "limit": -1.0}
    num_pairs = graph.num_nodes * (graph.num_nodes - 1) // 2
    return {"num_rows": len(values), "limit": benjamini_hochberg(values, num_pairs, graph.job.settings.backbone.alpha)}


@dataclass(frozen=True)
class EdgesTask:
    """A part of the edges of a graph that workers hold."""

    graph: NumberedGraph
    place: int
    limit: float
    """Of p-values of the backbone; below 0 where there is none."""


def name_edges(task: EdgesTask) -> dict[str, Any]:
    """Stage the rows of table `edges` of a part."""
    graph, job = task.graph, task.graph.job
    rows = graph.part(task.place)
    p_value = rows["p_value"].to_numpy()
    is_kept = p_value <= task.limit if task.limit >= 0 else None
    name = f"{graph.graph}-{task.place:05d}"
    write_rows(
        job.staged("edge_rows", name), edge_rows(graph.graph, read_names(job, graph.graph), rows, (p_value, is_kept))
    )
    return {"num_rows": rows.num_rows}


def stage(graph: NumberedGraph, measured: Measured) -> None:
    """Stage the tables of a graph."""
    names, sizes = read_names(graph.job, graph.graph), measured.communities.size
    large = {"num_communities_of_min_size": int((sizes >= graph.job.settings.communities.min_size).sum())}
    measured.statistics.extend(statistics_of(large, "communities", int((sizes > 0).sum())))
    tables = {
        "nodes": node_rows(graph, names, measured.nodes),
        "communities": community_rows(graph.graph, measured.communities),
        "community_edges": community_edge_rows(graph.graph, measured.communities),
        "network_stats": statistic_rows(graph.graph, measured.statistics),
        "network_curves": curve_rows(graph.graph, measured.curves),
    }
    for name, table in tables.items():
        write_rows(graph.job.staged(name, graph.graph), table)


def node_rows(graph: NumberedGraph, names: pa.Array, nodes: dict[str, NDArray[Any]]) -> pa.Table:
    """Rows of table `nodes`, by author."""
    columns: dict[str, Any] = {"graph": pa.repeat(pa.scalar(graph.graph), len(names)), "author_id": names}
    for field in NODES:
        if field.name in columns:
            continue
        if not graph.directed and field.name.startswith(("in_", "out_")):
            columns[field.name] = pa.nulls(len(names), field.type)
        elif field.name == "community_id":
            columns[field.name] = pa.array(nodes[field.name], field.type, mask=nodes[field.name] < 0)
        else:
            columns[field.name] = pa.array(nodes[field.name]).cast(field.type)
    return pa.table([columns[field.name] for field in NODES], schema=NODES)


def community_rows(graph: str, parts: Split) -> pa.Table:
    """Rows of table `communities`, the largest first."""
    count = len(parts.size)
    columns: dict[str, Any] = {
        "graph": pa.repeat(pa.scalar(graph), count),
        "community_id": np.arange(count, dtype=np.int32),
    }
    for field in COMMUNITIES:
        if field.name not in columns:
            values = np.asarray(getattr(parts, field.name))
            columns[field.name] = pa.array(values, from_pandas=True).cast(field.type)
    return pa.table([columns[field.name] for field in COMMUNITIES], schema=COMMUNITIES)


def community_edge_rows(graph: str, parts: Split) -> pa.Table:
    """Rows of table `community_edges`: communities with an edge between them, or inside."""
    cells = parts.between.tocoo()
    graphs = pa.repeat(pa.scalar(graph), cells.nnz)
    columns = [graphs, *(np.asarray(ends, np.int32) for ends in cells.coords)]
    return pa.table(
        [*columns, cells.data.real.astype(np.int64), cells.data.imag.astype(np.float64)], schema=COMMUNITY_EDGES
    )


def statistic_rows(graph: str, statistics: list[Statistic]) -> pa.Table:
    """Rows of table `network_stats`, each with its definition; those without a value are left out."""
    known = [each for each in statistics if not np.isnan(each.value)]
    rows = [{"graph": graph, **each.row(), "definition": DEFINITIONS[each.name]} for each in known]
    return pa.Table.from_pylist(rows, schema=NETWORK_STATS)


def curve_rows(graph: str, curves: dict[str, tuple[NDArray[Any], NDArray[Any]]]) -> pa.Table:
    """Rows of table `network_curves`."""
    parts = [NETWORK_CURVES.empty_table()]
    for name, (x, y) in curves.items():
        texts = [pa.repeat(pa.scalar(text), len(x)) for text in (graph, name)]
        parts.append(pa.table([*texts, np.asarray(x, np.float64), np.asarray(y, np.float64)], schema=NETWORK_CURVES))
    return pa.concat_tables(parts)


def edge_rows(
    graph: str, names: pa.Array, rows: pa.Table, tested: tuple[NDArray[np.float64], NDArray[np.bool_] | None]
) -> pa.Table:
    """Rows of table `edges` from numbered ones.

    Args:
        graph: its name.
        names: of the nodes.
        rows: of numbered.NUMBERED.
        tested: p-values, NaN where unknown, and which are in the backbone.
    """
    p_value, is_kept = tested
    count = rows.num_rows
    columns = [
        pa.repeat(pa.scalar(graph), count),
        names.take(rows["source"].combine_chunks()),
        names.take(rows["target"].combine_chunks()),
        rows["num_events"],
        rows["weight"],
        rows["variance"],
        pa.array(p_value, pa.float64(), from_pandas=True),
        pa.nulls(count, pa.bool_()) if is_kept is None else is_kept,
        rows["first_at"],
        rows["last_at"],
    ]
    return pa.table(columns, schema=EDGES)
