"""`theta-ray submit`: the checks and the job run on the cluster, and the driver's own exit code comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, free_ports
from tests.heads import TOKEN, Head, head_node
from tests.small_jobs import DAY, make_recipe, make_texts, read_table, save_recipe, write_jsonl

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with head_node(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as head:
        yield head


@pytest.fixture
def recipe(tmp_path: Path, bert: Path) -> Path:
    raw = write_jsonl(tmp_path / "raw.jsonl", make_texts(30))
    return save_recipe(tmp_path / "recipe.yaml", make_recipe(str(raw), bert))


def submit(head: Head, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`theta-ray submit` of some options from the repository."""
    command = [sys.executable, "-m", "theta_ray.console", "submit", "--address", head.address, *options]
    environment = {**head.variables, **variables}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_a_job_is_checked_run_and_followed_to_its_end(head: Head, recipe: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    job = ["--config", str(recipe), "--root", str(root), "--date", DAY]
    result = submit(head, "jobs/prepare.py", "--", *job)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert result.stderr.startswith("submitted prepare-")
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    (checks,) = [line["checks"] for line in lines if "checks" in line]
    assert {check["outcome"] for check in checks if check["what"] in ("create only once", "input", "ray")} == {"ok"}
    summaries = [line for line in lines if line.get("event") == "summary"]
    assert [line["exit_code"] for line in summaries] == [0, 0]  # of the checks, and of the job
    assert summaries[-1]["run"] in result.stderr
    assert next(line for line in lines if line.get("status") == "committed")["documents_kept"] == 30
    assert read_table(str(root), "corpus").num_rows == 30
    assert TOKEN not in result.stdout + result.stderr


def test_the_exit_code_is_that_of_the_driver(head: Head, recipe: Path) -> None:
    with open(recipe.parent / "raw.jsonl", "a", encoding="utf-8") as raw:
        raw.write('{"id": "x", "text": ""}\n')
    job = ["--config", str(recipe), "--root", str(recipe.parent / "root"), "--set", "corpus.max_damaged_share=0.0"]
    result = submit(head, "--skip-doctor", "jobs/prepare.py", "--", *job)
    assert result.returncode == 4, result.stdout[-4000:]
    assert "missing_text" in result.stdout


def test_a_wrong_token_is_told_in_one_line(head: Head, recipe: Path) -> None:
    wrong = "0" * 64
    job = ["--config", str(recipe), "--root", "/unused"]
    result = submit(head, "jobs/prepare.py", "--", *job, RAY_AUTH_TOKEN=wrong)
    assert result.returncode == 3
    line, last = result.stderr.splitlines()
    assert "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on the head node" in line
    assert last.startswith("exit code 3")
    assert wrong not in result.stderr


def test_nobody_there_is_told_after_some_tries(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from theta_ray.console import job_client
    from theta_ray.console.main import main

    monkeypatch.setattr(job_client, "START_SECONDS", 1.0)
    monkeypatch.chdir(REPOSITORY)
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(SystemExit) as left:
        main(["submit", "--address", address, "jobs/prepare.py", "--", "--config", str(recipe), "--root", "/unused"])
    assert left.value.code == 6
    assert "Connection refused, for 1 s; rerun when it answers" in capsys.readouterr().err
