"""The phases of `analyze_network`: tasks are run, what they have counted is gathered."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from theta_ray.config import Resources
from theta_ray.corpus.duplicates import num_buckets
from theta_ray.corpus.staging import read_rows
from theta_ray.encoder.processor import usable_cores
from theta_ray.errors import ConfigError, StageError
from theta_ray.network.contexts import GraphTask, count_contexts, histogram, priced
from theta_ray.network.events import read_events
from theta_ray.network.graph_tables import measure_graph, measure_in_blocks
from theta_ray.network.job import NetworkJob, RangeTask, ReadTask
from theta_ray.network.null_graphs import NullTask, RealTask, load_real, measure_episodes, measure_null, with_nulls
from theta_ray.network.numbered import (
    NumberedGraph,
    PartTask,
    assemble,
    cut,
    name_nodes,
    number_edges,
    project_block,
)
from theta_ray.network.people import count_texts, measure_authors, measure_threads
from theta_ray.network.pricing import Price
from theta_ray.network.resolve import find_targets, sum_ties
from theta_ray.tasks import Executor

logger = logging.getLogger(__name__)


@dataclass
class Counted:
    """What the first phases have counted."""

    num_rows: int
    ranges: int
    end: int = 0
    """Microseconds since 1970 of the last event."""
    totals: dict[str, int] = field(default_factory=dict)
    """Of the corpus."""
    graphs: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of each graph."""
    contexts: list[dict[str, Any]] = field(default_factory=list)
    """Of each range."""


def stage_events(job: NetworkJob, tasks: list[ReadTask], executor: Executor) -> Counted:
    """Read all shards, find targets, number contexts."""
    read = executor.map(read_events, tasks)
    counted = Counted(sum(each["num_rows"] for each in read), 1)
    counted.ranges = num_buckets(counted.num_rows)
    for name in ("num_without_author", "num_without_time", "num_in_future"):
        counted.totals[name] = sum(each[name] for each in read)
    counted.totals["num_documents"] = counted.num_rows
    counted.end = max((each["last_time"] for each in read if each["last_time"] is not None), default=0)
    shards = tuple(task.shard for task in tasks)
    ranges = range(counted.ranges)
    places = tuple(f"{place:05d}" for place in ranges)
    found = executor.map(find_targets, [RangeTask(job, place, counted.ranges, shards) for place in ranges])
    summed = executor.map(sum_ties, [RangeTask(job, place, counted.ranges, shards, places) for place in ranges])
    for graph in job.settings.graphs:
        total = Counter[str]()
        for each in [*read, *found, *summed]:
            total.update(each["graphs"].get(graph, {}))
        counted.graphs[graph] = dict(total)
    contexts = executor.map(count_contexts, [RangeTask(job, place, counted.ranges, shards) for place in ranges])
    counted.contexts = sorted(contexts, key=lambda each: int(each["place"]))
    check_counts(job, counted)
    return counted


def check_counts(job: NetworkJob, counted: Counted) -> None:
    """Raise StageError unless every event of a directed graph is a tie, or was left out for one reason."""
    for graph in job.settings.directed:
        counts = counted.graphs[graph]
        left = sum(counts.get(name, 0) for name in ("num_without_author", "num_loops", "num_without_target"))
        if counts["num_events"] != left + counts.get("num_ties", 0):
            raise StageError(
                f"{job.tables['network_stats'].path}: {graph} has {counts['num_events']} events, of which {left} are "
                f"left out and {counts.get('num_ties', 0)} are ties; use another --root and report this as a bug"
            )


def price_graphs(job: NetworkJob, counted: Counted) -> dict[str, Price]:
    """What each co-participation graph costs, before any pair is built.

    Raises:
        ConfigError: more than the recipe allows.
    """
    prices: dict[str, Price] = {}
    for graph in job.settings.projected:
        sizes = histogram(counted.contexts, graph)
        try:
            prices[graph] = priced(sizes, counted.totals["num_authors"], job.settings.projection)
        except ConfigError as error:
            raise ConfigError(f"{graph}: {error}") from None
        if job.settings.projection.window_seconds is None:  # those within a window are counted with their times
            figures = ", ".join(f"{name} {value}" for name, value in prices[graph].figures().items())
            logger.info("%s: %s", graph, figures)
    return prices


def graph_task(job: NetworkJob, graph: str, counted: Counted, price: Price | None) -> GraphTask:
    """One graph, over all ranges."""
    if price is None:
        return GraphTask(job, graph, counted.ranges)
    contexts = tuple(each["graphs"][graph]["num_contexts"] for each in counted.contexts)
    return GraphTask(job, graph, counted.ranges, contexts, price)


def number_graph(
    job: NetworkJob, graph: str, counted: Counted, price: Price | None, executor: Executor
) -> NumberedGraph:
    """Stage the numbered edges of one graph."""
    if price is None:
        whole = graph_task(job, graph, counted, None)
        names = executor.share(name_nodes, whole)
        parts = [PartTask(job, graph, place) for place in range(counted.ranges)]
        numbered = executor.map(number_edges, parts, shared=names)
    else:
        whole = graph_task(job, graph, counted, price)
        assembled = executor.share(assemble, whole)
        (ranges,) = executor.map(cut, [whole], shared=assembled)
        cuts = ranges["cuts"] if len(ranges["cuts"]) > 1 else [0, ranges["num_nodes"]]
        parts = [
            PartTask(job, graph, place, first, last)
            for place, (first, last) in enumerate(zip(cuts, cuts[1:], strict=False))
        ]
        numbered = executor.map(project_block, parts, shared=assembled)
    sizes = {each["place"]: each["num_edges"] for each in numbered}
    num_nodes = numbered[0]["num_nodes"]
    in_one = sum(sizes.values()) <= executor.resources.max_task_edges
    # a task on Ray has one core
    threads = usable_cores() if executor.resources.executor == "local" else 1
    return NumberedGraph(job, graph, num_nodes, tuple(sizes[place] for place in range(len(parts))), in_one, threads)


def measure_people(job: NetworkJob, tasks: list[ReadTask], counted: Counted, executor: Executor) -> None:
    """Stage everything about authors, threads and texts."""
    shards = tuple(task.shard for task in tasks)
    ranges = [RangeTask(job, place, counted.ranges, shards) for place in range(counted.ranges)]
    authors = executor.map(measure_authors, ranges)
    counted.totals["num_authors"] = sum(each["num_rows"] for each in authors)
    executor.map(measure_threads, ranges)
    executor.map(count_texts, ranges)


def measure_graphs(
    graphs: list[NumberedGraph], tasks: dict[str, GraphTask], resources: Resources, executor: Executor
) -> dict[str, pa.Table]:
    """Stage what is said of each graph; the rows of its statistics, beside those of random graphs."""
    executor.map(measure_graph, [graph for graph in graphs if graph.in_one_task])
    found = {}
    for graph in graphs:
        if not graph.in_one_task:
            measure_in_blocks(graph, resources, executor)
        rows, count = read_rows(graph.job.staged("network_stats", graph.graph)), graph.job.settings.num_nulls
        is_timed = not graph.directed and graph.job.settings.projection.window_seconds is not None
        if graph.in_one_task and (is_timed or (count and sum(graph.sizes))):
            contexts = None if graph.directed else tasks[graph.graph]
            shared = executor.share(load_real, RealTask(graph, contexts))
            nulls = [NullTask(graph.job, graph.graph, replicate) for replicate in range(count)]
            if is_timed:
                executor.map(measure_episodes, [NullTask(graph.job, graph.graph, 0)], shared=shared)
                rows = pa.concat_tables([rows, read_rows(graph.job.staged("episodes", graph.graph))])
            rows = with_nulls(rows, executor.map(measure_null, nulls, shared=shared))
        found[graph.graph] = rows
    return found
