"""Size of a graph, and degrees and strengths of its nodes."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import comment_graph, of_networkx
from theta_ray.network.degrees import DEFINITIONS, degrees, size
from theta_ray.network.graph import Graph


def test_repeated_comments_are_weight_and_comments_on_oneself_are_nothing() -> None:
    found = size(comment_graph())
    assert (found["num_edges"], found["total_weight"], found["density"]) == (8, 9, 8 / 30)
    nodes = degrees(comment_graph())
    assert nodes.in_degree.tolist() == [3, 2, 0, 1, 1, 1]
    assert nodes.out_degree.tolist() == [1, 1, 1, 2, 2, 1]
    assert nodes.out_strength.tolist() == [2, 1, 1, 2, 2, 1]
    assert nodes.strength.tolist() == [5, 4, 1, 3, 3, 2]


def test_degrees_of_known_graphs_are_the_pinned_ones() -> None:
    karate = size(of_networkx(nx.karate_club_graph(), "weight"))
    assert (karate["num_nodes"], karate["num_edges"], karate["total_weight"]) == (34, 78, 231)
    miserables = nx.les_miserables_graph()
    nodes = degrees(of_networkx(miserables, "weight"))
    valjean = list(miserables).index("Valjean")
    assert (nodes.degree[valjean], nodes.strength[valjean]) == (36, 158)


def test_isolates_are_nodes() -> None:
    found = size(Graph.of(5, [0], [1], directed=True))
    assert found["num_isolates"] == 3
    assert found["mean_degree"] == 0.4
    assert (found["share_without_in"], found["share_without_out"]) == (0.8, 0.8)


def test_an_undirected_graph_has_no_directions() -> None:
    graph = Graph.of(3, [0, 1], [1, 2], [2.0, 3.0], directed=False)
    nodes = degrees(graph)
    assert nodes.degree.tolist() == nodes.in_degree.tolist() == nodes.out_degree.tolist() == [1, 2, 1]
    assert nodes.strength.tolist() == nodes.in_strength.tolist() == [2, 5, 3]
    found = size(graph)
    assert found["density"] == pytest.approx(2 / 3)
    assert np.isnan([found["max_in_degree"], found["median_out_degree"], found["share_without_in"]]).all()


@pytest.mark.parametrize("num_nodes", [0, 1, 4])
def test_without_edges_what_has_no_value_is_nan_and_every_name_is_there(num_nodes: int) -> None:
    found = size(Graph.of(num_nodes, [], [], directed=True))
    assert found.keys() == DEFINITIONS.keys()
    assert found["num_isolates"] == num_nodes
    assert np.isnan(found["density"]) == (num_nodes < 2)
    assert np.isnan(found["mean_degree"]) == (num_nodes == 0)
