"""Peak memory of the driver while hashtag pairs are mined on Ray: it must not grow with the pairs.

    python benchmarks/mine_pairs.py --sizes 100000:100000 1000000:1000000 1000000:10000000

Each size is DOCUMENTS:PAIRS, over synthetic posts of which 500 share a tag. The corpus is prepared before; each size
runs in a process of its own, whose memory without any pairs (imports, the connection to Ray) stands beside its peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

DAY = "2026-01-31"
POSTS_A_TAG = 500
RECIPE = """\
name: synthetic_pairs
corpus:
  inputs: [{{reader: parquet, path: {posts}, columns: {{doc_id: id, text: text, tags: tags}}}}]
  authors: drop
  language: none
  shard_bytes: 4000000
encoder: {{model: none}}
pairs:
  kind: hashtag
  max_pairs_per_group: {pairs_a_tag}
  shard_candidates: 100000
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["100000:100000", "1000000:1000000"], metavar="DOCUMENTS:PAIRS")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(f"\n{json.dumps(measure(options.one))}\n")
        return
    print("| documents | pairs | shards | seconds | driver before, MiB | driver peak, MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            num_documents, num_pairs = (int(number) for number in size.split(":"))
            place = make_recipe(Path(folder), num_documents, num_pairs)
            command = [sys.executable, __file__, "--one", str(place)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{size} failed:\n{done.stderr[-3000:]}")
            found = json.loads(done.stdout.splitlines()[-1])
            print("| " + " | ".join(f"{found[name]:,}" for name in found) + " |", flush=True)


def make_recipe(folder: Path, num_documents: int, num_pairs: int) -> Path:
    """Posts, once for each number of them, their corpus, and a recipe for so many pairs."""
    posts = folder / f"posts-{num_documents}.parquet"
    pairs_a_tag = num_pairs * POSTS_A_TAG // num_documents
    recipe = folder / f"{num_documents}-{num_pairs}.yaml"
    recipe.write_text(RECIPE.format(posts=posts, pairs_a_tag=pairs_a_tag))
    if not posts.exists():
        write_posts(posts, num_documents)
        job = Path(__file__).resolve().parent.parent / "jobs" / "prepare.py"
        command = [sys.executable, str(job), "--config", str(recipe), "--root", str(folder / "root"), "--date", DAY]
        subprocess.run(command, check=True, capture_output=True)
    return recipe


def write_posts(path: Path, num_documents: int) -> None:
    """Posts of six random words and a number; every 500 in a row share a tag."""
    words = np.array([f"word{number}" for number in range(5000)])
    generator = np.random.default_rng(0)
    with pq.ParquetWriter(
        path, pa.schema({"id": pa.string(), "text": pa.string(), "tags": pa.list_(pa.string())})
    ) as out:
        for start in range(0, num_documents, 100_000):
            numbers = range(start, min(start + 100_000, num_documents))
            drawn = words[generator.integers(0, len(words), (len(numbers), 6))]
            columns = {
                "id": [f"d{number}" for number in numbers],
                "text": [f"{' '.join(row)} {number}" for row, number in zip(drawn, numbers, strict=True)],
                "tags": [[f"tag{number // POSTS_A_TAG}"] for number in numbers],
            }
            out.write_table(pa.table(columns, schema=out.schema), row_group_size=20_000)


def measure(recipe: Path) -> dict[str, Any]:
    """One size, on Ray: counts, seconds, and this process's memory before and at its peak, in MiB."""
    from theta_ray.recipe_files import load_config
    from theta_ray.runtime import cluster
    from theta_ray.training import mine_pairs

    config = load_config(str(recipe), resources_path=None, root=str(recipe.parent / "root"), overrides=())
    with cluster(config.resources):
        import ray  # reads the authentication settings as it is imported

        ray.get(ray.remote(lambda: 0).remote())  # a worker has started
        before = _peak()
        began = time.perf_counter()
        card = mine_pairs.run(config, DAY)
        seconds = round(time.perf_counter() - began, 1)
    names = ("documents", "pairs", "shards")
    return {**{name: card.figures[name] for name in names}, "seconds": seconds, "before": before, "peak": _peak()}


def _peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
