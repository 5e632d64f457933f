"""Assortativity of known graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import comment_graph, of_networkx
from theta_ray.network.assortativity import (
    DEFINITIONS,
    attribute_assortativity,
    degree_assortativity,
    numeric_assortativity,
)
from theta_ray.network.graph import Graph


@pytest.mark.parametrize(
    ("graph", "pinned"),
    [
        (nx.karate_club_graph(), -0.47561309768461413),
        (nx.les_miserables_graph(), -0.165225134422),
        (nx.florentine_families_graph(), -0.37483787289),
    ],
)
def test_degree_assortativity_of_known_graphs_is_the_pinned_one(graph: nx.Graph, pinned: float) -> None:
    found = degree_assortativity(of_networkx(graph))
    assert found["degree_assortativity"] == pytest.approx(pinned, abs=1e-9)
    assert found.keys() == DEFINITIONS.keys()
    assert np.isnan(list(found.values())[1:]).all()


def test_the_clubs_of_the_karate_club_are_assortative_as_pinned() -> None:
    karate = nx.karate_club_graph()
    clubs = [karate.nodes[node]["club"] for node in karate]
    assert attribute_assortativity(of_networkx(karate), clubs) == pytest.approx(0.717530864197531, abs=1e-9)


def test_assortativity_with_directions_is_the_correlation_over_edges() -> None:
    found = degree_assortativity(comment_graph())
    outs, ins = np.array([1, 1, 1, 2, 2, 1]), np.array([3, 2, 0, 1, 1, 1])
    source, target = comment_graph().source, comment_graph().target
    for name, x, y in (("out_in", outs, ins), ("in_in", ins, ins), ("in_out", ins, outs), ("out_out", outs, outs)):
        expected = np.corrcoef(x[source], y[target])[0, 1]
        assert found[f"degree_assortativity_{name}"] == pytest.approx(expected, abs=1e-12)


def test_ties_within_labels_alone_are_one_and_ties_between_two_labels_minus_one() -> None:
    within = Graph.of(4, [0, 2], [1, 3], directed=False)
    assert attribute_assortativity(within, ["a", "a", "b", "b"]) == 1
    assert attribute_assortativity(within, ["a", "b", "b", "a"]) == -1
    assert numeric_assortativity(within, [1, 1, 5, 5]) == pytest.approx(1)


def test_what_does_not_vary_has_no_assortativity() -> None:
    ring = Graph.of(4, [0, 1, 2, 3], [1, 2, 3, 0], directed=True)
    assert np.isnan(list(degree_assortativity(ring).values())).all()
    assert np.isnan(attribute_assortativity(ring, ["a"] * 4))
    nothing = Graph.of(2, [], [], directed=True)
    assert np.isnan([*degree_assortativity(nothing).values(), attribute_assortativity(nothing, ["a", "b"])]).all()
