"""A job to disturb, the undisturbed run of it, and what is counted about each disturbed one."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fsspec
import yaml

from tests.chaos import oracle
from tests.chaos.reader import PollingReader
from tests.models import save_bert
from tests.small_jobs import DAY, make_recipe, make_texts, save_recipe

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS_TO_WAIT = 600.0
LOCAL = {"executor": "local"}
# A holder that is gone from this machine is known at once; a lease only has to outlast a busy machine's pauses.
# Restarts without end: the harness decides how often is too often.
RESOURCES = {"lease_seconds": 12, "max_retries": 10_000, "batch_tokens": 256, "threads_per_actor": 1}


@dataclass(frozen=True)
class Size:
    """How much there is to do. Wider models take longer, so that kills land in the middle."""

    num_texts: int
    num_shards: int
    hidden_size: int = 32


SHORT = Size(num_texts=120, num_shards=4)
LONG = Size(num_texts=2000, num_shards=24, hidden_size=256)
BUSY = Size(num_texts=4000, num_shards=50, hidden_size=512)
# One shard of tokens that do not fit into a message, so that they need memory for objects.
WIDE = Size(num_texts=24_000, num_shards=1)
PAIRED = Size(num_texts=60, num_shards=3)
HEAVY = Size(num_texts=6000, num_shards=100, hidden_size=768)


@dataclass
class Outcome:
    """One line of the table: what was seen under one kind of fault, summed over its runs."""

    fault: str
    runs: int = 0
    kills: int = 0
    lost: int = 0
    duplicated: int = 0
    unequal: int = 0
    recomputed: int = 0
    """Most shards of one table that were computed again after one kill."""
    reads: int = 0
    partial: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Sum up with the outcome of more runs under the same fault."""
        for name in ("runs", "kills", "lost", "duplicated", "unequal", "reads", "partial", "problems"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.recomputed = max(self.recomputed, other.recomputed)

    def failures(self, recomputed: int) -> list[str]:
        """What is not as promised, where one kill may cost so many shards (one per worker)."""
        counts = {"ids lost": self.lost, "ids duplicated": self.duplicated, "manifests unequal": self.unequal}
        found = [f"{count} {name}" for name, count in counts.items() if count] + self.problems
        found += [f"partial read: {what}" for what in self.partial]
        if self.recomputed > recomputed:
            found.append(f"{self.recomputed} shards recomputed after one kill, {recomputed} allowed")
        if not self.reads:
            found.append("the reader never read")
        return found


@dataclass(frozen=True)
class Setting:
    """A recipe, its document ids, and the manifests of an undisturbed run of it."""

    folder: Path
    recipe: Path
    ids: frozenset[str]
    whole: dict[str, str]
    steps: tuple[str, ...]
    """`<table>:<step>` of the undisturbed run, each once, in their order."""
    seconds: float
    """Of the undisturbed run, from its first step on."""
    job: str = "embed"

    def command(self, root: Path | str, resources: dict[str, Any], *options: str) -> list[str]:
        """The command line of the job."""
        text = yaml.safe_dump({**RESOURCES, **resources})
        path = self.folder / f"resources-{abs(hash(text)):x}.yaml"
        path.write_text(text)
        command = [sys.executable, str(REPOSITORY / "jobs" / f"{self.job}.py"), "--config", str(self.recipe)]
        return [*command, "--resources", str(path), "--root", str(root), "--date", DAY, *options]

    def read_recipe(self) -> dict[str, Any]:
        """The recipe as YAML values."""
        return dict(yaml.safe_load(self.recipe.read_text()))


def write_raw(path: Path, num_texts: int) -> frozenset[str]:
    """JSON lines with repeated ids, repeated texts and damaged rows among them; the ids that are to be kept."""
    lines = []
    for number, text in enumerate(make_texts(num_texts)):
        lines.append(json.dumps({"id": f"d{number}", "text": text, "label": f"label{number % 3}"}))
        if number % 97 == 5:
            lines.append(lines[number // 2] if lines[number // 2].endswith("}") else lines[0])
        if number % 101 == 7:
            lines.append(json.dumps({"id": f"empty{number}", "text": ""}))
        if number % 211 == 11:
            lines.append('{"id": "cut')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return frozenset(f"d{number}" for number in range(num_texts))


def make_setting(folder: Path, size: Size, pairs: dict[str, Any] | None = None) -> Setting:
    """Write recipe, model and raw file below `folder`, and run the job once undisturbed: with `pairs` their mining."""
    model = save_bert(folder / "model", hidden_size=size.hidden_size)
    raw = folder / "raw.jsonl"
    ids = write_raw(raw, size.num_texts)
    shard_bytes = raw.stat().st_size // size.num_shards + 1
    changes = {"corpus": {"shard_bytes": shard_bytes, "max_damaged_share": 0.1}, "embed": {"parity_rows": 8}}
    values = make_recipe(str(raw), model, **changes)
    if pairs:
        values["corpus"]["inputs"][0]["columns"]["label"] = "label"
        values["pairs"] = pairs
    recipe = save_recipe(folder / "recipe.yaml", values)
    setting = Setting(folder, recipe, ids, {}, (), 0.0, "mine_pairs" if pairs else "embed")
    root = folder / "undisturbed"
    steps = Steps(folder / "undisturbed-steps")
    process = start(setting.command(root, LOCAL), steps)
    steps.wait_for_line(process, 0)
    started = time.monotonic()
    require_done(process, steps)
    found = oracle.check(root, DAY, set(ids))
    if found["lost"] or found["duplicated"] or found["problems"]:
        raise AssertionError(f"the undisturbed run is not whole: {found}")
    reached = tuple(dict.fromkeys(line.split()[1] for line in steps.lines()))
    return replace(setting, whole=found["manifests"], steps=reached, seconds=time.monotonic() - started)


class Steps:
    """The folder of THETA_RAY_STEPS: its log tells what was reached, its file `kill` where to die."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._marks: list[int] = []
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Forget what was reached before."""
        self._marks.clear()
        for path in self.folder.iterdir():
            path.unlink()

    def lines(self) -> list[str]:
        """All steps so far."""
        log = self.folder / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def last_words(self) -> str:
        """The end of what the jobs have written."""
        return (self.folder / "output").read_text(errors="replace")[-3000:]

    def count(self, step: str = "") -> int:
        """How often a step, or any, was reached."""
        return sum(f" {step}" in line for line in self.lines())

    def wait_for_line(self, process: subprocess.Popen[bytes], known: int, step: str = "") -> None:
        """Return when a step, or any, was reached more often than `known`, or the process has ended."""
        deadline = time.monotonic() + SECONDS_TO_WAIT
        while self.count(step) <= known and process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.folder}: no step {step} in {SECONDS_TO_WAIT:.0f} s: {self.last_words()}")
            time.sleep(0.02)

    def kill_at(self, target: str, times: int) -> None:
        """End the processes that come to this step, so many times over all of them."""
        (self.folder / "kill").write_text(f"{target} {times}")

    def mark_kill(self) -> None:
        """Something was killed now: what was computed before and is computed again was lost by it."""
        self._marks.append(len(self.lines()))

    def mark_kills_at(self, target: str) -> None:
        """The first that came to this step were killed there."""
        places = [number for number, line in enumerate(self.lines(), start=1) if f" {target} " in line]
        self._marks += places[: self.num_kills]

    @property
    def num_kills(self) -> int:
        """How many processes the file `kill` has ended."""
        return len(list(self.folder.glob("killed-*")))

    def most_recomputed(self) -> int:
        """Shards of one table that one kill made necessary to compute again: the most over all kills."""
        lines, again = self.lines(), Counter[tuple[int, str]]()
        last: dict[str, int] = {}
        for number, line in enumerate(lines):
            _, step, what = line.split(" ", 2)
            table, _, name = step.partition(":")
            if name != "shard_computed" or table == "quarantine":
                continue
            shard = f"{table} {what}"
            if shard in last:
                kill = sum(mark <= last[shard] for mark in self._marks)
                again[kill, table] += 1
            last[shard] = number
        return max(again.values(), default=0)


def start(command: list[str], steps: Steps, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The job as a process of its own; its output goes to a file beside the steps."""
    variables = {**os.environ, "THETA_RAY_STEPS": str(steps.folder), "HF_HUB_OFFLINE": "1", **(environment or {})}
    variables["PYTHONPATH"] = str(REPOSITORY)
    with open(steps.folder / "output", "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables)


def require_done(process: subprocess.Popen[bytes], steps: Steps, exit_code: int = 0) -> None:
    """Wait for the end of a job; any other exit code is an error with its last words."""
    code = process.wait(timeout=SECONDS_TO_WAIT)
    if code != exit_code:
        raise AssertionError(f"the job ended with {code}, not {exit_code}: {steps.last_words()}")


class Trial:
    """One root under one kind of fault, read by a polling reader until it is counted."""

    def __init__(self, setting: Setting, folder: Path, steps: Steps | None = None, root: str | None = None) -> None:
        self.setting, self.folder, self.root = setting, folder, root or str(folder / "root")
        self.steps = steps or Steps(folder / "steps")
        if root is None:
            Path(self.root).mkdir(parents=True)

    def start(
        self, resources: dict[str, Any] | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Submit the job."""
        return start(self.setting.command(self.root, resources or LOCAL), self.steps, environment)

    def paths(self, pattern: str) -> list[Path]:
        """What a local root holds."""
        return sorted(Path(self.root).glob(pattern))

    def local_root(self) -> Path:
        """The root as a local folder, fetched from a store where it lies on one."""
        if "://" not in self.root:
            return Path(self.root)
        fs, path = fsspec.core.url_to_fs(self.root, use_listings_cache=False)
        fetched = self.folder / "fetched"
        fs.get(path, str(fetched), recursive=True)
        return fetched


@contextmanager
def trial(setting: Setting, outcome: Outcome, steps: Steps | None = None, root: str | None = None) -> Iterator[Trial]:
    """A fresh root, or the one named; what oracle and reader found there is added to the outcome at the end."""
    folder = setting.folder / f"trial-{random.getrandbits(48):012x}"
    made = Trial(setting, folder, steps, root)
    made.steps.begin()
    with PollingReader(made.root, DAY, setting.whole) as reader:
        yield made
    found = oracle.check(made.local_root(), DAY, set(setting.ids))
    outcome.runs += 1
    outcome.lost += found["lost"]
    outcome.duplicated += found["duplicated"]
    outcome.unequal += found["manifests"] != setting.whole
    outcome.recomputed = max(outcome.recomputed, made.steps.most_recomputed())
    outcome.reads += reader.num_reads
    outcome.partial += reader.partial[:5]
    outcome.problems += found["problems"][:5]
    if not outcome.failures(2):
        shutil.rmtree(folder, ignore_errors=True)  # a mount point in it goes with its namespace
