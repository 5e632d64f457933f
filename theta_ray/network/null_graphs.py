"""Random graphs beside each graph of the job, a task each.

Of a directed graph, edges are switched, which keeps in- and out-degrees (nulls.py). Of a co-participation graph the
participations are switched, which keeps how many contexts an author is in and how many authors a context has, and
projected as the real ones: a projection has triangles whoever takes part, so its own edges are no fair comparison.
Of ties within a window, the moments of each context are dealt to its actors anew (windows.py): who acts where, how
often, and how hectic a context is are kept, and who meets whom is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from theta_ray.config_network import Network
from theta_ray.corpus import staging
from theta_ray.corpus.staging import write_rows
from theta_ray.network import degrees
from theta_ray.network.contexts import GraphTask, timeline
from theta_ray.network.episodes import episode_statistics, episodes
from theta_ray.network.graph import Graph
from theta_ray.network.graph_tables import statistic_rows
from theta_ray.network.incidence import Incidence
from theta_ray.network.job import NetworkJob
from theta_ray.network.measure import null_statistics
from theta_ray.network.nulls import compared, rewired
from theta_ray.network.numbered import NumberedGraph, load_graph, named_projection
from theta_ray.network.pair_keys import Edges
from theta_ray.network.projection import Projection, project
from theta_ray.network.statistic import Statistic, statistics_of
from theta_ray.network.windows import Timeline, coordinated
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


Real = Graph | Projection | Timeline


def load_real(task: RealTask) -> Real:
    """What random graphs are made from: the edges, the participations, or the events."""
    if task.contexts is None:
        return load_graph(task.graph)
    is_timed = task.contexts.job.settings.projection.window_seconds is not None
    return timeline(task.contexts)[1] if is_timed else named_projection(task.contexts)[1]


def measure_null(task: NullTask, real: Real) -> dict[str, Any]:
    """Statistics of a random graph."""
    uri = task.job.staged(f"nulls-{task.graph}", f"{task.replicate:05d}", "json")
    found = staging.read_json(uri)
    if found is None:
        seed = [task.job.settings.seed, task.replicate]
        if isinstance(real, Timeline):
            values = shuffled_statistics(real.shuffled(seed), task.job.settings)
        else:
            graph = rewired(real, seed) if isinstance(real, Graph) else projected_null(real, seed)
            values = null_statistics(graph, task.job.settings)
        known = {name: None if np.isnan(value) else float(value) for name, value in values.items()}
        found = {"num_rows": 1, "replicate": task.replicate, "values": known}
        staging.write_json(uri, found)
    return found


def shuffled_statistics(drawn: Timeline, settings: Network) -> dict[str, float]:
    """Statistics of ties within a window among events dealt at random: chance decides their number as well."""
    rules = settings.projection
    assert rules.window_seconds is not None, "only then there is a timeline"
    parts = [part.edges() for part in coordinated(drawn, rules.window_seconds, min_shared=rules.min_shared)]
    edges = Edges.concatenate(parts)
    graph = Graph.of(len(drawn.actor_starts) - 1, edges.source, edges.target, edges.weight, directed=False)
    found = episode_statistics(episodes(drawn, rules.window_seconds))
    return {**degrees.size(graph, degrees.degrees(graph)), **null_statistics(graph, settings), **found}


def measure_episodes(task: NullTask, real: Timeline) -> dict[str, Any]:
    """Stage the statistics of the episodes of a graph within a window."""
    rules, uri = task.job.settings.projection, task.job.staged("episodes", task.graph)
    assert rules.window_seconds is not None, "only then there are episodes"
    found = episodes(real, rules.window_seconds)
    rows = statistics_of(episode_statistics(found), "episodes", len(found.first))
    write_rows(uri, statistic_rows(task.graph, rows))
    return {"num_rows": len(rows)}


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
