"""Triangles, in blocks and by the kinds of their dyads."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import of_networkx
from theta_ray.network import triangles
from theta_ray.network.graph import Graph
from theta_ray.network.reciprocity import MUTUAL, dyads
from theta_ray.network.triads import triad_census
from theta_ray.network.triangles import count_triangles


@pytest.mark.parametrize(("at_once", "hubs"), [(1, 20), (7, 0), (2**18, 3), (2**18, 4096)])
def test_triangles_are_the_same_for_any_size_of_block_and_number_of_hubs(
    at_once: int, hubs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triangles, "WEDGES_AT_ONCE", at_once)
    monkeypatch.setattr(triangles, "HUBS", hubs)
    graph = nx.barabasi_albert_graph(200, 6, seed=1)
    found = count_triangles(dyads(of_networkx(graph)))
    assert found.at_node.tolist() == list(nx.triangles(graph).values())
    assert found.by_kinds[MUTUAL, MUTUAL, MUTUAL] == found.by_kinds.sum() == found.at_node.sum() // 3


@pytest.mark.parametrize("hubs", [0, 5, 60])
def test_a_triad_census_is_the_same_for_any_number_of_hubs(hubs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = nx.gnp_random_graph(60, 0.15, seed=2, directed=True)
    monkeypatch.setattr(triangles, "HUBS", hubs)
    expected = {f"triad_{kind}": number for kind, number in nx.triadic_census(graph).items()}
    assert triad_census(of_networkx(graph)) == expected


def test_a_triangle_is_counted_by_its_directions_whatever_the_order_of_its_nodes() -> None:
    cycle = Graph.of(3, [0, 1, 2], [1, 2, 0], directed=True)
    ordered = Graph.of(3, [0, 0, 1], [1, 2, 2], directed=True)
    kinds = [np.argwhere(count_triangles(dyads(graph)).by_kinds).tolist() for graph in (cycle, ordered)]
    assert kinds == [[[1, 2, 1]], [[1, 1, 1]]]


def test_a_star_has_hub_and_no_triangle() -> None:
    star = Graph.of(50_001, np.zeros(50_000, int), np.arange(1, 50_001), directed=True)
    assert count_triangles(dyads(star)).at_node.sum() == 0
