"""Random graphs beside each graph of the job, a task each.

Of a directed graph, edges are switched, which keeps in- and out-degrees (nulls.py). Of a co-participation graph the
participations are switched, which keeps how many contexts an author is in and how many authors a context has, and
projected as the real ones: a projection has triangles whoever takes part, so its own edges are no fair comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.corpus import staging
from theta_ray.network.contexts import GraphTask
from theta_ray.network.graph import Graph
from theta_ray.network.incidence import Incidence
from theta_ray.network.job import NetworkJob
from theta_ray.network.measure import null_statistics
from theta_ray.network.nulls import compared, rewired
from theta_ray.network.numbered import NumberedGraph, load_graph, named_projection
from theta_ray.network.projection import Projection, project
from theta_ray.network.statistic import Statistic
from theta_ray.schemas_network import NETWORK_STATS


@dataclass(frozen=True)
class NullTask:
    """One random graph with the degrees of another."""

    job: NetworkJob
    graph: str
    replicate: int


@dataclass(frozen=True)
class RealTask:
    """The graph that random ones are put beside."""

    graph: NumberedGraph
    contexts: GraphTask | None
    """Of a co-participation graph."""


def load_real(task: RealTask) -> Graph | Projection:
    """What random graphs are made from: the edges, or the participations."""
    return load_graph(task.graph) if task.contexts is None else named_projection(task.contexts)[1]


def measure_null(task: NullTask, real: Graph | Projection) -> dict[str, Any]:
    """Statistics of a random graph."""
    uri = task.job.staged(f"nulls-{task.graph}", f"{task.replicate:05d}", "json")
    found = staging.read_json(uri)
    if found is None:
        seed = [task.job.settings.seed, task.replicate]
        graph = rewired(real, seed) if isinstance(real, Graph) else projected_null(real, seed)
        values = null_statistics(graph, task.job.settings)
        known = {name: None if np.isnan(value) else float(value) for name, value in values.items()}
        found = {"num_rows": 1, "replicate": task.replicate, "values": known}
        staging.write_json(uri, found)
    return found


def projected_null(real: Projection, seed: list[int]) -> Graph:
    """A projection of as many participations of each actor and context, dealt at random."""
    incidence = real.incidence
    actor = np.repeat(np.arange(incidence.num_actors), incidence.degrees)
    both = Graph.of(
        incidence.num_actors + incidence.num_contexts,
        actor,
        incidence.contexts.astype(np.int64) + incidence.num_actors,
        directed=True,
    )
    drawn = rewired(both, seed)
    dealt = Incidence.of(
        incidence.num_actors,
        incidence.num_contexts,
        drawn.source,
        drawn.target.astype(np.int64) - incidence.num_actors,
    )
    edges = project(replace(real, incidence=dealt))
    return Graph.of(incidence.num_actors, edges.source, edges.target, edges.weight, directed=False)


def with_nulls(rows: pa.Table, replicates: list[dict[str, Any]]) -> pa.Table:
    """Rows of `network_stats` beside what random graphs have."""
    ordered = [each["values"] for each in sorted(replicates, key=lambda each: int(each["replicate"]))]
    found = []
    for row in rows.to_pylist():
        if row["value"] is not None and ordered and row["statistic"] in ordered[0]:
            drawn = [each[row["statistic"]] for each in ordered]
            null = compared(row["value"], [np.nan if value is None else value for value in drawn])
            low, high = (np.nan if row[name] is None else row[name] for name in ("low", "high"))
            of = row["statistic"], row["value"], row["population"], row["num_values"]
            row |= Statistic(*of, low, high, null).row()
        found.append(row)
    return pa.Table.from_pylist(found, schema=NETWORK_STATS)
