"""Participations become co-participation graphs: contexts are numbered, priced, assembled and projected.

`count_contexts`   a range of contexts, over all shards: contexts get numbers, their sizes are counted
`assemble`         one graph, over all ranges: the incidence, its price and what each block of a projection needs
`project_block`    a range of actors: their ties, with how likely each is by chance

The price is known from the sizes alone, before anything is assembled.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from theta_ray.config_network import Projection as Rules
from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.errors import ConfigError
from theta_ray.network.incidence import Incidence
from theta_ray.network.job import TIME, NetworkJob, RangeTask
from theta_ray.network.pricing import Price, price
from theta_ray.network.top_lists import top_list
from theta_ray.network.windows import Timeline
from theta_ray.schemas_network import TOP_CONTEXTS

EVENTS = pa.schema([("graph", pa.string()), ("context", pa.int64()), ("author_id", pa.string()), ("created_at", TIME)])


def count_contexts(task: RangeTask) -> dict[str, Any]:
    """Number the contexts of a range and stage its events; sizes of the contexts of each graph."""
    job, uri = task.job, task.job.staged("counted_contexts", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        events = task.read("participations")
        graphs: dict[str, Any] = {}
        numbered = [EVENTS.empty_table()]
        for graph in job.settings.projected:
            mine = events.filter(pc.equal(events["graph"], graph)).combine_chunks()
            context = mine["context"].combine_chunks()
            # in order of their names, whatever the order of the shards: random graphs go by numbers
            names = context.unique().sort()
            number = pc.index_in(context, names).cast(pa.int64())
            numbered.append(pa.table([mine["graph"], number, mine["author_id"], mine["created_at"]], schema=EVENTS))
            sizes = _sizes(names, number, mine["author_id"])
            counts = Counter(sizes["num_authors"].to_pylist())
            in_order = {str(size): count for size, count in sorted(counts.items())}
            graphs[graph] = {"num_contexts": len(names), "sizes": in_order}
            write_rows(job.staged(f"contexts-{graph}", task.name), sizes)
        found = {"num_rows": events.num_rows, "place": task.place, "graphs": graphs}
        write_rows(job.staged("events", task.name), pa.concat_tables(numbered))
        staging.write_json(uri, found)
    return found


def _sizes(names: pa.Array, context: pa.Array, author_id: pa.ChunkedArray) -> pa.Table:
    """Events and different authors of each context."""
    pairs = pa.table({"context": context, "author_id": author_id})
    members = pairs.group_by(["context", "author_id"], use_threads=False).aggregate([([], "count_all")])
    sizes = members.group_by("context", use_threads=False).aggregate([("count_all", "sum"), ("author_id", "count")])
    columns = [names.take(sizes["context"].combine_chunks()), sizes["count_all_sum"], sizes["author_id_count"]]
    return pa.table(columns, names=["context", "num_events", "num_authors"])


def list_contexts(task: GraphTask) -> dict[str, Any]:
    """Stage the contexts of a graph with most events that enough authors are in."""
    job = task.job
    rows = pa.concat_tables(read_rows(job.staged(f"contexts-{task.graph}", f"{p:05d}")) for p in range(task.ranges))
    listed = top_list(
        rows["context"].to_pylist(),
        rows["num_events"].to_numpy(),
        rows["num_authors"].to_numpy(),
        job.settings.num_top,
        job.settings.min_cell,
    )
    found = [{"graph": task.graph, "context": name, "num_events": n, "num_authors": m} for name, n, m in listed]
    write_rows(job.staged("top_contexts", task.graph), pa.Table.from_pylist(found, schema=TOP_CONTEXTS))
    return {"num_rows": len(found)}


def histogram(counted: Iterable[dict[str, Any]], graph: str) -> NDArray[np.int64]:
    """[largest size + 1] contexts of each size, over all ranges."""
    total = Counter[int]()
    for each in counted:
        total.update({int(size): count for size, count in each["graphs"][graph]["sizes"].items()})
    found = np.zeros(max(total, default=0) + 1, np.int64)
    for size, count in total.items():
        found[size] = count
    return found


def priced(sizes: NDArray[np.int64], num_actors: int, rules: Rules) -> Price:
    """What a graph's projection costs by the recipe's rules.

    Raises:
        ConfigError: more than the recipe allows.
    """
    # pairs within a window are counted when their times are there
    max_pairs = rules.max_pairs if rules.window_seconds is None else sys.maxsize
    return price(sizes, num_actors, rules.policy, limit=rules.max_participants, max_pairs=max_pairs)


@dataclass(frozen=True)
class GraphTask:
    """One graph of the job, over all ranges."""

    job: NetworkJob
    graph: str
    ranges: int
    contexts: tuple[int, ...] = ()
    """Of each range."""
    price: Price | None = None


def participants(task: GraphTask) -> tuple[pa.Array, Incidence]:
    """Authors of a graph, in order, and who of them is in what. All of it is in memory: 40 bytes an event."""
    names, actor, events = _events(task)
    times = events["created_at"].to_numpy() if events["created_at"].null_count < events.num_rows else None
    num_contexts = sum(task.contexts)
    return names, Incidence.of(len(names), num_contexts, actor, events["context"].to_numpy(), times)


def timeline(task: GraphTask) -> tuple[pa.Array, Timeline]:
    """Authors of a graph, in order, and their events by time.

    Raises:
        ConfigError: more pairs are within the window than the recipe allows.
    """
    names, actor, events = _events(task)
    context, times = events["context"].to_numpy(), events["created_at"].to_numpy()
    found = Timeline.of(len(names), sum(task.contexts), actor, context, times)
    pairs_within(task.graph, found, task.job.settings.projection)
    return names, found


def pairs_within(graph: str, events: Timeline, rules: Rules) -> int:
    """Pairs of events within the window: what ties within a window cost, and each of their random graphs once more.

    Raises:
        ConfigError: more than the recipe allows.
    """
    assert rules.window_seconds is not None, "only then there is a timeline"
    pairs = events.num_pairs(rules.window_seconds)
    if pairs > rules.max_pairs:
        raise ConfigError(
            f"{graph}: {pairs:,} pairs of events are within {rules.window_seconds:g} seconds of each other, over "
            f"the budget of {rules.max_pairs:,}; choose a shorter window_seconds or more max_pairs"
        )
    return pairs


def _events(task: GraphTask) -> tuple[pa.Array, NDArray[np.int64], pa.Table]:
    """Authors, the author of each event, and all events of a graph."""
    parts, start = [EVENTS.empty_table()], 0
    for place, count in enumerate(task.contexts):
        rows = read_rows(task.job.staged("events", f"{place:05d}"), pc.field("graph") == task.graph)
        parts.append(rows.set_column(1, "context", pc.add(rows["context"], start)))
        start += count
    events = pa.concat_tables(parts).combine_chunks()
    names = events["author_id"].combine_chunks().unique().sort()
    return names, pc.index_in(events["author_id"].combine_chunks(), names).to_numpy(), events
