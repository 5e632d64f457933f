"""`analyze_network` killed at each of its steps goes on to the bytes of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.chaos.processes import PROCESSES
from tests.corpora import DAY
from tests.networks import network_config
from tests.unit.test_analyze_network import talk
from theta_ray.config import Config
from theta_ray.corpus import prepare
from theta_ray.network import analyze_network
from theta_ray.schemas_network import NETWORK_TABLES
from theta_ray.steps import FOLDER_VARIABLE

pytestmark = pytest.mark.chaos
COMMIT = {"shard_computed", "shard_created", "record_created", "all_done", "manifest_created"}
WITHOUT_ROWS = {"topic_communities:" + step for step in COMMIT - {"all_done", "manifest_created"}}
STEPS = {f"{table}:{step}" for table in NETWORK_TABLES for step in COMMIT} - WITHOUT_ROWS
STEPS |= {"network_stats:lease_taken", "network_stats:rows_staged"}
Undisturbed = tuple[Config, list[str], dict[str, bytes]]


def _run(config: Config, steps: Path) -> None:
    os.environ[FOLDER_VARIABLE] = str(steps)
    analyze_network.run(config, DAY)


def run(config: Config, steps: Path) -> int:
    """Exit code of a process that analyses networks."""
    process = PROCESSES.Process(target=_run, args=(config, steps))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def made(config: Config) -> dict[str, bytes]:
    """Every object of all tables, but for leases and how long it took."""
    tables = analyze_network.make_job(config, DAY).tables.values()
    return {
        f"{table.table}/{path.relative_to(table.path)}": path.read_bytes()
        for table in tables
        for path in Path(table.path).rglob("*")
        if path.is_file() and not {"lease", "run_cards", "records"} & set(path.parts)
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The work with its corpus alone, the steps of a run in their order, and what it made."""
    folder = tmp_path_factory.mktemp("undisturbed")
    section = {"graphs": ["co_thread", "comment_to_parent_author"], "num_nulls": 1, "communities": {"num_seeds": 1}}
    config = network_config(folder, talk(), section, shard_bytes=2000)
    prepare.run(config, DAY)
    whole = copy_of(config, folder / "whole")
    assert run(whole, steps_of(folder)) == 0
    reached = [line.split()[1] for line in (folder / "log").read_text().splitlines()]
    return config, [step for step in dict.fromkeys(reached) if step.split(":")[0] in NETWORK_TABLES], made(whole)


def copy_of(config: Config, root: Path) -> Config:
    """The same work on a copy of its corpus."""
    shutil.copytree(config.root, root)
    return config.model_copy(update={"root": str(root)})


def steps_of(folder: Path, kill: str = "") -> Path:
    """A folder in which a run notes its steps, and is killed where `kill` says."""
    folder.mkdir(exist_ok=True)
    if kill:
        (folder / "kill").write_text(kill)
    return folder


def test_a_run_killed_at_each_step_in_turn_makes_what_an_undisturbed_one_makes(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    prepared, reached, expected = undisturbed
    assert set(reached) == STEPS
    config = copy_of(prepared, tmp_path / "root")
    for number, step in enumerate(reached):
        assert run(config, steps_of(tmp_path / str(number), f"{step} 1")) == -signal.SIGKILL, step
    assert run(config, steps_of(tmp_path / "last")) == 0
    assert made(config) == expected


def test_two_kills_at_a_step_of_the_last_table_change_nothing(tmp_path: Path, undisturbed: Undisturbed) -> None:
    prepared, reached, expected = undisturbed
    for step in (step for step in reached if step.startswith("network_stats:")):
        config = copy_of(prepared, tmp_path / step)
        steps = steps_of(tmp_path / f"steps-{step}", f"{step} 2")
        # a rerun takes a shard that has its record, and a table that has its manifest
        kills = 1 if step.endswith(("record_created", "manifest_created")) else 2
        assert [run(config, steps) for _ in range(kills + 1)] == [-signal.SIGKILL] * kills + [0], step
        assert made(config) == expected, step
