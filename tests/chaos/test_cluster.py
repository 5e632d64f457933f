"""Actors, nodes and drivers of a Ray cluster are killed while a job runs on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.cluster_kills import kill_actors, kill_ray_drivers, kill_raylets
from tests.chaos.jobs import Setting
from tests.chaos.nodes import NUM_WORKER_NODES, Nodes, three_nodes

pytestmark = [pytest.mark.chaos, pytest.mark.ray]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with three_nodes() as running:
        yield running


def test_five_actors_are_killed_and_the_job_ends_well(busy: Setting, nodes: Nodes) -> None:
    outcome = kill_actors(busy, nodes, kills=5, seed=1)
    assert outcome.kills == 5
    assert outcome.failures(recomputed=1) == []


def test_two_nodes_are_killed_and_the_job_ends_well(busy: Setting, nodes: Nodes) -> None:
    outcome = kill_raylets(busy, nodes, kills=2, seed=1)
    assert outcome.kills == 2
    assert outcome.failures(recomputed=1) == []


def test_a_killed_driver_leaves_its_cluster_to_the_next(busy: Setting, nodes: Nodes) -> None:
    outcome = kill_ray_drivers(busy, nodes, kills=1, seed=2)
    assert outcome.kills == 1
    assert outcome.failures(recomputed=NUM_WORKER_NODES) == []
