"""Cores of known graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import of_networkx
from theta_ray.network.cores import DEFINITIONS, core_number, cores
from theta_ray.network.graph import Graph


def test_cores_of_known_graphs_are_the_pinned_ones() -> None:
    karate = core_number(of_networkx(nx.karate_club_graph()))
    assert np.bincount(karate).tolist() == [0, 1, 11, 12, 10]
    assert cores(of_networkx(nx.les_miserables_graph())) == {"max_core": 9, "max_core_size": 12}
    assert cores(of_networkx(nx.florentine_families_graph()))["max_core"] == 2


def test_a_chain_of_peels_is_followed_to_its_end() -> None:
    # a triangle with a tail: each node of the tail goes when the one after it has gone
    tail = np.arange(2, 40)
    graph = Graph.of(41, [0, 0, 1, *tail], [1, 2, 2, *tail + 1], directed=True)
    assert core_number(graph).tolist() == [2, 2, 2] + [1] * 38


def test_both_directions_of_a_pair_are_one_neighbour() -> None:
    assert core_number(Graph.of(3, [0, 1, 2], [1, 0, 1], directed=True)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("num_nodes", [0, 2])
def test_without_edges_all_are_in_the_core_of_zero(num_nodes: int) -> None:
    found = cores(Graph.of(num_nodes, [], [], directed=False))
    assert found.keys() == DEFINITIONS.keys()
    if num_nodes:
        assert found == {"max_core": 0, "max_core_size": 2}
    else:
        assert np.isnan(list(found.values())).all()
