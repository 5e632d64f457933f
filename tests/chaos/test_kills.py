"""Whatever is killed, whenever: the manifests are those of an undisturbed run, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pytest

from tests.chaos.forked import JobForks
from tests.chaos.jobs import Setting
from tests.chaos.kills import kill_at_step, kill_drivers
from theta_ray.steps import Step

pytestmark = pytest.mark.chaos
# One process works on a local run, so one kill costs one shard.
WORKERS = 1
TABLES = ("corpus", "embeddings", "quarantine", "text_index")
# Who holds the corpus holds its quarantine; embeddings have their corpus for a plan, and only they share texts.
SHARING = {"index_created", "export_computed", "export_created"}
TRAINING = {"step_taken", "checkpoint_created"}
# Every way of mining pairs stages rows; only hard negatives need more.
MINING = {"pairs_staged", "near_staged", "negatives_staged"}
DELETING = {"tables_made_again", "objects_removed"}
ABSENT = {
    "embeddings": {"plan_created", "rows_staged", *MINING, *TRAINING, *DELETING},
    "quarantine": {"lease_taken", "plan_created", "rows_staged", *SHARING, *MINING, *TRAINING, *DELETING},
    "text_index": {"plan_created", "rows_staged", *SHARING, *MINING, *TRAINING, *DELETING},
    "corpus": {*SHARING, *MINING, *TRAINING, *DELETING},
    "pairs": {"plan_created", *SHARING, *TRAINING, *DELETING},
}


def test_a_driver_killed_again_and_again_loses_and_repeats_nothing(long: Setting) -> None:
    outcome = kill_drivers(long, kills=3, seed=1)
    assert outcome.kills == 3
    assert outcome.failures(WORKERS) == []


def test_a_run_comes_to_every_step_of_the_protocol(short: Setting) -> None:
    expected = {f"{table}:{step}" for table in TABLES for step in get_args(Step) if step not in ABSENT[table]}
    assert set(short.steps) == expected


def test_a_kill_at_any_step_on_first_try_and_on_retry_changes_nothing(short: Setting, forks: JobForks) -> None:
    assert _failures(short, forks, short.steps) == {}


def test_a_kill_at_any_step_of_mining_pairs_changes_nothing(paired: Setting, forks: JobForks) -> None:
    steps = [step for step in paired.steps if step.startswith("pairs:")]
    assert set(steps) == {f"pairs:{step}" for step in get_args(Step) if step not in ABSENT["pairs"]}
    assert _failures(paired, forks, steps) == {}


def _failures(setting: Setting, forks: JobForks, steps: Sequence[str]) -> dict[str, list[str]]:
    """What is not as promised after two kills at each step."""
    found = {step: kill_at_step(setting, forks, step, times=2).failures(WORKERS) for step in steps}
    return {step: problems for step, problems in found.items() if problems}
