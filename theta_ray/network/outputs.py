"""What a run leaves: shards of the tables, and GraphML and GEXF files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.network.graph_files import GraphRows, select, write_graph_file
from theta_ray.network.job import NetworkJob
from theta_ray.network.numbered import NumberedGraph
from theta_ray.network.people import TALK
from theta_ray.network.topic_communities import Talk, enrichment
from theta_ray.schemas_network import NETWORK_TABLES, TOPIC_COMMUNITIES
from theta_ray.store import Record, ShardWriter, find_record


@dataclass(frozen=True)
class PublishTask:
    """One shard of a table, of one staged file."""

    job: NetworkJob
    table: str
    kind: str
    name: str
    """Of the staged file."""
    shard: str


def publish(task: PublishTask) -> Record:
    """Write one shard; one that is there already stays."""
    partition, schema = task.job.tables[task.table], NETWORK_TABLES[task.table]
    record = find_record(partition, task.shard)
    if record is None:
        with ShardWriter(partition, task.shard, schema) as writer:
            writer.write(read_rows(task.job.staged(task.kind, task.name)))
            record = writer.publish(epoch=task.job.epoch)
    return record


@dataclass(frozen=True)
class EnrichTask:
    """Topics by communities of one graph."""

    graph: NumberedGraph
    ranges: int

    @property
    def job(self) -> NetworkJob:
        """Of the graph."""
        return self.graph.job


def enrich(task: EnrichTask) -> dict[str, Any]:
    """Stage which communities of a graph write more than others about which topics."""
    job, name = task.job, task.graph.graph
    nodes = read_rows(job.staged("nodes", name), columns=["author_id", "community_id"]).combine_chunks()
    names = nodes["author_id"].combine_chunks()
    parts = [Talk.of(np.zeros(0, np.int32), np.zeros(0, np.int32))]
    for place in range(task.ranges):
        rows = read_rows(job.staged("talk", f"{place:05d}")).cast(TALK)
        at = pc.index_in(rows["author_id"].combine_chunks(), names)
        rows, at = rows.filter(at.is_valid()), at.drop_null()
        author = at.to_numpy().astype(np.int32)
        parts.append(Talk.of(author, rows["topic_id"].to_numpy(), rows["num_documents"].to_numpy()))
    community = nodes["community_id"].combine_chunks().fill_null(-1).to_numpy()
    settings = job.settings
    found = enrichment(
        Talk.merge(*parts), community, settings.num_permutations, settings.seed, min_cell=settings.min_cell
    )
    columns = [
        pa.repeat(pa.scalar(name), len(found.topic)),
        found.topic,
        found.community,
        found.num_documents,
        found.expected,
        *(pa.array(values, from_pandas=True) for values in (found.log2_ratio, found.p_value, found.q_value)),
    ]
    write_rows(job.staged("topic_communities", name), pa.table(columns, schema=TOPIC_COMMUNITIES))
    return {"num_rows": len(found.topic)}


@dataclass(frozen=True)
class ExportTask:
    """One graph as files."""

    graph: NumberedGraph
    digest: str


def export(task: ExportTask) -> dict[str, Any]:
    """Write the strongest edges of a graph, of its backbone where it has one, as GraphML and GEXF; what is in them."""
    graph, job = task.graph, task.graph.job
    nodes, edges = read_rows(job.staged("nodes", graph.graph)), read_rows(job.staged("edge_rows", graph.graph))
    nodes = nodes.select([name for name in nodes.column_names if nodes[name].null_count < max(1, nodes.num_rows)])
    edges = edges.drop(["variance"])
    rows = GraphRows(graph.graph, graph.directed, nodes.to_reader, edges.to_reader)
    limit = job.settings.max_export_edges
    has_backbone = edges["in_backbone"].null_count == 0 and edges.num_rows > limit
    chosen = select(rows, limit, in_backbone=has_backbone)
    files = [f"{graph.graph}-{task.digest}.{ending}" for ending in ("graphml", "gexf")]
    for file in files:
        write_graph_file(job.tables["edges"].at(file), rows, chosen)
    return {"num_rows": chosen.num_edges, "graph": graph.graph, "files": files, "description": chosen.description}
