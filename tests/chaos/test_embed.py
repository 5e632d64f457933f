"""Kill the whole job in the middle and run it again: every id exactly once, and the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY
from tests.models import save_bert
from tests.small_jobs import DAY, find_partition, make_recipe, make_texts, read_table, save_recipe, write_jsonl

pytestmark = pytest.mark.chaos
NUM_TEXTS = 4000
SECONDS_TO_WAIT = 120.0


def job_command(recipe: Path, root: Path, executor: str, tmp_path: Path) -> list[str]:
    resources = tmp_path / f"{executor}.yaml"
    resources.write_text(f"executor: {executor}\nnum_actors: 1\nbatch_tokens: 256\n")
    command = [sys.executable, str(REPOSITORY / "jobs" / "embed.py"), "--config", str(recipe)]
    return [*command, "--resources", str(resources), "--root", str(root), "--date", DAY]


def run_job(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def kill_after(command: list[str], root: Path, num_records: int) -> int:
    """Start the job, kill -9 its driver once so many shards have records, end its workers; records left."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while len(list(root.glob("embeddings/*/*/records/*.json"))) < num_records:
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline, "no shard was finished in time"
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    for worker in alive:  # Ray's own processes notice the dead driver; these did not in time
        os.kill(worker.pid, signal.SIGKILL)
    return len(list(root.glob("embeddings/*/*/records/*.json")))


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_killed_job_goes_on_and_every_id_is_there_once(tmp_path: Path, executor: str) -> None:
    model = save_bert(tmp_path / "model", hidden_size=256)
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(NUM_TEXTS))
    changes = {"corpus": {"shard_bytes": 6000}, "embed": {"parity_rows": 8}}
    recipe = save_recipe(tmp_path / "recipe.yaml", make_recipe(str(raw), model, **changes))
    killed = job_command(recipe, tmp_path / "killed", executor, tmp_path)
    left = kill_after(killed, tmp_path / "killed", num_records=3)
    run_job(killed)
    run_job(job_command(recipe, tmp_path / "whole", "local", tmp_path))
    shards = len(list(tmp_path.glob("whole/embeddings/*/*/records/*.json")))
    assert 3 <= left < shards
    ids = read_table(str(tmp_path / "killed"), "embeddings").column("doc_id").to_pylist()
    assert sorted(ids) == sorted(f"d{i}" for i in range(NUM_TEXTS))
    paths = [Path(find_partition(str(tmp_path / name), "embeddings").path) for name in ("killed", "whole")]
    for shard in sorted(paths[1].glob("*.parquet")):
        assert (paths[0] / shard.name).read_bytes() == shard.read_bytes()
