"""Graph files: read back by networkx as they went in, whatever the ids; the strongest edges where there is a limit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.parsers import expat

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

from theta_ray.errors import StageError
from theta_ray.network import graph_files
from theta_ray.network.graph_files import GraphRows, select, write_graph_file
from theta_ray.network.graph_formats import FORMATS, REPLACED, to_text

NODES = pa.schema(
    [
        ("graph", pa.string()),
        ("author_id", pa.string()),
        ("degree", pa.int32()),
        ("strength", pa.float64()),
        ("pagerank", pa.float64()),
        ("core", pa.int64()),
        ("community_id", pa.int32()),
        ("is_seed", pa.bool_()),
    ]
)
EDGES = pa.schema(
    [
        ("graph", pa.string()),
        ("source_id", pa.string()),
        ("target_id", pa.string()),
        ("num_events", pa.int64()),
        ("weight", pa.float64()),
        ("p_value", pa.float64()),
        ("in_backbone", pa.bool_()),
        ("first_at", pa.timestamp("us", tz="UTC")),
    ]
)
DAY = datetime(2026, 1, 31, 23, 59, 59, 500, tzinfo=UTC)
HOSTILE = (
    'a"b',
    "<script>&amp;</script>",
    "]]>",
    "tab\tline\nreturn\r",
    " blanks ",
    "",
    "\u202eevil\u202c",
    "zero\u200bwidth",
    "日本語 😀",
    "__proto__",
    "-1",
    "a" * 5000,
)
FORBIDDEN = {"nul\x00": f"nul{REPLACED}0000", "bell\x07": f"bell{REPLACED}0007", "end\uffff": f"end{REPLACED}FFFF"}
FORBIDDEN |= {REPLACED: f"{REPLACED}FFFD", f"nul{REPLACED}": f"nul{REPLACED}FFFD"}
ENDINGS = pytest.mark.parametrize("ending", sorted(FORMATS))


def rows_of(nodes: list[dict[str, Any]], edges: list[dict[str, Any]], *, directed: bool = True) -> GraphRows:
    tables = pa.Table.from_pylist(nodes, schema=NODES), pa.Table.from_pylist(edges, schema=EDGES)
    return GraphRows("co_thread", directed, lambda: tables[0].to_reader(), lambda: tables[1].to_reader())


def node(author_id: str, **values: Any) -> dict[str, Any]:
    return {"graph": "co_thread", "author_id": author_id, **values}


def edge(source_id: str, target_id: str, weight: float = 1.0, **values: Any) -> dict[str, Any]:
    return {"graph": "co_thread", "source_id": source_id, "target_id": target_id, "weight": weight, **values}


def written(rows: GraphRows, path: Path, max_edges: int = 1000) -> Any:
    write_graph_file(str(path), rows, select(rows, max_edges))
    text = path.read_bytes()
    expat.ParserCreate().Parse(text, True)
    return nx.read_gexf(io.BytesIO(text)) if path.suffix == ".gexf" else nx.read_graphml(io.BytesIO(text))


@ENDINGS
@pytest.mark.parametrize("directed", [True, False])
def test_nodes_edges_and_typed_attributes_come_back(tmp_path: Path, ending: str, directed: bool) -> None:
    first = {"degree": 2, "strength": 1e-7, "pagerank": 1 / 3, "core": 2**53, "community_id": -1, "is_seed": True}
    values = {"num_events": 3, "p_value": 1e-300, "first_at": DAY}
    rows = rows_of([node("a", **first), node("b", degree=1)], [edge("a", "b", 0.1, **values)], directed=directed)
    found = written(rows, tmp_path / f"graph.{ending}")
    assert found.is_directed() is directed
    assert found.nodes["a"] == {"label": "a", **first}
    assert found.nodes["b"] == {"label": "b", "degree": 1}
    ((_, _, attributes),) = found.edges(data=True)
    attributes.pop("id", None)
    assert attributes == {"weight": 0.1, **values, "first_at": "2026-01-31T23:59:59.000500Z"}


@ENDINGS
def test_hostile_ids_come_back_and_forbidden_characters_as_their_codes(tmp_path: Path, ending: str) -> None:
    ids = [*HOSTILE, *FORBIDDEN]
    rows = rows_of([node(each) for each in ids], [edge("hub", each) for each in ids])
    found = written(rows, tmp_path / f"graph.{ending}")
    expected = {*HOSTILE, *FORBIDDEN.values()}
    assert set(found.successors("hub")) == expected
    assert len(expected) == len(ids)
    assert found.nodes["\u202eevil\u202c"]["label"] == "\\u202eevil\\u202c"
    assert found.nodes["tab\tline\nreturn\r"]["label"] == "tab\\tline\\nreturn\\r"


@ENDINGS
def test_values_that_are_no_numbers_are_left_out(tmp_path: Path, ending: str) -> None:
    rows = rows_of([node("a", strength=np.nan), node("b", pagerank=np.inf)], [edge("a", "b", p_value=np.nan)])
    found = written(rows, tmp_path / f"graph.{ending}")
    assert found.nodes["a"] == {"label": "a"}
    assert found.nodes["b"] == {"label": "b"}
    assert "p_value" not in next(iter(found.edges(data=True)))[2]


@ENDINGS
def test_an_empty_graph_is_a_file(tmp_path: Path, ending: str) -> None:
    found = written(rows_of([], []), tmp_path / f"graph.{ending}")
    assert (len(found), found.size()) == (0, 0)


@ENDINGS
def test_a_file_does_not_depend_on_batches_and_holds_one_graph_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    nodes = [node(f"a{i}", degree=i) for i in range(10)]
    edges = [edge(f"a{i}", f"a{i + 1}", i + 1) for i in range(9)]
    others = [{**node("z"), "graph": "mention"}], [{**edge("z", "a1"), "graph": "mention"}]
    written(rows_of(nodes, edges), tmp_path / f"one.{ending}")
    monkeypatch.setattr(graph_files, "BATCH_ROWS", 3)
    written(rows_of(nodes + others[0], others[1] + edges), tmp_path / f"two.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


def chain() -> GraphRows:
    """a0 - a1 - ... of weights 0, 1, 1, 2, 2, 3, 3, 4, 4; the backbone are those of 2 and 3, and perhaps the last."""
    weights = [(i + 1) // 2 for i in range(9)]
    edges = [edge(f"a{i}", f"a{i + 1}", w, in_backbone=None if i == 8 else 3 <= i < 7) for i, w in enumerate(weights)]
    return rows_of([node(f"a{i}") for i in range(10)], edges)


@ENDINGS
def test_the_strongest_edges_stay_and_the_file_says_how_many_are_left_out(tmp_path: Path, ending: str) -> None:
    found = written(chain(), tmp_path / f"graph.{ending}", 4)
    assert sorted(weight for *_, weight in found.edges(data="weight")) == [3, 3, 4, 4]
    assert set(found) == {"a5", "a6", "a7", "a8", "a9"}
    said = "co_thread: 5 nodes, 4 edges (weight above 2); left out: 5 edges, and 5 nodes without an edge of these."
    assert said in (tmp_path / f"graph.{ending}").read_text()


@pytest.mark.parametrize(("limit", "left"), [(9, 9), (8, 8), (7, 6), (5, 4), (3, 2), (2, 2), (1, 0), (0, 0)])
def test_edges_of_one_weight_go_in_all_or_not_at_all(monkeypatch: pytest.MonkeyPatch, limit: int, left: int) -> None:
    monkeypatch.setattr(graph_files, "BATCH_ROWS", 2)
    found = select(chain(), limit)
    assert (found.num_edges, found.num_edges_left_out) == (left, 9 - left)
    assert found.num_nodes + found.num_nodes_left_out == 10


def test_edges_of_the_backbone_come_first() -> None:
    found = select(chain(), 4, in_backbone=True)
    assert (found.above, found.num_edges) == (-np.inf, 4)
    assert found.ends is not None
    assert sorted(found.ends.to_pylist()) == ["a3", "a4", "a5", "a6", "a7"]
    assert "(in the backbone); left out: 5 edges, and 5 nodes" in found.description
    both = select(chain(), 3, in_backbone=True)
    assert (both.above, both.num_edges) == (2, 2)
    assert "(in the backbone, weight above 2)" in both.description


def test_a_file_that_is_there_stays_where_it_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "graph.gexf"
    written(chain(), path)
    written(chain(), path)
    with pytest.raises(StageError, match="holds another graph than this run has made; remove it, then rerun"):
        written(chain(), path, 4)


def test_another_ending_and_a_column_that_is_no_attribute_are_refused(tmp_path: Path) -> None:
    rows = chain()
    with pytest.raises(ValueError, match=r"ends in \.graphml or \.gexf"):
        write_graph_file(str(tmp_path / "graph.gml"), rows, select(rows, 4))
    lists = pa.table({"author_id": ["a"], "topics": [[1]]})
    with pytest.raises(ValueError, match="column topics is list"):
        write_graph_file(str(tmp_path / "a.gexf"), GraphRows("g", True, lists.to_reader, rows.edges), select(rows, 4))


def test_numbers_are_exact_in_text() -> None:
    numbers = np.concatenate([np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(-300, 300, 0.6), [5e-324]])
    assert [float(text) for text in to_text(pa.array(numbers)).to_pylist()] == numbers.tolist()


@ENDINGS
def test_memory_does_not_grow_with_the_graph(tmp_path: Path, ending: str) -> None:
    names = [f"author {i:06d}" for i in range(2000)]
    allocated: list[int] = []

    def edges() -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            for weight in range(30):
                allocated.append(pa.total_allocated_bytes())
                rows = {"source_id": names, "target_id": names[::-1], "weight": np.full(2000, weight + 0.5)}
                yield pa.RecordBatch.from_pydict(rows)

        kinds = pa.schema([("source_id", pa.string()), ("target_id", pa.string()), ("weight", pa.float64())])
        return pa.RecordBatchReader.from_batches(kinds, batches())

    rows = GraphRows("mention", True, pa.table({"author_id": names}).to_reader, edges)
    write_graph_file(str(tmp_path / f"graph.{ending}"), rows, select(rows, 60_000))
    whole = sum(batch.nbytes for batch in edges())
    assert len(allocated) == 3 * 30
    assert max(allocated) - min(allocated) < whole / 3
