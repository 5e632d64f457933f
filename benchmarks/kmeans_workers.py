"""Passes of k-means over all rows on one Ray worker and on two, and what the driver adds.

    python benchmarks/kmeans_workers.py --rows 300000 --k 100,1000
    python benchmarks/kmeans_workers.py --bare          without Ray: processes that only multiply and take the largest

Random unit rows of 384 values in 16 shards of embeddings. Actors hold their rows before the clock starts; numbers of
workers take turns, `--rounds` times, and medians over all passes are shown. `put + reduce` is the driver's part:
putting the centroids and adding up the sums. `same bits` compares the sums of all numbers of workers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

DAY, DIM, NUM_SHARDS = "2026-01-31", 384, 16


def main() -> None:
    """Write the rows, time passes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--k", default="100,1000")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--multiply", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.multiply:
        print(multiplied(options.passes))
        return
    if options.bare:
        bare(options.rounds)
        return
    from theta_ray.config import Resources
    from theta_ray.progress import Progress
    from theta_ray.runtime import cluster
    from theta_ray.topics.row_actors import row_workers
    from theta_ray.topics.workers import Data

    counts = [int(count) for count in options.workers.split(",")]
    sizes_of_k = [int(number) for number in options.k.split(",")]
    found: dict[tuple[int, int], list[Pass]] = {}
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        job, sizes = written(root, options.rows)
        stack.enter_context(cluster(Resources(num_actors=max(counts))))
        for _ in range(options.rounds):
            for count in counts:
                resources = Resources(num_actors=count)
                with row_workers(job, sizes, resources, Progress("kmeans", 1), lambda: None) as workers:
                    data = Data.of(workers)
                    for k in sizes_of_k:
                        centroids = unit(np.random.default_rng(k).standard_normal((k, DIM), np.float32))
                        timed(data, centroids)  # wakes everything up
                        passes = [timed(data, centroids) for _ in range(options.passes)]
                        found.setdefault((k, count), []).extend(passes)
    print("\n| k | workers | s a pass | x | put + reduce | same bits |")
    print("| ---: | ---: | ---: | ---: | ---: | --- |")
    for (k, count), passes in found.items():
        first = found[k, counts[0]]
        seconds, driver = (statistics.median(getattr(each, name) for each in passes) for name in ("seconds", "driver"))
        ratio = statistics.median(each.seconds for each in first) / seconds
        same = "yes" if all((each.sums == first[0].sums).all() for each in passes) else "NO"
        print(f"| {k:,} | {count} | {seconds:.3f} | {ratio:.2f} | {driver / seconds:.2%} | {same} |")


def bare(rounds: int) -> None:
    """What two cores have over one at most: one process that multiplies, and two at once, in turns."""
    command = [sys.executable, __file__, "--multiply"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    print("| one, s a pass | two at once, s a pass of the slower | x |\n| ---: | ---: | ---: |")
    for _ in range(rounds):
        seconds = []
        for count in (1, 2):
            running = [
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(count)
            ]
            seconds.append(max(float(process.communicate()[0]) for process in running))
        print(f"| {seconds[0]:.3f} | {seconds[1]:.3f} | {2 * seconds[0] / seconds[1]:.2f} |", flush=True)


def multiplied(passes: int) -> float:
    """Seconds in which 147,456 rows are multiplied with 1,000 centroids and the largest product of each is found."""
    generator = np.random.default_rng(0)
    rows = generator.random((72 * 2048, DIM), np.float32)
    centroids, room = generator.random((DIM, 1000), np.float32), np.empty((2048, 1000), np.float32)

    def once() -> None:
        for begin in range(0, len(rows), 2048):
            np.dot(rows[begin : begin + 2048], centroids, out=room)
            room.argmax(axis=1)

    once()  # wakes everything up
    began = time.perf_counter()
    for _ in range(passes):
        once()
    return (time.perf_counter() - began) / passes


class Pass(NamedTuple):
    """One pass over all rows."""

    seconds: float
    driver: float
    """Of these, putting centroids and adding up sums."""
    sums: np.ndarray


def timed(data: Any, centroids: np.ndarray) -> Pass:
    """One pass over all rows, as `Data.step` makes it."""
    import ray

    from theta_ray.topics.lloyd import total

    began = time.perf_counter()
    answers = data.workers.each("step", centroids, 1.0, data.grid)
    collected = time.perf_counter()
    found = total(answers)
    ended = time.perf_counter()
    ray.put(centroids)  # once more, alone
    return Pass(ended - began, time.perf_counter() - collected, found.sums)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def written(root: str, num_rows: int) -> tuple[Any, list[int]]:
    """A job over shards of random embeddings, and the rows of each."""
    from theta_ray.schemas import embeddings_schema
    from theta_ray.store import Partition, ShardWriter
    from theta_ray.topics.cluster_worker import ClusterJob

    tables = [Partition(root, name, "0" * 12, DAY) for name in ("embeddings", "centroids", "assignments")]
    generator, names, sizes = np.random.default_rng(0), [], []
    for number in range(NUM_SHARDS):
        size = num_rows // NUM_SHARDS
        values = unit(generator.standard_normal((size, DIM), np.float32)).astype(np.float16)
        columns = {
            "doc_id": [f"d{number}-{row}" for row in range(size)],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), DIM),
            "num_tokens": np.zeros(size, np.int32),
        }
        schema = embeddings_schema(DIM, "float16")
        names.append(f"part-{number:05d}")
        sizes.append(size)
        with ShardWriter(tables[0], names[-1], schema) as writer:
            writer.write(pa.table(columns, schema=schema))
            writer.publish()
    return ClusterJob(*tables, "cosine", 0, tuple(names), ("embedding",)), sizes


if __name__ == "__main__":
    main()
