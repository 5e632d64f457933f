"""k-means beside scikit-learn, FAISS and SuperKMeans: final inertia, time to it, memory, share of a matrix product.

    python benchmarks/kmeans_vs_peers.py --data topics --k 100 --rounds 3        500,000 x 384, 100 topics of 10
    python benchmarks/kmeans_vs_peers.py --data flat-0.6 --rows 150000 --k 100   100 clusters, no sub-topics
    python benchmarks/kmeans_vs_peers.py --texts A.parquet B.parquet --k 300     all-MiniLM-L6-v2 of column `text`
    python benchmarks/kmeans_vs_peers.py --gemm                                  one Lloyd step beside a matrix product
    python benchmarks/kmeans_vs_peers.py --growth docs/kmeans_growth.svg         needs matplotlib

Every contestant runs in a process of its own, interleaved, two threads each that sleep while they wait (a machine has
other things to do, and threads that spin lose most by it), seeds 0, 1, ... by round; peers that are not installed are
left out. BLAS kernels are printed: FAISS' own OpenBLAS does not know recent processors and takes one
without AVX, so OPENBLAS_CORETYPE is set for it where the processor has AVX-512. Inertia is the mean squared distance of
all rows, by one code for all, outside of the timed region; so are our centroids at the start of each step, which say
when the final inertia of a peer was reached.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from kmeans_data import embedded, kept

THREADS = 2
# Our threads multiply by themselves; the others have threads of their own in BLAS or OpenMP.
ENVIRONMENT = {"ours": {"OPENBLAS_NUM_THREADS": "1"}}
Clock = tuple[float, float]
"""Seconds and CPU seconds."""
Found = tuple[np.ndarray, list[tuple[Clock, np.ndarray]]]


def fit_ours(rows: np.ndarray, k: int, seed: int) -> Found:
    from theta_ray.topics.kmeans import KMeans
    from theta_ray.topics.workers import LocalWorkers

    started, trace = clock(), []
    each = LocalWorkers.each

    def traced(self: LocalWorkers, method: str, *arguments: Any) -> list[Any]:
        if method == "step" and len(arguments[0]) == k:
            trace.append((since(started), arguments[0]))
        return each(self, method, *arguments)

    LocalWorkers.each = traced
    model = KMeans(k, seed=seed, num_threads=THREADS)
    found = model.fit(rows).cluster_centers_
    return found, [*trace, (since(started), found)]


def fit_lloyd(rows: np.ndarray, k: int, seed: int) -> Found:
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, max_iter=10, tol=0, random_state=seed).fit(rows).cluster_centers_, []


def fit_converged(rows: np.ndarray, k: int, seed: int) -> Found:
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, random_state=seed).fit(rows).cluster_centers_, []


def fit_minibatch(rows: np.ndarray, k: int, seed: int) -> Found:
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(k, batch_size=8192, random_state=seed).fit(rows).cluster_centers_, []


def fit_faiss(rows: np.ndarray, k: int, seed: int) -> Found:
    import faiss

    model = faiss.Kmeans(rows.shape[1], k, niter=25, seed=seed + 1)
    model.train(rows)
    return model.centroids, []


def fit_superkmeans(rows: np.ndarray, k: int, seed: int) -> Found:
    from superkmeans import SuperKMeans

    model = SuperKMeans(k, rows.shape[1], iters=25, hierarchical=False, n_threads=THREADS, seed=seed)
    return np.asarray(model.train(rows)), []


FITS: dict[str, tuple[str, Callable[[np.ndarray, int, int], Found]]] = {
    "ours": ("theta_ray", fit_ours),
    "sklearn KMeans, 10 passes": ("sklearn", fit_lloyd),
    "sklearn KMeans, to its end": ("sklearn", fit_converged),
    "sklearn MiniBatchKMeans, 8192": ("sklearn", fit_minibatch),
    "FAISS Kmeans, 25 passes": ("faiss", fit_faiss),
    "SuperKMeans, 25 passes": ("superkmeans", fit_superkmeans),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="topics", help="topics, or flat-SEPARATION such as flat-0.6")
    parser.add_argument("--texts", type=Path, nargs="+", help="parquet files with a column `text` instead")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0, help="so that rounds can be run apart")
    parser.add_argument("--only", nargs="+", choices=FITS, help="default: all that are installed but 'to its end'")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "theta-ray-kmeans")
    parser.add_argument("--append", type=Path, help="a file for the figures of all rounds so far")
    parser.add_argument("--gemm", action="store_true", help="one Lloyd step beside a matrix product")
    parser.add_argument("--growth", type=Path, help="plot of seconds against rows, values and clusters")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gemm or options.growth:
        import kmeans_growth

        kmeans_growth.gemm_share() if options.gemm else kmeans_growth.plot(options.growth)
        return
    if options.texts:
        path = embedded(options.folder, options.texts)
    else:
        path = kept(options.folder, options.data, options.rows)
    if options.run:
        print(json.dumps(run(options.run, path, options.k, options.first_seed)))
        return
    names = options.only or [name for name in FITS if "to its end" not in name]
    names = [name for name in names if importlib.util.find_spec(FITS[name][0])]
    figures = json.loads(options.append.read_text()) if options.append and options.append.exists() else []
    for seed in range(options.first_seed, options.first_seed + options.rounds):
        for name in names:
            figures.append(in_a_process(name, path, options.k, seed))
            print(f"{name}, seed {seed}: {line(figures[-1])}", file=sys.stderr, flush=True)
            if options.append:
                options.append.write_text(json.dumps(figures))
    report(figures)


def in_a_process(name: str, path: Path, k: int, seed: int) -> dict[str, Any]:
    """The figures of one fit; the data is found again by the name of its folder."""
    command = [sys.executable, __file__, "--run", name, "--k", str(k), "--first-seed", str(seed)]
    kind, _, shape = path.name.rpartition("-")
    command += ["--data", kind, "--rows", shape.split("x")[0], "--folder", str(path.parent)]
    threads = {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
    environment = {**os.environ, **threads}
    if "avx512" in Path("/proc/cpuinfo").read_text():
        environment["OPENBLAS_CORETYPE"] = "SKYLAKEX"
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**environment, **ENVIRONMENT.get(name, {})})
    return json.loads(done.stdout)


def run(name: str, path: Path, k: int, seed: int) -> dict[str, Any]:
    """One fit in this process."""
    rows = np.load(path / "rows.npy")
    warm = np.ones((512, 512), np.float32)
    warm @ warm
    fit = FITS[name][1]
    fit(rows[: max(2048, 4 * k)], min(k, 16), 0)  # imports, thread pools
    held = reset_peak()
    started = clock()
    centroids, trace = fit(rows, k, seed)
    seconds, cpu = since(started)
    peak = status("VmHWM") - held
    label, inertia = nearest(rows, centroids)
    return {
        "name": name,
        "k": k,
        "seed": seed,
        "seconds": seconds,
        "cpu": cpu,
        "extra_mib": peak,
        "inertia": inertia,
        "trace": [(at, nearest(rows, values)[1]) for at, values in trace],
        "ari": agreement(path, label),
        "blas": kernels(),
    }


def clock() -> Clock:
    return time.perf_counter(), time.process_time()


def since(started: Clock) -> Clock:
    now = clock()
    return now[0] - started[0], now[1] - started[1]


def nearest(rows: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, float]:
    """[N] nearest centroids, and the mean squared distance."""
    label, total = np.empty(len(rows), np.int32), 0.0
    half = np.square(centroids).sum(axis=1) / 2
    for start in range(0, len(rows), 4096):
        block = rows[start : start + 4096]
        scores = block @ centroids.T - half
        label[start : start + 4096] = scores.argmax(axis=1)
        total += float((np.square(block).sum(axis=1) - 2 * scores.max(axis=1)).sum(dtype=np.float64))
    return label, total / len(rows)


def agreement(path: Path, label: np.ndarray) -> float | None:
    """Adjusted Rand index with what was planted."""
    if not (path / "cluster.npy").exists():
        return None
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(np.load(path / "cluster.npy"), label))


def kernels() -> list[str]:
    """The BLAS libraries of this process, each with its kernel and threads."""
    from threadpoolctl import threadpool_info

    return [
        f"{Path(each['filepath']).name.split('-')[0]} {each['architecture']} x{each['num_threads']}"
        for each in threadpool_info()
        if each.get("architecture")
    ]


def reset_peak() -> float:
    """MiB of this process; its peak is counted from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(name: str) -> float:
    """A figure of /proc/self/status in MiB."""
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(name):
            return int(text.split()[1]) / 1024
    raise KeyError(name)


def line(figures: dict[str, Any]) -> str:
    ari = "" if figures["ari"] is None else f", ARI {figures['ari']:.3f}"
    return (
        f"{figures['seconds']:.2f} s, {figures['cpu']:.2f} CPU s, inertia {figures['inertia']:.5f}{ari}, "
        f"{figures['extra_mib']:.0f} MiB, {', '.join(figures['blas'])}"
    )


def report(figures: list[dict[str, Any]]) -> None:
    """Medians over rounds, and when ours reached the final inertia of each peer in the same rounds."""
    ours = {each["seed"]: each for each in figures if each["name"] == "ours"}
    print(
        "\n| | s | CPU s | inertia | ours / theirs | ours there after s | CPU s | sooner | by CPU s | ARI | extra MiB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in dict.fromkeys(each["name"] for each in figures):
        rounds = [each for each in figures if each["name"] == name]
        seconds, cpu, inertia, extra = (median(rounds, key) for key in ("seconds", "cpu", "inertia", "extra_mib"))
        ari = "" if rounds[0]["ari"] is None else f"{median(rounds, 'ari'):.3f}"
        beside = "| | | | "
        if name != "ours" and ours:
            beside = f"{median(list(ours.values()), 'inertia') / inertia:.4f} | never | | | "
            reached = [when(ours[each["seed"]]["trace"], each["inertia"]) for each in rounds if each["seed"] in ours]
            at, at_cpu = (statistics.median(each[part] for each in reached) for part in (0, 1))
            if np.isfinite(at):
                beside = (
                    beside.split(" | ")[0] + f" | {at:.2f} | {at_cpu:.2f} | {seconds / at:.1f}x | {cpu / at_cpu:.1f}x"
                )
        print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {inertia:.5f} | {beside} | {ari} | {extra:.0f} |")
    print("\nBLAS: " + "; ".join(sorted({f"{each['name']}: {', '.join(each['blas'])}" for each in figures})))


def median(rounds: list[dict[str, Any]], key: str) -> float:
    return statistics.median(each[key] for each in rounds)


def when(trace: list[tuple[Clock, float]], inertia: float) -> Clock:
    """Seconds until centroids were as good, and CPU seconds."""
    return next((tuple(at) for at, reached in trace if reached <= inertia), (np.inf, np.inf))


if __name__ == "__main__":
    main()
