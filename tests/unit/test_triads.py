"""The triad census of what is known by hand; networkx and igraph are in tests/equivalence."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import comment_graph, to_networkx
from theta_ray.network.graph import Graph
from theta_ray.network.triads import CLASSES, DEFINITIONS, EXAMPLES, triad_census


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_example_of_a_class_is_one_triad_of_it(kind: str) -> None:
    source, target = np.array(EXAMPLES[kind], int).reshape(-1, 2).T
    census = triad_census(Graph.of(3, source, target, directed=True))
    assert census == {f"triad_{other}": float(other == kind) for other in EXAMPLES}


def test_every_graph_of_three_nodes_is_of_a_class() -> None:
    assert len(CLASSES) == 64


def test_every_three_nodes_are_of_one_class() -> None:
    census = triad_census(comment_graph())
    assert sum(census.values()) == 20
    assert census == {
        f"triad_{kind}": number for kind, number in nx.triadic_census(to_networkx(comment_graph())).items()
    }


def test_a_hub_of_many_followers_is_counted_without_looking_at_pairs_of_them() -> None:
    census = triad_census(Graph.of(100_001, np.arange(1, 100_001), np.zeros(100_000, int), directed=True))
    assert census["triad_021U"] == 100_000 * 99_999 / 2
    assert census["triad_003"] == 100_000 * 99_999 * 99_998 / 6
    assert sum(value > 0 for value in census.values()) == 2


@pytest.mark.parametrize("num_nodes", [0, 1, 2])
def test_fewer_than_three_nodes_are_no_triad(num_nodes: int) -> None:
    ties = [0] if num_nodes > 1 else []
    census = triad_census(Graph.of(num_nodes, ties, [1] * len(ties), directed=True))
    assert census == dict.fromkeys(DEFINITIONS, 0)


def test_an_undirected_graph_has_no_census() -> None:
    census = triad_census(Graph.of(3, [0], [1], directed=False))
    assert census.keys() == DEFINITIONS.keys()
    assert np.isnan(list(census.values())).all()
