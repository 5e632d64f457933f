"""Connected components."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graphs import comment_graph
from theta_ray.network.components import DEFINITIONS, components, strong_components, weak_components
from theta_ray.network.graph import Graph


def test_components_of_a_small_comment_graph_are_the_pinned_ones() -> None:
    graph = comment_graph()
    assert weak_components(graph).tolist() == [0] * 6
    assert np.bincount(strong_components(graph)).tolist() == [2, 2, 1, 1]
    assert components(graph) == {
        "num_weak_components": 1,
        "largest_weak_component": 6,
        "largest_weak_share": 1.0,
        "num_strong_components": 4,
        "largest_strong_component": 2,
        "largest_strong_share": pytest.approx(1 / 3),
    }


def test_components_are_numbered_by_size_and_then_by_their_smallest_node() -> None:
    graph = Graph.of(8, [6, 4, 1, 5], [7, 5, 2, 3], directed=True)
    assert weak_components(graph).tolist() == [3, 1, 1, 0, 0, 0, 2, 2]
    assert strong_components(graph).tolist() == list(range(8))


def test_a_graph_without_directions_has_weak_components_only() -> None:
    found = components(Graph.of(4, [0], [1], directed=False))
    assert found["num_weak_components"] == 3
    assert np.isnan([found[name] for name in DEFINITIONS if "strong" in name]).all()


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_without_edges_every_node_is_a_component(num_nodes: int) -> None:
    found = components(Graph.of(num_nodes, [], [], directed=True))
    assert found.keys() == DEFINITIONS.keys()
    assert found["num_weak_components"] == found["num_strong_components"] == num_nodes
    assert np.isnan(found["largest_weak_share"]) == (num_nodes == 0)
