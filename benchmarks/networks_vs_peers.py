"""Statistics of a comment graph beside igraph and networkx: from arrays of edges to every number.

    python benchmarks/networks_vs_peers.py --rounds 3                            1.25 million edges
    python benchmarks/networks_vs_peers.py --rounds 1 --only networkx ours      networkx takes minutes: one round
    python benchmarks/networks_vs_peers.py --edges 30000 --triads               igraph's census takes minutes above
    python benchmarks/networks_vs_peers.py --growth docs/network_growth.svg     needs matplotlib

The pack is what the libraries have in common (network_packs.py): build the graph; degrees and strengths; mutual and
asymmetric dyads; weak and strong components; PageRank and HITS, unweighted; cores; transitivity and average clustering
(all triangles); assortativity of degrees without directions, and of out- and in-degrees in all four ways; steps from 64
nodes to all others; communities by modularity with weights, one seed. Communities are of Leiden until nothing moves;
networkx has none and runs Louvain. Packs run on one thread, each in a process of its own, after the same pack on a
small graph (imports, caches); rounds are interleaved. With `--threads 2` our steps run beside each other, as in the job
with `executor: local`; igraph and networkx hold the interpreter's lock. Values are compared outside of the timed
region: whole numbers must be equal, others to 1e-9 (PageRank and HITS: 1e-6 of the largest score; counts of steps: to
the last); modularity is counted again by one code for all, with weights.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
from network_data import Arrays, kept, load
from network_packs import PACKS

SIZES = (100_000, 300_000, 1_000_000, 3_000_000)
NUM_EDGES = 1_253_328
# Others wait for these, but PageRank does not; then the longest, so that threads end together.
FIRST = ("pairs", "weak")
LONGEST = ("communities", "paths", "clustering")
VECTORS = ("pagerank", "hub", "authority")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=NUM_EDGES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PACKS, default=["ours", "igraph"])
    parser.add_argument("--growth", type=Path, help="plot of seconds against edges")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "theta-ray-networks")
    parser.add_argument("--threads", type=int, default=1, help="of our own pack; the seconds of steps then overlap")
    parser.add_argument("--triads", action="store_true", help="the census of triads too, in the step of the triangles")
    parser.add_argument("--run", choices=PACKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        paths = [kept(options.folder, size) for size in (5000, options.edges)]
        threads = options.threads if options.run == "ours" else 1
        print(json.dumps(run(options.run, paths, threads, options.triads)))
        return
    names = [name for name in options.only if name == "ours" or importlib.util.find_spec(name)]
    if options.growth:
        plot(options.growth, options.folder, names, options.rounds)
        return
    path = kept(options.folder, options.edges)
    figures = [measured(name, path, options) for _ in range(options.rounds) for name in names]
    compare(figures, load(path))
    report(figures, names)


def measured(name: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One pack in a process of its own, on one thread."""
    command = [sys.executable, __file__, "--run", name, "--edges", path.stem, "--folder", str(options.folder)]
    command += ["--threads", str(getattr(options, "threads", 1))]
    command += ["--triads"] if getattr(options, "triads", False) else []
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, **threads})
    found = json.loads(done.stdout)
    print(f"{name}, {path.stem} edges: {found['seconds']:.2f} s", file=sys.stderr, flush=True)
    return found


def run(name: str, paths: list[Path], threads: int, triads: bool) -> dict[str, Any]:
    small, large = (PACKS[name](load(path), triads) for path in paths)
    for step in small.values():
        step()
    steps, seconds, values = large, {}, {}

    def done(step: str) -> None:
        started = time.perf_counter()
        values[step] = steps[step]()
        seconds[step] = time.perf_counter() - started

    started, cpu_started = time.perf_counter(), time.process_time()
    done("build")
    order = dict.fromkeys((*(LONGEST if threads > 1 else ()), *steps))
    rest = [step for step in order if step not in ("build", "pagerank", *FIRST)]
    with ThreadPoolExecutor(threads) as pool:  # as in theta_ray/network/measure.py
        known = [pool.submit(done, step) for step in FIRST if step in steps]
        ranked = pool.submit(done, "pagerank")
        wait(known)
        list(pool.map(done, rest))
        ranked.result()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values["hub"], values["authority"] = values.pop("hits")
    values["communities"], values["modularity"] = values["communities"]
    plain = {key: np.asarray(value).tolist() for key, value in values.items() if value is not None}
    total = {"seconds": wall, "cpu": cpu, "mib": peak}
    return {"name": name, "steps": seconds, "values": plain, **total}


def compare(figures: list[dict[str, Any]], arrays: Arrays) -> None:
    """Every value of every pack equals the first's."""
    first = figures[0]["values"]
    for found in figures:
        values = found["values"]
        found["modularity"] = modularity(arrays, np.asarray(values["communities"]))
        for key in ("components", "cores", "paths"):
            assert values[key] == first[key], (found["name"], key)
        for key in ("degrees, strengths", "dyads", "clustering", "assortativity"):
            np.testing.assert_allclose(values[key], first[key], atol=1e-9, err_msg=f"{found['name']}: {key}")
        for key in VECTORS:
            scores, others = (np.asarray(each[key]) / np.sum(each[key]) for each in (values, first))
            assert np.abs(scores - others).max() < 1e-6 * others.max(), (found["name"], key)


def modularity(arrays: Arrays, label: np.ndarray) -> float:
    """Weighted, of a partition without directions; a label below 0 is a community of its own."""
    num_nodes, source, target, weight = arrays
    label = np.where(label < 0, label.max() + 1 + np.arange(num_nodes), label)
    inside = weight[label[source] == label[target]].sum() / weight.sum()
    strength = np.bincount(label[source], weight, minlength=label.max() + 1)
    strength += np.bincount(label[target], weight, minlength=label.max() + 1)
    return float(inside - np.square(strength / (2 * weight.sum())).sum())


def report(figures: list[dict[str, Any]], names: list[str]) -> None:
    of = {name: [found for found in figures if found["name"] == name] for name in names}
    print(f"| seconds, medians of {len(of[names[0]])} | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}")
    for step in figures[0]["steps"]:
        print(f"| {step} | {' | '.join(middle(of[name], step) for name in names)} |")
    for key in ("seconds", "cpu", "mib", "modularity"):
        cells = [statistics.median(found[key] for found in of[name]) for name in names]
        print(f"| **{key}** | {' | '.join(f'{cell:.4g}' for cell in cells)} |")
    for name in names:
        ratios = [theirs["seconds"] / mine["seconds"] for theirs, mine in zip(of[name], of["ours"], strict=True)]
        print(f"{name} / ours by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def middle(figures: list[dict[str, Any]], step: str) -> str:
    seconds = [found["steps"][step] for found in figures if step in found["steps"]]
    return f"{statistics.median(seconds):.3f}" if seconds else ""


def plot(path: Path, folder: Path, names: list[str], rounds: int) -> None:
    """The plot of `--growth`, and its figures as a table."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "theta_ray"
    from matplotlib import pyplot

    options = argparse.Namespace(folder=folder)
    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    print("| edges | " + " | ".join(f"{name}, s" for name in names) + " |\n| ---: |" + " ---: |" * len(names))
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for size in SIZES:
        data = kept(folder, size)
        for name in names:
            found = [measured(name, data, options)["cpu"] for _ in range(rounds)]
            seconds[name].append(statistics.median(found))
        print(f"| {size:,} | " + " | ".join(f"{seconds[name][-1]:.2f}" for name in names) + " |", flush=True)
    for name, color in zip(names, ("#1f6feb", "#8250df", "#bf8700"), strict=False):
        slope = np.polyfit(np.log(SIZES), np.log(seconds[name]), 1)[0]
        label = f"{name}, grows as edges$^{{{slope:.2f}}}$"
        axes.loglog(SIZES, seconds[name], "o-", color=color, markersize=4, label=label)
    axes.set(xlabel="edges", ylabel="CPU seconds of all statistics")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES], fontsize=7)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
