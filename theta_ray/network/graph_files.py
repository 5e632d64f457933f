"""Rows of `nodes` and `edges` in, a GraphML or GEXF file out, which Gephi, networkx and others open.

Rows are read and written a batch at a time: memory grows with the limit on edges, not with the graph.
"""

from __future__ import annotations

import filecmp
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.errors import StageError
from theta_ray.network.graph_formats import FORMATS, Format, to_label, to_text, to_xml
from theta_ray.objects import access, create_from_file, get_file

BATCH_ROWS = 2**14
KEYS = ("graph", "author_id", "source_id", "target_id")
Reader = Callable[[], pa.RecordBatchReader]


@dataclass(frozen=True)
class GraphRows:
    """Rows of one graph, which can be read more than once."""

    name: str
    """Rows of another `graph` are passed over, where there is such a column."""
    directed: bool
    nodes: Reader
    """`author_id`, and a column for each attribute: numbers, truth values, texts or times."""
    edges: Reader
    """`source_id`, `target_id`, `weight`, and further attributes; an edge of an undirected graph once."""


@dataclass(frozen=True)
class Selection:
    """Which edges go into a file, and what stays behind."""

    above: float
    """Edges of larger weight only; -inf: all."""
    in_backbone: bool
    """Edges of the backbone only."""
    ends: pa.Array | None
    """Nodes that an edge is left of; None: all nodes go into the file."""
    num_nodes: int
    num_edges: int
    num_nodes_left_out: int
    num_edges_left_out: int

    @property
    def description(self) -> str:
        """One sentence on what a file holds of its graph."""
        rules = ["in the backbone"] if self.in_backbone else []
        rules += [] if self.above == -np.inf else [f"weight above {self.above:.6g}"]
        said = f"{self.num_nodes:,} nodes, {self.num_edges:,} edges"
        if not self.num_edges_left_out:
            return f"{said}; none is left out"
        return (
            f"{said} ({', '.join(rules)}); left out: {self.num_edges_left_out:,} edges, and "
            f"{self.num_nodes_left_out:,} nodes without an edge of these"
        )


def select(rows: GraphRows, max_edges: int, *, in_backbone: bool = False) -> Selection:
    """The strongest edges of a graph, `max_edges` at most. Edges of one weight go in all or not at all.

    So the rule is a weight that can be told, and no edge is drawn by lot or by its place in a table: of a graph whose
    edges all have one weight, and are too many, none is left. Reads the edges once, and where some are left out the
    edges and nodes once more. Memory: 8 bytes for each of `max_edges`, and the ids of their ends.

    Args:
        rows: of the graph.
        max_edges: of the file.
        in_backbone: edges that are not in the backbone, or of which that is not known, are left out first.
    """
    strongest, num_chosen, total = np.empty(0), 0, 0
    for batch in _batches(rows.edges, rows.name):
        weights = _chosen(batch, -np.inf, in_backbone)["weight"].to_numpy(zero_copy_only=False)
        strongest = np.concatenate([strongest, weights])
        if len(strongest) > max_edges + 1:
            strongest = np.partition(strongest, -max_edges - 1)[-max_edges - 1 :]
        num_chosen, total = num_chosen + len(weights), total + len(batch)
    above = float(strongest.min()) if num_chosen > max_edges else -np.inf
    num_edges = int((strongest > above).sum())
    ends = None if num_edges == total else _ends(rows, above, in_backbone)
    num_nodes, num_all = 0, 0
    for batch in _batches(rows.nodes, rows.name):
        num_nodes, num_all = num_nodes + len(_among(batch, ends)), num_all + len(batch)
    return Selection(above, in_backbone, ends, num_nodes, num_edges, num_all - num_nodes, total - num_edges)


def _ends(rows: GraphRows, above: float, in_backbone: bool) -> pa.Array:
    found = [pa.array([], pa.string())]
    for batch in _batches(rows.edges, rows.name):
        chosen = _chosen(batch, above, in_backbone)
        found += [_ids(chosen, name) for name in ("source_id", "target_id")]
    return pc.unique(pa.concat_arrays(found))


def _batches(reader: Reader, name: str) -> Iterator[pa.RecordBatch]:
    """Rows of one graph, `BATCH_ROWS` at most at a time."""
    with reader() as batches:
        for large in batches:
            for start in range(0, len(large), BATCH_ROWS):
                batch = large.slice(start, BATCH_ROWS)
                yield batch.filter(pc.equal(batch["graph"], name)) if "graph" in batch.schema.names else batch


def _chosen(edges: pa.RecordBatch, above: float, in_backbone: bool) -> pa.RecordBatch:
    if in_backbone:
        edges = edges.filter(edges["in_backbone"])  # null is dropped
    return edges if above == -np.inf else edges.filter(pc.greater(edges["weight"], above))


def _among(nodes: pa.RecordBatch, ends: pa.Array | None) -> pa.RecordBatch:
    if ends is None:
        return nodes
    return nodes.filter(pc.is_in(_ids(nodes, "author_id"), value_set=ends))


def write_graph_file(uri: str, rows: GraphRows, selection: Selection) -> None:
    """Write one file, atomically; one that is there already and says the same stays.

    Args:
        uri: local or on a store; `.graphml` or `.gexf` says the format.
        rows: of the graph.
        selection: by `select`.

    Raises:
        ValueError: another ending, or a column that is no attribute.
        StageError: there is another file.
        InputError, TransientError: the store refuses, is full, or kept failing.
    """
    ending = uri.rpartition(".")[2]
    if ending not in FORMATS:
        raise ValueError(f"{uri}: a graph file ends in .graphml or .gexf")
    with tempfile.TemporaryDirectory(prefix="theta-ray-") as folder:
        mine, theirs = str(Path(folder, "mine")), str(Path(folder, "theirs"))
        with access(mine), open(mine, "wb") as file:
            _write(file, rows, selection, FORMATS[ending])
        if not create_from_file(uri, mine):
            get_file(uri, theirs)
            if not filecmp.cmp(mine, theirs, shallow=False):
                raise StageError(f"{uri}: holds another graph than this run has made; remove it, then rerun")


def _write(file: IO[bytes], rows: GraphRows, selection: Selection, form: Format) -> None:
    declared = {}
    for kind, reader in (("node", rows.nodes), ("edge", rows.edges)):
        with reader() as batches:
            declared[kind] = [(field.name, field.type) for field in batches.schema if field.name not in KEYS]
    file.write(form.head(rows.name, f"{rows.name}: {selection.description}.", rows.directed, declared).encode())
    for batch in _batches(rows.nodes, rows.name):
        nodes = _among(batch, selection.ends)
        ids = _ids(nodes, "author_id")
        _write_lines(file, form.node, [to_xml(ids), to_xml(to_label(ids)), _attributes(nodes, "node", form)])
    file.write(form.middle.encode())
    for batch in _batches(rows.edges, rows.name):
        edges = _chosen(batch, selection.above, selection.in_backbone)
        cells = [to_xml(_ids(edges, name)) for name in ("source_id", "target_id")]
        _write_lines(file, form.edge, [*cells, to_text(edges["weight"]), _attributes(edges, "edge", form)])
    file.write(form.tail.encode())


def _write_lines(file: IO[bytes], around: tuple[str, ...], cells: list[pa.Array]) -> None:
    parts = [part for pair in zip(around, cells, strict=False) for part in pair]
    lines = pc.binary_join_element_wise(*parts, around[-1] + "\n", "")
    file.write("".join(lines.to_pylist()).encode())


def _attributes(rows: pa.RecordBatch, kind: str, form: Format) -> pa.Array:
    """[rows] all attributes but the weight as XML."""
    before, middle, after = form.value
    cells: list[pa.Array | str] = [pa.array([""] * len(rows), pa.string())]
    for name in rows.schema.names:
        if name not in KEYS and (kind, name) != ("edge", "weight"):
            opening = f"{before}{kind}_{name}{middle}"
            cells.append(pc.binary_join_element_wise(opening, to_text(rows[name]), after, ""))
    return pc.binary_join_element_wise(*cells, "", null_handling="replace", null_replacement="")


def _ids(rows: pa.RecordBatch, name: str) -> pa.Array:
    return pc.cast(rows[name], pa.string())
