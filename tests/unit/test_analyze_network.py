"""Stage `analyze_network` on a corpus of a dozen people, whose networks are worked out by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY
from tests.networks import Row, Tables, edges_of, network_config, statistics_of, tables_of, with_resources
from theta_ray.config_network import GraphName
from theta_ray.network import analyze_network
from theta_ray.network.definitions import DEFINITIONS

GRAPHS = list(GraphName.__args__)  # type: ignore[attr-defined]


def row(doc_id: str, author: str | None, parent: str | None = None, thread: str | None = None, **more: Any) -> Row:
    """A post (its own thread), or a comment where a parent or a thread is named."""
    minute = int("".join(filter(str.isdigit, doc_id)) or 0)
    time = f"2026-01-10T10:{minute:02d}:00Z"
    values = {"id": doc_id, "text": f"text {doc_id}", "author": author, "parent": parent, "time": time}
    return {**values, "thread": thread or doc_id, **more}


def talk() -> list[Row]:
    """Two threads and what is said in them, with every way in which a tie can be missed."""
    return [
        row("p1", "ann", forum="tea", score=5, text="milk first #tea #milk", links=["https://example.org/a"]),
        row("c2", "bob", "p1", "p1", forum="tea", score=-2, links=["https://example.org/a"]),
        row("c3", "cat", "c2", "p1", text="no #Tea"),
        row("c4", "ann", "c3", "p1"),  # to herself, by the post
        row("c5", "bob", "c2", "p1"),  # to himself, by the parent
        row("c6", "dan", "gone", "p1", parent_author="eve"),  # only the comment knows whom it answers
        row("c7", "dan", "gone", "lost"),  # nobody knows
        row("c8", None, "p1", "p1"),  # deleted
        row("c9", "cat", "c8", "p1"),  # answers the deleted one
        row("c10", "eve", "p1", "p1", mentions=["ann", "dan"]),
        row("c11", "bob", "p1", "p1", mentions=["bob", "ann"]),
        row("p12", "bob", forum="tea", text="#milk", score=1),
        row("c13", "ann", "p12", "p12", forum="tin"),
        row("c14", "cat", "p12", "p12", forum="tin"),
        row("r15", "cat", "p1", kind="repost"),
        row("r16", "dan", "p1", kind="repost"),
        row("r17", "ann", "p1", kind="repost"),
        row("r18", "ann", "elsewhere", kind="repost", parent_author="fay"),
        row("r19", "bob", "elsewhere", kind="repost"),
    ]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return tables_of(network_config(tmp_path_factory.mktemp("talk"), talk(), {"graphs": GRAPHS}))


EDGES = {
    "comment_to_post_author": {
        ("bob", "ann"): 3,
        ("cat", "ann"): 2,
        ("dan", "ann"): 1,
        ("eve", "ann"): 1,
        ("ann", "bob"): 1,
        ("cat", "bob"): 1,
    },
    "comment_to_parent_author": {
        ("bob", "ann"): 2,
        ("cat", "bob"): 2,
        ("ann", "cat"): 1,
        ("dan", "eve"): 1,
        ("eve", "ann"): 1,
        ("ann", "bob"): 1,
    },
    "mention": {("eve", "ann"): 1, ("eve", "dan"): 1, ("bob", "ann"): 1},
    "repost": {("cat", "ann"): 1, ("dan", "ann"): 1, ("ann", "fay"): 1},
    "co_repost": {("ann", "cat"): 1, ("ann", "dan"): 1, ("cat", "dan"): 1, ("ann", "bob"): 1},
    # in capitals or not
    "co_hashtag": {("ann", "cat"): 1, ("ann", "bob"): 1},
    "co_link": {("ann", "bob"): 1},
    "co_container": {("ann", "bob"): 1, ("ann", "cat"): 1},
    # who comments on a post itself: bob and eve on one, ann and cat on the other
    "co_thread": {("bob", "eve"): 1, ("ann", "cat"): 1},
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_edges_of_each_graph_are_those_worked_out_by_hand(tables: Tables, graph: str) -> None:
    assert edges_of(tables, graph) == EDGES[graph]


# Events, and of these those without an author, with oneself, and to nobody who is known.
LEFT_OUT = {
    "comment_to_post_author": (12, 1, 1, 1),
    "comment_to_parent_author": (12, 1, 1, 2),
    "mention": (4, 0, 1, 0),
    "repost": (5, 0, 1, 1),
}


@pytest.mark.parametrize("graph", LEFT_OUT)
def test_every_event_is_in_an_edge_or_left_out_for_one_reason_that_is_counted(tables: Tables, graph: str) -> None:
    found = statistics_of(tables, graph)
    events, nobody, loops, to_nobody = LEFT_OUT[graph]
    assert found["num_events"] == events
    assert found["num_events_without_author"] == nobody
    assert found["num_loops"] == loops
    assert found["num_events_without_target"] == to_nobody
    assert found["loop_share"] == loops / (events - nobody - to_nobody)
    assert sum(edges_of(tables, graph).values()) == events - nobody - loops - to_nobody


def test_reciprocity_is_that_of_the_edges_worked_out_by_hand(tables: Tables) -> None:
    assert statistics_of(tables, "comment_to_post_author")["reciprocity"] == 2 / 6
    assert statistics_of(tables, "comment_to_parent_author")["reciprocity"] == 2 / 6
    assert statistics_of(tables, "mention")["reciprocity"] == 0


PAIRS = ("ann bob", "ann cat", "ann dan", "ann eve", "bob cat", "bob dan", "bob eve", "cat dan", "cat eve", "dan eve")


@pytest.mark.parametrize(
    ("participants", "twice"), [("commenters", {"ann cat"}), ("all", {"ann cat", "ann bob", "bob cat"})]
)
def test_who_takes_part_in_a_thread_is_a_choice(tmp_path: Path, participants: str, twice: set[str]) -> None:
    section = {"graphs": ["co_thread"], "projection": {"participants": participants}}
    edges = edges_of(tables_of(network_config(tmp_path, talk(), section)), "co_thread")
    # one thread has everybody in it
    assert {" ".join(pair): count for pair, count in edges.items()} == {p: 1 + (p in twice) for p in PAIRS}


def test_threads_are_posts_and_contexts_of_comments_and_no_reposts(tables: Tables) -> None:
    found = statistics_of(tables, "corpus")
    names = ("num_threads", "num_threads_without_post", "thread_commented_share", "thread_comments_max")
    # p1, p12 and the one that is lost; five reposts have contexts of their own
    assert tuple(found[name] for name in names) == (3, 1, 1, 9)


@pytest.mark.parametrize(("participants", "pairs"), [("commenters", 1), ("all", 4)])
def test_a_repost_is_in_a_thread_only_where_others_answer_it(tmp_path: Path, participants: str, pairs: int) -> None:
    rows = [
        row("p1", "ann"),
        row("c2", "bob", "p1", "p1"),
        row("c3", "cat", "p1", "p1"),
        row("r4", "dan", "p1", "p1", kind="repost"),  # an interface that puts it where its original is
        row("r5", "eve", "p1", kind="repost"),
        row("c6", "fay", "r5", "r5"),
    ]
    section = {"graphs": ["co_thread"], "projection": {"participants": participants}}
    tables = tables_of(network_config(tmp_path, rows, section))
    found = statistics_of(tables, "corpus")
    assert (found["num_threads"], found["num_threads_without_post"], found["thread_comments_mean"]) == (2, 0, 1.5)
    edges = edges_of(tables, "co_thread")
    assert len(edges) == pairs
    assert "dan" not in {author for edge in edges for author in edge}


def test_authors_have_their_documents_scores_and_times(tables: Tables) -> None:
    rows = {row["author_id"]: row for row in tables["authors"].to_pylist()}
    columns = ("num_documents", "num_posts", "num_comments", "num_reposts", "score")
    assert {name: tuple(row[column] for column in columns) for name, row in rows.items()} == {
        "ann": (5, 1, 2, 2, 5),
        "bob": (5, 1, 3, 1, -1),
        "cat": (4, 0, 3, 1, None),
        "dan": (3, 0, 2, 1, None),
        "eve": (1, 0, 1, 0, None),
    }
    assert rows["cat"]["first_at"] == datetime(2026, 1, 10, 10, 3, tzinfo=UTC)
    assert rows["cat"]["last_at"] == datetime(2026, 1, 10, 10, 15, tzinfo=UTC)
    assert statistics_of(tables, "corpus")["num_documents"] == 19
    assert statistics_of(tables, "corpus")["num_without_author"] == 1


def test_edges_have_their_first_and_last_time_and_the_weight_of_their_events(tables: Tables) -> None:
    (edge,) = (
        row
        for row in tables["edges"].to_pylist()
        if (row["graph"], row["source_id"], row["target_id"]) == ("comment_to_post_author", "bob", "ann")
    )
    assert (edge["weight"], edge["variance"], edge["p_value"], edge["in_backbone"]) == (3.0, 0.0, None, None)
    assert (edge["first_at"].minute, edge["last_at"].minute) == (2, 11)


def test_nodes_and_communities_agree_with_the_edges(tables: Tables) -> None:
    nodes = {(row["graph"], row["author_id"]): row for row in tables["nodes"].to_pylist()}
    for graph, edges in EDGES.items():
        authors = {author for edge in edges for author in edge}
        assert authors <= {name for of, name in nodes if of == graph}
        for author in authors:
            row = nodes[graph, author]
            sources, targets = (sum(edge[end] == author for edge in edges) for end in (0, 1))
            assert row["degree"] == sources + targets
            if not graph.startswith("co_"):
                assert (row["out_degree"], row["in_degree"]) == (sources, targets)
                assert row["out_strength"] == sum(n for edge, n in edges.items() if edge[0] == author)
            else:
                assert (row["out_degree"], row["in_degree"]) == (None, None)
    sizes = Counter((row["graph"], row["community_id"]) for row in nodes.values() if row["community_id"] is not None)
    assert {(row["graph"], row["community_id"]): row["size"] for row in tables["communities"].to_pylist()} == sizes


def test_edges_between_communities_are_those_of_their_authors(tables: Tables) -> None:
    community = {(row["graph"], row["author_id"]): row["community_id"] for row in tables["nodes"].to_pylist()}
    expected: dict[tuple[str, int, int], list[float]] = {}
    for row in tables["edges"].to_pylist():
        ends = [community[row["graph"], row[end]] for end in ("source_id", "target_id")]
        if None not in ends:
            key = (row["graph"], *(sorted(ends) if row["graph"].startswith("co_") else ends))
            cell = expected.setdefault(key, [0, 0])
            cell[0], cell[1] = cell[0] + 1, cell[1] + row["weight"]
    found = {tuple(row.values())[:3]: list(row.values())[3:] for row in tables["community_edges"].to_pylist()}
    assert found == {key: pytest.approx(cell) for key, cell in expected.items()}
    assert len(found) == len(expected) > len(EDGES)


def test_every_statistic_is_there_once_with_its_definition_and_population(tables: Tables) -> None:
    rows = tables["network_stats"].to_pylist()
    names = [(row["graph"], row["statistic"]) for row in rows]
    assert len(names) == len(set(names)) > 500
    assert {row["graph"] for row in rows} == {"corpus", *GRAPHS}
    for row in rows:
        assert row["definition"] == DEFINITIONS[row["statistic"]]
        assert row["population"]
    assert all(len(definition) > 10 for definition in DEFINITIONS.values())


def test_reciprocity_stands_beside_that_of_random_graphs_of_the_same_degrees(tables: Tables) -> None:
    for row in tables["network_stats"].to_pylist():
        if row["statistic"] == "reciprocity" and not row["graph"].startswith("co_"):
            assert row["num_nulls"] == 3
            assert 0 <= row["null_mean"] <= 1
            assert 0 < row["p_value"] <= 1
        if row["statistic"] in ("num_edges", "gini", "num_documents"):
            assert row["num_nulls"] == 0


@pytest.mark.parametrize("max_task_edges", [100_000_000, 1])
def test_communities_of_the_size_that_the_recipe_names_are_counted(tmp_path: Path, max_task_edges: int) -> None:
    section = {"graphs": ["co_thread"], "projection": {"participants": "all"}, "communities": {"min_size": 3}}
    # two threads of three and one of two
    rows = [row(f"p{place}", name, thread=f"p{place // 3 * 3}") for place, name in enumerate("abcdefgh")]
    # all are one component, which has three communities
    rows += [row("p8", "a", thread="p30"), row("p9", "d", thread="p30"), row("p10", "g", thread="p30")]
    config = with_resources(network_config(tmp_path, rows, section), max_task_edges=max_task_edges)
    tables = tables_of(config)
    sizes = [community["size"] for community in tables["communities"].to_pylist()]
    found = statistics_of(tables, "co_thread")
    assert found["num_communities_of_min_size"] == sum(size >= 3 for size in sizes) == len(sizes) - 1


def test_top_contexts_add_up_and_name_no_small_group(tmp_path: Path) -> None:
    used = {"tea": ("ann", "bob", "cat", "ann"), "tin": ("ann", "bob"), "jar": ("dan",), "other": ("ann", "bob", "cat")}
    rows = [
        row(f"p{place}", author, tags=[name])
        for place, (name, author) in enumerate((name, author) for name, authors in used.items() for author in authors)
    ]
    rows = [{**each, "text": f"{each['text']} #{each['tags'][0]}"} for each in rows]
    tables = tables_of(network_config(tmp_path, rows, {"graphs": ["co_hashtag"], "min_cell": 2}))
    # the tag of one author is among the rest, and so is the tag that is called like it
    found = {row["context"]: (row["num_events"], row["num_authors"]) for row in tables["top_contexts"].to_pylist()}
    assert found == {"tea": (4, 3), "tin": (2, 2), "other": (4, None)}


def test_the_run_card_says_where_pictures_and_graph_files_are(tmp_path: Path) -> None:
    section = {"graphs": ["comment_to_post_author"], "max_export_edges": 100}
    config = network_config(tmp_path, talk(), section)
    card, tables = analyze_network.run(config, DAY), analyze_network.make_job(config, DAY).tables
    for table, figure, pattern in (("network_curves", "pictures", "*.svg"), ("edges", "graph_files", "*.graphml")):
        assert tables[table].at(pattern) in card.figures[figure]
        assert list(Path(tables[table].path).glob(pattern))
