"""Graphs with numbered nodes: what is staged between the events of a graph and what is said of it.

    names/<graph>.parquet             authors, in order: node 0, 1, ...
    numbered-<graph>/00000.parquet    edges of a range of sources, or of actors of a projection

`assemble` and `project_block` make those of a co-participation graph, `name_nodes` and `number_edges` those of a
directed one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.network.bicm import Bicm
from theta_ray.network.co_action_chance import CoActionTest
from theta_ray.network.contexts import GraphTask, participants, timeline
from theta_ray.network.edge_files import EdgeFiles
from theta_ray.network.graph import Graph
from theta_ray.network.job import TIES, TIME, NetworkJob
from theta_ray.network.pair_keys import Edges
from theta_ray.network.projection import TASK_PAIRS, Projection, project
from theta_ray.network.sdsm import Sdsm
from theta_ray.network.windows import Timeline, coordinated
from theta_ray.objects import join

NUMBERED = pa.schema(
    [
        ("source", pa.int32()),
        ("target", pa.int32()),
        ("weight", pa.float64()),
        ("num_events", pa.int64()),
        # of a weight that was estimated from a sample
        ("variance", pa.float64()),
        # of so many shared contexts or more by chance; null where no model is of this graph
        ("p_value", pa.float64()),
        ("first_at", TIME),
        ("last_at", TIME),
    ]
)
NAMES = pa.schema([("author_id", pa.string())])


def write_names(job: NetworkJob, graph: str, names: pa.Array) -> None:
    """Stage the nodes of a graph."""
    write_rows(job.staged("names", graph), pa.table([names], schema=NAMES))


def read_names(job: NetworkJob, graph: str) -> pa.Array:
    """The nodes of a graph."""
    return read_rows(job.staged("names", graph))["author_id"].combine_chunks()


@dataclass(frozen=True)
class Assembled:
    """What every block of a co-participation graph is made from. Arrays are read only and shared."""

    names: pa.Array
    ties: Projection | Timeline
    window: float = 0.0
    """Seconds, of a timeline."""
    min_shared: int = 1
    test: Sdsm | CoActionTest | None = None
    """None where the recipe asks for no model, or not all pairs of a context count."""

    def cuts(self) -> list[int]:
        """Actors at which ranges of about as many pairs begin, and the end."""
        if isinstance(self.ties, Projection):
            return [int(place) for place in self.ties.cuts()]
        low, high = self.ties.runs(self.window)
        starts = self.ties.actor_starts
        upto = np.concatenate([[0], np.cumsum(high - low)])[starts]
        inner = np.searchsorted(upto, np.arange(1, int(upto[-1] // TASK_PAIRS) + 1) * TASK_PAIRS)
        return [int(place) for place in np.unique(np.concatenate([[0], inner, [len(starts) - 1]]))]

    def edges(self, first: int, last: int) -> Edges:
        """Ties of actors `first` to `last`, not included, with later ones."""
        if isinstance(self.ties, Projection):
            return project(self.ties, first, last)
        found = coordinated(self.ties, self.window, min_shared=self.min_shared, first=first, last=last)
        return Edges.concatenate([part.edges() for part in found])


def assemble(task: GraphTask) -> Assembled:
    """Incidence or timeline and model of a graph, in the memory of one task."""
    settings = task.job.settings
    rules = settings.projection
    if rules.window_seconds is not None:
        names, events = timeline(task)
        write_names(task.job, task.graph, names)
        test = CoActionTest.of(events, rules.window_seconds) if settings.backbone.method == "sdsm" else None
        return Assembled(names, events, rules.window_seconds, rules.min_shared, test)
    names, projection = named_projection(task)
    write_names(task.job, task.graph, names)
    if settings.backbone.method != "sdsm" or rules.policy not in ("cap", "exact"):
        return Assembled(names, projection)
    # contexts that are left out are no part of the model either
    return Assembled(names, projection, test=Sdsm.of(Bicm.of(projection.incidence)))


def named_projection(task: GraphTask) -> tuple[pa.Array, Projection]:
    """Authors of a graph and what its ties are made from."""
    assert task.price is not None, "a graph is priced before it is assembled"
    rules, seed = task.job.settings.projection, task.job.settings.seed
    names, incidence = participants(task)
    return names, Projection.of(incidence, task.price, rules.weight, min_shared=rules.min_shared, seed=seed)


def cut(task: GraphTask, assembled: Assembled) -> dict[str, Any]:
    """Where the ranges of actors begin whose pairs are about as many."""
    cuts = assembled.cuts()
    return {"num_rows": len(cuts) - 1, "num_nodes": len(assembled.names), "cuts": cuts}


@dataclass(frozen=True)
class PartTask:
    """A part of the edges of a graph."""

    job: NetworkJob
    graph: str
    place: int
    first: int = 0
    last: int = 0
    """Of a projection: actors `first` to `last`, not included."""

    @property
    def folder(self) -> str:
        """Of the graph's numbered edges."""
        return f"numbered-{self.graph}"

    @property
    def name(self) -> str:
        """Of the staged file."""
        return f"{self.place:05d}"


def project_block(task: PartTask, assembled: Assembled) -> dict[str, Any]:
    """Stage the ties of a range of actors; how many there are."""
    uri = task.job.staged(task.folder, task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        edges = assembled.edges(task.first, task.last)
        p_values = assembled.test.p_values(edges) if assembled.test is not None else None
        write_rows(task.job.staged(task.folder, task.name), to_numbered(edges, p_values))
        found = {"num_edges": len(edges), "num_nodes": len(assembled.names), "place": task.place}
        staging.write_json(uri, found)
    return found


def to_numbered(edges: Edges, p_values: NDArray[np.float64] | None) -> pa.Table:
    """Rows of the ties of a projection."""
    count = len(edges)
    columns = [
        edges.source,
        edges.target,
        edges.weight,
        edges.num_shared.astype(np.int64),
        edges.variance,
        pa.nulls(count, pa.float64()) if p_values is None else p_values,
        *(pa.nulls(count, TIME) for _ in range(2)),
    ]
    return pa.table(columns, schema=NUMBERED)


def name_nodes(task: GraphTask) -> pa.Array:
    """The authors that a directed graph has an edge of, in order."""
    ends = [pa.array([], pa.string())]
    for place in range(task.ranges):
        rows = read_range(task.job, task.graph, place)
        ends += [*rows["source_id"].chunks, *rows["target_id"].chunks]
    names = pa.chunked_array(ends).unique().sort()
    write_names(task.job, task.graph, names)
    return names


def number_edges(task: PartTask, names: pa.Array) -> dict[str, Any]:
    """Stage the edges of a range of sources with their nodes' numbers; how many there are."""
    uri = task.job.staged(task.folder, task.name, "json")
    found = staging.read_json(uri)
    if found is None:
        rows = read_range(task.job, task.graph, task.place).combine_chunks()
        source, target = (pc.index_in(rows[end].combine_chunks(), names) for end in ("source_id", "target_id"))
        weight, unknown = rows["num_events"].cast(pa.float64()), pa.nulls(rows.num_rows, pa.float64())
        columns = [source, target, weight, rows["num_events"], pa.repeat(pa.scalar(0.0), rows.num_rows), unknown]
        table = pa.table([*columns, rows["first_at"], rows["last_at"]], schema=NUMBERED)
        write_rows(task.job.staged(task.folder, task.name), table)
        found = {"num_edges": rows.num_rows, "num_nodes": len(names), "place": task.place}
        staging.write_json(uri, found)
    return found


def read_range(job: NetworkJob, graph: str, place: int) -> pa.Table:
    """Edges of a directed graph in a range of sources, by name."""
    return read_rows(job.staged("edges", f"{place:05d}"), pc.field("graph") == graph).cast(TIES)


@dataclass(frozen=True)
class NumberedGraph:
    """A graph that is staged."""

    job: NetworkJob
    graph: str
    num_nodes: int
    sizes: tuple[int, ...]
    """Edges of each part."""
    in_one_task: bool = True
    """Whether one task holds all of it."""
    threads: int = 1
    """Of that task."""

    @property
    def edge_names(self) -> list[str]:
        """Of the staged rows of table `edges`."""
        if self.in_one_task:
            return [self.graph]
        return [f"{self.graph}-{place:05d}" for place in range(len(self.sizes))]

    @property
    def directed(self) -> bool:
        """Whether edges have a direction."""
        return not self.graph.startswith("co_")

    def files(self) -> EdgeFiles:
        """As the engines take it."""
        names = tuple(f"{place:05d}" for place in range(len(self.sizes)))
        return EdgeFiles(
            join(self.job.staging, f"numbered-{self.graph}"), names, self.sizes, self.num_nodes, self.directed
        )

    def parts(self, columns: Sequence[str] | None = None) -> list[pa.Table]:
        """Rows of each part."""
        return [self.part(place, columns) for place in range(len(self.sizes))]

    def part(self, place: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of one part."""
        uri = self.job.staged(f"numbered-{self.graph}", f"{place:05d}")
        return read_rows(uri, columns=columns).combine_chunks()


def load_graph(graph: NumberedGraph) -> Graph:
    """The whole graph: for the tasks that compare it with random ones."""
    return graph.files().graph()
