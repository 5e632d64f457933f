"""One undisturbed run per size of job, which all disturbed runs are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.forked import JobForks, job_forks
from tests.chaos.jobs import BUSY, LONG, PAIRED, SHORT, Setting, make_setting


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """A job of a few small shards: for what happens at a known place."""
    return make_setting(tmp_path_factory.mktemp("short"), SHORT)


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """A job of two dozen shards and some seconds: for what happens at random times."""
    return make_setting(tmp_path_factory.mktemp("long"), LONG)


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """Mining pairs of a label with hard negatives, in a few small shards."""
    negatives = {"count": 2, "first_rank": 1, "last_rank": 20, "relative_margin": 0}
    section = {"kind": "label", "max_pairs_per_group": 12, "shard_candidates": 20, "negatives": negatives}
    return make_setting(tmp_path_factory.mktemp("paired"), PAIRED, {**section, "split": {"test_share": 0.2}})


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """A job of fifty shards that take a while each: for what happens to some of several workers."""
    return make_setting(tmp_path_factory.mktemp("busy"), BUSY)


@pytest.fixture(scope="session")
def forks() -> Iterator[JobForks]:
    with job_forks() as running:
        yield running
