"""Kill the whole job in the middle and run it again: every id exactly once, and the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY
from tests.models import save_bert
from tests.small_jobs import DAY, find_partition, make_recipe, make_texts, read_table, save_recipe, write_jsonl

pytestmark = pytest.mark.chaos
NUM_TEXTS = 2000
SECONDS_TO_WAIT = 120.0


@dataclass(frozen=True)
class Setting:
    """A recipe and the folder of an undisturbed run of it."""

    folder: Path
    recipe: Path
    whole: Path

    def command(self, root: Path, executor: str) -> list[str]:
        resources = self.folder / f"{executor}.yaml"
        resources.write_text(f"executor: {executor}\nnum_actors: 1\nbatch_tokens: 256\n")
        command = [sys.executable, str(REPOSITORY / "jobs" / "embed.py"), "--config", str(self.recipe)]
        return [*command, "--resources", str(resources), "--root", str(root), "--date", DAY]


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("killed")
    model = save_bert(folder / "model", hidden_size=256)
    raw = write_jsonl(folder / "a.jsonl", make_texts(NUM_TEXTS))
    changes = {"corpus": {"shard_bytes": 6000}, "embed": {"parity_rows": 8}}
    recipe = save_recipe(folder / "recipe.yaml", make_recipe(str(raw), model, **changes))
    made = Setting(folder, recipe, folder / "whole")
    run_job(made.command(made.whole, "local"))
    return made


def run_job(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def records(root: Path) -> list[Path]:
    return list(root.glob("embeddings/*/*/records/*.json"))


def kill_after(command: list[str], root: Path, num_records: int) -> int:
    """Start the job, kill -9 its driver once so many shards have records, end its workers; records left."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while len(records(root)) < num_records:
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline, "no shard was finished in time"
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    for worker in alive:  # Ray's own processes notice the dead driver; these did not in time
        os.kill(worker.pid, signal.SIGKILL)
    return len(records(root))


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_killed_job_goes_on_and_every_id_is_there_once(setting: Setting, executor: str, tmp_path: Path) -> None:
    command = setting.command(tmp_path, executor)
    left = kill_after(command, tmp_path, num_records=3)
    run_job(command)
    ids = read_table(str(tmp_path), "embeddings").column("doc_id").to_pylist()
    assert 3 <= left < len(records(setting.whole))
    assert sorted(ids) == sorted(f"d{i}" for i in range(NUM_TEXTS))
    killed, whole = (Path(find_partition(str(root), "embeddings").path) for root in (tmp_path, setting.whole))
    shards = sorted(whole.glob("*.parquet"))
    assert shards
    assert [(killed / shard.name).read_bytes() for shard in shards] == [shard.read_bytes() for shard in shards]
