"""One table: what `--plan` says a job will take beside what it then takes.

    python benchmarks/plan_estimate.py                          the synthetic sample's texts
    python benchmarks/plan_estimate.py --texts FILE.parquet     column `text` of files of yours, each a row of the table
    python benchmarks/plan_estimate.py --executor ray
    python benchmarks/plan_estimate.py --cpu                    CPU seconds of both, on a machine that others use too
    python benchmarks/plan_estimate.py --raw                    plan before the corpus is prepared

Plan and run are processes of their own, one after another. Seconds are those of the
embedding stage: its checks, Ray where it is used, the embedding and the commit. all-MiniLM-L6-v2.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from embed_vs_peers import MODEL, REPOSITORY, write_texts

from theta_ray.config import Config

DAY = "2026-01-31"
PREPARE = """
import sys
from theta_ray.config import Config
from theta_ray.corpus import prepare
prepare.run(Config.model_validate_json(sys.argv[1]), sys.argv[2])
"""
CPU = """
import time
time.perf_counter = time.process_time
"""
PLAN = """
import json, sys, time
from theta_ray.config import Config
from theta_ray.encoder import embed
started = time.perf_counter()
figures = embed.plan(Config.model_validate_json(sys.argv[1]), sys.argv[2]).steps[-1].figures
print(json.dumps([figures["estimated_tokens"], figures["estimated_seconds"], time.perf_counter() - started]))
"""
RUN = """
import json, sys
from theta_ray.config import Config
from theta_ray.encoder import embed
card = embed.run(Config.model_validate_json(sys.argv[1]), sys.argv[2])
print(json.dumps([card.figures["tokens"], sum(card.seconds.values())]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, action="append", help="parquet file with a column `text`")
    parser.add_argument("--limit", type=int, default=4000, help="rows of each file (default 4000)")
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds instead of wall seconds")
    parser.add_argument("--raw", action="store_true", help="plan from the inputs instead of the corpus")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        "| texts | rows | tokens: plan | run | ratio | seconds: plan | run | ratios | --plan took, s |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for source in options.texts or [None]:
        with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as folder:
            texts = write_rows(source, options.limit, Path(folder))
            num_rows = pq.read_metadata(texts).num_rows
            configs = [make_config(texts, f"{folder}/tables", options.executor, seed) for seed in range(options.rounds)]
            if not options.raw:
                call(PREPARE, configs[0], options.cpu)
            rounds = []
            for number, config in enumerate(configs):
                where = config.model_copy(update={"root": f"{folder}/none-{number}"}) if options.raw else config
                rounds.append((call(PLAN, where, options.cpu), call(RUN, config, options.cpu)))
        print_row(source.parent.name if source else "sample", num_rows, rounds)


def write_rows(source: Path | None, limit: int, folder: Path) -> Path:
    """Rows of a file at even distances, repeats included."""
    if source is None:
        return write_texts(None, limit, folder)
    column = pq.read_table(source, columns=["text"])["text"].drop_null()
    count = min(limit, len(column))
    rows = column.take(pa.array([place * len(column) // count for place in range(count)]))
    pq.write_table(pa.table({"text": rows}), folder / "texts.parquet")
    return folder / "texts.parquet"


def make_config(texts: Path, root: str, executor: str, seed: int) -> Config:
    """A job in about eight shards; another seed is another table over the same corpus."""
    inputs = [{"reader": "parquet", "path": str(texts), "columns": {"text": "text"}}]
    recipe = {
        "name": "benchmark",
        "corpus": {"inputs": inputs, "authors": "drop", "language": "none", "max_damaged_share": 1.0},
        "encoder": {"model": MODEL},
        "embed": {"seed": seed, "shard_tokens": max(4000, pq.read_table(texts)["text"].nbytes // 32)},
    }
    return Config.model_validate({"recipe": recipe, "resources": {"executor": executor}, "root": root})


def call(program: str, config: Config, cpu: bool) -> list[float]:
    """The last line that a program prints, as JSON; an empty list for none."""
    command = [sys.executable, "-c", (CPU if cpu else "") + program, config.model_dump_json(), DAY]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program}\nfailed:\n{done.stderr[-2000:]}")
    return list(json.loads(done.stdout.splitlines()[-1])) if done.stdout else []


def print_row(name: str, num_rows: int, rounds: list[tuple[list[float], list[float]]]) -> None:
    tokens, seconds = ([(plan[place], run[place]) for plan, run in rounds] for place in (0, 1))
    planned, ran = tokens[0]
    cells = [name, f"{num_rows:,}", f"{planned:,}", f"{ran:,}", f"{planned / ran:.3f}"]
    cells += [f"{statistics.median(side):.1f}" for side in zip(*seconds, strict=True)]
    cells += [" ".join(f"{plan / run:.2f}" for plan, run in seconds)]
    cells += [f"{statistics.median(plan[2] for plan, _ in rounds):.1f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
