"""A 2-D map of vectors by openTSNE, UMAP, PaCMAP, scikit-learn's t-SNE and PCA: seconds, neighbours kept, same bytes.

    pip install --target peers/opentsne openTSNE    # and so on, each in a folder of its own
    python benchmarks/projections_vs_peers.py --vectors embeddings/*.parquet --rows 20000 --peers peers

Each runs in a process of its own on two threads, with the seed 0 and otherwise its defaults. `kept` is the share of the
15 nearest neighbours (cosine) of 2,000 rows that are among the 15 nearest on the map; `trust` is trustworthiness
(Venna and Kaski, 2001; scikit-learn's) of 5,000 rows at 15 neighbours; `same` says whether two runs gave the
same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

NEIGHBOURS, NUM_ASKED, NUM_TRUSTED, THREADS = 15, 2_000, 5_000, 2


def pca(vectors):
    centred = vectors - vectors.mean(0)
    import numpy as np

    _, axes = np.linalg.eigh(centred.T @ centred)
    return centred @ axes[:, -2:]


def opentsne(vectors):
    from openTSNE import TSNE

    return TSNE(metric="cosine", n_jobs=THREADS, random_state=0).fit(vectors)


def umap(vectors):
    import umap as library

    return library.UMAP(metric="cosine", random_state=0).fit_transform(vectors)


def pacmap(vectors):
    import pacmap as library

    return library.PaCMAP(random_state=0).fit_transform(vectors)


def sklearn_tsne(vectors):
    from sklearn.manifold import TSNE

    return TSNE(metric="cosine", init="pca", n_jobs=THREADS, random_state=0).fit_transform(vectors)


def ours(vectors):
    import numpy as np

    from theta_ray.report.projection import project

    ids = np.arange(len(vectors), dtype=np.uint64)
    return project(vectors, np.zeros(len(vectors), np.int64), ids, 0)


PEERS = {"PCA": pca, "openTSNE": opentsne, "UMAP": umap, "PaCMAP": pacmap, "scikit-learn t-SNE": sklearn_tsne}
FOLDERS = {"openTSNE": "openTSNE", "UMAP": "umap-learn", "PaCMAP": "pacmap"}


def read(paths, rows):
    import numpy as np
    import pyarrow.parquet as pq

    found = []
    for path in paths:
        column = pq.read_table(path, columns=["embedding"])["embedding"].combine_chunks()
        found.append(column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), -1))
    vectors = np.concatenate(found)
    chosen = np.sort(np.random.default_rng(0).permutation(len(vectors))[:rows])
    return vectors[chosen] / np.linalg.norm(vectors[chosen], axis=1, keepdims=True)


def judge(vectors, places):
    import numpy as np
    from scipy.spatial import cKDTree
    from sklearn.manifold import trustworthiness

    asked = np.random.default_rng(1).permutation(len(vectors))[:NUM_ASKED]
    near = np.argpartition(-(vectors[asked] @ vectors.T), NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
    found = cKDTree(places).query(places[asked], NEIGHBOURS + 1)[1]
    kept = np.mean([len(set(a) & set(b) - {i}) / NEIGHBOURS for a, b, i in zip(near, found, asked, strict=True)])
    some = np.random.default_rng(2).permutation(len(vectors))[:NUM_TRUSTED]
    trust = trustworthiness(vectors[some], places[some], n_neighbors=NEIGHBOURS, metric="cosine")
    return float(kept), float(trust)


def one(name, vectors):
    import numpy as np

    first, seconds, same = None, [], []
    for _ in range(1 if len(vectors) > 25_000 else 2):
        began = time.perf_counter()
        places = np.asarray((PEERS | {"theta_ray": ours})[name](vectors), np.float64)
        seconds.append(time.perf_counter() - began)
        same.append(first is None or bool((places == first).all()))
        first = places if first is None else first
    kept, trust = judge(vectors, first)
    told = "-" if len(same) == 1 else "yes" if all(same) else "no"
    print("FOUND" + json.dumps([name, len(vectors), seconds[0], kept, trust, told]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", nargs="+", required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[*PEERS, "theta_ray"])
    parser.add_argument("--one")
    options = parser.parse_args()
    if options.one:
        one(options.one, read(options.vectors, options.rows))
        return
    print("| | rows | seconds | kept | trust | same |\n| --- | --- | --- | --- | --- | --- |")
    for name in options.only:
        paths = [".", *([str(options.peers / FOLDERS[name])] if name in FOLDERS else [])]
        environment = os.environ | {"PYTHONPATH": ":".join(reversed(paths))}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS))
        done = subprocess.run(
            [sys.executable, *sys.argv, "--one", name], env=environment, capture_output=True, text=True
        )
        rows = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("FOUND")]
        for row in rows:
            print(f"| {row[0]} | {row[1]:,} | {row[2]:.1f} | {row[3]:.3f} | {row[4]:.3f} | {row[5]} |", flush=True)
        if not rows:
            print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1][:100]} |", flush=True)


if __name__ == "__main__":
    main()
