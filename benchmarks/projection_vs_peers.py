"""Actors who share contexts, beside self-joins of polars and DuckDB: the same pruned edges from the same file.

    python benchmarks/projection_vs_peers.py --rounds 3        the table
    python benchmarks/projection_vs_peers.py --hub             a context of 100,000 actors, beside its price
    python benchmarks/projection_vs_peers.py --growth          pairs a second against participations, and p-values

Participations are made up: 100,000 actors with activities of a heavy tail, in 200 communities; 200,000 contexts whose
sizes fall as a power (median 6), four fifths of each in one community; and a context of 20,000. Contexts of more than
1,000 actors are left out by all, edges of fewer than two shared contexts are pruned by all, and all write a file of
actors and shared contexts, which must be equal. Each runs on one thread in a process of its own; rounds are
interleaved. CPU seconds are those of the process from reading to written, imports included; memory is its largest
resident set, with the interpreter. All have Arrow take its memory from the heap, as NumPy does: its own allocator keeps
10 to 20 MiB more of what is free.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_ACTORS, NUM_CONTEXTS, HUB, CAP, MIN_SHARED = 100_000, 200_000, 20_000, 1_000, 2
COLUMNS = ["source", "target", "num_shared"]


def participations(scale: float, hub: int, seed: int = 0) -> tuple[int, pa.Table]:
    """Number of actors, and distinct pairs of an actor and a context in no order."""
    generator = np.random.default_rng(seed)
    num_actors, num_contexts, num_communities = round(NUM_ACTORS * scale), round(NUM_CONTEXTS * scale), 200
    sizes = np.minimum(4 * (1 - generator.random(num_contexts)) ** (-1 / 1.45), 2_500).astype(np.int64)
    community = np.sort(generator.integers(0, num_communities, num_actors))
    order = generator.permutation(num_actors)  # numbers of actors say nothing
    until = np.concatenate([[0], np.cumsum(generator.lognormal(0, 1.2, num_actors))])
    edge = until[np.searchsorted(community, np.arange(num_communities + 1))]
    context = np.repeat(np.arange(num_contexts), sizes)
    home = generator.integers(0, num_communities, num_contexts)[context]
    is_home = generator.random(len(context)) < 0.8
    low, high = np.where(is_home, edge[home], 0), np.where(is_home, edge[home + 1], until[-1])
    place = np.searchsorted(until, low + (high - low) * generator.random(len(context)), side="right") - 1
    actor = order[np.clip(place, 0, num_actors - 1)]
    actor = np.concatenate([actor, generator.choice(num_actors, hub, replace=False)])
    context = np.concatenate([context, np.full(hub, num_contexts)])
    keys = generator.permutation(np.unique(context * num_actors + actor))
    columns = {"actor": (keys % num_actors).astype(np.int32), "context": (keys // num_actors).astype(np.int32)}
    return num_actors, pa.table(columns)


def ours(data: Path, out: Path) -> None:
    from theta_ray.network.projection import blocks

    schema = pa.schema([(name, pa.int32()) for name in COLUMNS])
    with pq.ParquetWriter(out, schema) as writer:
        for edges in blocks(projection(data, "cap", CAP)):
            # made of NumPy arrays, an Arrow array would import pandas as well
            buffers = [pa.py_buffer(getattr(edges, name)) for name in COLUMNS]
            columns = [pa.Array.from_buffers(pa.int32(), len(edges), [None, each]) for each in buffers]
            writer.write_table(pa.table(columns, schema=schema))


def projection(data: Path, policy: Any, limit: int | None, max_pairs: int = 10**12, weighting: Any = "count") -> Any:
    from theta_ray.network.incidence import Incidence
    from theta_ray.network.pricing import price
    from theta_ray.network.projection import Projection

    num_actors = int(pq.read_schema(data).metadata[b"num_actors"])
    columns = columns_of(data)
    num_contexts = int(columns[1].max()) + 1
    # nobody else holds the columns: the incidence frees them once it has read them
    incidence = Incidence.of(num_actors, num_contexts, columns.pop(0), columns.pop())
    at = price(incidence.size_histogram(), num_actors, policy, limit=limit, max_pairs=max_pairs)
    return Projection.of(incidence, at, weighting, min_shared=MIN_SHARED)


def columns_of(data: Path) -> list[np.ndarray]:
    """Actors and contexts; some of the file at a time. `Array.to_numpy` imports pandas (40 MiB) where it is there."""
    file = pq.ParquetFile(data, pre_buffer=False, buffer_size=2**16)
    columns = [np.empty(file.metadata.num_rows, np.int32) for _ in range(2)]
    for name, column in zip(("actor", "context"), columns, strict=True):
        begin = 0
        for batch in file.iter_batches(2**16, columns=[name], use_threads=False):
            column[begin : begin + len(batch)] = np.from_dlpack(batch.column(0))
            begin += len(batch)
    pa.default_memory_pool().release_unused()
    return columns


def polars(data: Path, out: Path) -> None:
    import polars as pl

    rows = pl.scan_parquet(data)
    small = rows.group_by("context").len().filter(pl.col("len") <= CAP)
    rows = rows.join(small, on="context", how="semi")
    pairs = rows.join(rows, on="context").filter(pl.col("actor") < pl.col("actor_right"))
    edges = pairs.group_by("actor", "actor_right").len().filter(pl.col("len") >= MIN_SHARED)
    renamed = edges.select(source="actor", target="actor_right", num_shared=pl.col("len").cast(pl.Int32))
    renamed.sink_parquet(out)


def duckdb(data: Path, out: Path) -> None:
    import duckdb as db

    connection = db.connect(config={"threads": 1, "preserve_insertion_order": False})
    connection.execute(f"""
        COPY (
            WITH small AS (SELECT context FROM '{data}' GROUP BY context HAVING count(*) <= {CAP}),
                 k AS (SELECT actor, context FROM '{data}' SEMI JOIN small USING (context))
            SELECT a.actor AS source, b.actor AS target, count(*)::INTEGER AS num_shared
            FROM k a JOIN k b ON a.context = b.context AND a.actor < b.actor
            GROUP BY ALL HAVING count(*) >= {MIN_SHARED}
        ) TO '{out}' (FORMAT parquet)
    """)


ENGINES: dict[str, Callable[[Path, Path], None]] = {"theta_ray": ours, "polars": polars, "DuckDB": duckdb}


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--hub", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "theta-ray-projection")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run[0], Path(options.run[1]))))
    elif options.hub:
        hub(options.folder)
    elif options.growth:
        growth(options.folder, options.rounds)
    else:
        compare(kept(options.folder, options.scale, round(HUB * options.scale)), options.rounds)


def kept(folder: Path, scale: float, hub_size: int) -> Path:
    """The file of participations of this size, made once."""
    path = folder / f"{scale:g}-{hub_size}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        num_actors, rows = participations(scale, hub_size)
        pq.write_table(rows.replace_schema_metadata({"num_actors": str(num_actors)}), path)
    return path


def run(name: str, data: Path) -> dict[str, Any]:
    """One engine, in this process."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    out = data.with_name(f"{data.stem}-{name}.out")
    wall, cpu = time.perf_counter(), time.process_time()
    more = DETAILS[name](data) if name in DETAILS else ENGINES[name](data, out)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"name": name, "wall": wall, "cpu": cpu, "mib": peak, "out": str(out), **(more or {})}


def measured(name: str, data: Path) -> dict[str, Any]:
    """One engine, in a process and on a thread of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
    command = [sys.executable, __file__, "--run", name, str(data)]
    environment = {**os.environ, **dict.fromkeys(names, "1"), "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{name}: {found['cpu']:.2f} CPU s, {found['mib']:.0f} MiB", file=sys.stderr, flush=True)
    return found


def compare(data: Path, rounds: int) -> None:
    """The table of engines."""
    found = {name: [] for name in ENGINES}
    for _ in range(rounds):
        for name in ENGINES:
            found[name].append(measured(name, data))
    edges = {name: in_order(Path(runs[0]["out"])) for name, runs in found.items()}
    first = edges["theta_ray"]
    assert all(np.array_equal(other, first) for other in edges.values()), "the engines differ"
    print(
        f"{pq.read_metadata(data).num_rows:,} participations; {first.shape[1]:,} edges of {first[2].sum():,} contexts\n"
    )
    print("| engine | CPU s | MiB | CPU, of ours | memory, of ours |\n| --- | ---: | ---: | ---: | ---: |")
    middle = {
        name: [statistics.median(run[key] for run in runs) for key in ("cpu", "mib")] for name, runs in found.items()
    }
    cpu, mib = middle["theta_ray"]
    for name, (seconds, size) in middle.items():
        print(f"| {name} | {seconds:.2f} | {size:,.0f} | {seconds / cpu:.1f} | {size / mib:.1f} |")


def in_order(out: Path) -> np.ndarray:
    """[3, edges] sources, targets and shared contexts, by source and target."""
    rows = pq.read_table(out, columns=COLUMNS)
    columns = np.stack([rows[name].to_numpy().astype(np.int64) for name in COLUMNS])
    return columns[:, np.lexsort((columns[1], columns[0]))]


def count_edges(data: Path, policy: Any, weighting: Any, limit: int | None, max_pairs: int) -> dict[str, Any]:
    """Edges of a policy, kept nowhere: pairs, edges and seconds of the blocks alone."""
    from theta_ray.network.projection import blocks

    made = projection(data, policy, limit, max_pairs, weighting)
    started = time.process_time()
    sizes = [(len(edges), float(edges.weight.sum())) for edges in blocks(made)]
    return {"seconds": time.process_time() - started, "edges": sum(size for size, _ in sizes)}


def p_values(data: Path) -> dict[str, Any]:
    """Every edge of contexts of 200 actors at most, and its p-value."""
    from theta_ray.network.bicm import Bicm
    from theta_ray.network.projection import Projection, blocks
    from theta_ray.network.sdsm import Sdsm

    made = projection(data, "cap", 200)
    fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
    test, seconds, count = Sdsm.of(Bicm.of(made.incidence)), 0.0, 0
    for edges in blocks(Projection(**{**fields, "min_shared": 1})):
        started = time.process_time()
        count += len(test.p_values(edges))
        seconds += time.process_time() - started
    return {"seconds": seconds, "edges": count}


BUDGET = 200_000_000
DETAILS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "count": lambda data: count_edges(data, "cap", "count", 200, 10**12),
    "newman": lambda data: count_edges(data, "cap", "newman", 200, 10**12),
    "p-values": p_values,
    **{
        f"hub, {policy}": lambda data, policy=policy: count_edges(data, policy, "newman", None, BUDGET)
        for policy in ("cap", "thin", "sample")
    },
}


def price_of(data: Path, policy: Any, limit: int | None, max_pairs: int) -> Any:
    """By the sizes of contexts alone."""
    from theta_ray.network.pricing import price

    histogram = np.bincount(np.bincount(pq.read_table(data)["context"].to_numpy()))
    return price(histogram, int(pq.read_schema(data).metadata[b"num_actors"]), policy, limit=limit, max_pairs=max_pairs)


def hub(folder: Path) -> None:
    """A context of all 100,000 actors: what is refused, and what ends within its price."""
    from theta_ray.errors import ConfigError

    data = kept(folder, 1.0, NUM_ACTORS)
    try:
        price_of(data, "exact", None, BUDGET)
    except ConfigError as error:
        print(f"exact: {error}\n")
    print("| policy | limit | pairs priced | seconds priced | seconds | MiB | edges |\n| --- |" + " ---: |" * 6)
    for policy in ("cap", "thin", "sample"):
        at, found = price_of(data, policy, None, BUDGET), measured(f"hub, {policy}", data)
        cells = f"{at.limit:,} | {at.num_pairs:,} | {at.seconds():.1f} | {found['seconds']:.1f} | {found['mib']:,.0f}"
        print(f"| {policy} | {cells} | {found['edges']:,} |", flush=True)


def growth(folder: Path, rounds: int) -> None:
    """Rates against the number of participations, contexts of more than 200 actors left out."""
    print("| participations | M pairs | M pairs/s, count | M pairs/s, newman | M p-values/s |\n|" + " ---: |" * 5)
    for scale in (0.25, 0.5, 1.0, 2.0, 4.0):
        data = kept(folder, scale, round(HUB * scale))
        pairs = price_of(data, "cap", 200, 10**12).num_pairs / 1e6
        runs = {name: [measured(name, data) for _ in range(rounds)] for name in ("count", "newman", "p-values")}
        seconds = {name: statistics.median(run["seconds"] for run in found) for name, found in runs.items()}
        edges = runs["p-values"][0]["edges"] / 1e6
        rates = f"{pairs / seconds['count']:.0f} | {pairs / seconds['newman']:.0f} | {edges / seconds['p-values']:.1f}"
        print(f"| {pq.read_metadata(data).num_rows:,} | {pairs:.1f} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
