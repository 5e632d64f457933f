"""Participations become co-participation graphs: contexts are numbered, priced, assembled and projected.

`count_contexts`   a range of contexts, over all shards: contexts get numbers, their sizes are counted
`assemble`         one graph, over all ranges: the incidence, its price and what each block of a projection needs
`project_block`    a range of actors: their ties, with how likely each is by chance

The price is known from the sizes alone, before anything is assembled.
"""

from __future__ import annotations

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
from theta_ray.network.incidence import Incidence
from theta_ray.network.job import TIME, NetworkJob, RangeTask, read, write
from theta_ray.network.pricing import Price, price

EVENTS = pa.schema([("graph", pa.string()), ("context", pa.int64()), ("author_id", pa.string()), ("created_at", TIME)])


def count_contexts(task: RangeTask) -> dict[str, Any]:
    """Number the contexts of a range and stage its events; sizes of the contexts of each graph."""
    job, uri = task.job, task.job.staged("counted_contexts", task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        events = task.read("participations")
        graphs: dict[str, Any] = {}
        numbered = [EVENTS.empty_table()]
        for graph in (name for name in job.settings.graphs if name.startswith("co_")):
            mine = events.filter(pc.equal(events["graph"], graph)).combine_chunks()
            context = mine["context"].combine_chunks().dictionary_encode()
            number = context.indices.cast(pa.int64())
            numbered.append(pa.table([mine["graph"], number, mine["author_id"], mine["created_at"]], schema=EVENTS))
            graphs[graph] = {"num_contexts": len(context.dictionary), "sizes": _sizes(number, mine["author_id"])}
        found = {"num_rows": events.num_rows, "place": task.place, "graphs": graphs}
        write(job.staged("events", task.name), pa.concat_tables(numbered))
        staging.write_json(uri, found)
    return found


def _sizes(context: pa.Array, author_id: pa.ChunkedArray) -> dict[str, int]:
    """How many contexts have so many different authors."""
    pairs = pa.table({"context": context, "author_id": author_id})
    members = pairs.group_by(["context", "author_id"], use_threads=False).aggregate([])
    sizes = members.group_by("context", use_threads=False).aggregate([("author_id", "count")])
    return {str(size): count for size, count in sorted(Counter(sizes["author_id_count"].to_pylist()).items())}


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
    return price(sizes, num_actors, rules.policy, limit=rules.max_participants, max_pairs=rules.max_pairs)


@dataclass(frozen=True)
class GraphTask:
    """One graph of the job, over all ranges."""

    job: NetworkJob
    graph: str
    ranges: int
    contexts: tuple[int, ...] = ()
    """Of each range."""
    price: Price | None = None


@dataclass(frozen=True)
class Participants:
    """A co-participation graph before its ties: what every block is given."""

    names: pa.Array
    """[A] authors, in order."""
    incidence: Incidence
    """Of all contexts, those above the limit too."""


def participants(task: GraphTask) -> Participants:
    """Authors and incidence of a graph. The whole of it is in memory: 40 bytes an event."""
    parts, start = [], 0
    for place, count in enumerate(task.contexts):
        rows = read(task.job.staged("events", f"{place:05d}"), pc.field("graph") == task.graph)
        parts.append(rows.set_column(1, "context", pc.add(rows["context"], start)))
        start += count
    events = pa.concat_tables(parts).combine_chunks() if parts else EVENTS.empty_table()
    names = events["author_id"].combine_chunks().unique().sort()
    actor = pc.index_in(events["author_id"].combine_chunks(), names).to_numpy()
    times = events["created_at"].to_numpy() if events["created_at"].null_count < events.num_rows else None
    return Participants(names, Incidence.of(len(names), start, actor, events["context"].to_numpy(), times))
