"""`theta-ray doctor` finds what a job would stumble over, in time, and never shows a secret."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import S3, free_ports, s3_client
from tests.small_jobs import make_recipe, make_texts, save_recipe, write_jsonl
from theta_ray.console import check_machine, check_store
from theta_ray.console.checks import Finding, exit_code_of, fail, ok, run_checks
from theta_ray.console.doctor import examine, write_findings
from theta_ray.console.main import build_parser, main
from theta_ray.errors import InputError

CANARIES = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws",
    "RAY_AUTH_TOKEN": "canary-token",
    "THETA_RAY_AUTHOR_KEY": "canary-key-of-16",
}
Doctor = Callable[..., dict[str, Finding]]


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def recipe(tmp_path: Path, bert: Path) -> Path:
    raw = write_jsonl(tmp_path / "raw.jsonl", make_texts(30))
    return save_recipe(tmp_path / "recipe.yaml", make_recipe(str(raw), bert))


@pytest.fixture
def doctor(recipe: Path, tmp_path: Path) -> Doctor:
    def run(*options: str, root: str = str(tmp_path / "root")) -> dict[str, Finding]:
        words = ["doctor", "--config", str(recipe), "--root", root, *options]
        return {finding.what: finding for finding in examine(build_parser().parse_args(words))[0]}

    return run


def test_a_machine_where_a_job_would_run_is_told_so(doctor: Doctor, tmp_path: Path) -> None:
    found = doctor()
    assert exit_code_of([*found.values()]) == 0
    for what in ("list", "write and read", "create only once", "clock", "delete", "input", "recipe", "estimate"):
        assert found[what].outcome == "ok", found[what]
    assert found["input"].value.startswith("1 files of ")
    assert found["model"].outcome == "warn"  # the recipe pins no weights
    assert not (tmp_path / "root" / check_store.FOLDER).exists()


def test_what_is_missing_has_its_line_and_its_exit_code(doctor: Doctor) -> None:
    found = doctor("--set", "corpus.inputs.0.path=/nowhere/*.jsonl", "--set", "encoder.model=/no/model")
    assert found["input"].line().startswith("fail  input                  /nowhere/*.jsonl: no file there for ")
    assert "no such folder on this machine" in found["model"].value
    assert exit_code_of([*found.values()]) == 3


def test_other_weights_than_the_recipe_pins_are_a_failure(doctor: Doctor) -> None:
    found = doctor("--set", f"encoder.weights_sha256={'a' * 64}")["model"]
    assert (found.outcome, found.exit_code) == ("fail", 3)
    assert "the recipe pins aaa" in found.value


def test_a_mistaken_recipe_is_one_line_for_each_mistake_and_the_rest_is_checked(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistakes = ["--set", "embed.dimm=3", "--set", "encoder.pooling=lastt"]
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--config", str(recipe), "--root", str(tmp_path / "root"), *mistakes])
    out = capsys.readouterr().out.splitlines()
    assert left.value.code == 2
    assert sum(line.startswith("fail  recipe") for line in out) == 2
    assert any(line.startswith("ok    create only once") for line in out)


def test_pseudonyms_need_their_key(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--set", "corpus.authors=pseudonym", "--set", "corpus.inputs.0.columns.author_id=user"]
    monkeypatch.delenv("THETA_RAY_AUTHOR_KEY", raising=False)
    assert doctor(*options)["author key"].outcome == "fail"
    monkeypatch.setenv("THETA_RAY_AUTHOR_KEY", "k" * 32)
    assert doctor(*options)["author key"].outcome == "ok"


def test_nothing_that_is_secret_is_shown(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_ports(1)[0]}")
    secret = "s3://user:canary-uri@bucket/x?X-Amz-Signature=canary-query"
    options = ["--root", str(tmp_path / "root"), "--set", f"corpus.inputs.0.path={secret}"]
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--config", str(recipe), *options, "--json"])
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert "canary" not in out + err
    found = {check["what"]: check for check in json.loads(out)["checks"]}
    assert found["authentication"]["value"] == "RAY_AUTH_MODE=token, and there is a token"
    assert found["cluster"]["outcome"] == "fail"


def test_a_token_file_that_others_may_read_is_a_warning(doctor: Doctor, tmp_path: Path) -> None:
    file = tmp_path / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("canary")
    for mode, outcome in ((0o644, "warn"), (0o600, "ok")):
        file.chmod(mode)
        assert {each.what: each.outcome for each in check_machine._token_file()}["token file"] == outcome


def test_an_endpoint_where_nobody_listens_is_told_at_once(doctor: Doctor) -> None:
    began = time.monotonic()
    with s3_client({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}", "AWS_DEFAULT_REGION": "x"}):
        (found,) = check_store.check_store("s3://bucket/root")
    assert time.monotonic() - began < 5
    assert (found.outcome, found.exit_code) == ("fail", 6)
    assert "Connection refused" in found.value


def test_a_check_that_hangs_is_left_behind() -> None:
    def hang() -> list[Finding]:
        time.sleep(30)
        return []

    began = time.monotonic()
    found, in_time = run_checks({"a": lambda: [ok("a", "1")], "b": hang, "c": hang}, optional=("c",), seconds=0.3)
    assert time.monotonic() - began < 5
    assert not in_time
    assert [(each.what, each.outcome) for each in found] == [("a", "ok"), ("b", "fail"), ("c", "warn")]
    assert exit_code_of(found) == 3


def test_an_error_of_one_check_is_its_own_line() -> None:
    def refuse() -> list[Finding]:
        raise InputError("s3://b/x: Access Denied; check the credentials and what they allow")

    def break_down() -> list[Finding]:
        raise ZeroDivisionError("a bug")

    found, _ = run_checks({"store": refuse, "clock": break_down, "disk": lambda: [ok("disk", "much")]})
    assert found[0] == fail("store", "s3://b/x: Access Denied", "check the credentials and what they allow")
    assert (found[1].exit_code, found[1].value) == (70, "ZeroDivisionError: a bug")
    assert found[2].outcome == "ok"


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(5, "ok"), (-90, "warn"), (90, "warn"), (700, "fail"), (-7200, "fail")]
)
def test_a_wrong_clock_is_told(seconds: float, outcome: str) -> None:
    now = datetime.now(UTC)
    assert check_store._clock(now - timedelta(seconds=seconds), now).outcome == outcome


def test_a_store_that_ignores_the_condition_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def create(uri: str, data: bytes) -> bool:
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
        Path(uri).write_bytes(data)  # whatever was there
        return True

    monkeypatch.setattr(check_store, "create", create)
    found: dict[str, Any] = {each.what: each for each in check_store.check_store(str(tmp_path))}
    assert found["create only once"].outcome == "fail"
    assert "take a store with If-None-Match" in found["create only once"].advice


@pytest.mark.s3
def test_a_real_store_passes(s3: S3) -> None:
    found = check_store.check_store(s3.root("doctor"))
    assert {each.what for each in found} == {"list", "write and read", "create only once", "clock", "delete"}
    assert {each.outcome for each in found} == {"ok"}


def test_what_failed_has_a_line_of_its_own_in_a_log_of_json(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    found = [ok("disk", "room"), fail("input", "/raw/*.csv: no file there", "check the path", 3)]
    write_findings(found, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["checks"]) == 2
    assert [each.getMessage() for each in caplog.records] == ["fail input /raw/*.csv: no file there; check the path"]
