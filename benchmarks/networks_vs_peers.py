"""Statistics of a comment graph beside igraph and networkx: from arrays of edges to every number.

    python benchmarks/networks_vs_peers.py --rounds 3                            1.25 million edges
    python benchmarks/networks_vs_peers.py --rounds 1 --only networkx ours      networkx takes minutes: one round
    python benchmarks/networks_vs_peers.py --growth docs/network_growth.svg     needs matplotlib

The pack: build the graph; reciprocity; weak and strong components; PageRank and HITS, unweighted; cores; transitivity
(all triangles); degree assortativity without directions, and of out- with in-degrees; communities by modularity with
weights, one seed. Directions are left out where the statistic has none, and that conversion is in its time; ours are
`pairs`, found once. Communities are of Leiden until nothing moves; networkx has none and runs Louvain. Packs run on one
thread, each in a process of its own, after the same pack on a small graph (imports, caches); rounds are interleaved.
With `--threads 2` our steps run beside each other, as in the job with `executor: local`; igraph and networkx hold the
interpreter's lock. Values are compared outside of the timed region: whole numbers must be equal, others to 1e-9
(PageRank and HITS: 1e-6 of the largest score); modularity is counted by one code for all, with weights.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
from network_data import Arrays, kept, load

Steps = dict[str, Callable[[], Any]]
SIZES = (100_000, 300_000, 1_000_000, 3_000_000)
NUM_EDGES = 1_253_328
# Others wait for the pairs, but PageRank does not; then the longest, so that threads end together.
LONGEST = ("communities", "transitivity")
VECTORS = ("pagerank", "hub", "authority")


def ours(arrays: Arrays) -> Steps:
    from theta_ray.network.assortativity import degree_assortativity
    from theta_ray.network.clustering import clustering
    from theta_ray.network.communities import communities
    from theta_ray.network.components import strong_components
    from theta_ray.network.cores import core_number
    from theta_ray.network.graph import Graph
    from theta_ray.network.hits import hits
    from theta_ray.network.pagerank import pagerank
    from theta_ray.network.reciprocity import reciprocity
    from theta_ray.network.structure import Known
    from theta_ray.network.triangles import count_triangles

    num_nodes, source, target, weight = arrays
    has: dict[str, Any] = {}

    def build() -> None:
        has["graph"] = Graph.of(num_nodes, source, target, weight, directed=True)

    def pairs() -> None:
        has["known"] = Known.of(has["graph"])
        has["simple"] = has["known"].pairs.graph()

    def found_hits() -> tuple[Any, Any]:
        found = hits(has["graph"])
        return found.hub, found.authority

    def assortativities() -> list[float]:
        found = degree_assortativity(has["graph"], has["simple"])
        return [found["degree_assortativity"], found["degree_assortativity_out_in"]]

    return {
        "build": build,
        "pairs": pairs,
        "reciprocity": lambda: reciprocity(has["graph"], has["known"].pairs)["reciprocity"],
        "components": lambda: [int(each.max()) + 1 for each in (has["known"].weak, strong_components(has["graph"]))],
        "pagerank": lambda: pagerank(has["graph"]).score,
        "hits": found_hits,
        "cores": lambda: core_number(has["simple"]),
        "transitivity": lambda: clustering(has["simple"], count_triangles(has["known"].pairs))["transitivity"],
        "assortativity": assortativities,
        "communities": lambda: communities(has["graph"], [0], **has["known"]._asdict()).label,
    }


def igraph(arrays: Arrays) -> Steps:
    from igraph import Graph

    num_nodes, source, target, weight = arrays
    has: dict[str, Any] = {}

    def build() -> None:
        edges = np.stack([source, target], axis=1)
        has["graph"] = Graph(n=num_nodes, edges=edges, directed=True, edge_attrs={"weight": weight})
        has["simple"] = has["graph"].as_undirected(combine_edges="sum")

    def assortativities() -> list[float]:
        outs, ins = has["graph"].outdegree(), has["graph"].indegree()
        return [has["simple"].assortativity_degree(directed=False), has["graph"].assortativity(outs, ins)]

    return {
        "build": build,
        "reciprocity": lambda: has["graph"].reciprocity(),
        "components": lambda: [len(has["graph"].connected_components(mode)) for mode in ("weak", "strong")],
        "pagerank": lambda: has["graph"].pagerank(),
        "hits": lambda: (has["graph"].hub_score(), has["graph"].authority_score()),
        "cores": lambda: has["simple"].coreness(),
        "transitivity": lambda: has["simple"].transitivity_undirected(),
        "assortativity": assortativities,
        "communities": lambda: has["simple"].community_leiden("modularity", "weight", n_iterations=-1).membership,
    }


def networkx(arrays: Arrays) -> Steps:
    import networkx as nx

    num_nodes, source, target, weight = arrays
    has: dict[str, Any] = {}

    def build() -> None:
        graph, simple = nx.DiGraph(), nx.Graph()
        rows = list(zip(source.tolist(), target.tolist(), weight.tolist(), strict=True))
        for each in (graph, simple):
            each.add_nodes_from(range(num_nodes))
        # another name than "weight", which hits would take without being asked
        graph.add_weighted_edges_from(rows, weight="count")
        for a, b, count in rows:
            simple.add_edge(a, b, count=count + (simple[a][b]["count"] if simple.has_edge(a, b) else 0))
        has.update(graph=graph, simple=simple)

    def labels() -> list[int]:
        of_node = np.empty(num_nodes, int)
        for place, part in enumerate(nx.community.louvain_communities(has["simple"], weight="count", seed=0)):
            of_node[list(part)] = place
        return of_node.tolist()

    return {
        "build": build,
        "reciprocity": lambda: nx.overall_reciprocity(has["graph"]),
        "components": lambda: [
            nx.number_weakly_connected_components(has["graph"]),
            nx.number_strongly_connected_components(has["graph"]),
        ],
        "pagerank": lambda: list(nx.pagerank(has["graph"], tol=1e-14, max_iter=1000).values()),
        "hits": lambda: [list(scores.values()) for scores in nx.hits(has["graph"])],
        "cores": lambda: list(nx.core_number(has["simple"]).values()),
        "transitivity": lambda: nx.transitivity(has["simple"]),
        "assortativity": lambda: [
            nx.degree_assortativity_coefficient(has["simple"]),
            nx.degree_assortativity_coefficient(has["graph"]),
        ],
        "communities": labels,
    }


PACKS: dict[str, Callable[[Arrays], Steps]] = {"ours": ours, "igraph": igraph, "networkx": networkx}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=NUM_EDGES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PACKS, default=["ours", "igraph"])
    parser.add_argument("--growth", type=Path, help="plot of seconds against edges")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "theta-ray-networks")
    parser.add_argument("--threads", type=int, default=1, help="of our own pack; the seconds of steps then overlap")
    parser.add_argument("--run", choices=PACKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        paths = [kept(options.folder, size) for size in (5000, options.edges)]
        print(json.dumps(run(options.run, *paths, threads=options.threads if options.run == "ours" else 1)))
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
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, **threads})
    found = json.loads(done.stdout)
    print(f"{name}, {path.stem} edges: {found['seconds']:.2f} s", file=sys.stderr, flush=True)
    return found


def run(name: str, small: Path, path: Path, threads: int) -> dict[str, Any]:
    for step in PACKS[name](load(small)).values():
        step()
    steps, seconds, values = PACKS[name](load(path)), {}, {}

    def done(step: str) -> None:
        started = time.perf_counter()
        values[step] = steps[step]()
        seconds[step] = time.perf_counter() - started

    started, cpu_started = time.perf_counter(), time.process_time()
    done("build")
    rest = [step for step in dict.fromkeys((*LONGEST, *steps)) if step not in ("build", "pairs", "pagerank")]
    with ThreadPoolExecutor(threads) as pool:  # as in theta_ray/network/measure.py
        known = [pool.submit(done, "pairs")] if "pairs" in steps else []
        ranked = pool.submit(done, "pagerank")
        wait(known)
        list(pool.map(done, rest))
        ranked.result()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values["hub"], values["authority"] = values.pop("hits")
    plain = {key: np.asarray(value).tolist() for key, value in values.items() if value is not None}
    total = {"seconds": wall, "cpu": cpu, "mib": peak}
    return {"name": name, "steps": seconds, "values": plain, **total}


def compare(figures: list[dict[str, Any]], arrays: Arrays) -> None:
    """Every value of every pack equals the first's."""
    first = figures[0]["values"]
    for found in figures:
        values = found["values"]
        found["modularity"] = modularity(arrays, np.asarray(values["communities"]))
        assert (values["components"], values["cores"]) == (first["components"], first["cores"])
        for key in ("reciprocity", "transitivity", "assortativity"):
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
