"""Jobs submitted to a cluster as the README says, with and without token authentication.

What was found with Ray 2.60: the head and whoever submits each need RAY_AUTH_MODE=token and the same
RAY_AUTH_TOKEN; the token alone is not read. A head with RAY_AUTH_MODE=disabled takes any submission.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY, SECONDS_TO_START, free_ports
from tests.small_jobs import read_table
from theta_ray.corpus.sample import write_sample

pytestmark = pytest.mark.ray
BIN = Path(sys.executable).parent
PORTS = ("port", "object-manager-port", "node-manager-port", "runtime-env-agent-port", "metrics-export-port")
DASHBOARD_PORTS = ("dashboard-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
TOKEN = secrets.token_hex(32)


@dataclass(frozen=True)
class Head:
    """A running head node and the environment of those who know its secret."""

    address: str
    variables: dict[str, str]

    def submit(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`ray job submit` of jobs/embed.py over the sample recipe, from the repository."""
        command = [str(BIN / "ray"), "job", "submit", "--address", self.address, "--working-dir", ".", "--"]
        command += ["python", "jobs/embed.py", "--config", "recipes/sample.yaml", "--date", "2026-01-31", *options]
        # stdout only: the client's own log lines are on stderr
        return subprocess.run(
            command, cwd=REPOSITORY, env=variables or self.variables, capture_output=True, text=True, check=False
        )


def _clean_environment(home: str) -> dict[str, str]:
    """This environment without Ray's variables, and a home folder without anyone's token file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "HOME": home, "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}


@contextlib.contextmanager
def _head(**authentication: str) -> Iterator[Head]:
    with tempfile.TemporaryDirectory(prefix="tr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        variables = _clean_environment(folder) | authentication
        names = (*PORTS, *DASHBOARD_PORTS)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        options = [f"--{name}={port}" for name, port in ports.items()]
        options += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", f"--temp-dir={folder}"]
        command = [str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats", *options]
        with open(Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for_port(ports["dashboard-port"], process, Path(folder) / "log")
            yield Head(f"http://127.0.0.1:{ports['dashboard-port']}", variables)
        finally:
            _end_session(process)


def _wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the head node did not start: {log.read_text(errors='replace')[-2000:]}")


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End the processes of the session that `process` leads, and no others."""
    while members := [pid for pid in psutil.pids() if _session_of(pid) == process.pid]:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.05)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


@pytest.fixture(scope="module")
def token_head() -> Iterator[Head]:
    with _head(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as head:
        yield head


@pytest.fixture(scope="module")
def open_head() -> Iterator[Head]:
    with _head(RAY_AUTH_MODE="disabled") as head:
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
    result = token_head.submit("--root", "/unused", **_clean_environment(str(tmp_path)), **variables)
    assert result.returncode != 0
    assert message in result.stderr


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
