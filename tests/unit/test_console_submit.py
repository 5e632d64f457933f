"""What `theta-ray submit` checks before it sends anything, and how it reads what comes back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from theta_ray.console import job_client, submit
from theta_ray.console.job_client import Cluster, check_package, exit_code_of, find_token, patiently
from theta_ray.errors import ConfigError, InputError, TransientError

OPTIONS = ["--config", "recipe.yaml", "--root", "s3://bucket/tables"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "embed.py").write_text("")
    (tmp_path / "recipe.yaml").write_text("name: a\n")
    return tmp_path


def test_the_checks_run_before_the_job_with_the_same_options(folder: Path) -> None:
    line = submit.make_entrypoint(folder, "jobs/embed.py", [*OPTIONS, "--set", "name=a b"], doctor=True)
    options = "--config recipe.yaml --root s3://bucket/tables --set 'name=a b'"
    assert line == f"python -m theta_ray.console doctor {options} && python jobs/embed.py {options}"
    alone = submit.make_entrypoint(folder, "jobs/embed.py", [*OPTIONS, "--plan"], doctor=True)
    assert alone == "python jobs/embed.py --config recipe.yaml --root s3://bucket/tables --plan"


@pytest.mark.parametrize(
    ("job", "options", "said"),
    [
        ("jobs/other.py", OPTIONS, "jobs/other.py: is not in"),
        ("jobs/embed.py", ["--conf", "recipe.yaml"], "jobs/embed.py: its options, after --, are those of the usage"),
        ("jobs/embed.py", OPTIONS[:2], "--root is missing: a submitted job's own folder is removed"),
        ("jobs/embed.py", [*OPTIONS[:3], "results"], "--root results: is relative"),
        ("jobs/embed.py", ["--config", "no.yaml", *OPTIONS[2:]], "--config no.yaml: is not in"),
        ("jobs/embed.py", [*OPTIONS, "--set", "corpus.x=s3://k:canary@b/x"], "an option holds credentials"),
    ],
)
def test_a_job_that_would_stop_at_once_is_not_sent(folder: Path, job: str, options: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        submit.make_entrypoint(folder, job, options, doctor=True)
    assert str(error.value).startswith(said)
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("address", ["http://10.1.2.3:8265", "http://head.svc:8265"])
def test_another_machine_without_a_token_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="or say --insecure on a network of its own"):
        Cluster(address, None).check(insecure=False)
    Cluster(address, None).check(insecure=True)
    Cluster(address, "secret").check(insecure=False)
    Cluster("http://127.0.0.1:8265", None).check(insecure=False)


@pytest.mark.parametrize("address", ["head:8265", "ray://head:10001", "http://user:canary@head:8265", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="write it like http://HEAD:8265") as error:
        Cluster(address, "secret").check(insecure=True)
    assert "canary" not in str(error.value)


def test_the_token_is_found_as_ray_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("from home\n")
    assert find_token() == "from home"
    (tmp_path / "file").write_text("from file\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "file"))
    assert find_token() == "from file"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    assert find_token() == "given"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert find_token() is None
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="name a file with the token"):
        find_token()


def test_a_package_that_is_too_large_names_its_largest_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "dump.bin").write_bytes(bytes(range(256)) * 64)
    (folder / "ignored.bin").write_bytes(bytes(10**6))
    (folder / ".rayignore").write_text("ignored.bin\n")
    (folder / ".git").mkdir()
    (folder / ".git" / "pack").write_bytes(os.urandom(10**6))
    assert 0 < check_package(folder) < 10**5
    monkeypatch.setattr(job_client, "MAX_PACKAGE_BYTES", 300)
    with pytest.raises(ConfigError, match=r"more than 0: data/dump.bin 0 MiB, .*leave them out in .rayignore"):
        check_package(folder)


def test_a_cluster_that_is_still_starting_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_client.time, "sleep", lambda _: None)
    answers: list[Any] = [
        ConnectionRefusedError("refused"),
        RuntimeError("Request failed with status code 500: No available agent to submit job"),
        "submitted",
    ]

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert patiently(call, "http://head:8265", 60) == "submitted"


def test_what_no_retry_mends_is_told_at_once() -> None:
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(InputError, match="see whether a Ray dashboard"):
        patiently(lambda: fail(RuntimeError("Request failed with status code 404: none")), "http://head:1", 60)
    with pytest.raises(InputError, match="export RAY_AUTH_MODE=token"):
        patiently(lambda: fail(RuntimeError("Request failed with status code 403: x")), "http://head:1", 60)
    with pytest.raises(TransientError, match="for 0 s; rerun when it answers"):
        patiently(lambda: fail(ConnectionRefusedError("refused")), "http://head:1", 0)


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 4, 4),
        ("FAILED", 1, 1),
        ("FAILED", 143, 7),
        ("FAILED", -9, 6),
        ("FAILED", None, 6),
        ("STOPPED", None, 7),
    ],
)
def test_the_exit_code_is_the_drivers_or_what_its_end_amounts_to(status: str, driver: int | None, code: int) -> None:
    assert exit_code_of(SimpleNamespace(status=SimpleNamespace(value=status), driver_exit_code=driver)) == code


class BrokenTail:
    """A log that breaks off twice, and is told from its first line each time."""

    def __init__(self) -> None:
        self.tails = [["one\n", "tw"], ["one\ntwo\n", "three\n"]]
        self.ended = [False, False, True]

    def get_job_info(self, _: str) -> Any:
        status = "SUCCEEDED" if self.ended.pop(0) else "RUNNING"
        return SimpleNamespace(status=SimpleNamespace(value=status), driver_exit_code=0)

    def get_job_logs(self, _: str) -> str:
        return "one\ntwo\nthree\nfour\n"

    async def tail_job_logs(self, _: str) -> AsyncIterator[str]:
        for chunk in self.tails.pop(0):
            yield chunk
        raise RuntimeError("WebSocket connection closed unexpectedly")


def test_a_tail_that_breaks_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job_client.time, "sleep", lambda _: None)
    job_client.follow(BrokenTail(), "http://head:8265", "job")
    assert capsys.readouterr().out == "one\ntwo\nthree\nfour\n"


def test_a_job_whose_reply_was_lost_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_client.time, "sleep", lambda _: None)
    answers = [ConnectionResetError("reset"), RuntimeError("status code 500: job already exists")]
    calls: list[str] = []

    def submit_job(**job: Any) -> None:
        calls.append(job["submission_id"])
        raise answers.pop(0)

    submit._send(SimpleNamespace(submit_job=submit_job), "http://head:8265", "name", {"entrypoint": "x"})
    assert calls == ["name", "name"]


def test_leaving_lets_the_job_go_on_and_says_how_to_follow_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert submit._detach(SimpleNamespace(), "http://head:8265", "name") == 130
    assert "ray job logs --address http://head:8265 --follow name" in capsys.readouterr().err
