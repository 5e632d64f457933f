"""Communities: optima of known graphs, planted groups, and what five metrics say of partitions that are known."""

from __future__ import annotations

import igraph
import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from tests.unit.test_hits import known_graph, random_graph
from theta_ray.network import communities as communities_module
from theta_ray.network import community_quality as quality_module
from theta_ray.network.communities import (
    Algorithm,
    Search,
    communities,
    community_statistics,
    exactly_summed,
    leiden,
)
from theta_ray.network.community_quality import community_quality, split
from theta_ray.network.components import by_size
from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.labels_agreement import agreement


def plain(graph: Graph) -> Graph:
    """The graph with all weights 1."""
    return Graph(graph.num_nodes, graph.source, graph.target, np.ones(graph.num_edges), graph.directed)


def planted(num_groups: int, size: int, inside: float, outside: float) -> tuple[Graph, Nodes]:
    """Groups with more edges inside than between them, and the group of each node."""
    generator = np.random.default_rng(5)
    group = generator.permutation(np.repeat(np.arange(num_groups), size))
    chance = np.where(group[:, None] == group, inside, outside)
    source, target = np.nonzero(np.triu(generator.random(chance.shape) < chance, 1))
    return Graph.of(len(group), source, target, directed=False), group


@pytest.mark.parametrize(
    ("graph", "weighted", "best"),
    [
        (nx.karate_club_graph(), False, 0.41978961209730437),
        (nx.karate_club_graph(), True, 0.44490358126721763),
        (nx.les_miserables_graph(), True, 0.5666879833432482),
        (nx.les_miserables_graph(), False, 0.5600083700167401),
    ],
)
def test_the_best_seed_reaches_the_known_optimum(graph: nx.Graph, weighted: bool, best: float) -> None:
    ours, _ = known_graph(graph)
    found = communities(ours, search=Search(weighted=weighted))
    assert max(found.modularity) == pytest.approx(best, abs=1e-6)
    recounted = split(ours if weighted else plain(ours), found.label).modularity()
    assert recounted == pytest.approx(best, abs=1e-9)
    assert np.bincount(found.label).tolist() == sorted(np.bincount(found.label), reverse=True)


@pytest.mark.parametrize("algorithm", ["leiden", "louvain"])
def test_planted_groups_are_found(algorithm: Algorithm) -> None:
    graph, group = planted(8, 40, 0.3, 0.01)
    found = communities(graph, range(3), Search(algorithm))
    assert agreement(found.label, group).nmi >= 0.95
    assert found.nmi >= 0.95
    assert found.ari >= 0.95


@pytest.mark.parametrize("algorithm", ["leiden", "louvain"])
def test_the_same_seeds_give_the_same_partition_whatever_the_order_of_rows(algorithm: Algorithm) -> None:
    graph, _ = planted(6, 30, 0.15, 0.05)
    order = np.random.default_rng(0).permutation(graph.num_edges)
    shuffled = Graph.of(graph.num_nodes, graph.target[order], graph.source[order], directed=False)
    one, two, other = (
        communities(each, seeds, Search(algorithm))
        for each, seeds in ((graph, (1, 2, 3)), (shuffled, (1, 2, 3)), (graph, (4, 5, 6)))
    )
    np.testing.assert_array_equal(one.label, two.label)
    assert one.modularity == two.modularity
    assert one.modularity != other.modularity  # groups this weak are drawn by the search
    assert len(set(one.modularity)) > 1
    assert one.nmi < 0.9


def test_as_good_as_another_implementation_on_a_graph_without_clear_groups() -> None:
    graph, _ = planted(10, 100, 0.1, 0.02)
    other = igraph.Graph(graph.num_nodes, np.column_stack([graph.source, graph.target]).tolist())
    theirs = max(other.community_leiden("modularity", n_iterations=-1).modularity for _ in range(5))
    assert max(leiden(graph).modularity) >= theirs - 1e-3


def test_nodes_outside_the_largest_component_are_in_no_community_unless_all_are_searched() -> None:
    graph = Graph.of(9, [6, 7, 6, 0, 1, 2, 0], [7, 8, 8, 1, 2, 3, 3], directed=False)
    found = leiden(graph, range(2))
    assert (found.label[[4, 5, 6, 7, 8]] == -1).all()
    assert (found.label[:4] >= 0).all()
    everywhere = communities(graph, range(2), Search(within="all"))
    assert everywhere.label[6] == everywhere.label[7] == everywhere.label[8]
    assert everywhere.label[4] != everywhere.label[5]  # isolates: communities of one


def test_directions_are_dropped_with_both_weights_kept() -> None:
    graph = random_graph(3)
    one, two = leiden(graph, range(3)), leiden(graph.undirected(), range(3))
    np.testing.assert_array_equal(one.label, two.label)
    assert one.modularity == two.modularity


def test_communities_that_fall_apart_are_split() -> None:
    path = Graph.of(5, range(4), range(1, 5), directed=False)
    labels = communities_module.connected_parts(path, np.array([0, 0, 1, 0, 0], np.int32))
    assert by_size(labels).tolist() == [0, 0, 2, 1, 1]


def test_a_higher_resolution_finds_more_communities() -> None:
    graph, _ = known_graph(nx.les_miserables_graph())
    few, many = (leiden(graph, range(2), resolution) for resolution in (0.2, 4.0))
    assert few.label.max() < many.label.max()
    assert many.modularity[many.best] == pytest.approx(split(graph, many.label).modularity(4.0))


@pytest.mark.parametrize("num_nodes", [0, 3])
def test_without_edges_each_node_searched_is_alone_and_modularity_is_not_defined(num_nodes: int) -> None:
    found = communities(Graph.of(num_nodes, [], [], directed=False), range(2), Search(within="all"))
    assert found.label.tolist() == list(range(num_nodes))
    statistics = community_statistics(found)
    assert statistics.keys() == communities_module.DEFINITIONS.keys()
    assert np.isnan(statistics["best_modularity"])
    quality = community_quality(split(Graph.of(num_nodes, [], [], directed=False), found.label))
    assert quality["num_communities"] == num_nodes
    assert np.isnan([quality["modularity"], quality["coverage"], quality["conductance_mean"]]).all()


def test_one_seed_agrees_with_nobody_and_none_is_refused() -> None:
    graph, _ = known_graph(nx.karate_club_graph())
    assert np.isnan(leiden(graph, [1]).nmi)
    with pytest.raises(ValueError, match="a search for communities needs at least one"):
        leiden(graph, [])


def test_metrics_of_two_cliques_joined_by_an_edge_are_the_closed_forms() -> None:
    ends = [(a, b) for base in (0, 4) for a in range(base, base + 4) for b in range(a + 1, base + 4)] + [(3, 4)]
    parts = split(Graph.of(8, *zip(*ends, strict=True), directed=False), np.repeat([0, 1], 4).astype(np.int32))
    found = community_quality(parts)
    assert found.keys() == quality_module.DEFINITIONS.keys()
    assert parts.num_edges == 13
    assert found["modularity"] == pytest.approx(0.4230769230769231, abs=1e-12)
    assert found["num_between_edges"] == 1
    for name in ("mean", "median", "max", "weighted_mean"):
        assert found[f"conductance_{name}"] == pytest.approx(1 / 13, abs=1e-15)
        assert found[f"cut_ratio_{name}"] == pytest.approx(1 / 16, abs=1e-15)
    assert found["community_size_gini"] == 0


def test_metrics_of_the_karate_club_are_the_pinned_ones() -> None:
    club = nx.karate_club_graph()
    graph, names = known_graph(club)
    labels = np.array([club.nodes[name]["club"] != "Mr. Hi" for name in names], np.int32)
    unweighted, weighted = split(plain(graph), labels), split(graph, labels)
    assert unweighted.modularity() == pytest.approx(0.3582347140039448, abs=1e-12)
    assert weighted.modularity() == pytest.approx(0.39143756676224206, abs=1e-12)
    assert unweighted.volume.tolist() == [75, 81] or unweighted.volume.tolist() == [81, 75]
    np.testing.assert_allclose(unweighted.conductance, 0.14666666666666667, atol=1e-15)
    np.testing.assert_allclose(weighted.conductance, 0.1111111111111111, atol=1e-15)
    assert weighted.cut_weight.tolist() == [25, 25]
    found = community_quality(weighted)
    assert found["num_between_edges"] == 11
    assert found["coverage"] == pytest.approx(0.8589743589743589, abs=1e-15)
    assert found["between_weight_share"] == pytest.approx(25 / 231)
    cells = weighted.between.toarray()
    assert cells.real.tolist() == [[unweighted.inner_edges[0], 11], [0, unweighted.inner_edges[1]]]
    assert cells.imag.tolist() == [[weighted.inner_weight[0], 25], [0, weighted.inner_weight[1]]]


@pytest.mark.parametrize("directed", [False, True])
def test_metrics_of_fifty_random_graphs_are_those_of_networkx(directed: bool) -> None:
    for seed in range(50):
        graph = random_graph(seed, directed=directed)
        labels = np.random.default_rng(seed).integers(0, 4, graph.num_nodes).astype(np.int32)
        other = nx.DiGraph() if directed else nx.Graph()
        other.add_nodes_from(range(graph.num_nodes))
        other.add_weighted_edges_from(zip(graph.source, graph.target, graph.weight, strict=True))
        groups = [set(np.flatnonzero(labels == label).tolist()) for label in range(4)]
        parts = split(graph, labels)
        ours = parts.modularity_directed(1.3) if directed else parts.modularity(1.3)
        theirs = nx.community.modularity(other, [group for group in groups if group], resolution=1.3)
        assert ours == pytest.approx(theirs, abs=1e-12)
        coverage, _ = nx.community.partition_quality(other, [group for group in groups if group])
        assert community_quality(parts)["coverage"] == pytest.approx(coverage, abs=1e-12)
        undirected, whole = nx.Graph(), split(graph.undirected(), labels)
        undirected.add_nodes_from(range(graph.num_nodes))
        one_way = graph.undirected()
        undirected.add_weighted_edges_from(zip(one_way.source, one_way.target, one_way.weight, strict=True))
        for place in np.flatnonzero(~np.isnan(whole.conductance)):
            expected = nx.conductance(undirected, groups[place], weight="weight")
            assert whole.conductance[place] == pytest.approx(expected, abs=1e-12)
        np.testing.assert_allclose(parts.conductance, whole.conductance, atol=1e-12)
        nx.set_node_attributes(other, dict(enumerate(labels.tolist())), "label")
        present = {label: label for label in range(len(parts.size))}
        cells = parts.between.toarray()
        mixing = nx.attribute_mixing_matrix(other, "label", mapping=present, normalized=False)
        # theirs has an inner edge without direction both ways
        once = mixing if directed else np.triu(mixing) - np.diag(np.diag(mixing) / 2)
        np.testing.assert_array_equal(cells.real, once)
        np.testing.assert_allclose(np.diag(cells.imag), parts.inner_weight)
        assert cells.imag.sum() == pytest.approx(parts.weight)


@pytest.mark.parametrize("directed", [False, True])
def test_edges_between_more_communities_than_are_counted_are_those_of_the_largest(
    directed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_graph(3, directed=directed)
    labels = np.random.default_rng(3).integers(0, 4, graph.num_nodes).astype(np.int32)
    whole = split(graph, labels)
    monkeypatch.setattr(quality_module, "LARGEST", 2)
    cut = split(graph, labels)
    np.testing.assert_array_equal(cut.between.toarray(), whole.between.toarray()[:2, :2])
    assert community_quality(cut) == pytest.approx(community_quality(whole), nan_ok=True)


def test_all_in_one_community_has_no_modularity_and_no_conductance() -> None:
    graph, _ = known_graph(nx.karate_club_graph())
    found = community_quality(split(graph, np.zeros(34, np.int32)))
    assert found["modularity"] == pytest.approx(0, abs=1e-15)
    assert found["coverage"] == 1
    assert np.isnan(found["conductance_mean"])
    assert np.isnan(found["cut_ratio_max"])


def test_nodes_in_no_community_are_left_out_with_their_edges() -> None:
    graph = Graph.of(5, [0, 1, 2, 3], [1, 2, 3, 4], directed=True)
    parts = split(graph, np.array([0, 0, 1, -1, -1], np.int32))
    assert (parts.num_nodes, parts.num_edges) == (3, 2)
    assert parts.cut_edges.tolist() == [1, 1]
    assert community_quality(parts)["community_size_gini"] == pytest.approx(1 / 6)  # sizes 1 and 2
    assert parts.cut_ratio.tolist() == [1 / 4, 1 / 4]
    with pytest.raises(ValueError, match="2 labels: the graph has 5 nodes, give one label for each"):
        split(graph, np.zeros(2, np.int32))


def test_agreement_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for seed in range(30):
        count = int(generator.integers(1, 60))
        left, right = generator.integers(0, 1 + seed, (2, count))
        found = agreement(left, right)
        assert found.nmi == pytest.approx(normalized_mutual_info_score(left, right), abs=1e-9)
        assert found.ari == pytest.approx(adjusted_rand_score(left, right), abs=1e-9)
    assert agreement(left, left) == pytest.approx((1, 1))
    with pytest.raises(ValueError, match="no nodes"):
        agreement(left[:0], left[:0])


def test_weights_of_a_search_add_up_to_the_same_in_any_order() -> None:
    # else NetworKit's Leiden did not end on 100 people with weights such as 1/9 and 1/7
    weight = np.random.default_rng(0).choice([1 / n for n in range(1, 14)], 5_000)
    exact = exactly_summed(weight)
    assert np.abs(exact - weight).max() < 1e-11
    forth, back = sum(exact.tolist()), sum(exact[::-1].tolist())
    assert forth == back
    assert forth - sum(exact[:4_000].tolist()) == sum(exact[4_000:].tolist())
    assert sum(weight.tolist()) != sum(weight[::-1].tolist())
