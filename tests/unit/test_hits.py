"""Hubs and authorities: pinned values of known graphs, singular vectors, and what labels may not change."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from theta_ray.network import hits as hits_module
from theta_ray.network.graph import Graph
from theta_ray.network.hits import (
    DEFINITIONS,
    WEIGHTS,
    EdgeWeights,
    Hits,
    adjacency,
    effective_number,
    hits,
    hits_statistics,
)

COMMENTS = [(0, 1), (0, 1), (1, 0), (2, 0), (3, 0), (3, 1), (4, 3), (5, 4), (4, 5), (2, 2)]


def comment_graph() -> Graph:
    """Six authors, one of whom comments on nobody but himself and the first."""
    source, target = zip(*COMMENTS, strict=True)
    return Graph.of(6, source, target, directed=True)


def known_graph(graph: nx.Graph) -> tuple[Graph, list[str]]:
    """A graph of networkx, and the names of its nodes."""
    names = list(graph)
    number = {name: place for place, name in enumerate(names)}
    ends = [(number[a], number[b], data.get("weight", 1)) for a, b, data in graph.edges(data=True)]
    source, target, weight = zip(*ends, strict=True)
    return Graph.of(len(names), source, target, weight, directed=graph.is_directed()), names


def random_graph(seed: int, *, directed: bool = True) -> Graph:
    generator = np.random.default_rng(seed)
    num_nodes = int(generator.integers(2, 40))
    ties = generator.integers(0, num_nodes, (2, int(generator.integers(1, 4 * num_nodes))))
    ties[:, 0] = 0, 1  # one edge at least
    return Graph.of(num_nodes, *ties, generator.integers(1, 9, ties.shape[1]), directed=directed)


def test_weighted_scores_of_a_small_comment_graph_are_the_pinned_ones() -> None:
    found = hits(comment_graph(), "raw")
    hub = [1 / (1.5 * 2**0.5), 0.09763107293781749, 0.09763107293781749, 1 / 3, 0, 0]
    np.testing.assert_allclose(found.hub, hub, atol=1e-9)
    np.testing.assert_allclose(found.authority, [1 - 0.5**0.5, 0.5**0.5, 0, 0, 0, 0], atol=1e-9)
    assert (found.hub[4:] == 0).all()
    assert (found.authority[2:] == 0).all()


def test_scores_of_the_southern_women_are_the_pinned_ones() -> None:
    graph, names = known_graph(nx.davis_southern_women_graph())
    source = np.minimum(graph.source, graph.target)  # women come first
    found = hits(Graph.of(graph.num_nodes, source, np.maximum(graph.source, graph.target), directed=True))
    assert found.singular_value == pytest.approx(6.741908124910309, abs=1e-9)
    hubs = [found.hub[names.index(name)] for name in ("Evelyn Jefferson", "Theresa Anderson", "Flora Price")]
    assert hubs == pytest.approx([0.08395782217808626, 0.09294458323196851, 0.017449666006566236], abs=1e-9)
    events = [found.authority[names.index(name)] for name in ("E8", "E1")]
    assert events == pytest.approx([0.15219438596650972, 0.04264025150328619], abs=1e-9)


def test_scores_of_undirected_graphs_are_eigenvectors_with_the_pinned_values() -> None:
    karate, names = known_graph(nx.karate_club_graph())
    found = hits(karate)
    assert found.singular_value == pytest.approx(6.7256977276317365, abs=1e-9)
    assert found.hub[[0, 33]] == pytest.approx([0.0714127288082519, 0.0750029421565755], abs=1e-9)
    np.testing.assert_allclose(found.hub, found.authority, atol=1e-9)
    novel, names = known_graph(nx.les_miserables_graph())
    assert hits(novel, "raw").hub[names.index("Valjean")] == pytest.approx(0.101389261607001, abs=1e-9)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_scores_of_fifty_random_graphs_are_the_leading_singular_vectors(weights: EdgeWeights) -> None:
    for seed in range(50):
        graph = random_graph(seed, directed=seed % 2 == 0)
        found = hits(graph, weights)
        matrix = adjacency(graph, weights).toarray()
        left, values, right = np.linalg.svd(matrix)
        # the space of the largest singular value, and what the uniform vector has in it
        space = right[np.isclose(values, values[0], rtol=1e-9, atol=0)]
        authority = space.T @ (space @ (matrix.T @ np.ones(graph.num_nodes)))
        hub = matrix @ authority
        assert found.has_converged
        np.testing.assert_allclose(found.authority, authority / authority.sum(), atol=1e-9)
        np.testing.assert_allclose(found.hub, hub / hub.sum(), atol=1e-9)
        assert found.singular_value == pytest.approx(values[0], rel=1e-12)


def test_scores_are_those_of_networkx_where_it_converges() -> None:
    for seed in range(50):
        graph = random_graph(seed)
        values = np.linalg.svd(adjacency(graph, "raw").toarray(), compute_uv=False)
        if values[1] > 0.999 * values[0]:
            continue  # its answer depends on a random start
        other = nx.DiGraph()
        other.add_nodes_from(range(graph.num_nodes))
        other.add_weighted_edges_from(zip(graph.source, graph.target, graph.weight, strict=True))
        hubs, authorities = nx.hits(other, tol=1e-14)
        found = hits(graph, "raw")
        np.testing.assert_allclose(found.hub, [hubs[node] for node in range(graph.num_nodes)], atol=1e-9)
        np.testing.assert_allclose(found.authority, [authorities[node] for node in range(graph.num_nodes)], atol=1e-9)


def test_power_iteration_from_the_uniform_vector_comes_to_the_same_scores() -> None:
    graph = random_graph(7)
    matrix, hub = adjacency(graph, "binary").toarray(), np.ones(graph.num_nodes)
    for _ in range(3000):
        hub = matrix @ (matrix.T @ hub)
        hub /= hub.sum()
    np.testing.assert_allclose(hits(graph).hub, hub, atol=1e-9)


def test_a_star_of_commenters_has_one_authority_and_equal_hubs() -> None:
    found = hits(Graph.of(6, [1, 2, 3, 4, 5], [0] * 5, directed=True))
    np.testing.assert_allclose(found.authority, [1, 0, 0, 0, 0, 0], atol=1e-15)
    np.testing.assert_allclose(found.hub, [0, 0.2, 0.2, 0.2, 0.2, 0.2], atol=1e-15)


def test_of_equal_leading_singular_values_all_have_their_part() -> None:
    two_stars = Graph.of(8, [1, 2, 3, 5, 6, 7], [0, 0, 0, 4, 4, 4], directed=True)
    np.testing.assert_allclose(hits(two_stars).authority, [0.5, 0, 0, 0, 0.5, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("num_nodes", [0, 1, 5])
def test_a_graph_without_edges_has_zeros_and_statistics_that_are_not_defined(num_nodes: int) -> None:
    graph = Graph.of(num_nodes, [], [], directed=True)
    found = hits(graph)
    assert found.hub.tolist() == found.authority.tolist() == [0.0] * num_nodes
    statistics = hits_statistics(graph, {"binary": found})
    assert statistics["hits_binary_singular_value"] == 0
    names = ("overlap_at_20", "jaccard_at_100", "spearman", "effective_hubs", "effective_authorities")
    assert np.isnan([statistics[f"hits_binary_{name}"] for name in names]).all()
    assert np.isnan([statistics[name] for name in ("share_only_out", "share_only_in", "share_in_and_out")]).all()


def test_the_tolerance_is_kept_where_the_iteration_is_slow() -> None:
    # a long path: neighbouring singular values are within 0.1 %
    graph = Graph.of(60, range(59), range(1, 60), directed=False)
    found = hits(graph)
    exact = np.sin(np.pi * np.arange(1, 61) / 61)  # and its mirror image, whose eigenvalue is the negative
    assert found.has_converged
    np.testing.assert_allclose(found.hub, exact / exact.sum(), atol=1e-9)


def test_giving_up_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hits_module, "MAX_STEPS", 4)
    monkeypatch.setattr(hits_module, "NUM_KEPT", 4)
    assert not hits(Graph.of(60, range(59), range(1, 60), directed=False)).has_converged


def test_raw_weights_collapse_on_the_pair_with_the_most_comments() -> None:
    generator = np.random.default_rng(1)
    source, target = generator.integers(0, 200, (2, 3000))
    graph = Graph.of(200, [*source, 0], [*target, 1], [1.0] * 3000 + [800.0], directed=True)
    statistics = hits_statistics(graph, {weights: hits(graph, weights) for weights in WEIGHTS})
    assert statistics["hits_raw_effective_hubs"] < 2 < 100 < statistics["hits_binary_effective_hubs"]
    assert statistics.keys() == DEFINITIONS.keys()


def test_statistics_count_ties_of_the_last_place_and_no_zeros() -> None:
    hub = np.zeros(40)
    hub[:22] = 1 / 22  # all tie for the twentieth place
    authority = np.zeros(40)
    authority[20:30] = 0.1
    graph = Graph.of(40, range(39), range(1, 40), directed=True)
    found = hits_statistics(graph, {"binary": Hits(hub, authority, 1.0, 1, True)})
    assert found["hits_binary_overlap_at_20"] == 2 / 10
    assert found["hits_binary_jaccard_at_20"] == 2 / 30
    assert found["hits_binary_effective_hubs"] == pytest.approx(22)
    assert effective_number(authority) == pytest.approx(10)
    assert [found[name] for name in ("share_only_out", "share_only_in", "share_in_and_out")] == [
        1 / 40,
        1 / 40,
        38 / 40,
    ]


def test_relabelling_changes_no_statistic() -> None:
    for seed in range(20):
        graph = random_graph(seed)
        label = np.random.default_rng(seed).permutation(graph.num_nodes)
        other = Graph.of(graph.num_nodes, label[graph.source], label[graph.target], graph.weight, directed=True)
        one, two = (hits_statistics(each, {w: hits(each, w) for w in WEIGHTS}) for each in (graph, other))
        steps = {f"hits_{weights}_steps" for weights in WEIGHTS}
        for name in one.keys() - steps:
            assert one[name] == pytest.approx(two[name], abs=1e-9, nan_ok=True), name
