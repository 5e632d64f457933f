"""All statistics of a graph in one call."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from tests.graphs import comment_graph, of_networkx
from theta_ray.network import clustering, components, cores, degrees, paths, reciprocity, triads
from theta_ray.network.graph import Graph
from theta_ray.network.structure import DEFINITIONS, structure, tie_statistics
from theta_ray.network.tails import tail


@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize(
    ("num_nodes", "ties"), [(0, []), (1, []), (4, []), (3, [(0, 1)]), (9, [(0, 1), (1, 2), (2, 0)])]
)
def test_every_name_has_a_definition_and_a_row_however_small_the_graph(
    directed: bool, num_nodes: int, ties: list[tuple[int, int]]
) -> None:
    source, target = np.array(ties, int).reshape(-1, 2).T
    found = structure(Graph.of(num_nodes, source, target, directed=directed))
    assert found.values.keys() == DEFINITIONS.keys()
    assert {row.name: row.value for row in found.statistics} == pytest.approx(found.values, nan_ok=True)
    assert all(len(values) == num_nodes for values in found.nodes.values())
    assert all(row.row()["population"] in {"nodes", "edges", "pairs of nodes"} for row in found.statistics)


def test_values_are_those_of_each_module_on_its_own() -> None:
    graph = of_networkx(nx.gnp_random_graph(80, 0.06, seed=4, directed=True))
    alone = {
        **degrees.size(graph),
        **reciprocity.reciprocity(graph),
        **components.components(graph),
        **clustering.clustering(graph),
        **cores.cores(graph),
        **triads.triad_census(graph),
        **paths.paths(graph).statistics(),
        **{f"in_degree_{name}": value for name, value in tail(degrees.degrees(graph).in_degree).items()},
    }
    values = structure(graph).values
    assert {name: values[name] for name in alone} == pytest.approx(alone, nan_ok=True)
    assert len(DEFINITIONS) > len(alone)


def test_nodes_and_curves_belong_to_the_graph() -> None:
    found = structure(comment_graph())
    assert found.nodes["core"].tolist() == [2, 2, 1, 2, 1, 1]
    assert found.nodes["component_id"].tolist() == [0] * 6
    assert found.nodes["in_strength"].tolist() == [3, 3, 0, 1, 1, 1]
    x, share = found.curves["in_degree_ccdf"]
    assert x.tolist() == [0, 1, 2, 3]
    assert share.tolist() == pytest.approx([1, 5 / 6, 2 / 6, 1 / 6])
    steps, apart = found.curves["path_length"]
    assert steps.tolist() == [1, 2, 3, 4]
    assert apart @ steps == pytest.approx(found.values["average_shortest_path_length"])
    assert "degree_ccdf" in structure(comment_graph().undirected()).curves


def test_tails_are_fitted_to_strengths_where_these_are_whole_numbers() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.zipf(1.8, 3000) % 150, rng.zipf(1.8, 3000) % 150
    ends = np.unique(np.stack([source, target])[:, source != target], axis=1)
    weight = rng.zipf(2.2, ends.shape[1]).astype(float)
    found = structure(Graph.of(150, *ends, weight, directed=True), num_samples=9)
    strength = np.bincount(ends[1], weight, minlength=150)
    fitted = tail(strength, num_samples=9)
    assert {name: found.values[f"in_strength_{name}"] for name in fitted} == fitted
    assert found.values["in_strength_tail_exponent"] != found.values["in_degree_tail_exponent"]
    assert found.curves["in_strength_ccdf"][0].max() == strength.max()
    halves = structure(Graph.of(150, *ends, weight / 2, directed=True), num_samples=9)
    assert np.isnan(halves.values["in_strength_tail_exponent"])
    assert "in_strength_ccdf" not in halves.curves


def test_statistics_for_a_null_are_those_that_degrees_do_not_decide() -> None:
    graph = comment_graph()
    ties, whole = tie_statistics(graph), structure(graph)
    assert {name: whole.values[name] for name in ties} == pytest.approx(ties, nan_ok=True)
    assert {"reciprocity", "transitivity", "triad_300", "degree_assortativity", "max_core"} <= ties.keys()
    assert not ties.keys() & degrees.DEFINITIONS.keys()
