"""One table: what `--plan` of `jobs/prepare.py` takes beside the bare listing of its 10,000 input objects.

    python benchmarks/plan_10k.py                 a local folder, and a SeaweedFS server on this machine
    python benchmarks/plan_10k.py --objects 1000

Medians of interleaved rounds in one process: the listing is one call of fsspec with sizes, and the plan is
everything that the job does after its start.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.conftest import find_weed, s3_environment, seaweedfs
from theta_ray.config import Config, Recipe
from theta_ray.corpus import prepare
from theta_ray.objects import open_filesystem

DAY = "2026-01-31"
LINES = b"".join(b'{"id": "%d", "text": "a short text for the plan"}\n' % number for number in range(20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as folder, ExitStack() as stack:
        places = {"local folder": folder}
        if find_weed():
            server = stack.enter_context(s3_environment())
            stack.enter_context(seaweedfs(server))
            places["SeaweedFS"] = server.root("plan")
        print("| inputs | listing, s | --plan, s | ratio |\n| --- | ---: | ---: | ---: |")
        for name, root in places.items():
            _write_objects(f"{root}/raw", options.objects)
            bare, plan = _measure(root, options.rounds)
            print(f"| {options.objects:,} objects, {name} | {bare:.2f} | {plan:.2f} | {plan / bare:.1f} |")


def _write_objects(uri: str, count: int) -> None:
    fs, path = open_filesystem(uri)
    fs.makedirs(path, exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: fs.pipe_file(f"{path}/part-{number:05d}.jsonl", LINES), range(count)))


def _measure(root: str, rounds: int) -> tuple[float, float]:
    columns = {"doc_id": "id", "text": "text"}
    inputs = [{"reader": "jsonl", "path": f"{root}/raw", "columns": columns}]
    corpus = {"inputs": inputs, "language": "none", "authors": "drop"}
    recipe = Recipe.model_validate({"name": "plan", "corpus": corpus, "encoder": {"model": "unused"}})
    config = Config(recipe=recipe, root=f"{root}/tables")

    def listing() -> None:
        fs, path = open_filesystem(f"{root}/raw")
        assert fs.find(path, detail=True)

    seconds: dict[str, list[float]] = {"listing": [], "plan": []}
    for _ in range(rounds):
        seconds["listing"].append(_time(listing))
        seconds["plan"].append(_time(lambda: prepare.plan(config, DAY)))
    return statistics.median(seconds["listing"]), statistics.median(seconds["plan"])


def _time(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
