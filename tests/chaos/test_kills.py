"""Whatever is killed, whenever: the manifests are those of an undisturbed run, byte for byte."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.chaos.forked import JobForks
from tests.chaos.jobs import Setting
from tests.chaos.kills import kill_at_step, kill_drivers
from theta_ray.steps import Step

pytestmark = pytest.mark.chaos
# One process works on a local run, so one kill costs one shard.
WORKERS = 1
TABLES = ("corpus", "embeddings", "quarantine")
# Who holds the corpus holds its quarantine; embeddings have their corpus for a plan, and only they share texts.
SHARING = {"index_created", "export_computed", "export_created"}
TRAINING = {"step_taken", "checkpoint_created"}
ABSENT = {
    "embeddings": {"plan_created", "rows_staged", *TRAINING},
    "quarantine": {"lease_taken", "plan_created", "rows_staged", *SHARING, *TRAINING},
    "corpus": {*SHARING, *TRAINING},
}


def test_a_driver_killed_again_and_again_loses_and_repeats_nothing(long: Setting) -> None:
    outcome = kill_drivers(long, kills=5, seed=1)
    assert outcome.kills == 5
    assert outcome.failures(WORKERS) == []


def test_a_run_comes_to_every_step_of_the_protocol(short: Setting) -> None:
    expected = {f"{table}:{step}" for table in TABLES for step in get_args(Step) if step not in ABSENT[table]}
    assert set(short.steps) == expected


def test_a_kill_at_any_step_on_first_try_and_on_retry_changes_nothing(short: Setting, forks: JobForks) -> None:
    failures = {}
    for step in short.steps:
        outcome = kill_at_step(short, forks, step, times=2)
        if outcome.failures(WORKERS):
            failures[step] = outcome.failures(WORKERS)
    assert failures == {}
