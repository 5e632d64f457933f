"""Statistics of a graph do not depend on how its nodes are numbered or its rows ordered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs import relabelled
from theta_ray.network.degrees import degrees
from theta_ray.network.graph import Graph
from theta_ray.network.reciprocity import reciprocity
from theta_ray.network.structure import structure

TIES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(1, 5)), max_size=60)
SEEDS = st.integers(0, 2**32 - 1)


def graph_of(ties: list[tuple[int, int, int]], *, directed: bool) -> Graph:
    source, target, weight = np.array(ties, int).reshape(-1, 3).T
    return Graph.of(12, source, target, weight, directed=directed)


@given(TIES, SEEDS, st.booleans())
@settings(max_examples=40)
def test_another_numbering_and_order_change_nothing(
    ties: list[tuple[int, int, int]], seed: int, directed: bool
) -> None:
    graph = graph_of(ties, directed=directed)
    other, number = relabelled(graph, seed)
    first, second = structure(graph, num_samples=3), structure(other, num_samples=3)
    assert second.values == pytest.approx(first.values, abs=1e-12, nan_ok=True)
    for name, values in first.nodes.items():
        moved = second.nodes[name][number]
        if name == "component_id":  # of equally large ones the smallest node decides
            assert len(set(zip(values, moved, strict=True))) == len(set(values))
        else:
            assert moved.tolist() == values.tolist(), name
    for name, (x, y) in first.curves.items():
        assert (second.curves[name][0].tolist(), second.curves[name][1].tolist()) == (x.tolist(), y.tolist())


@given(TIES)
@settings(max_examples=60)
def test_what_holds_for_every_graph_holds(ties: list[tuple[int, int, int]]) -> None:
    graph = graph_of(ties, directed=True)
    found = structure(graph, num_samples=1).values
    nodes = degrees(graph)
    assert nodes.in_degree.sum() == nodes.out_degree.sum() == graph.num_edges
    assert sum(value for name, value in found.items() if name.startswith("triad_")) == 12 * 11 * 10 / 6
    pairs = graph.undirected().num_edges
    assert found["num_mutual_dyads"] + found["num_asymmetric_dyads"] == pairs
    assert found["num_weak_components"] <= found["num_strong_components"]
    if graph.num_edges:
        edge, dyad = found["reciprocity"], found["reciprocity_dyad"]
        assert dyad == pytest.approx(edge / (2 - edge))
        assert 0 <= found["reciprocity_weighted"] <= 1


@given(TIES)
@settings(max_examples=60)
def test_every_edge_of_a_graph_and_its_reverse_is_returned(ties: list[tuple[int, int, int]]) -> None:
    both = graph_of([*ties, *((b, a, w) for a, b, w in ties)], directed=True)
    if both.num_edges:
        found = reciprocity(both)
        assert (found["reciprocity"], found["reciprocity_weighted"]) == (1, pytest.approx(1))
