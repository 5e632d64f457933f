"""Jobs submitted to a cluster as the README says, with and without token authentication.

What was found with Ray 2.60: the head and whoever submits each need RAY_AUTH_MODE=token and the same
RAY_AUTH_TOKEN; the token alone is not read. A head with RAY_AUTH_MODE=disabled takes any submission.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.heads import TOKEN, Head, clean_environment, head_node
from tests.small_jobs import read_table
from theta_ray.corpus.sample import write_sample

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def token_head() -> Iterator[Head]:
    with head_node(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as head:
        yield head


@pytest.fixture(scope="module")
def open_head() -> Iterator[Head]:
    with head_node(RAY_AUTH_MODE="disabled") as head:
        yield head


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The --set that points the sample recipe at a small sample every process of this machine can read."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, num_posts=120)
    return f"corpus.inputs.0.path={folder}/raw/*.jsonl.gz"


@pytest.mark.usefixtures("minilm")
def test_a_submitted_job_embeds_under_token_authentication(token_head: Head, raw: str, tmp_path: Path) -> None:
    # the planted damage is a large share of so few posts
    options = ["--set", raw, "--set", "corpus.max_damaged_share=1"]
    result = token_head.submit("--root", str(tmp_path), *options)
    assert result.returncode == 0, result.stdout[-4000:]
    assert read_table(str(tmp_path), "embeddings").num_rows == 120


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}, "Invalid authentication token"),
        ({"RAY_AUTH_TOKEN": TOKEN}, "Missing authentication token"),
        ({"RAY_AUTH_MODE": "disabled"}, "Missing authentication token"),
    ],
    ids=["wrong token", "token without mode", "no token"],
)
def test_a_submission_without_the_token_is_refused(
    token_head: Head, tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    result = token_head.submit("--root", "/unused", **clean_environment(str(tmp_path)), **variables)
    assert result.returncode != 0
    assert message in result.stderr


@pytest.mark.parametrize(
    "path", ["/api/jobs/", "/api/v0/nodes", "/nodes?view=summary", "/api/v0/logs?node_id=0", "/api/version", "/metrics"]
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer " + "0" * 64}], ids=["no token", "wrong token"])
def test_requests_without_the_token_get_401(token_head: Head, path: str, headers: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(urllib.request.Request(token_head.address + path, headers=headers), timeout=10)
    assert answer.value.code in (401, 403)


@pytest.mark.usefixtures("minilm")
def test_a_submitted_job_plans_where_authentication_is_disabled(open_head: Head, raw: str, tmp_path: Path) -> None:
    result = open_head.submit("--root", str(tmp_path), "--set", raw, "--plan")
    assert result.returncode == 0, result.stdout[-4000:]
    assert "nothing was started" in result.stdout
    assert not list(tmp_path.iterdir())


def test_the_exit_code_of_a_submitted_job_is_in_its_log_and_its_metadata(open_head: Head) -> None:
    result = open_head.submit("--plan")
    with urllib.request.urlopen(f"{open_head.address}/api/jobs/", timeout=30) as answer:
        (job,) = [job for job in json.load(answer) if job["driver_exit_code"]]
    with urllib.request.urlopen(f"{open_head.address}/api/jobs/{job['submission_id']}/logs", timeout=30) as answer:
        log = json.load(answer)["logs"].splitlines()
    assert result.returncode == 1
    assert job["driver_exit_code"] == 2
    error, summary = [json.loads(line) for line in log[-2:]]
    assert "add --root s3://bucket/name" in error["message"]
    assert (summary["event"], summary["exit_code"]) == ("summary", 2)
    assert summary["run"] == job["submission_id"]
