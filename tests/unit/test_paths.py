"""Distances, exact and from drawn nodes."""

from __future__ import annotations

import inspect

import networkx as nx
import numpy as np
import pytest

from tests.graphs import of_networkx
from theta_ray.network import paths as paths_module
from theta_ray.network.graph import Graph
from theta_ray.network.paths import DEFINITIONS, paths


def test_a_weight_never_reaches_a_distance() -> None:
    source, target = [0, 1, 0], [1, 2, 2]
    heavy = paths(Graph.of(3, source, target, [1.0, 1.0, 1000.0], directed=False))
    assert heavy.statistics() == paths(Graph.of(3, source, target, directed=False)).statistics()
    assert heavy.statistics()["diameter"] == 1
    assert not any("weight" in name for name in inspect.signature(paths).parameters)


def test_distances_along_a_line_are_known() -> None:
    line = Graph.of(100, np.arange(99), np.arange(1, 100), directed=True)
    found = paths(line)
    assert found.is_exact
    assert found.statistics() == {
        "average_shortest_path_length": pytest.approx(101 / 3),
        "diameter": 99,
        "num_path_sources": 100,
    }
    assert found.intervals()["diameter"] == (99, 99)


def test_only_the_largest_component_is_measured() -> None:
    graph = Graph.of(9, [0, 1, 4, 5, 6], [1, 2, 5, 6, 7], directed=False)
    found = paths(graph)
    assert (found.num_nodes, found.statistics()["diameter"]) == (4, 3)


def test_drawn_sources_estimate_what_all_of_them_say() -> None:
    graph = of_networkx(nx.barabasi_albert_graph(1500, 2, seed=3))
    exact = paths(graph, num_sources=1500).statistics()
    inside = 0
    for seed in range(20):
        drawn = paths(graph, num_sources=100, seed=seed)
        assert not drawn.is_exact
        low, high = drawn.intervals()["average_shortest_path_length"]
        inside += low <= exact["average_shortest_path_length"] <= high
        least, most = drawn.intervals()["diameter"]
        assert least == drawn.statistics()["diameter"] <= exact["diameter"] <= most
    assert inside >= 16  # of 20 intervals at 95 %: fewer have a chance of 0.3 %


def test_the_ends_of_a_long_path_are_looked_for_from_the_node_farthest_away() -> None:
    # a dense middle with two long tails: hardly any drawn node is at their ends
    middle = nx.complete_graph(300)
    for tail, at in enumerate((0, 1)):
        nx.add_path(middle, [at, *(1000 * (tail + 1) + step for step in range(12))])
    found = paths(of_networkx(middle), num_sources=8)
    assert found.statistics()["diameter"] == 12 + 12 + 1


def test_more_sources_than_bits_of_a_word_are_searched_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = of_networkx(nx.karate_club_graph())
    whole = paths(graph)
    monkeypatch.setattr(paths_module, "AT_ONCE", 5)
    assert (paths(graph).counts == whole.counts).all()


def test_the_same_seed_draws_the_same_nodes() -> None:
    graph = of_networkx(nx.barabasi_albert_graph(500, 2, seed=3))
    first, again, other = (paths(graph, num_sources=20, seed=seed).counts for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_without_edges_nothing_is_apart(num_nodes: int) -> None:
    found = paths(Graph.of(num_nodes, [], [], directed=True))
    assert found.statistics().keys() == DEFINITIONS.keys()
    assert np.isnan([found.statistics()["average_shortest_path_length"], found.statistics()["diameter"]]).all()
    assert np.isnan(list(found.intervals().values())).all()


def test_one_drawn_source_has_no_interval() -> None:
    found = paths(of_networkx(nx.karate_club_graph()), num_sources=1)
    assert np.isnan(found.intervals()["average_shortest_path_length"]).all()
