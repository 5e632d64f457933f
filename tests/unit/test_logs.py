"""Log lines: plain for a person, JSON for a submitted job, and in neither a secret or a character that steers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from theta_ray.logs import _JsonLines, _PlainLines, run_id, say

HOSTILE = "s3://key:canary@bucket/x: \x1b[31mnot there; look"


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"metadata": {"job_submission_id": "raysubmit_7"}}))
    run_id.cache_clear()
    yield
    run_id.cache_clear()


@pytest.mark.usefixtures("submitted")
def test_the_log_of_a_submitted_job_is_json_without_secrets_and_names_its_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("embed", HOSTILE, figures={"exit_code": 3})
    err = capsys.readouterr().err
    line = json.loads(err)
    assert "canary" not in err
    assert "\x1b" not in err
    assert (line["run"], line["level"], line["stage"], line["exit_code"]) == ("raysubmit_7", "ERROR", "embed", 3)
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_a_person_reads_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    say("embed", HOSTILE, figures={"exit_code": 3})
    assert capsys.readouterr().err == "s3://...@bucket/x: \\x1b[31mnot there; look\n"


def test_log_records_are_json_lines_or_plain_ones() -> None:
    record = logging.LogRecord("a", logging.INFO, "f.py", 1, "embed: %d of %s\nshards", (1, HOSTILE), None)
    line = json.loads(_JsonLines("embed").format(record))
    assert (line["stage"], line["level"]) == ("embed", "INFO")
    assert line["message"].startswith("embed: 1 of s3://...@bucket/x:")
    assert "canary" not in _PlainLines("%(message)s").format(record)
    assert "\x1b" not in _PlainLines("%(message)s").format(record)
