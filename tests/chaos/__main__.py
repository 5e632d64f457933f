"""The long form: python -m tests.chaos [--only FAULT ...] [--scale 0.1] [--seed 1] [--out FILE]. About 45 minutes.

Prints a line for each kind of fault as it is done. Exit code 1 where anything is not as promised.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import transformers

from tests.chaos import cluster_kills, full_disk, kills, rivals
from tests.chaos.faults import run_through_faults
from tests.chaos.forked import JobForks, job_forks
from tests.chaos.hosts import NoHosts
from tests.chaos.jobs import BUSY, HEAVY, LONG, REPOSITORY, SHORT, WIDE, Outcome, Setting, Size, make_setting
from tests.chaos.multihost import lose_a_host
from tests.chaos.nodes import NUM_WORKER_NODES, Nodes, three_nodes
from tests.conftest import S3, s3_environment, seaweedfs

HEAD = "| fault | injected | runs | lost | duplicated | manifest equal | most recomputed | partial reads |"
RULE = "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |"
WORKER_STEPS = (
    "corpus:shard_created",
    "embeddings:export_computed",
    "embeddings:shard_computed",
    "embeddings:shard_created",
    "embeddings:record_created",
)


class Stand:
    """Jobs and servers, each made when it is first asked for and ended with the stack."""

    def __init__(self, folder: Path, stack: ExitStack, scale: float, seed: int) -> None:
        self._folder, self._stack, self._scale, self.seed = folder, stack, scale, seed

    def times(self, count: int) -> int:
        """A number of kills, scaled."""
        return max(1, round(count * self._scale))

    def _setting(self, name: str, size: Size) -> Setting:
        return make_setting(self._folder / name, size)

    @cached_property
    def short(self) -> Setting:
        return self._setting("short", SHORT)

    @cached_property
    def long(self) -> Setting:
        return self._setting("long", LONG)

    @cached_property
    def busy(self) -> Setting:
        return self._setting("busy", BUSY)

    @cached_property
    def heavy(self) -> Setting:
        return self._setting("heavy", HEAVY)

    @cached_property
    def wide(self) -> Setting:
        return self._setting("wide", WIDE)

    @cached_property
    def forks(self) -> JobForks:
        return self._stack.enter_context(job_forks())

    @cached_property
    def nodes(self) -> Nodes:
        return self._stack.enter_context(three_nodes())

    @cached_property
    def server(self) -> S3:
        settings = self._stack.enter_context(s3_environment())
        self._stack.enter_context(seaweedfs(settings))
        return settings


def _steps(stand: Stand) -> Outcome:
    total = Outcome(f"process SIGKILL at each of {len(stand.short.steps)} steps, first try and retry")
    for step in stand.short.steps:
        for times in (1, 2):
            total.add(kills.kill_at_step(stand.short, stand.forks, step, times))
    return total


def _worker_steps(stand: Stand) -> Outcome:
    total = Outcome(f"worker SIGKILL on Ray at {len(WORKER_STEPS)} steps, 3 times each")
    for step in WORKER_STEPS:
        total.add(cluster_kills.kill_workers_at_step(stand.short, stand.nodes, step, 3))
    return total


def _rivals(stand: Stand) -> Outcome:
    total = Outcome("two runs at once: wait, join, fail")
    total.add(rivals.run_two_at_once(stand.long, "wait"))
    total.add(rivals.run_two_at_once(stand.long, "join"))
    total.add(rivals.run_two_of_which_one_leaves(stand.long))
    return total


def _notices(stand: Stand) -> Outcome:
    total = Outcome("SIGTERM, then a rerun, alone and on Ray")
    for number in range(stand.times(5)):
        total.add(rivals.stop_by_notice(stand.long, shards=1 + 4 * number))
    total.add(rivals.stop_by_notice(stand.busy, shards=5, nodes=stand.nodes))
    return total


def _full_disks(stand: Stand) -> Outcome:
    total = Outcome("disk full: tables, temporary files, Ray's spill folder")
    for what, share in full_disk.CASES:
        total.add(full_disk.fill_disk(stand.long, what, share))
    total.add(full_disk.fill_disk(stand.wide, "spill", 0))
    return total


# What is run, and how many shards one kill may cost: one for each worker that it ends.
FAULTS: dict[str, tuple[Callable[[Stand], Outcome], int]] = {
    "drivers": (lambda stand: kills.kill_drivers(stand.long, stand.times(40), stand.seed), 1),
    "steps": (_steps, 1),
    "seeds": (lambda s: run_through_faults(s.short, s.forks, s.server, range(s.seed, s.seed + s.times(20))), 1),
    "rivals": (_rivals, LONG.num_shards),
    "other-model": (lambda stand: rivals.run_beside_other_model(stand.long, rivals.with_other_model(stand.long)), 1),
    "full-disk": (_full_disks, 1),
    "actors": (lambda s: cluster_kills.kill_actors(s.heavy, s.nodes, s.times(200), s.seed), 1),
    "raylets": (lambda s: cluster_kills.kill_raylets(s.heavy, s.nodes, s.times(20), s.seed), 1),
    "workers": (lambda s: cluster_kills.kill_tasks(s.busy, s.nodes, s.times(20), s.seed), 1),
    "worker-steps": (_worker_steps, 1),
    "ray-drivers": (lambda s: cluster_kills.kill_ray_drivers(s.busy, s.nodes, s.times(10), s.seed), NUM_WORKER_NODES),
    "notices": (_notices, NUM_WORKER_NODES),
    "multihost": (lambda _: lose_a_host(), NUM_WORKER_NODES),
}


def main() -> int:
    """Run the faults asked for; 1 where one of them was not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", allow_abbrev=False)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the kills and seeds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the table here as well")
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    failed, lines = False, []
    folder = Path(tempfile.mkdtemp(prefix="theta-ray-chaos-"))
    for line, failures in _run(options, folder):
        lines.append(line)
        _say(line)
        for failure in failures:
            failed = True
            _say(f"FAILED: {failure}")
    if failed:
        _say(f"\nroots of what failed, and all output: {folder}")
    else:
        shutil.rmtree(folder)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(failed)


def _run(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Lines of the table, each with what is not as promised."""
    for line in (*_place(), "", HEAD, RULE):
        yield line, []
    with ExitStack() as stack:
        stand = Stand(folder, stack, options.scale, options.seed)
        for name in options.only:
            run, recomputed = FAULTS[name]
            try:
                outcome = run(stand)
            except NoHosts as why:
                yield f"| {name}: not run here, {why} | - | - | - | - | - | - | - |", []
                continue
            except Exception:  # noqa: BLE001  one fault that cannot be counted must not hide the others
                yield f"| {name}: not counted | - | - | - | - | - | - | - |", [traceback.format_exc()]
                continue
            yield _row(outcome), outcome.failures(recomputed)


def _row(outcome: Outcome) -> str:
    equal = "yes" if not outcome.unequal else f"no, {outcome.unequal} times"
    values = (outcome.fault, outcome.kills, outcome.runs, outcome.lost, outcome.duplicated, equal)
    cells = [str(value) for value in (*values, outcome.recomputed, f"{len(outcome.partial)} of {outcome.reads:,}")]
    return f"| {' | '.join(cells)} |"


def _place() -> list[str]:
    """Date, commit and machine."""
    commit = _output("git", "rev-parse", "--short=12", "HEAD")
    changed = " with changes" if _output("git", "status", "--porcelain", "--untracked-files=no") else ""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ray", "torch", "pyarrow"))
    day = datetime.now(UTC).date().isoformat()
    return [f"{day}, commit {commit}{changed}, {machine}, Python {platform.python_version()}, {packages}."]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY).stdout.strip()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
