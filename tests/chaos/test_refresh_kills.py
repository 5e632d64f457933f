"""A refresh that is killed between any two stages, or run twice at once, ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tests.chaos.processes import PROCESSES
from tests.nights import NIGHTS, nightly_config, objects_of, write_night
from theta_ray.config import Config
from theta_ray.nightly import refresh
from theta_ray.publication import Publications
from theta_ray.steps import FOLDER_VARIABLE

pytestmark = pytest.mark.chaos
_, TWO, _ = NIGHTS
# One after another, below the same root: each attempt comes one stage further.
BORDERS = (
    "corpus:manifest_created",
    "embeddings:manifest_created",
    "centroids:manifest_created",
    "assignments:manifest_created",
    "topic_counts:manifest_created",
    "topics:manifest_created",
    "edges:manifest_created",
    "network_stats:manifest_created",
    "published:all_done",
    "published:manifest_created",
)


def _refresh(config: Config, steps: Path) -> None:
    os.environ[FOLDER_VARIABLE] = str(steps)
    refresh.run(config, TWO)


def start(config: Config, steps: Path) -> BaseProcess:
    """A process that refreshes the second night."""
    steps.mkdir(exist_ok=True)
    process = PROCESSES.Process(target=_refresh, args=(config, steps))
    process.start()
    return process


def code_of(process: BaseProcess) -> int | None:
    """Its exit code, when it has ended."""
    process.join(120)
    return process.exitcode


def below(config: Config, root: Path) -> Config:
    """The same nights below another root."""
    return config.model_copy(update={"root": str(root)})


def test_kills_between_stages_and_two_runs_at_once_change_no_byte(tmp_path: Path, bert: Path) -> None:
    write_night(tmp_path, TWO, "a")
    # a page tells how long runs took: its bytes are those of its night alone
    config = nightly_config(tmp_path, bert, stages=["label_topics", "analyze_network"])
    whole, killed, twice = (below(config, tmp_path / name) for name in ("whole", "killed", "twice"))
    assert code_of(start(whole, tmp_path / "steps")) == 0
    expected = objects_of(whole, "plans")
    reached = {line.split()[1] for line in (tmp_path / "steps" / "log").read_text().splitlines()}
    assert set(BORDERS) <= reached
    for number, border in enumerate(BORDERS):
        steps = tmp_path / f"steps-{number}"
        steps.mkdir()
        (steps / "kill").write_text(f"{border} 1")
        assert code_of(start(killed, steps)) == -signal.SIGKILL, border
    assert code_of(start(killed, tmp_path / "steps-last")) == 0
    assert objects_of(killed, "plans") == expected
    both = [start(twice, tmp_path / f"steps-{name}") for name in ("left", "right")]
    assert [code_of(process) for process in both] == [0, 0]
    assert objects_of(twice, "plans") == expected
    assert Publications(twice.root, "small").versions() == [1]
