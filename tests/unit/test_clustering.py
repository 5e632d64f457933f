"""Clustering of known graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import of_networkx
from theta_ray.network.clustering import DEFINITIONS, clustering, local_clustering
from theta_ray.network.graph import Graph

KARATE = {"num_triangles": 45, "transitivity": 0.2556818181818182, "average_clustering": 0.5706384782076823}
MISERABLES = {"num_triangles": 467, "transitivity": 0.49893162393162394, "average_clustering": 0.5731367499320134}


@pytest.mark.parametrize(
    ("graph", "pinned"),
    [
        (nx.karate_club_graph(), KARATE),
        (nx.les_miserables_graph(), MISERABLES),
        (nx.florentine_families_graph(), {"transitivity": 0.19148936170212766}),
    ],
)
def test_clustering_of_known_graphs_is_the_pinned_one(graph: nx.Graph, pinned: dict[str, float]) -> None:
    found = clustering(of_networkx(graph))
    assert {name: found[name] for name in pinned} == pytest.approx(pinned, abs=1e-9)


def test_clustering_of_women_who_met_at_events_is_the_pinned_one() -> None:
    women = nx.davis_southern_women_graph()
    met = nx.bipartite.projected_graph(women, [node for node, side in women.nodes(data="bipartite") if side == 0])
    found = clustering(of_networkx(met))
    assert found["average_clustering"] == pytest.approx(0.9366868969810146, abs=1e-9)
    assert found["transitivity"] == pytest.approx(0.9283962726726875, abs=1e-9)


def test_directions_and_weights_are_left_out() -> None:
    both = Graph.of(3, [0, 1, 2, 1], [1, 0, 0, 2], [5.0, 1.0, 9.0, 2.0], directed=True)
    assert clustering(both)["num_triangles"] == 1
    assert clustering(both) == clustering(both.undirected())


def test_nodes_with_one_neighbour_count_as_zero_in_one_mean_and_not_in_the_other() -> None:
    graph = Graph.of(5, [0, 1, 0, 2], [1, 2, 2, 3], directed=False)  # a triangle, a tail, an isolate
    assert local_clustering(graph).tolist() == [1, 1, pytest.approx(1 / 3), 0, 0]
    found = clustering(graph)
    assert found["average_clustering"] == pytest.approx((2 + 1 / 3) / 5)
    assert found["average_clustering_two_neighbors"] == pytest.approx((2 + 1 / 3) / 3)


@pytest.mark.parametrize(("num_nodes", "ties"), [(0, []), (1, []), (4, []), (2, [0])])
def test_without_two_neighbours_there_is_no_transitivity(num_nodes: int, ties: list[int]) -> None:
    found = clustering(Graph.of(num_nodes, ties, [1] * len(ties), directed=False))
    assert found.keys() == DEFINITIONS.keys()
    assert found["num_triangles"] == 0
    assert np.isnan([found["transitivity"], found["average_clustering_two_neighbors"]]).all()
    assert np.isnan(found["average_clustering"]) == (num_nodes == 0)
