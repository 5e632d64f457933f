"""Three Ray nodes on this machine, the head without cores; `python -m tests.chaos.nodes` holds them.

The holder is a process of its own, so that the tests' own Ray and its token stay what they are. It prints
the cluster's address, and for each line `kill <worker node>` on its standard input it ends that node's raylet
with SIGKILL, puts a new node in its place, and answers with one line. It ends them all when its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.jobs import REPOSITORY, Steps

NUM_WORKER_NODES = 2
# A dead node is noticed after 2 seconds instead of 30, and a tokenising process stays beside the actor of a node
# with one core, instead of importing everything again for each shard: the tests are about what follows a kill.
SETTINGS = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
    "idle_worker_killing_time_threshold_ms": 600_000,
}
OURS = re.compile("ray::(read_shard|read_text_keys|resolve_bucket|write_shard|MapWorker|MapBatches)")
OBJECT_STORE_BYTES = 100 * 2**20


@dataclass(frozen=True)
class Nodes:
    """A running cluster: what a job needs in its environment, and whom to kill."""

    holder: subprocess.Popen[str]
    environment: dict[str, str]
    steps: Steps
    """The nodes' workers inherit the folder from the nodes, so it stays the same for all jobs."""

    def replace_node(self, number: int) -> None:
        """SIGKILL the raylet of a worker node; return when a new node has taken its place."""
        assert self.holder.stdin is not None
        self.holder.stdin.write(f"kill {number}\n")
        self.holder.stdin.flush()
        _answer(self.holder)

    def workers(self, name: str = "") -> list[psutil.Process]:
        """Processes that run a task or an actor of ours, and whose title holds `name`; by process id."""
        found = []
        for process in psutil.Process(self.holder.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                title = " ".join(process.cmdline())
                if OURS.match(title) and name in title:
                    found.append(process)
        return sorted(found, key=lambda process: process.pid)


@contextmanager
def three_nodes(spill: Path | None = None) -> Iterator[Nodes]:
    """The cluster for the time of a `with` block. `spill`: where its nodes put objects that memory has no room for."""
    # sockets lie below this folder, and their paths may have 107 characters
    folder = tempfile.mkdtemp(prefix="tr-", dir="/tmp")
    steps = Steps(Path(folder, "steps"))
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    variables["RAY_BACKEND_LOG_LEVEL"] = "fatal"  # a dead worker is what we are here for; Ray reports each at length
    own = {"RAY_TMPDIR": folder, "THETA_RAY_STEPS": str(steps.folder)}
    environment = {**os.environ, **variables, **own, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}
    environment.pop("RAY_ADDRESS", None)
    with open(Path(folder, "holder.log"), "wb") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nodes", *([str(spill)] if spill else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            cwd=REPOSITORY,
        )
    try:
        address = _answer(holder)
        yield Nodes(holder, {**variables, "RAY_ADDRESS": address}, steps)
    finally:
        assert holder.stdin is not None
        holder.stdin.close()
        try:
            holder.wait(timeout=60)
        except subprocess.TimeoutExpired:
            holder.kill()  # its reaper ends the nodes
        shutil.rmtree(folder, ignore_errors=True)


def _answer(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    line = holder.stdout.readline()
    if not line:
        raise AssertionError(f"the holder of the Ray nodes has ended with {holder.wait()}")
    return str(json.loads(line)["answer"])


def _hold() -> None:
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints to standard output too
    node: dict[str, Any] = {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    if sys.argv[1:]:
        node["object_spilling_directory"] = sys.argv[1]
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0, "_system_config": SETTINGS})
    nodes = [cluster.add_node(num_cpus=1, **node) for _ in range(NUM_WORKER_NODES)]
    _say(answers, cluster.address)
    for line in sys.stdin:
        number = int(line.split()[1])
        raylet = nodes[number].all_processes["raylet"][0].process
        raylet.kill()
        raylet.wait()
        cluster.remove_node(nodes[number], allow_graceful=False)
        nodes[number] = cluster.add_node(num_cpus=1, **node)
        _say(answers, f"replaced {number}")
    cluster.shutdown()


def _say(answers: Any, text: str) -> None:
    answers.write(json.dumps({"answer": text}) + "\n")
    answers.flush()


if __name__ == "__main__":
    _hold()
