"""Two runs of one table, a run with another model beside it, and a run that is told to stop."""

from __future__ import annotations

import pytest

from tests.chaos.jobs import LONG, Setting
from tests.chaos.rivals import (
    run_beside_other_model,
    run_two_at_once,
    run_two_of_which_one_leaves,
    stop_by_notice,
    with_other_model,
)

pytestmark = pytest.mark.chaos


def test_a_second_run_waits_and_finds_everything_done(long: Setting) -> None:
    assert run_two_at_once(long, "wait").failures(recomputed=0) == []


def test_two_runs_that_share_their_work_commit_the_table_of_one(long: Setting) -> None:
    # both may make the same shard at the same time; it is the same bytes
    assert run_two_at_once(long, "join").failures(recomputed=LONG.num_shards) == []


def test_a_second_run_leaves_with_its_own_exit_code_where_it_is_told_to(long: Setting) -> None:
    assert run_two_of_which_one_leaves(long).failures(recomputed=0) == []


def test_two_models_over_one_corpus_never_mix(long: Setting) -> None:
    assert run_beside_other_model(long, with_other_model(long)).failures(recomputed=0) == []


def test_a_run_that_is_told_to_stop_leaves_nothing_half_done_and_its_rerun_goes_on_at_once(long: Setting) -> None:
    assert stop_by_notice(long, shards=3).failures(recomputed=1) == []
