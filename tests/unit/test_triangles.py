"""Triangles, in blocks and by the kinds of their dyads."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import of_networkx
from theta_ray.network import triangles
from theta_ray.network.graph import Graph
from theta_ray.network.reciprocity import MUTUAL, Dyads, dyads
from theta_ray.network.triangles import PairPlaces, count_triangles


@pytest.mark.parametrize("at_once", [1, 7, 2**19])
def test_triangles_are_the_same_for_any_size_of_block(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triangles, "WEDGES_AT_ONCE", at_once)
    graph = nx.barabasi_albert_graph(200, 6, seed=1)
    found = count_triangles(dyads(of_networkx(graph)))
    assert found.at_node.tolist() == list(nx.triangles(graph).values())
    assert found.by_kinds[MUTUAL, MUTUAL, MUTUAL] == found.by_kinds.sum() == found.at_node.sum() // 3


def test_a_triangle_is_counted_by_its_directions_whatever_the_order_of_its_nodes() -> None:
    cycle = Graph.of(3, [0, 1, 2], [1, 2, 0], directed=True)
    ordered = Graph.of(3, [0, 0, 1], [1, 2, 2], directed=True)
    kinds = [np.argwhere(count_triangles(dyads(graph)).by_kinds).tolist() for graph in (cycle, ordered)]
    assert kinds == [[[1, 2, 1]], [[1, 1, 1]]]


def test_a_star_has_hub_and_no_triangle() -> None:
    star = Graph.of(50_001, np.zeros(50_000, int), np.arange(1, 50_001), directed=True)
    assert count_triangles(dyads(star)).at_node.sum() == 0


def test_pairs_are_found_where_they_are_and_others_are_not() -> None:
    generator = np.random.default_rng(0)
    keys = np.unique(generator.integers(0, 2000**2, 20_000))
    low, high = (keys // 2000).astype(np.int32), (keys % 2000).astype(np.int32)
    places = PairPlaces(Dyads(2000, low, high, np.full(len(keys), MUTUAL, np.int8)))
    assert len(places.tables) > 2
    which, place = places.find(np.arange(2000**2))
    assert which.tolist() == keys.tolist()
    assert place.tolist() == list(range(len(keys)))
