"""A tree over topics: planted families are found, and no id depends on the order of rows."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform

from theta_ray.topics.hierarchy import LINKAGES, Linkage, Tree, ladder, node_id, tree

LINKAGE = pytest.mark.parametrize("kind", get_args(Linkage))
Values = npt.NDArray[np.float64]


def families(seed: int = 0) -> Values:
    """12 topics: 4 families of 3, of which the first two and the last two are near each other."""
    generator = np.random.default_rng(seed)
    far = np.repeat([[-50.0, 0], [50.0, 0]], 6, axis=0)
    near = np.tile(np.repeat([[0, -8.0], [0, 8.0]], 3, axis=0), (2, 1))
    return far + near + generator.uniform(-1, 1, (12, 2))


def sets(found: Tree) -> set[tuple[int, ...]]:
    return {node.topic_ids for node in found.nodes}


@LINKAGE
def test_planted_families_are_nodes_and_last_longer_than_others(kind: Linkage) -> None:
    found = tree(range(12), families(), [10] * 12, linkage=kind)
    planted = {(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), tuple(range(6)), tuple(range(6, 12))}
    assert planted <= sets(found)
    inner = [n for n in found.nodes if 1 < len(n.topic_ids) < 12]
    longest = sorted(inner, key=lambda n: -n.persistence)[:6]
    assert {n.topic_ids for n in longest} == planted
    assert len(found.nodes) == 2 * 12 - 1


@LINKAGE
def test_parents_hold_their_children_and_are_higher(kind: Linkage) -> None:
    found = tree(range(12), families(3), list(range(1, 13)), linkage=kind)
    by_id = {node.node_id: node for node in found.nodes}
    (whole,) = (n for n in found.nodes if n.parent_id is None)
    assert (whole.topic_ids, whole.size) == (tuple(range(12)), 78)
    assert math.isnan(whole.persistence)
    for node in found.nodes:
        if node.parent_id is not None:
            parent = by_id[node.parent_id]
            assert set(node.topic_ids) < set(parent.topic_ids)
            assert node.persistence == parent.height - node.height >= 0


def test_levels_halve_the_nodes_and_lose_inertia_between_them() -> None:
    labels = np.repeat(np.eye(4, dtype=np.int64), 3, axis=1) * 5
    found = tree(range(12), families(), [10] * 12, label_counts_LT=labels)
    assert [level.num_nodes for level in found.levels] == [12, 6, 3, 2]
    shares = [level.inertia_share for level in found.levels]
    assert shares[0] == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0.95
    assert [len(set(level.node_ids)) for level in found.levels] == [12, 6, 3, 2]
    assert found.levels[-1].nmi == pytest.approx(2 * math.log(2) / (math.log(4) + math.log(2)))
    assert all(math.isnan(level.nmi) for level in tree(range(3), families()[:3], [1] * 3).levels)


def test_inertia_lost_by_a_level_is_what_its_merges_cost() -> None:
    centroids, sizes = families(4), np.arange(3, 15)
    found = tree(range(12), centroids, sizes.tolist())
    total = sizes @ ((centroids - np.average(centroids, axis=0, weights=sizes)) ** 2).sum(axis=1)
    costs = sorted(n.height for n in found.nodes if len(n.topic_ids) > 1)
    for level in found.levels:
        lost = sum(costs[: 12 - level.num_nodes]) * sizes.sum() / total
        assert 1 - level.inertia_share == pytest.approx(lost, rel=1e-3, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.sampled_from(sorted(LINKAGES)))
@settings(max_examples=40)
def test_nodes_and_levels_do_not_depend_on_the_order_of_topics(seed: int, count: int, kind: Linkage) -> None:
    generator = np.random.default_rng(seed)
    ids = generator.choice(500, count, replace=False)
    centroids, sizes = generator.integers(0, 3, (count, 3)).astype(float), generator.integers(0, 20, count)
    labels, order = generator.integers(0, 4, (3, count)), generator.permutation(count)
    plain = tree(ids.tolist(), centroids, sizes.tolist(), linkage=kind, label_counts_LT=labels)
    other = tree(
        ids[order].tolist(), centroids[order], sizes[order].tolist(), linkage=kind, label_counts_LT=labels[:, order]
    )
    assert str(other.nodes) == str(plain.nodes)
    for one, two in zip(plain.levels, other.levels, strict=True):
        assert tuple(one.node_ids[i] for i in order) == two.node_ids
        assert (one.num_nodes, one.inertia_share) == (two.num_nodes, two.inertia_share)


def test_density_heights_are_single_linkage_of_mutual_reachability() -> None:
    centroids = np.random.default_rng(2).normal(size=(9, 3))
    distances = np.sqrt(((centroids[:, None] - centroids) ** 2).sum(axis=2))
    core = np.sort(distances, axis=1)[:, 2]
    reach = np.maximum(distances, np.maximum(core[:, None], core))
    np.fill_diagonal(reach, 0)
    wanted = squareform(cophenet(linkage(squareform(reach, checks=False), "single")))
    found = tree(range(9), centroids, [1] * 9, linkage="density")
    for i in range(9):
        for j in range(i):
            joined = min(n.height for n in found.nodes if {i, j} <= set(n.topic_ids))
            assert joined == pytest.approx(wanted[i, j])


def test_ids_of_nodes_are_those_of_their_topics_in_any_order() -> None:
    assert node_id([3, 1, 20]) == node_id([20, 3, 1]) != node_id([3, 120])
    assert len(node_id([1])) == 12


def test_the_ladder_ends_at_two_and_one_topic_is_its_own_tree() -> None:
    assert ladder(100) == [100, 50, 25, 12, 6, 3, 2]
    assert ladder(3) == [3, 2]
    assert ladder(1) == [1]
    one = tree([7], np.ones((1, 2)), [4])
    assert [(n.topic_ids, n.size, n.parent_id) for n in one.nodes] == [((7,), 4, None)]
    assert [(level.num_nodes, level.inertia_share) for level in one.levels] == [(1, 1.0)]
    assert tree([], np.zeros((0, 2)), []) == Tree((), ())


def test_an_id_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="an id is there twice"):
        tree([1, 1], np.eye(2), [1, 1])


def test_every_linkage_has_its_function() -> None:
    assert set(get_args(Linkage)) == set(LINKAGES)
