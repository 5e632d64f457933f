"""Whole jobs against the number of documents and of actors, beside what users write for Ray Data and Daft.

    python benchmarks/job_growth.py --texts TWEETS.parquet --documents 1000,4000 --paths ours,encoder,ray_recipe
    python benchmarks/job_growth.py --texts TWEETS.parquet --documents 2000,20000,200000 --set encoder.num_layers=1

Shown for each: wall seconds, CPU seconds of all processes, memory of the driver and of its largest worker; then the
line through the CPU seconds: what a job costs whatever its size, and what a document costs. `encoder` is our encoder
alone, loaded before the clock starts, in as many processes at once as there are actors: cores that share a cache slow
each other down. `local` is our job in one process with a thread for each actor. `ray_recipe` is read_parquet,
map_batches over an actor that calls sentence-transformers with batches of 32, write_parquet; `daft` (where it is
installed) is its embed_text with sentence-transformers. Texts are the file's distinct ones; a number is appended
where more are asked for. --plot FILE.svg draws the seconds (needs matplotlib).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from embed_vs_peers import MODEL, measure_job, run

RAY_RECIPE = """
import sys, ray
folder, texts, out, actors = sys.argv[1:]
class Embed:
    def __init__(self):
        import torch
        from sentence_transformers import SentenceTransformer
        torch.set_num_threads(1)
        self.model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    def __call__(self, batch):
        batch["embedding"] = self.model.encode(list(batch["text"]), batch_size=32, show_progress_bar=False)
        return batch
ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=2 * int(actors))  # room to read
ray.data.DataContext.get_current().enable_progress_bars = False
rows = ray.data.read_parquet(texts).repartition(target_num_rows_per_block=128)
rows.map_batches(Embed, batch_size=32, compute=ray.data.ActorPoolStrategy(size=int(actors))).write_parquet(out)
"""
DAFT = """
import sys, daft
from daft.functions import embed_text
folder, texts, out, actors = sys.argv[1:]
table = daft.read_parquet(texts)
vectors = embed_text(table["text"], provider="transformers", model=folder)
table.with_column("embedding", vectors).write_parquet(out)
"""
ENCODER = """
import json, sys, time
import pyarrow.parquet as pq, torch
from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.source import resolve_model
number, texts, settings, actors = sys.argv[1:]
torch.set_num_threads(1)
config = Encoder(**json.loads(settings))
encoder = TextEncoder(config, Embed(), resolve_model(config))
texts = pq.read_table(texts)["text"].to_pylist()[int(number) :: int(actors)]
encoder.embed_texts(texts[:64])
wall, cpu = time.perf_counter(), time.process_time()
encoder.embed_texts(texts)
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))
"""
PROGRAMS = {"ray_recipe": RAY_RECIPE, "daft": DAFT, "encoder": ENCODER}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--documents", default="1000,4000")
    parser.add_argument("--actors", default="2")
    parser.add_argument("--words", type=int, help="words of each text, cut from the file's texts end to end")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--paths", default="ours,encoder", help=f"of ours, local, {', '.join(PROGRAMS)}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe values of our job")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="theta-ray-growth-") as folder:
        for number in range(options.rounds):
            for documents in map(int, options.documents.split(",")):
                texts = write_texts(options.texts, documents, Path(folder) / f"{documents}.parquet", options.words)
                for actors in map(int, options.actors.split(",")):
                    for path in options.paths.split(","):
                        print(f"{path}, {documents:,} documents, {actors} actors", file=sys.stderr)
                        root = Path(folder) / f"{path}-{documents}-{actors}-{number}"
                        found = measure(path, texts, (root, actors), options.set)
                        rows.append({"path": path, "documents": documents, "actors": actors, **found})
    print_table(rows)
    if options.plot:
        plot(rows, options.plot)


def write_texts(source: Path, count: int, target: Path, num_words: int | None = None) -> Path:
    """`count` distinct texts, several row groups; of so many words each where a number is given."""
    texts = [text for text in pq.read_table(source, columns=["text"])["text"].to_pylist() if text and text.strip()]
    if num_words:
        words = " ".join(texts).split()
        texts = [" ".join(words[start : start + num_words]) for start in range(0, len(words) - num_words, num_words)]
    distinct = list(dict.fromkeys(texts))
    chosen = [distinct[n] if n < len(distinct) else f"{distinct[n % len(distinct)]} {n}" for n in range(count)]
    pq.write_table(pa.table({"text": chosen}), target, row_group_size=max(64, min(10_000, count // 16)))
    return target


def measure(path: str, texts: Path, where: tuple[Path, int], settings: list[str]) -> dict[str, Any]:
    root, actors = where
    if path == "ours":
        return measure_job("job_ray", texts, root, settings, num_actors=actors)
    if path == "local":
        return measure_job("job_local", texts, root, settings, threads_per_actor=actors)
    if path == "encoder":
        return measure_encoders(texts, actors, settings)
    from theta_ray.config import Encoder
    from theta_ray.encoder.source import resolve_model

    model = resolve_model(Encoder(model=MODEL)).folder
    usage = run([sys.executable, "-c", PROGRAMS[path], model, str(texts), str(root), str(actors)])
    written = sum(pq.read_metadata(file).num_rows for file in root.rglob("*.parquet"))
    values = {"num_texts": written, "wall": usage.wall, "cpu": usage.cpu}
    return {**values, "driver_bytes": usage.driver_bytes, "actor_bytes": usage.actor_bytes}


def measure_encoders(texts: Path, actors: int, settings: list[str]) -> dict[str, Any]:
    """Encoders at once, each with its share of the texts: CPU seconds of all, and the seconds of the slowest."""
    named = [setting.removeprefix("encoder.").split("=") for setting in settings if setting.startswith("encoder.")]
    config = json.dumps({"model": MODEL} | {name: yaml.safe_load(value) for name, value in named})
    with ThreadPoolExecutor(actors) as pool:
        commands = [[sys.executable, "-c", ENCODER, str(n), str(texts), config, str(actors)] for n in range(actors)]
        usages = list(pool.map(run, commands))
    found = [json.loads(usage.output) for usage in usages]
    wall, cpu = max(one["wall"] for one in found), sum(one["cpu"] for one in found)
    return {"wall": wall, "cpu": cpu, "driver_bytes": 0, "actor_bytes": max(usage.driver_bytes for usage in usages)}


def print_table(rows: list[dict[str, Any]]) -> None:
    print("| path | documents | actors | wall s | CPU s | driver MiB | largest worker MiB | actors that worked |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    keys = list(dict.fromkeys((row["path"], row["documents"], row["actors"]) for row in rows))
    for key in keys:
        same = [row for row in rows if (row["path"], row["documents"], row["actors"]) == key]
        middle = {name: statistics.median(row[name] for row in same) for name in ("wall", "cpu")}
        driver, worker = (max(row[name] for row in same) / 2**20 for name in ("driver_bytes", "actor_bytes"))
        worked = same[0].get("actors_that_worked", "")
        print(
            f"| {key[0]} | {key[1]:,} | {key[2]} | {middle['wall']:.1f} | {middle['cpu']:.1f} | {driver:,.0f} | "
            f"{worker:,.0f} | {worked} |"
        )
    for path, actors in dict.fromkeys((row["path"], row["actors"]) for row in rows):
        points = [(row["documents"], row["cpu"]) for row in rows if (row["path"], row["actors"]) == (path, actors)]
        if len({documents for documents, _ in points}) > 1:
            slope, fixed = np.polyfit(*np.array(points, float).T, 1)
            print(
                f"\n{path}, {actors} actors: {fixed:.1f} CPU-s whatever the size, {slope * 1000:.2f} CPU-ms a document"
            )


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Wall seconds against documents, one line for each path and number of actors."""
    import matplotlib.pyplot as pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for path, actors in dict.fromkeys((row["path"], row["actors"]) for row in rows):
        points = sorted((r["documents"], r["wall"]) for r in rows if (r["path"], r["actors"]) == (path, actors))
        axes.plot(*zip(*points, strict=True), marker="o", label=f"{path}, {actors} actors")
    axes.set(xlabel="documents", ylabel="wall seconds", xscale="log", yscale="log")
    axes.legend()
    figure.savefig(file, bbox_inches="tight")


if __name__ == "__main__":
    main()
