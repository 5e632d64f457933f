"""Blocks of a graph: where they begin, what they hold, and what each says of its nodes."""

from __future__ import annotations

from pathlib import Path

import igraph
import networkx as nx
import numpy as np
import pytest

from tests.blocks import in_blocks, in_files
from tests.unit.test_communities import planted
from tests.unit.test_hits import known_graph, random_graph
from theta_ray.config import Resources
from theta_ray.network.blocks import Block, limits_of, members_of, roots_of
from theta_ray.network.cores import core_number
from theta_ray.network.edge_files import EdgeFiles, write_edges
from theta_ray.network.engines import EngineSettings, Whole, engine_for
from theta_ray.network.graph import Graph
from theta_ray.network.label_propagation import propagated
from theta_ray.network.labels_agreement import agreement
from theta_ray.network.partitioned import Partitioned


def test_blocks_begin_so_that_edges_are_shared_out_and_a_hub_is_alone() -> None:
    assert limits_of(np.ones(100, np.int64), 100, 4).tolist() == [0, 25, 50, 75, 100]
    hub = np.ones(100, np.int64)
    hub[50] = 10_000
    limits = limits_of(hub, 100, 10).tolist()
    assert 51 in limits
    assert limits[0] == 0
    assert limits[-1] == 100
    assert len(limits) < 11
    assert limits_of(np.zeros(3, np.int64), 3, 8).tolist() == [0, 1, 2, 3]


def test_nodes_are_counted_by_bin_where_there_are_many() -> None:
    num_nodes = 2**16 * 3 - 1
    limits = limits_of(np.ones(2**16, np.int64), num_nodes, 5)
    assert limits[0] == 0
    assert limits[-1] == num_nodes
    assert (limits[1:-1] % 3 == 0).all()
    assert np.ptp(np.diff(limits)) <= 6


@pytest.mark.parametrize("directed", [False, True])
def test_each_edge_is_in_one_block_and_rows_are_those_of_the_whole_matrix(directed: bool) -> None:
    graph = random_graph(11, directed=directed)
    middle = graph.num_nodes // 3
    blocks = [Block.of(graph, 0, middle), Block.of(graph, middle, graph.num_nodes)]
    matrix = graph.matrix(weighted=True).toarray()
    np.testing.assert_array_equal(np.concatenate([block.leaving.toarray() for block in blocks]), matrix)
    np.testing.assert_array_equal(np.concatenate([block.reaching.toarray() for block in blocks]), matrix.T)
    own = [block.own_edges() for block in blocks]
    for side in ("source", "target", "weight"):
        found = np.concatenate([getattr(part, side) for part in own])
        np.testing.assert_array_equal(np.sort(found), np.sort(getattr(graph, side)))


def test_a_vote_is_for_the_heaviest_label_then_ones_own_then_the_smallest() -> None:
    graph = Graph.of(7, [0, 0, 0, 5, 5], [1, 2, 3, 1, 2], [1, 1, 2, 1, 1], directed=False)
    block = Block.of(graph, 0, 7)
    labels = np.array([0, 4, 4, 3, 6, 3, 6], np.int32)
    assert block.votes(labels, members_of(labels)).tolist() == [3, 0, 0, 0, 6, 4, 6]  # 0: labels 4 and 3 both weigh 2
    labels[0] = 4
    assert block.votes(labels, members_of(labels))[0] == 4


def test_nodes_with_the_same_label_stay_and_bipartite_graphs_do_not_swap_for_ever() -> None:
    graph = Graph.of(8, [0, 0, 1, 1, 2, 2, 3, 3], [4, 5, 5, 6, 6, 7, 7, 4], directed=False)
    block = Block.of(graph, 0, 8)
    found = propagated(lambda labels: block.votes(labels, members_of(labels)), 8, 0)
    assert found.has_converged
    given_up = propagated(lambda labels: (labels + 1) % 8, 8, 0, max_rounds=5)
    assert (given_up.num_rounds, given_up.has_converged) == (5, False)


def test_planted_groups_are_found_by_label_propagation() -> None:
    graph, group = planted(8, 40, 0.5, 0.01)
    assert agreement(Whole(graph).label_propagation(), group).nmi >= 0.95


def test_cores_of_blocks_are_those_of_igraph(tmp_path: Path) -> None:
    for seed in range(10):
        graph = random_graph(seed, directed=False)
        other = igraph.Graph(graph.num_nodes, np.column_stack([graph.source, graph.target]).tolist())
        engine = in_blocks(in_files(graph, tmp_path / f"f{seed}", 2), tmp_path / f"b{seed}", 3, 2)
        assert engine.core_number().tolist() == other.coreness()


def test_a_clique_with_a_tail_falls_to_its_cores_over_many_rounds(tmp_path: Path) -> None:
    ends = [(a, b) for a in range(5) for b in range(a)] + [(node, node + 1) for node in range(4, 40)]
    graph = Graph.of(41, *zip(*ends, strict=True), directed=False)
    engine = in_blocks(in_files(graph, tmp_path / "f", 1), tmp_path / "b", 4, 1)
    assert engine.core_number().tolist() == [4] * 5 + [1] * 36
    assert core_number(graph).tolist() == [4] * 5 + [1] * 36


def test_roots_are_the_smallest_nodes_of_components() -> None:
    source, target = np.array([[3, 5, 8], [5, 4, 9]], np.int32)
    assert roots_of(10, source, target).tolist() == [0, 1, 2, 3, 3, 3, 6, 7, 8, 8]
    assert roots_of(0, source[:0], target[:0]).tolist() == []


def test_ties_of_several_files_are_one_edge_and_loops_are_none(tmp_path: Path) -> None:
    for name, ends in (("a", [(0, 1), (1, 0), (2, 2)]), ("b", [(0, 1), (3, 0)])):
        source, target = np.array(ends, np.int32).T
        write_edges(f"{tmp_path}/{name}.parquet", [(source, target, np.ones(len(ends)))])
    files = EdgeFiles(str(tmp_path), ("a", "b"), (3, 2), 5, True)
    engine = in_blocks(files, tmp_path / "blocks", 3, 1)
    found = engine.degrees()
    assert found.out_degree.tolist() == [1, 1, 0, 1, 0]
    assert found.out_strength.tolist() == [2, 1, 0, 1, 0]
    assert engine.reciprocity()["reciprocity_weighted"] == 2 / 4
    assert files.graph().weight.tolist() == [2, 1, 1]


@pytest.mark.parametrize(("max_edges", "kind"), [(78, Whole), (77, Partitioned)])
def test_the_engine_is_chosen_by_the_number_of_edges_and_leaves_nothing_behind(
    tmp_path: Path, max_edges: int, kind: type
) -> None:
    graph, _ = known_graph(nx.karate_club_graph())
    files = in_files(graph, tmp_path / "edges", 3)
    scratch, local = tmp_path / "scratch", Resources(executor="local")
    with engine_for(files, str(scratch), local, EngineSettings(max_edges, edges_per_block=20)) as engine:
        assert isinstance(engine, kind)
        assert engine.hits().hub[[0, 33]] == pytest.approx([0.0714127288082519, 0.0750029421565755], abs=1e-9)
        assert np.bincount(engine.core_number()).tolist() == [0, 1, 11, 12, 10]
    assert not list(scratch.rglob("*.parquet"))


def test_files_by_block_stay_for_a_rerun_where_something_fails(tmp_path: Path) -> None:
    graph, _ = known_graph(nx.karate_club_graph())
    files = in_files(graph, tmp_path / "edges", 2)
    settings, local = EngineSettings(0, edges_per_block=20), Resources(executor="local")

    def fail() -> None:
        with engine_for(files, str(tmp_path / "scratch"), local, settings) as engine:
            engine.degrees()
            raise RuntimeError("lost")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="lost"):
            fail()
        assert len(list((tmp_path / "scratch").rglob("*.parquet"))) == 2
