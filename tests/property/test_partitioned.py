"""A graph in blocks says what the graph in memory says, however it is cut, on any number of workers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.blocks import answers, in_blocks, in_files
from tests.unit.test_hits import random_graph
from theta_ray.network.edge_files import EdgeFiles
from theta_ray.network.engines import Whole
from theta_ray.network.graph import Graph


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 9), st.integers(1, 4))
def test_blocks_give_the_numbers_of_one_task(seed: int, directed: bool, num_blocks: int, num_files: int) -> None:
    graph = random_graph(seed, directed=directed)
    expected = answers(Whole(graph), graph.num_nodes)
    with tempfile.TemporaryDirectory() as folder:
        files = in_files(graph, Path(folder, "files"), num_files, seed)
        found = answers(in_blocks(files, Path(folder, "blocks"), num_blocks, 2), graph.num_nodes)
    assert found.keys() == expected.keys()
    for name in expected:
        exact = not name.startswith(("reciprocity", "split"))  # sums over blocks
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=0 if exact else 1e-9, err_msg=name)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 9))
def test_all_numbers_of_workers_give_the_same_bits(seed: int, directed: bool, num_blocks: int) -> None:
    graph = random_graph(seed, directed=directed)
    weight = np.random.default_rng(seed).random(graph.num_edges)  # whose sums depend on their order
    graph = Graph(graph.num_nodes, graph.source, graph.target, weight, directed=directed)
    with tempfile.TemporaryDirectory() as folder:
        files = in_files(graph, Path(folder, "files"), 2, seed)
        found = [
            answers(in_blocks(files, Path(folder, str(count)), num_blocks, count), graph.num_nodes)
            for count in (1, 2, 4)
        ]
    for name, value in found[0].items():
        for other in found[1:]:
            np.testing.assert_array_equal(other[name], value, err_msg=name)


def test_a_graph_without_files_has_no_edges() -> None:
    graph = EdgeFiles("/nowhere", (), (), 3, True).graph()
    assert (graph.num_nodes, graph.num_edges) == (3, 0)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("num_nodes", [1, 4])
def test_a_graph_without_edges_is_the_same_in_blocks(tmp_path: Path, directed: bool, num_nodes: int) -> None:
    graph = Graph.of(num_nodes, [], [], directed=directed)
    expected = answers(Whole(graph), num_nodes)
    found = answers(in_blocks(in_files(graph, tmp_path / "f", 2), tmp_path / "b", 3, 2), num_nodes)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
