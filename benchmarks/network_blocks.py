"""A graph in blocks on one Ray worker and on two: edges a second of each step, and what a larger cluster would need.

    python benchmarks/network_blocks.py --edges 8000000 --nodes 400000

A random graph with directions, whose nodes are drawn with a power of a uniform number, so that some have very many
edges. Actors hold their blocks before the clock starts; numbers of workers take turns, `--rounds` times, and medians
are shown; core numbers and label propagation are asked in the first round only. Products are counted as edges times
steps: two of HITS, one of PageRank. `one task` is the graph in the memory of this process. The second table is of one
core of this process: files to blocks, and products of one block with vectors of growing length.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

NUM_FILES, NUM_BLOCKS = 8, 16
# Of the computation on paper: bytes of a vector that a node receives in a second.
NETWORK_BYTES = 1.25e9


def main() -> None:
    """Write the edges, time the steps, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=5_000_000)
    parser.add_argument("--nodes", type=int, default=400_000)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="without core numbers and label propagation")
    options = parser.parse_args()
    from theta_ray.config import Resources
    from theta_ray.network.engines import Whole
    from theta_ray.network.graph_actors import block_workers
    from theta_ray.network.partitioned import Partitioned
    from theta_ray.runtime import cluster

    counts = [int(count) for count in options.workers.split(",")]
    found: dict[tuple[str, str], list[Timed]] = {}
    with tempfile.TemporaryDirectory() as root, ExitStack() as stack:
        files = written(f"{root}/edges", options.edges, options.nodes)
        graph = files.graph()
        print(f"{graph.num_edges:,} distinct edges, {graph.num_nodes:,} nodes, {NUM_BLOCKS} blocks", flush=True)
        stack.enter_context(cluster(Resources(num_actors=max(counts))))
        for turn in range(options.rounds):
            note(found, "one task", Whole(graph), graph.num_edges, slow=turn == 0 and not options.quick)
            for count in counts:
                resources = Resources(num_actors=count)
                with block_workers(files, NUM_BLOCKS, f"{root}/{turn}-{count}", resources, lambda: None) as workers:
                    workers.each("degrees")  # blocks are read
                    engine = Partitioned(workers, files.num_nodes, files.directed)
                    note(found, str(count), engine, graph.num_edges, slow=turn == 0 and not options.quick)
        print_rates(found)
        rates = of_one_core(files, root)
    print_paper(found, rates, str(counts[0]))


class Timed(NamedTuple):
    """One run of one question."""

    seconds: float
    edges: float
    """Edges that were looked at, each as often as it was."""
    answer: Any


def note(found: dict[tuple[str, str], list[Timed]], where: str, engine: Any, num_edges: int, *, slow: bool) -> None:
    """Time every question once, or those that are not slow."""
    questions: dict[str, tuple[Callable[[], Any], Callable[[Any], float]]] = {
        "HITS": (engine.hits, lambda hits: 2.0 * hits.num_steps),
        "PageRank": (engine.pagerank, lambda ranks: float(ranks.num_steps)),
        "weak components": (engine.weak_components, lambda _: 1.0),
        "core numbers": (engine.core_number, lambda _: 1.0),
        "reciprocity": (engine.reciprocity, lambda _: 1.0),
        "label propagation": (engine.label_propagation, lambda _: 1.0),
    }
    for name, (ask, times) in questions.items():
        if not slow and name in ("core numbers", "label propagation"):
            continue
        began = time.perf_counter()
        answer = ask()
        seconds = time.perf_counter() - began
        found.setdefault((name, where), []).append(Timed(seconds, num_edges * times(answer), answer))


def print_rates(found: dict[tuple[str, str], list[Timed]]) -> None:
    """Medians, and whether all workers gave the same."""
    print("\n| | workers | s | M edges/s | same bits as one task |\n| --- | ---: | ---: | ---: | --- |")
    for (name, where), runs in sorted(found.items()):
        seconds = statistics.median(run.seconds for run in runs)
        whole = found.get((name, "one task"), runs)[0]
        same = "yes" if all(alike(run.answer, whole.answer) for run in runs) else "NO"
        print(f"| {name} | {where} | {seconds:.2f} | {runs[0].edges / seconds / 1e6:.1f} | {same} |")


def alike(left: Any, right: Any) -> bool:
    """Whether two answers are the same, but for the order of additions in sums over all edges."""
    if isinstance(left, dict):
        return bool(np.allclose(list(left.values()), list(right.values()), rtol=1e-12, atol=0))
    if hasattr(left, "hub"):
        return bool((left.hub == right.hub).all() and (left.authority == right.authority).all())
    return bool(np.array_equal(getattr(left, "score", left), getattr(right, "score", right)))


def of_one_core(files: Any, root: str) -> dict[str, float]:
    """Edges a second of what a worker does alone."""
    from theta_ray.network.blocks import Block, limits_of
    from theta_ray.network.edge_files import count_ends, spread_file
    from theta_ray.network.graph import Graph

    began = time.perf_counter()
    limits = limits_of(sum(count_ends(task) for task in files.tasks()), files.num_nodes, NUM_BLOCKS).tolist()
    for task in files.tasks(limits, f"{root}/alone"):
        spread_file(task)
    spread = time.perf_counter()
    for number in range(len(limits) - 1):
        files.block(limits, number, f"{root}/alone")
    read = time.perf_counter()
    rates = {"count and spread": files.num_edges / (spread - began), "read": files.num_edges / (read - spread)}
    generator, size = np.random.default_rng(1), 4_000_000
    for num_nodes in (400_000, 4_000_000, 40_000_000):
        last = size // 25  # as many edges a node as in the computation on paper
        source, target = generator.integers(0, last, size), generator.integers(0, num_nodes, size)
        ties = Graph.of(num_nodes, source, target, directed=True)
        block, x = Block.of(ties, 0, last), generator.random(num_nodes)
        block.forward(x, "binary")
        began = time.perf_counter()
        for _ in range(5):
            block.forward(x, "binary")
        rates[f"product, {num_nodes:,} nodes"] = 5 * ties.num_edges / (time.perf_counter() - began)
    print("\n| one core | M edges/s |\n| --- | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate / 1e6:.1f} |")
    return rates


def print_paper(found: dict[tuple[str, str], list[Timed]], rates: dict[str, float], where: str) -> None:
    """A billion edges on 64 cores of 4 nodes, from these rates; vectors are sent to all nodes at once."""
    edges, nodes, cores, steps = 1e9, 4e7, 64, 30
    sent = nodes * 8 * 2 / NETWORK_BYTES
    product = rates["product, 40,000,000 nodes"]
    print(f"\nOn paper: {edges:,.0f} edges, {nodes:,.0f} nodes, {cores} cores on 4 nodes, {NETWORK_BYTES:.2e} B/s each")
    for name, products in (("HITS", 2 * steps), ("PageRank", steps)):
        compute = edges * products / product / cores
        print(f"{name}: {products} products, {compute:.0f} s + {products * sent:.0f} s for vectors there and back")
    for name in ("count and spread", "read"):
        print(f"{name}: {edges / rates[name] / cores:.0f} s")
    for name in ("weak components", "core numbers", "label propagation"):
        runs = found.get((name, where), [])
        if not runs:
            continue
        rate = runs[0].edges / statistics.median(run.seconds for run in runs)
        print(f"{name}: {edges / rate / cores:.0f} s at the rate of one worker, vectors of many nodes not counted")


def written(folder: str, num_edges: int, num_nodes: int) -> Any:
    """Files of random edges."""
    from theta_ray.network.edge_files import EdgeFiles, write_edges

    generator, size = np.random.default_rng(0), num_edges // NUM_FILES
    names = tuple(f"{number:05d}" for number in range(NUM_FILES))
    numbers = generator.permutation(num_nodes).astype(np.int32)  # hubs anywhere
    for name in names:
        source, target = (numbers[(num_nodes * generator.random(size) ** power).astype(np.int64)] for power in (2, 3))
        write_edges(f"{folder}/{name}.parquet", [(source, target, np.ones(size))])
    return EdgeFiles(folder, names, (size,) * NUM_FILES, num_nodes, True)


if __name__ == "__main__":
    main()
