"""Stage `analyze_network` on what nobody meant to analyse: an answer or one clear line, and never a traceback."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.networks import Row, Tables, edges_of, network_config, statistics_of, tables_of
from tests.unit.test_analyze_network import GRAPHS, row

FUTURE = "2036-01-01T00:00:00Z"


def analysed(folder: Path, rows: list[Row]) -> Tables:
    """All tables of all graphs."""
    return tables_of(network_config(folder, rows, {"graphs": GRAPHS, "max_export_edges": 10}))


def empty(tables: Tables) -> None:
    """No graph has an edge, and nothing is said that needs one."""
    for graph in GRAPHS:
        assert edges_of(tables, graph) == {}
        found = statistics_of(tables, graph)
        assert found["num_edges"] == 0
        assert not {"reciprocity", "density", "modularity", "backbone_edges", "degree_assortativity"} & set(found)
    assert all(math.isfinite(value) for value in tables["network_stats"]["value"].to_pylist())


def test_documents_without_authors_are_counted_and_have_no_network(tmp_path: Path) -> None:
    tables = analysed(tmp_path, [row("p1", None), row("c2", None, "p1", "p1"), row("c3", None, "c2", "p1")])
    empty(tables)
    assert tables["authors"].num_rows == tables["nodes"].num_rows == 0
    assert statistics_of(tables, "corpus")["num_without_author"] == 3
    assert statistics_of(tables, "comment_to_post_author")["num_events_without_author"] == 2


def test_one_author_who_talks_to_herself_has_no_edges(tmp_path: Path) -> None:
    tables = analysed(tmp_path, [row("p1", "ann", forum="f"), *(row(f"c{n}", "ann", "p1", "p1") for n in range(2, 9))])
    empty(tables)
    assert [row["author_id"] for row in tables["authors"].to_pylist()] == ["ann"]
    for graph in ("comment_to_post_author", "comment_to_parent_author"):
        assert statistics_of(tables, graph)["loop_share"] == 1


def test_one_document_is_a_corpus(tmp_path: Path) -> None:
    empty(analysed(tmp_path, [row("p1", "ann")]))


def test_everybody_in_one_context_is_tied_to_everybody(tmp_path: Path) -> None:
    comments = [row(f"c{n}", f"a{n:02d}", "p1", "p1") for n in range(2, 22)]
    tables = analysed(tmp_path, [row("p1", "ann"), *comments])
    assert len(edges_of(tables, "co_thread")) == 190
    assert statistics_of(tables, "co_thread")["density"] == 1
    # all pairs share as much as they must: no tie is more than chance
    assert statistics_of(tables, "co_thread")["backbone_edges"] == 0
    assert len(edges_of(tables, "comment_to_post_author")) == 20


def test_times_that_are_missing_or_in_the_future_are_counted_and_left_out(tmp_path: Path) -> None:
    rows = [
        row("p1", "ann", time=None),
        row("c2", "bob", "p1", "p1", time=FUTURE),
        row("c3", "ann", "c2", "p1"),
        row("c4", "bob", "p1", "p1"),
    ]
    tables = analysed(tmp_path, rows)
    found = statistics_of(tables, "corpus")
    assert (found["num_without_time"], found["num_in_future"]) == (1, 1)
    assert edges_of(tables, "comment_to_parent_author") == {("ann", "bob"): 1, ("bob", "ann"): 2}
    edges = {row["source_id"]: row for row in tables["edges"].to_pylist() if row["graph"] == "comment_to_parent_author"}
    assert edges["bob"]["first_at"] == edges["bob"]["last_at"]
    assert edges["bob"]["last_at"].minute == 4


@pytest.mark.parametrize("time", [None, FUTURE])
def test_a_corpus_without_a_known_time_has_networks(tmp_path: Path, time: str | None) -> None:
    tables = analysed(tmp_path, [row("p1", "ann", time=time), row("c2", "bob", "p1", "p1", time=time)])
    assert edges_of(tables, "comment_to_post_author") == {("bob", "ann"): 1}
    assert {row["first_at"] for row in tables["authors"].to_pylist()} == {None}


def test_parents_in_a_cycle_or_nowhere_are_answered_all_the_same(tmp_path: Path) -> None:
    rows = [
        row("p1", "ann"),
        row("c2", "bob", "c3", "p1"),
        row("c3", "cat", "c4", "p1"),
        row("c4", "dan", "c2", "p1"),
        row("c5", "eve", "c5", "p1"),  # answers itself
        row("c6", "eve", "nowhere", "p1"),
        row("p7", "fay", "p8", "p8"),  # two posts that are each other's parent
        row("p8", "gus", "p7", "p7"),
    ]
    tables = analysed(tmp_path, rows)
    edges = {("bob", "cat"): 1, ("cat", "dan"): 1, ("dan", "bob"): 1, ("fay", "gus"): 1, ("gus", "fay"): 1}
    assert edges_of(tables, "comment_to_parent_author") == edges
    assert statistics_of(tables, "comment_to_parent_author")["num_events_without_target"] == 1


def test_negative_scores_are_summed_and_have_no_share(tmp_path: Path) -> None:
    rows = [
        row("p1", "ann", score=-5),
        row("p2", "bob", score=-1),
        row("p3", "bob", score=3),
        row("p4", "cat", score=0),
    ]
    tables = analysed(tmp_path, rows)
    assert {row["author_id"]: row["score"] for row in tables["authors"].to_pylist()} == {"ann": -5, "bob": 2, "cat": 0}
    found = statistics_of(tables, "corpus")
    assert all(value is None or 0 <= value <= 1 for name, value in found.items() if "gini" in name)


def test_a_mention_of_oneself_and_of_nobody_is_no_edge(tmp_path: Path) -> None:
    tables = analysed(tmp_path, [row("p1", "ann", mentions=["ann"]), row("p2", "bob", mentions=[])])
    empty(tables)
