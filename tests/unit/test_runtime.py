"""What every job does around its stage: options, exit codes, one line for users and a traceback for bugs."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import free_ports
from theta_ray import errors
from theta_ray.config import Config, Resources
from theta_ray.errors import (
    ConfigError,
    ConflictError,
    CostLimitError,
    InputError,
    SchemaError,
    StageError,
    ThetaError,
    TransientError,
    WorkerLostError,
)
from theta_ray.progress import Progress
from theta_ray.runcard import Plan, PlanStep, RunCard
from theta_ray.runtime import build_parser, main, parse_day, require_answer, resolve_root, today
from theta_ray.tasks import map_tasks

RECIPE = """\
name: tiny
corpus:
  inputs: [{reader: text, path: a.txt}]
encoder: {model: package:tiny/model}
"""


class FakeStage:
    """A stage that remembers how it was called and does as it was told."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.calls: list[tuple[str, str, str]] = []

    def plan(self, config: Config, day: str) -> Plan:
        self.calls.append(("plan", config.root, day))
        return Plan([PlanStep("fake", "/home/you/things", "would run", {"rows": 12345})], {"name": config.recipe.name})

    def run(self, config: Config, day: str) -> RunCard:
        self.calls.append(("run", config.root, day))
        if self.failure is not None:
            raise self.failure
        return RunCard("fake", "committed", "/home/you/things", "0123456789ab", day, {"rows": 3}, {"too_short": 2})


@pytest.fixture
def run_job(tmp_path: Path) -> Callable[..., int]:
    (tmp_path / "recipe.yaml").write_text(RECIPE)

    def run(stage: FakeStage, *options: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(stage, ["--config", str(tmp_path / "recipe.yaml"), *options])
        assert isinstance(left.value.code, int)
        return left.value.code

    return run


@pytest.fixture(autouse=True)
def _not_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)


def test_a_finished_job_prints_a_page_for_people_and_a_line_for_scripts(
    run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_job(FakeStage(), "--root", "/root", "--date", "2026-01-31")
    out, err = capsys.readouterr()
    assert code == 0
    assert "fake  2026-01-31  committed" in err
    assert json.loads(out) == {
        "stage": "fake",
        "status": "committed",
        "path": "/home/you/things",
        "date": "2026-01-31",
        "rows": 3,
        "quarantined": {"too_short": 2},
    }


@pytest.mark.parametrize(
    ("failure", "exit_code"),
    [
        (ThetaError("it is wrong"), 1),
        (ConfigError("it is wrong"), 2),
        (InputError("it is wrong"), 3),
        (SchemaError("it is wrong"), 3),
        (StageError("it is wrong"), 4),
        (ConflictError("it is wrong"), 5),
        (TransientError("it is wrong"), 6),
        (WorkerLostError("it is wrong"), 6),
        (CostLimitError("it is wrong"), 8),
    ],
)
def test_a_users_error_is_one_line_and_its_own_exit_code(
    run_job: Callable[..., int], capsys: pytest.CaptureFixture[str], failure: ThetaError, exit_code: int
) -> None:
    assert run_job(FakeStage(failure), "--root", "/root") == exit_code
    out, err = capsys.readouterr()
    first, last = err.splitlines()
    assert (out, first) == ("", "it is wrong")
    assert last.startswith(f"exit code {exit_code}: ")


def test_every_error_class_is_drawn_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"(\w+Error) +(\d+)", errors.__doc__ or ""))
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, ThetaError)]
    assert drawn == {each.__name__: str(each.exit_code) for each in classes}
    assert {each.exit_code for each in classes if each is not ThetaError} < set(errors.EXIT_CODES)


def test_a_sigterm_ends_the_job_with_its_own_exit_code(
    run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    class Preempted(FakeStage):
        def run(self, config: Config, day: str) -> RunCard:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
            raise AssertionError("nothing stopped the stage")

    before = signal.getsignal(signal.SIGTERM)
    assert run_job(Preempted(), "--root", "/root") == 7
    assert "the same command goes on" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_rays_own_way_of_leaving_at_sigterm_is_a_preemption_too(
    run_job: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left: list[int] = []

    def leave(code: int) -> None:
        left.append(code)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(KeyboardInterrupt):
        run_job(FakeStage(SystemExit(signal.SIGTERM)), "--root", "/root")
    assert left == [7]
    assert capsys.readouterr().err.splitlines()[-1] == "exit code 7: preempted by SIGTERM; a rerun goes on"


def test_a_submitted_job_ends_its_log_with_the_exit_code(
    run_job: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert run_job(FakeStage(), "--root", "/root") == 0
    out, err = capsys.readouterr()
    (summary,) = [json.loads(line) for line in err.splitlines()]
    assert (summary["event"], summary["exit_code"], summary["level"]) == ("summary", 0, "INFO")
    assert summary["message"] == "exit code 0: done, or nothing to do"
    assert json.loads(out)["rows"] == 3


def test_a_bug_prints_its_traceback_and_exits_with_70(
    run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(FakeStage(ZeroDivisionError("a bug")), "--root", "/root") == 70
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-2:] == ["ZeroDivisionError: a bug", "exit code 70: a bug, with its traceback"]


def test_an_interrupted_job_says_how_to_go_on(run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(FakeStage(KeyboardInterrupt()), "--root", "/root") == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_plan_shows_and_does_not_run(run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    stage = FakeStage()
    assert run_job(stage, "--root", "/root", "--date", "2026-01-31", "--plan") == 0
    assert stage.calls == [("plan", "/root", "2026-01-31")]
    out = capsys.readouterr().out
    assert "12,345" in out
    assert out.endswith("nothing was started\n")


def test_set_reaches_the_stage(run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(FakeStage(), "--root", "/root", "--plan", "--set", "name=other") == 0
    assert 'name: "other"' in capsys.readouterr().out


def test_a_relative_root_is_refused(run_job: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    stage = FakeStage()
    assert run_job(stage, "--root", "results") == 2
    assert "--root results: is relative; write an absolute folder or a URI" in capsys.readouterr().err
    assert stage.calls == []


def test_root_is_results_below_the_working_folder_when_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_root(None) == str(tmp_path / "results")


def test_a_submitted_job_must_name_its_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(ConfigError, match="add --root s3://bucket/name"):
        resolve_root(None)
    assert resolve_root("s3://bucket/name/") == "s3://bucket/name"


@pytest.mark.parametrize(("root", "resolved"), [("/", "/"), ("/data/", "/data"), ("s3://bucket/", "s3://bucket")])
def test_a_root_has_one_form(root: str, resolved: str) -> None:
    assert resolve_root(root) == resolved


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "31.01.2026", "", "2026-01"])
def test_a_date_that_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a day; write it like 2026-01-31"):
        parse_day(text)


def test_a_date_has_one_form() -> None:
    assert parse_day("20260131") == parse_day("2026-01-31") == "2026-01-31"


def test_the_date_is_today_in_utc_when_absent() -> None:
    before = datetime.now(UTC).date().isoformat()
    assert today() in (before, datetime.now(UTC).date().isoformat())


def test_the_options_are_frozen() -> None:
    options = [option for action in build_parser()._actions for option in action.option_strings]
    assert options == ["-h", "--help", "--config", "--resources", "--root", "--date", "--set", "--plan"]


@pytest.mark.parametrize("options", [("--conf", "x.yaml"), ("--config",), ("--root", "/root"), ("--verbose",)])
def test_a_wrong_option_exits_with_2(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(FakeStage(), options)
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


def _double(item: int) -> int:
    return 2 * item


def test_tasks_run_in_this_process_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # importing it would now fail
    with Progress("test", 3) as progress:
        results = list(map_tasks(_double, [1, 2, 3], Resources(executor="local"), progress))
    assert results == [2, 4, 6]


def test_progress_counts_units_and_rows() -> None:
    with Progress("test", 2) as progress:
        progress.advance(10)
        progress.advance(5)
    assert (progress.done, progress.num_rows) == (2, 15)


@pytest.fixture
def fast_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.progress.HEARTBEAT_SECONDS", 0.01)


@pytest.mark.usefixtures("fast_heartbeat")
def test_the_heartbeat_says_what_the_stage_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="theta_ray.progress")
    deadline = time.monotonic() + 10
    with Progress("embed", 4) as progress:
        progress.advance(100)
        progress.waiting_for = "2 actors"
        while not any("waiting for 2 actors" in message for message in caplog.messages):
            assert time.monotonic() < deadline, "no heartbeat"
    (message, *_) = [message for message in caplog.messages if "2 actors" in message]
    assert message.startswith("embed: 1 of 4 shards, 100 rows, ")


def test_a_cluster_that_does_not_answer_is_told_in_seconds() -> None:
    (port,) = free_ports(1)
    with pytest.raises(InputError, match="unset RAY_ADDRESS"):
        require_answer(f"127.0.0.1:{port}")
