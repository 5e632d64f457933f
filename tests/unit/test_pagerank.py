"""PageRank: pinned values of known graphs, networkx, and graphs with nothing to follow."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.unit.test_hits import comment_graph, known_graph, random_graph
from theta_ray.network.graph import Graph
from theta_ray.network.pagerank import DEFINITIONS, pagerank, pagerank_statistics


def test_scores_of_a_small_comment_graph_are_the_pinned_ones() -> None:
    expected = [0.4012667266, 0.3897802401, 0.025, 0.0557729941, 0.0724070450, 0.0557729941]
    np.testing.assert_allclose(pagerank(comment_graph()).score, expected, atol=1e-9)


def test_scores_of_the_karate_club_are_the_pinned_ones() -> None:
    graph, _ = known_graph(nx.karate_club_graph())
    plain, weighted = (pagerank(graph, weights=weights).score for weights in ("binary", "raw"))
    expected = [0.09699728538837, 0.10091918233255, 0.05707850948846, 0.00956474549214]
    np.testing.assert_allclose(plain[[0, 33, 2, 11]], expected, atol=1e-9)
    np.testing.assert_allclose(weighted[[0, 33]], [0.0885003154281, 0.0969893628343], atol=1e-9)


def test_scores_of_les_miserables_are_the_pinned_ones() -> None:
    graph, names = known_graph(nx.les_miserables_graph())
    place = names.index("Valjean")
    assert pagerank(graph).score[place] == pytest.approx(0.0754301216329, abs=1e-9)
    assert pagerank(graph, weights="raw").score[place] == pytest.approx(0.0995581082541, abs=1e-9)


@pytest.mark.parametrize("damping", [0.0, 0.5, 0.85, 0.99])
def test_scores_of_fifty_random_graphs_are_those_of_networkx(damping: float) -> None:
    num_dangling = 0
    for seed in range(50):
        graph = random_graph(seed, directed=seed % 3 > 0)
        other = nx.DiGraph() if graph.directed else nx.Graph()
        other.add_nodes_from(range(graph.num_nodes))
        other.add_weighted_edges_from(zip(graph.source, graph.target, graph.weight, strict=True))
        expected = nx.pagerank(other, damping, tol=1e-13, max_iter=10_000)
        found = pagerank(graph, damping, "raw")
        np.testing.assert_allclose(found.score, [expected[node] for node in range(graph.num_nodes)], atol=1e-9)
        assert found.score.sum() == pytest.approx(1, abs=1e-9)
        num_dangling += found.dangling_share > 0
    assert num_dangling > 10


def test_the_limit_is_nearer_than_the_tolerance() -> None:
    for seed in range(20):
        graph = random_graph(seed)
        exact = pagerank(graph, tolerance=1e-14).score
        assert np.abs(pagerank(graph, tolerance=1e-4).score - exact).sum() <= 1e-4


def test_without_edges_all_are_alike() -> None:
    found = pagerank(Graph.of(4, [], [], directed=True))
    assert found.score.tolist() == [0.25] * 4
    assert found.dangling_share == 1
    nobody = pagerank(Graph.of(0, [], [], directed=True))
    assert len(nobody.score) == 0
    assert np.isnan(pagerank_statistics(nobody)["pagerank_effective_nodes"])


def test_statistics_are_the_defined_ones() -> None:
    star = Graph.of(5, [1, 2, 3, 4], [0] * 4, directed=True)
    found = pagerank_statistics(pagerank(star))
    assert found.keys() == DEFINITIONS.keys()
    centre = (1 + 4 * 0.85) / (5 + 4 * 0.85)  # solved by hand: x0 = x1 (1 + 4 d)
    assert found["pagerank_dangling_share"] == pytest.approx(centre, abs=1e-9)
    assert found["pagerank_effective_nodes"] == pytest.approx(1 / (centre**2 + (1 - centre) ** 2 / 4), abs=1e-8)


@pytest.mark.parametrize("damping", [-0.1, 1.0])
def test_a_damping_without_a_limit_is_refused(damping: float) -> None:
    with pytest.raises(ValueError, match=f"damping {damping}: it must be at least 0 and below 1"):
        pagerank(comment_graph(), damping)
