"""One table: a corpus with reposts embedded with texts shared between its shards, and each shard for itself.

    python benchmarks/shared_texts.py                         the synthetic sample's texts
    python benchmarks/shared_texts.py --texts FILE.parquet    column `text` of a file of yours
    python benchmarks/shared_texts.py --executor ray          two actors; also how many vectors were published twice

A share of the rows repeats a text that any earlier row had. Every run is a process of its own, interleaved;
seconds are those of the phase that embeds, CPU seconds those of the driver, which does all work with `local`.
The model is all-MiniLM-L6-v2.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from embed_vs_peers import MODEL, REPOSITORY, write_texts

from theta_ray.config import Config

DAY = "2026-01-31"
RUN = """
import json, sys, time
from theta_ray.config import Config
from theta_ray.corpus import prepare
from theta_ray.encoder import embed, shared
if sys.argv[3] == "alone":
    shared.MIN_SHARE = 2.0
config = Config.model_validate_json(sys.argv[1])
prepare.run(config, sys.argv[2])
before = time.process_time()
card = embed.run(config, sys.argv[2])
figures = {name: card.figures[name] for name in ("tokens", "shards", "texts_between_shards")}
print(json.dumps({**figures, "cpu": time.process_time() - before, "seconds": card.seconds}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="parquet file with a column `text`; default: the sample corpus")
    parser.add_argument("--rows", type=int, default=8192, help="shards hold at least 1,024 (default 8192)")
    parser.add_argument("--repeats", type=float, default=0.3, help="share of the rows (default 0.3)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as folder:
        texts = write_reposts(options, Path(folder))
        rounds = []
        for number in range(options.rounds):
            pair = ("shared", "alone") if number % 2 else ("alone", "shared")
            rounds.append({kind: run(texts, Path(folder, f"{number}-{kind}"), options.executor) for kind in pair})
    print_table(rounds)


def write_reposts(options: argparse.Namespace, folder: Path) -> Path:
    """Distinct texts in their order, with rows between them that repeat earlier ones."""
    num_repeats = int(options.rows * options.repeats)
    distinct = pq.read_table(write_texts(options.texts, options.rows - num_repeats, folder))["text"].to_pylist()
    rng, texts = np.random.default_rng(0), []
    for is_repeat in rng.permutation(np.arange(options.rows) < num_repeats).tolist():
        texts.append(
            texts[int(rng.integers(len(texts)))] if is_repeat and texts else distinct.pop(0) if distinct else ""
        )
    path = folder / "reposts.parquet"
    pq.write_table(pa.table({"text": [text for text in texts if text]}), path, row_group_size=256)
    return path


def run(texts: Path, root: Path, executor: str) -> dict[str, Any]:
    """Figures of one run in a process of its own."""
    columns = {"text": "text"}
    corpus = {"inputs": [{"reader": "parquet", "path": str(texts), "columns": columns}], "authors": "drop"}
    recipe = {
        "name": "benchmark",
        "corpus": {**corpus, "language": "none"},
        "encoder": {"model": MODEL},
        "embed": {"shard_tokens": 1000, "store_dtype": "float32"},
    }
    resources = {"executor": executor, "num_actors": 2} if executor == "ray" else {"executor": executor}
    config = Config.model_validate({"recipe": recipe, "resources": resources, "root": str(root)})
    (steps := root.with_suffix(".steps")).mkdir()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "THETA_RAY_STEPS": str(steps), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, config.model_dump_json(), DAY, root.name.split("-")[1]]
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line.split() for line in (steps / "log").read_text().splitlines()]
    made = Counter(line[2] for line in lines if line[1] == "embeddings:export_computed")
    return {**json.loads(answer.splitlines()[-1]), "exports": made.total(), "twice": made.total() - len(made)}


def print_table(rounds: list[dict[str, dict[str, Any]]]) -> None:
    print("| texts | tokens | seconds to embed | driver CPU seconds | seconds to find | published | of them twice |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in ("alone", "shared"):
        runs = [each[kind] for each in rounds]
        seconds, find = (statistics.median(r["seconds"][name] for r in runs) for name in ("embed", "find shared texts"))
        cpu, twice = (statistics.median(r[name] for r in runs) for name in ("cpu", "twice"))
        cells = [f"{runs[0]['tokens']:,}", f"{seconds:.1f}", f"{cpu:.1f}", f"{find:.2f}", runs[0]["exports"], twice]
        print(f"| {kind} | {' | '.join(map(str, cells))} |")
    ratios = [[each["alone"][n] / each["shared"][n] for each in rounds] for n in ("tokens", "cpu")]
    ratios.append([each["alone"]["seconds"]["embed"] / each["shared"]["seconds"]["embed"] for each in rounds])
    tokens, cpu, seconds = (statistics.median(values) for values in ratios)
    print(f"\n{rounds[0]['shared']['shards']} shards; {rounds[0]['shared']['texts_between_shards']}.")
    print(f"Alone / shared, medians within a round: tokens {tokens:.2f}, seconds {seconds:.2f}, CPU seconds {cpu:.2f}.")


if __name__ == "__main__":
    main()
