"""Edges that are returned."""

from __future__ import annotations

import numpy as np
import pytest

from tests.graphs import comment_graph
from theta_ray.network.graph import Graph
from theta_ray.network.reciprocity import (
    BACKWARD,
    DEFINITIONS,
    FORWARD,
    MUTUAL,
    dyads,
    node_reciprocity,
    reciprocity,
)


def test_two_of_three_edges_are_returned_and_one_of_two_pairs() -> None:
    found = reciprocity(Graph.of(3, [0, 1, 0], [1, 0, 2], directed=True))
    assert found["reciprocity"] == pytest.approx(2 / 3, abs=1e-15)
    assert found["reciprocity_dyad"] == 0.5
    assert found["reciprocity_dyad"] == pytest.approx(found["reciprocity"] / (2 - found["reciprocity"]))
    assert (found["num_mutual_dyads"], found["num_asymmetric_dyads"]) == (1, 1)
    assert found["reciprocity_rho"] == pytest.approx((2 / 3 - 1 / 2) / (1 - 1 / 2))


def test_reciprocity_of_a_small_comment_graph_is_the_pinned_one() -> None:
    graph = comment_graph()
    found = reciprocity(graph)
    assert found["reciprocity"] == 0.5
    # 1 of 0's 2 comments on 1 comes back, and both of 4 and 5
    assert found["reciprocity_weighted"] == pytest.approx((1 + 1 + 1 + 1) / 9)
    np.testing.assert_allclose(node_reciprocity(graph), [0.5, 2 / 3, 0, 0, 2 / 3, 1], atol=1e-9)


def test_a_weight_is_returned_up_to_the_smaller_of_both() -> None:
    found = reciprocity(Graph.of(3, [0, 1, 1], [1, 0, 2], [10.0, 4.0, 6.0], directed=True))
    assert found["reciprocity_weighted"] == pytest.approx(2 * 4 / 20)


def test_a_pair_is_named_by_its_smaller_node_first() -> None:
    pairs = dyads(Graph.of(4, [0, 2, 3, 1], [1, 1, 1, 3], directed=True))
    assert list(zip(pairs.low.tolist(), pairs.high.tolist(), strict=True)) == [(0, 1), (1, 2), (1, 3)]
    assert pairs.kind.tolist() == [FORWARD, BACKWARD, MUTUAL]
    assert dyads(pairs.graph()).kind.tolist() == [MUTUAL] * 3


def test_a_complete_graph_returns_everything_and_no_more_than_it_must() -> None:
    source, target = np.nonzero(1 - np.eye(4))
    found = reciprocity(Graph.of(4, source, target, directed=True))
    assert (found["reciprocity"], found["reciprocity_dyad"], found["reciprocity_weighted"]) == (1, 1, 1)
    assert np.isnan(found["reciprocity_rho"])


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_without_edges_nothing_can_be_returned(num_nodes: int) -> None:
    found = reciprocity(Graph.of(num_nodes, [], [], directed=True))
    assert found.keys() == DEFINITIONS.keys()
    assert (found["num_mutual_dyads"], found["num_asymmetric_dyads"]) == (0, 0)
    assert np.isnan([found["reciprocity"], found["reciprocity_weighted"], found["reciprocity_rho"]]).all()
    assert np.isnan(node_reciprocity(Graph.of(num_nodes, [], [], directed=True))).all()


def test_an_undirected_graph_has_no_reciprocity() -> None:
    graph = Graph.of(2, [0], [1], directed=False)
    found = reciprocity(graph)
    assert found.keys() == DEFINITIONS.keys()
    assert np.isnan(list(found.values())).all()
    with pytest.raises(ValueError, match="the graph is undirected, give one with directions"):
        node_reciprocity(graph)
