"""What other work on the cores costs an encoder, by threads and by how OpenMP's threads wait for each other.

    python benchmarks/busy_machine.py --texts FILE.parquet --limit 512

The same texts through our encoder in one process, with one thread and with one per core, whose threads spin (libgomp's
own way), or sleep as `theta_ray` has them; and through sentence-transformers as it comes. Each first on an idle
machine, then beside as many endless loops as there are cores. An idle machine shares nothing: half of the speed is the
fair share of a busy one. Medians over interleaved rounds; the ratio is busy to idle seconds within a round.
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

from embed_vs_peers import MODEL, run
from job_growth import write_texts

ENCODE = """
import json, sys, time
import pyarrow.parquet as pq
path, model, texts, threads = sys.argv[1:]
texts = pq.read_table(texts)["text"].to_pylist()
if path == "ours":
    from theta_ray.config import Embed, Encoder
    from theta_ray.encoder.encoder import TextEncoder
    from theta_ray.encoder.source import resolve_model
    config = Encoder(model=model)
    encode = TextEncoder(config, Embed(), resolve_model(config)).embed_texts
else:
    from sentence_transformers import SentenceTransformer
    from theta_ray.config import Encoder
    from theta_ray.encoder.source import resolve_model
    encode = SentenceTransformer(resolve_model(Encoder(model=model)).folder, device="cpu", local_files_only=True).encode
import torch
torch.set_num_threads(int(threads))
encode(texts[:32])
wall, cpu = time.perf_counter(), time.process_time()
encode(texts)
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
"""
SPIN = {"GOMP_SPINCOUNT": "300000"}  # what libgomp takes where neither variable is set
SLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    paths = {
        "ours, 1 thread": ("ours", 1, SLEEP),
        f"ours, {cores} threads that sleep": ("ours", cores, SLEEP),
        f"ours, {cores} threads that spin": ("ours", cores, SPIN),
        f"sentence-transformers, {cores} threads": ("peer", cores, {}),
    }
    found: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in paths}
    with tempfile.TemporaryDirectory(prefix="theta-ray-busy-") as folder:
        texts = write_texts(options.texts, options.limit, Path(folder) / "texts.parquet")
        for _ in range(options.rounds):
            for name, (path, threads, environment) in paths.items():
                command = [sys.executable, "-c", ENCODE, path, MODEL, str(texts), str(threads)]
                idle = json.loads(run(command, **environment).output)
                found[name].append((idle, busy(command, environment, cores)))
    print("| encoder | idle s | CPU s | busy s | CPU s | busy / idle |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, pairs in found.items():
        cells = [statistics.median(pair[state][unit] for pair in pairs) for state in (0, 1) for unit in (0, 1)]
        ratio = statistics.median(busy[0] / idle[0] for idle, busy in pairs)
        print(f"| {name} | {' | '.join(f'{cell:.1f}' for cell in cells)} | {ratio:.1f} |")


def busy(command: list[str], environment: dict[str, str], cores: int) -> list[float]:
    """The same beside an endless loop for each core."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        seconds: list[float] = json.loads(run(command, **environment).output)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    return seconds


if __name__ == "__main__":
    main()
