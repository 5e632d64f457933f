"""One table: the text index over ten nights: what texts cost to add and to look up, and what the driver holds.

    python benchmarks/text_index.py                     in this process, on one core: rows a second and core
    python benchmarks/text_index.py --executor ray      two workers, so that the driver's memory is its own

No model is run: a night is a corpus of short synthetic texts, half of them of the nights before, whose shards are
said to be embedded. Added: the texts are hashed, and merged with the lists of earlier nights that are small beside
them. Looked up: before that, the same texts are hashed and searched for in those lists; no vector is read.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.config import Resources
from theta_ray.encoder.earlier_texts import FindTask, find_part
from theta_ray.encoder.text_index import KeysTask, Night, commit_index, find_segments, stage_keys
from theta_ray.encoder.text_keys import num_parts
from theta_ray.encoder.tokenized import ShardTask
from theta_ray.objects import join
from theta_ray.runtime import cluster
from theta_ray.store import ROWS_PER_GROUP, Partition, ShardWriter
from theta_ray.tasks import Executor

SCHEMA = pa.schema([("text", pa.string())])
ROWS_PER_SHARD = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of a night (default 1,000,000)")
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    options = parser.parse_args()
    resources = Resources(executor=options.executor)
    executor = Executor("embed", resources, lambda: None)
    print(f"{options.nights} nights of {options.rows:,} texts, half of them of earlier nights; {options.executor}\n")
    print("| night | lists | looked up, rows/s | known | added, rows/s | rows written | driver MiB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as root, cluster(resources):
        before = psutil.Process().memory_info().rss
        for number in range(options.nights):
            night = write_night(root, number, options.rows)
            segments = find_segments(night.index)
            known, searched = look_up(night, executor, options.rows)
            started = time.perf_counter()
            commit_index(night, executor)
            added = time.perf_counter() - started
            newest = find_segments(night.index)[0].manifest
            memory = (psutil.Process().memory_info().rss - before) / 2**20
            rates = f"{options.rows / searched:,.0f} | {known:.0%} | {options.rows / added:,.0f}"
            print(f"| {number + 1} | {len(segments)} | {rates} | {newest['num_rows']:,} | {memory:+,.0f} |", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"\nThe driver grew from {before / 2**20:,.0f} to {peak:,.0f} MiB, {peak * 2**20 / before:.2f} times.")


def write_night(root: str, number: int, num_rows: int) -> Night:
    """A corpus of texts whose first half is new, and whose second half is drawn from all before it."""
    day = f"2026-01-{number + 1:02d}"
    corpus, embeddings, index = (Partition(root, t, "f" * 12, day) for t in ("corpus", "embeddings", "text_index"))
    fresh = np.arange(num_rows) + number * num_rows
    draws = np.random.default_rng(number).integers(0, max(1, number * num_rows), num_rows - num_rows // 2)
    ids = np.concatenate([fresh[: num_rows // 2], draws if number else fresh[num_rows // 2 :]])
    texts = pc.binary_join_element_wise(pa.array(ids).cast(pa.string()), "says that the bridge is closed", " ")
    tasks = []
    for start in range(0, num_rows, ROWS_PER_SHARD):
        part = texts.slice(start, ROWS_PER_SHARD)
        shard = f"part-{number:05d}-{start:012d}"
        with ShardWriter(corpus, shard, SCHEMA) as writer:
            writer.write(pa.table([part], schema=SCHEMA))
            writer.publish()
        groups = tuple(range(-(-len(part) // ROWS_PER_GROUP)))
        tasks.append(ShardTask(shard, shard, groups, len(part), 20 * len(part)))
    return Night(index, corpus, embeddings, tuple(tasks), frozenset(), {})


def look_up(night: Night, executor: Executor, num_rows: int) -> tuple[float, float]:
    """Share of a night's texts that earlier nights have, and the seconds that it took to know."""
    started = time.perf_counter()
    segments = tuple(segment.without_names() for segment in find_segments(night.index))
    folder, names = night.index.at("benchmark"), tuple(night.shards)
    executor.map(
        stage_keys, [KeysTask(night.corpus, t, join(folder, "keys", f"{t.shard}.parquet")) for t in night.tasks]
    )
    parts = num_parts(max([num_rows, *(segment.manifest["num_rows"] for segment in find_segments(night.index))]))
    found = executor.map(find_part, [FindTask(folder, names, (part, parts), segments) for part in range(parts)])
    return sum(each["num_rows"] for each in found) / num_rows, time.perf_counter() - started


if __name__ == "__main__":
    main()
