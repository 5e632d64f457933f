"""Fits of k-means beside the best of five starts of FAISS and scikit-learn, on vectors of labelled corpora.

    python benchmarks/kmeans_restarts.py --data FOLDER --root results
    python benchmarks/kmeans_restarts.py --data FOLDER --root results --together 100

FOLDER and --root are those of `topics_vs_peers.py`; vectors of a corpus are kept below --root/vectors, so that texts
are embedded once. Needs scikit-learn and faiss-cpu.

Without --together: each corpus alone, spherical. What is compared is the mean squared distance of rows to the direction
of their cluster's mean, counted from the labels by one code for all; scikit-learn has no spherical k-means and gets the
same unit vectors. With --together k: the English texts of four corpora, Euclidean, mean squared distance to the nearest
centroid. One thread, CPU seconds; seeds 0 to 4. FAISS takes all rows and 25 iterations, scikit-learn's KMeans runs to
its end, MiniBatchKMeans has batches of 8,192.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from topics_vs_peers import CORPORA, embedded

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

CASES = (
    ("AG News", 4),
    ("BBC", 5),
    ("MasakhaNEWS", 5),
    ("Reddit", 7),
    ("THUCNews", 10),
    ("Reddit", 36),
    ("THUCNews", 50),
)
TOGETHER = ("AG News", "BBC", "MasakhaNEWS", "Reddit")
NUM_STARTS = 5
Rows = np.ndarray
Fit = Callable[[Rows, int, int, bool], tuple[np.ndarray, np.ndarray]]
"""From rows, k, seed and whether spherical: centroids, and the label of each row."""


def fit_ours(rows: Rows, k: int, seed: int, spherical: bool) -> tuple[np.ndarray, np.ndarray]:
    from theta_ray.topics.kmeans import KMeans

    model = KMeans(k, spherical=spherical, seed=1000 * seed).fit(rows)
    return model.cluster_centers_, model.labels_


def fit_faiss(rows: Rows, k: int, seed: int, spherical: bool) -> tuple[np.ndarray, np.ndarray]:
    import faiss

    faiss.omp_set_num_threads(1)
    model = faiss.Kmeans(rows.shape[1], k, spherical=spherical, seed=seed + 1, max_points_per_centroid=10**9)
    model.train(rows)
    return model.centroids, model.index.search(rows, 1)[1][:, 0]


def fit_sklearn(rows: Rows, k: int, seed: int, spherical: bool) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.cluster import KMeans

    model = KMeans(k, n_init=1, random_state=seed).fit(rows)
    return model.cluster_centers_, model.labels_


def fit_minibatch(rows: Rows, k: int, seed: int, spherical: bool) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(k, batch_size=8192, n_init=1, random_state=seed).fit(rows)
    return model.cluster_centers_, model.labels_


FITS: dict[str, Fit] = {
    "theta_ray": fit_ours,
    "FAISS": fit_faiss,
    "scikit-learn KMeans": fit_sklearn,
    "MiniBatchKMeans": fit_minibatch,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--together", type=int, metavar="K", help="clusters of the English texts of four corpora")
    parser.add_argument("--slow-starts", type=int, default=NUM_STARTS, help="of both of scikit-learn, of --together")
    options = parser.parse_args()
    on_one_thread()
    if options.together:
        together(options)
    else:
        alone(options)


def on_one_thread() -> None:
    """Starts this program again unless libraries have what they read when they are loaded."""
    wanted = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    if "avx512" in Path("/proc/cpuinfo").read_text():
        wanted["OPENBLAS_CORETYPE"] = "SKYLAKEX"  # FAISS' own does not know recent processors and would take a slow one
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def alone(options: argparse.Namespace) -> None:
    """Each corpus, spherical."""
    print("| corpus | k | beside | ours / best of five | worst of ours | ours, s | five of theirs, s |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, k in CASES:
        rows = vectors_of(name, options)
        found = {
            method: [timed(fit, rows, k, seed, spherical=True) for seed in range(NUM_STARTS)]
            for method, fit in FITS.items()
        }
        mine = [value for value, _ in found["theta_ray"]]
        seconds = median(each for _, each in found.pop("theta_ray"))
        for method, starts in found.items():
            best = min(value for value, _ in starts)
            of_five = sum(each for _, each in starts)
            cells = f"{median(mine) / best - 1:+.4%} | {max(mine) / best - 1:+.4%} | {seconds:.2f} | {of_five:.2f}"
            print(f"| {name} | {k} | {method} | {cells} |", flush=True)


def together(options: argparse.Namespace) -> None:
    """All English texts at once, Euclidean."""
    rows = np.concatenate([vectors_of(name, options) for name in TOGETHER])
    print(f"{len(rows):,} rows\n| k | method | starts | best | worst | CPU s of one |\n| ---: | --- |{' ---: |' * 4}")
    for method, fit in FITS.items():
        starts = options.slow_starts if "Means" in method else NUM_STARTS
        found = [timed(fit, rows, options.together, seed, spherical=False) for seed in range(starts)]
        values, seconds = zip(*found, strict=True)
        cells = f"{starts} | {min(values):.4f} | {max(values):.4f} | {median(seconds):.2f}"
        print(f"| {options.together:,} | {method} | {cells} |", flush=True)


def vectors_of(name: str, options: argparse.Namespace) -> Rows:
    """Unit vectors of a corpus, made once."""
    path = options.root / "vectors" / f"{name.replace(' ', '-')}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, embedded(name, CORPORA[name], options)[-1])
    return np.load(path)


def timed(fit: Fit, rows: Rows, k: int, seed: int, *, spherical: bool) -> tuple[float, float]:
    """Mean squared distance and CPU seconds of a fit."""
    started = time.process_time()
    centroids, labels = fit(rows, k, seed, spherical)
    seconds = time.process_time() - started
    return (to_directions(rows, labels) if spherical else to_nearest(rows, centroids)), seconds


def to_directions(rows: Rows, labels: np.ndarray) -> float:
    """Mean squared distance of unit rows to the direction of the mean of their cluster."""
    lengths = [np.linalg.norm(rows[labels == each].sum(axis=0, dtype=np.float64)) for each in np.unique(labels)]
    return float(2 - 2 * sum(lengths) / len(rows))


def to_nearest(rows: Rows, centroids: np.ndarray) -> float:
    """Mean squared distance to the nearest centroid."""
    values, found = np.asarray(centroids, np.float32), np.empty(len(rows))
    for begin in range(0, len(rows), 4096):
        part = rows[begin : begin + 4096]
        squares = np.square(part).sum(axis=1)[:, None] + np.square(values).sum(axis=1)
        found[begin : begin + 4096] = (squares - 2 * part @ values.T).min(axis=1)
    return float(found.mean())


if __name__ == "__main__":
    main()
