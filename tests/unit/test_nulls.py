"""Random graphs with the degrees of a given one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import networkx as nx
import numpy as np
import pytest
from scipy.stats import chisquare

from tests.graphs import of_networkx, small_graphs
from theta_ray.network.degrees import degrees
from theta_ray.network.graph import Graph
from theta_ray.network.nulls import Null, against_null, compared, null_replicate, rewired
from theta_ray.network.reciprocity import reciprocity

DRAWS = 300


def edges(graph: Graph) -> tuple[tuple[int, int], ...]:
    return tuple(zip(graph.source.tolist(), graph.target.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_degrees_stay_exactly_and_neither_loops_nor_double_edges_come_in(seed: int) -> None:
    for graph in small_graphs():
        found = rewired(graph, seed)
        assert found.num_edges == graph.num_edges  # Graph.of drops loops and sums equal edges
        for ours, theirs in zip(degrees(found)[:3], degrees(graph)[:3], strict=True):
            assert ours.tolist() == theirs.tolist()
        assert sorted(found.weight) == sorted(graph.weight)
        if graph.directed:
            assert degrees(found).out_strength.tolist() == degrees(graph).out_strength.tolist()


@pytest.mark.parametrize(
    ("directed", "ties", "num_graphs"),
    [
        (True, [(0, 1), (1, 2), (2, 0)], 2),  # a cycle: switches alone cannot turn it around
        (True, [(0, 1), (0, 2), (1, 2), (2, 3), (3, 0)], None),
        (True, [(0, 1), (2, 3)], None),
        (False, [(0, 1), (1, 2), (2, 3), (3, 4)], None),
        (False, [(0, 1), (2, 3)], 3),
        (False, [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)], 70),
    ],
)
def test_all_graphs_with_these_degrees_are_equally_likely(
    directed: bool, ties: list[tuple[int, int]], num_graphs: int | None
) -> None:
    num_nodes = max(map(max, ties)) + 1
    graph = Graph.of(num_nodes, *zip(*ties, strict=True), directed=directed)
    all_of_them = realisations(graph)
    if num_graphs:
        assert len(all_of_them) == num_graphs
    seen = Counter(edges(rewired(graph, [9, draw])) for draw in range(DRAWS))
    assert set(seen) <= set(all_of_them)
    assert chisquare([seen[one] for one in all_of_them]).pvalue > 1e-4


def realisations(graph: Graph) -> list[tuple[tuple[int, int], ...]]:
    """All graphs of these degrees without loops and multiple edges."""
    n = graph.num_nodes
    cells = [(a, b) for a in range(n) for b in range(n) if (a != b if graph.directed else a < b)]
    found: list[tuple[tuple[int, int], ...]] = []

    def extend(chosen: tuple[tuple[int, int], ...], rest: list[tuple[int, int]]) -> None:
        if len(chosen) == graph.num_edges:
            candidate = Graph.of(n, *zip(*chosen, strict=True), directed=graph.directed)
            if _same_degrees(candidate, graph):
                found.append(edges(candidate))
            return
        for place, cell in enumerate(rest[: len(rest) - (graph.num_edges - len(chosen)) + 1]):
            if _fits([*chosen, cell], graph):
                extend((*chosen, cell), rest[place + 1 :])

    extend((), cells)
    return found


def _fits(chosen: Iterable[tuple[int, int]], graph: Graph) -> bool:
    found = degrees(Graph.of(graph.num_nodes, *zip(*chosen, strict=True), directed=graph.directed))
    wanted = degrees(graph)
    return bool((found.in_degree <= wanted.in_degree).all() and (found.out_degree <= wanted.out_degree).all())


def _same_degrees(one: Graph, other: Graph) -> bool:
    return all((a == b).all() for a, b in zip(degrees(one)[:3], degrees(other)[:3], strict=True))


def test_a_replicate_is_the_same_wherever_it_is_made() -> None:
    graph = of_networkx(nx.gnp_random_graph(60, 0.1, seed=1, directed=True))
    backwards = [null_replicate(reciprocity, graph, replicate, seed=3) for replicate in reversed(range(10))][::-1]
    assert against_null(reciprocity, graph, backwards) == against_null(reciprocity, graph, 10, seed=3)
    assert edges(rewired(graph, [3, 0])) != edges(rewired(graph, [3, 1])) != edges(rewired(graph, [4, 1]))


def test_planted_reciprocity_is_far_from_its_null_and_that_of_a_random_graph_is_not() -> None:
    random = nx.gnp_random_graph(150, 0.05, seed=2, directed=True)
    planted = nx.DiGraph(random)
    planted.add_edges_from([(b, a) for a, b in list(random.edges)[::3]])
    found = against_null(reciprocity, of_networkx(planted), 60)["reciprocity"]
    assert found.z > 10
    assert found.p_value == pytest.approx(2 / 61)
    by_chance = against_null(reciprocity, of_networkx(random), 60)["reciprocity"]
    assert abs(by_chance.z) < 3
    assert by_chance.p_value > 0.05


def test_a_value_is_compared_with_both_sides() -> None:
    found = compared(3.0, [1.0, 2.0, 3.0, 4.0])
    assert found == Null(3.0, 2.5, pytest.approx(np.std([1, 2, 3, 4], ddof=1)), pytest.approx(0.3873, abs=1e-4), 1.0, 4)
    assert compared(0.0, [1.0] * 19).p_value == compared(9.0, [1.0] * 19).p_value == 0.1


def test_replicates_that_do_not_vary_give_no_z() -> None:
    found = compared(0.1 + 0.2, [0.3, 0.3, 0.3])
    assert np.isnan(found.z)
    assert (found.sd, found.p_value) == (0, 1)


def test_replicates_without_a_value_are_left_out() -> None:
    found = compared(1.0, [np.nan, 2.0, 4.0])
    assert (found.mean, found.num_replicates) == (3, 2)
    nothing = compared(np.nan, [np.nan])
    assert np.isnan([nothing.mean, nothing.sd, nothing.z, nothing.p_value]).all()
    assert np.isnan(compared(np.nan, [1.0, 2.0]).p_value)
