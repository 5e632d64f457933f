"""Statistics of graphs equal networkx's to 1e-9 on fifty small graphs, and igraph's where networkx has none."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import numpy as np
import pytest

from tests.graphs import small_graphs, to_igraph, to_networkx
from theta_ray.network.assortativity import attribute_assortativity, degree_assortativity, numeric_assortativity
from theta_ray.network.clustering import clustering, local_clustering
from theta_ray.network.components import components, strong_components, weak_components
from theta_ray.network.cores import core_number, cores
from theta_ray.network.degrees import degrees, size
from theta_ray.network.graph import Graph
from theta_ray.network.paths import paths
from theta_ray.network.reciprocity import dyads, node_reciprocity, reciprocity
from theta_ray.network.triads import triad_census
from theta_ray.network.triangles import count_triangles

GRAPHS = small_graphs()
DIRECTED = [graph for graph in GRAPHS if graph.directed]
UNDIRECTED = [graph for graph in GRAPHS if not graph.directed]


def name(graph: Graph) -> str:
    return f"{'directed' if graph.directed else 'undirected'}-{graph.num_nodes}-{graph.num_edges}"


def close(value: Any) -> Any:
    return pytest.approx(value, abs=1e-9, nan_ok=True)


every = pytest.mark.parametrize("graph", GRAPHS, ids=name)
directed = pytest.mark.parametrize("graph", DIRECTED, ids=name)
undirected = pytest.mark.parametrize("graph", UNDIRECTED, ids=name)


def test_the_small_graphs_are_fifty_and_of_all_kinds() -> None:
    assert len(GRAPHS) == 50
    assert {0, 1, 2} < {graph.num_nodes for graph in GRAPHS}
    assert {0, 1} < {graph.num_edges for graph in GRAPHS}
    assert sum(components(graph)["num_weak_components"] > 1 for graph in GRAPHS) > 10
    assert sum(graph.weight.max(initial=1) > 1 for graph in GRAPHS) > 20


@every
def test_degrees_strengths_and_density_equal_networkx(graph: Graph) -> None:
    theirs, ours = to_networkx(graph), degrees(graph)
    nodes = range(graph.num_nodes)
    assert ours.degree.tolist() == [theirs.degree(node) for node in nodes]
    assert ours.strength == close([theirs.degree(node, weight="weight") for node in nodes])
    if graph.directed:
        assert ours.in_degree.tolist() == [theirs.in_degree(node) for node in nodes]
        assert ours.out_strength == close([theirs.out_degree(node, weight="weight") for node in nodes])
    found = size(graph)
    assert (found["num_edges"], found["num_isolates"]) == (theirs.number_of_edges(), nx.number_of_isolates(theirs))
    assert found["total_weight"] == close(theirs.size(weight="weight"))
    if graph.num_nodes > 1:
        assert found["density"] == close(nx.density(theirs))


@directed
def test_reciprocity_and_dyads_equal_networkx_and_igraph(graph: Graph) -> None:
    theirs, ours = to_networkx(graph), reciprocity(graph)
    if graph.num_edges:
        assert ours["reciprocity"] == close(nx.overall_reciprocity(theirs))
        assert ours["reciprocity_dyad"] == close(to_igraph(graph).reciprocity(mode="ratio"))
        of_nodes = nx.reciprocity(theirs, range(graph.num_nodes)).values()
        assert node_reciprocity(graph) == close([np.nan if value is None else value for value in of_nodes])
    mutual, asymmetric, _ = to_igraph(graph).dyad_census()
    assert (ours["num_mutual_dyads"], ours["num_asymmetric_dyads"]) == (mutual, asymmetric)


@every
def test_components_equal_networkx(graph: Graph) -> None:
    theirs, ours = to_networkx(graph), components(graph)
    weak = list(nx.weakly_connected_components(theirs) if graph.directed else nx.connected_components(theirs))
    assert ours["num_weak_components"] == len(weak)
    assert _sets(weak_components(graph)) == {frozenset(part) for part in weak}
    if weak:
        assert ours["largest_weak_share"] == close(max(map(len, weak)) / graph.num_nodes)
    if graph.directed:
        strong = list(nx.strongly_connected_components(theirs))
        assert ours["num_strong_components"] == len(strong)
        assert _sets(strong_components(graph)) == {frozenset(part) for part in strong}


@every
def test_triangles_and_clustering_equal_networkx_and_igraph(graph: Graph) -> None:
    theirs, ours = nx.Graph(to_networkx(graph)), clustering(graph)
    assert count_triangles(dyads(graph)).at_node.tolist() == list(nx.triangles(theirs).values())
    assert local_clustering(graph) == close(list(nx.clustering(theirs).values()))
    if graph.num_nodes:
        assert ours["average_clustering"] == close(nx.average_clustering(theirs))
    simple = to_igraph(graph).as_undirected()
    assert ours["transitivity"] == close(simple.transitivity_undirected())
    assert ours["average_clustering_two_neighbors"] == close(simple.transitivity_avglocal_undirected())


@directed
def test_the_triad_census_equals_networkx(graph: Graph) -> None:
    census = nx.triadic_census(to_networkx(graph)) if graph.num_nodes > 2 else dict.fromkeys(nx.triads.TRIAD_NAMES, 0)
    assert triad_census(graph) == {f"triad_{kind}": number for kind, number in census.items()}


@directed
def test_the_triad_census_equals_igraph(graph: Graph) -> None:
    if graph.num_nodes < 3:
        pytest.skip("igraph counts no triads of fewer than three nodes")
    with np.errstate(all="ignore"):
        census = vars(to_igraph(graph).triad_census())
    ours = triad_census(graph)
    assert {kind: ours[f"triad_{kind.removeprefix('t')}"] for kind in census} == census


@every
def test_core_numbers_equal_networkx_and_igraph(graph: Graph) -> None:
    theirs = nx.core_number(nx.Graph(to_networkx(graph)))
    core = core_number(graph)
    assert core.tolist() == list(theirs.values())
    assert core.tolist() == to_igraph(graph).as_undirected().coreness()
    if graph.num_nodes:
        most = max(theirs.values())
        assert cores(graph) == {"max_core": most, "max_core_size": list(theirs.values()).count(most)}


@every
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_assortativity_equals_networkx_and_igraph(graph: Graph) -> None:
    ours, theirs = degree_assortativity(graph), to_networkx(graph)
    simple = to_igraph(graph).as_undirected()
    assert ours["degree_assortativity"] == close(_or_nan(simple.assortativity_degree(directed=False)))
    if graph.directed and graph.num_edges:
        for x, y in (("out", "in"), ("out", "out"), ("in", "in"), ("in", "out")):
            value = ours[f"degree_assortativity_{x}_{y}"]
            if not math.isnan(value):
                assert value == close(nx.degree_assortativity_coefficient(theirs, x=x, y=y))
    labels = np.arange(graph.num_nodes) % 3
    nx.set_node_attributes(theirs, dict(enumerate(labels.tolist())), "label")
    value = attribute_assortativity(graph, labels)
    if not math.isnan(value):
        assert value == close(nx.attribute_assortativity_coefficient(theirs, "label"))
    value = numeric_assortativity(graph, labels)
    if not math.isnan(value):
        assert value == close(nx.numeric_assortativity_coefficient(theirs, "label"))


@every
def test_path_lengths_equal_networkx(graph: Graph) -> None:
    found = paths(graph)
    simple = nx.Graph(to_networkx(graph))
    if not graph.num_nodes:
        assert math.isnan(found.statistics()["average_shortest_path_length"])
        return
    part = simple.subgraph(np.flatnonzero(weak_components(graph) == 0).tolist())
    assert found.is_exact
    assert found.num_nodes == len(part)
    if len(part) > 1:
        ours = found.statistics()
        assert ours["average_shortest_path_length"] == close(nx.average_shortest_path_length(part))
        assert ours["diameter"] == nx.diameter(part)


def _sets(labels: Any) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
