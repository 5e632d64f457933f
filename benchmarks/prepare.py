"""One table: rows a second of the stage `prepare`, by what the recipe asks of it.

    python benchmarks/prepare.py                         the synthetic sample's texts
    python benchmarks/prepare.py --texts FILE.parquet    column `text` of a file of yours

One process (`executor: local`), one JSON-lines file, author pseudonyms on; medians over interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
from embed_vs_peers import write_texts

from theta_ray.config import Config, Recipe, Resources
from theta_ray.corpus import prepare

SETTINGS = {
    "as written": {"language": "none"},
    "as written, language identified": {"language": "identify"},
    "normalize: bertweet": {"language": "none", "normalize": "bertweet"},
    "normalize: bertweet, language identified": {"language": "identify", "normalize": "bertweet"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="parquet file with a column `text`; default: the sample corpus")
    parser.add_argument("--limit", type=int, default=20_000, help="texts to use (default 20000)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("THETA_RAY_AUTHOR_KEY", "a key for this benchmark only")
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as name:
        folder = Path(name)
        texts = pq.read_table(write_texts(options.texts, options.limit, folder))["text"].to_pylist()
        raw = folder / "raw.jsonl"
        rows = [{"id": str(i), "text": text, "author": f"user{i % 997}"} for i, text in enumerate(texts)]
        raw.write_text("".join(json.dumps(row) + "\n" for row in rows))
        seconds: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
        for number in range(options.rounds):
            for setting in SETTINGS:
                seconds[setting].append(measure(raw, SETTINGS[setting], folder / f"{number}-{len(seconds[setting])}"))
    print(f"\n{len(texts):,} rows, {options.rounds} rounds, one core, medians\n")
    print("| prepare | rows/s |\n| --- | ---: |")
    for setting, values in seconds.items():
        print(f"| {setting} | {len(texts) / statistics.median(values):,.0f} |")


def measure(raw: Path, values: dict[str, str], root: Path) -> float:
    """Seconds of one run; each setting has a table of its own by its fingerprint."""
    columns = {"doc_id": "id", "text": "text", "author_id": "author"}
    corpus = {"inputs": [{"reader": "jsonl", "path": str(raw), "columns": columns}], **values}
    recipe = Recipe.model_validate({"name": "benchmark", "corpus": corpus, "encoder": {"model": "/none"}})
    config = Config(recipe=recipe, resources=Resources(executor="local"), root=str(root))
    started = time.perf_counter()
    prepare.run(config, "2026-01-31")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
