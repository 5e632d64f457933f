"""Head nodes of Ray with a dashboard and authentication, on free ports of this machine, for tests of submitted jobs."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import REPOSITORY, SECONDS_TO_START, free_ports

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


def clean_environment(home: str) -> dict[str, str]:
    """This environment without Ray's variables, and a home folder without anyone's token file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, "HOME": home, "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}


@contextlib.contextmanager
def head_node(**authentication: str) -> Iterator[Head]:
    """A head node of two cores for the time of a `with` block; RAY_AUTH_MODE and RAY_AUTH_TOKEN are given."""
    with tempfile.TemporaryDirectory(prefix="tr-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        variables = clean_environment(folder) | authentication
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
