"""Parts of `kmeans_vs_peers.py`: a Lloyd step beside a matrix product; CPU seconds against rows, values, clusters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from kmeans_data import mixture

ROUNDS = 12
PROBE_ROWS = 2048
SIZES: dict[str, tuple[int, ...]] = {
    "rows": (25_000, 50_000, 100_000, 200_000),
    "values": (96, 192, 384, 768),
    "clusters": (25, 50, 100, 200, 400),
}


def gemm_share() -> None:
    """The table of `--gemm`: best of interleaved rounds on one thread, in CPU time."""
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        raise SystemExit("set OPENBLAS_NUM_THREADS=1: a step has one thread")
    from theta_ray.topics.lloyd import BLOCK_ROWS, Block, Centroids, Grid, Sums, add_block, squared_norms

    generator = np.random.default_rng(0)
    rows = generator.standard_normal((BLOCK_ROWS, 384), np.float32)
    norms, weight = squared_norms(rows), np.ones(BLOCK_ROWS, np.float32)
    grid = Grid.fitting(float(np.sqrt(norms.max())), BLOCK_ROWS)
    print("| clusters | matrix product GFLOP/s | nearest | with sums |\n| ---: | ---: | ---: | ---: |")
    for k in (100, 1_000, 10_000):
        centroids = Centroids(generator.standard_normal((k, 384), np.float32))
        buffer, sums, room = centroids.new_buffer(), Sums.zeros(k, 384), np.empty((PROBE_ROWS, k), np.float32)

        def multiply(values: np.ndarray = centroids.values, out: np.ndarray = room) -> None:
            for start in range(0, BLOCK_ROWS, PROBE_ROWS):
                np.dot(rows[start : start + PROBE_ROWS], values.T, out=out)

        def search(centroids: Centroids = centroids, buffer: np.ndarray = buffer) -> Any:
            return centroids.nearest(rows, buffer)

        def step(centroids: Centroids = centroids, buffer: np.ndarray = buffer, sums: Sums = sums) -> None:
            found = centroids.nearest(rows, buffer)
            distance = centroids.squared_distances(norms, found.score)
            add_block(sums, grid, rows, Block(found.label, weight, distance))

        best = fastest([multiply, search, step], ROUNDS if k < 10_000 else 4)
        rate = 2 * BLOCK_ROWS * k * 384 / best[0] / 1e9
        print(f"| {k:,} | {rate:.0f} | {best[0] / best[1]:.0%} | {best[0] / best[2]:.0%} |", flush=True)


def fastest(functions: list[Callable[[], Any]], rounds: int) -> list[float]:
    """CPU seconds of each function, best of some interleaved rounds."""
    best = [np.inf] * len(functions)
    for _ in range(rounds):
        for place, function in enumerate(functions):
            started = time.thread_time()
            function()
            best[place] = min(best[place], time.thread_time() - started)
    return best


def plot(path: Path) -> None:
    """The plot of `--growth`, and its figures as a table."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "theta_ray"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(SIZES), figsize=(9, 2.8), sharey=True, layout="constrained")
    print("| | size | CPU s | iterations |\n| --- | ---: | ---: | ---: |")
    for axis, (name, sizes) in zip(axes, SIZES.items(), strict=True):
        seconds = [cpu_seconds(name, size) for size in sizes]
        slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        axis.loglog(sizes, seconds, "o-", color="#1f6feb", markersize=4)
        axis.set(xlabel=name, title=f"grows as {name}$^{{{slope:.2f}}}$")
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize=7)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("CPU seconds of a fit")
    figure.savefig(path, metadata={"Date": None})


def cpu_seconds(name: str, size: int) -> float:
    """Of one fit on one thread; 100,000 rows of 384 values and 100 clusters where not said otherwise."""
    from theta_ray.topics.kmeans import KMeans

    num_rows, dim, k = (
        size if name == other else usual for other, usual in zip(SIZES, (100_000, 384, 100), strict=True)
    )
    rows, _ = mixture(num_rows, dim, 100, 10)
    started = time.process_time()
    model = KMeans(k).fit(rows)
    seconds = time.process_time() - started
    print(f"| {name} | {size:,} | {seconds:.2f} | {len(model.fit_.trace)} |", flush=True)
    return seconds
