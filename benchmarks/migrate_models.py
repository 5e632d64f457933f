"""One table: how far the vectors of all-MiniLM-L6-v2 are from those of its variants, and what a map makes good.

    python benchmarks/migrate_models.py --texts FILE.parquet                   column `text` of a file of yours
    python benchmarks/migrate_models.py --texts FILE.parquet --adapter FOLDER  adapters of the model as well

The old vectors are those of the whole model. `neighbours kept` is the share of a text's 10 nearest ones that
are so in both spaces, without a map; `found` is that which mapped old vectors find among the new ones, for held-out
texts. ARI is that of the held-out texts' old clusters with their clusters by mapped centroids; `refit` is that of
another fit, with another seed, to the same old vectors, which shows what a change of model may cost beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from embed_vs_peers import MODEL

from theta_ray.config import Embed, Encoder
from theta_ray.config_evaluation import Evaluation
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.source import resolve_model
from theta_ray.nightly.cluster_map import map_clusters
from theta_ray.nightly.map_quality import judge
from theta_ray.topics.agreement import adjusted_rand_index
from theta_ray.topics.kmeans import KMeans

VARIANTS: dict[str, dict[str, Any]] = {
    "a prompt before each text": {"document_prompt": "news: "},
    "dim 192": {"dim": 192},
    "first 5 of 6 layers": {"num_layers": 5},
    "first 3 of 6 layers": {"num_layers": 3},
    "pooling cls": {"pooling": "cls"},
}
NUM_NEIGHBOURS = 10
ROW = "| {} | {:.3f} | {} | {} | {} | {} | {} | {} | {:.3f} [{:.3f}, {:.3f}] |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="parquet file with a column `text`")
    parser.add_argument("--adapter", action="append", default=[], help="folder of an adapter of the same model")
    parser.add_argument("--adapters-only", action="store_true", help="leave the other variants out")
    parser.add_argument("--limit", type=int, default=10_000, help="different texts to use (default 10,000)")
    parser.add_argument("--clusters", type=int, default=20, help="clusters of the old vectors (default 20)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = sorted(set(pq.read_table(options.texts, columns=["text"])["text"].to_pylist()))
    order = np.random.default_rng(0).permutation(len(texts))[: options.limit]
    texts = [texts[place] for place in order]
    old, num_tokens = embed(texts)
    centroids, radius, refit = clusters_of(old, options.clusters)
    print(f"{len(texts):,} texts, half of them held out; {options.clusters} clusters, ARI of a refit {refit:.3f}\n")
    print("| new vectors | neighbours kept | cosine before | identity | mean shift | procrustes | ridge | map | ARI |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |")
    adapters = {f"adapter {folder}": {"adapter": folder, "max_length": None} for folder in options.adapter}
    for name, changes in (adapters if options.adapters_only else {**VARIANTS, **adapters}).items():
        new, _ = embed(texts, **changes)
        found = judge(old, new, NUM_NEIGHBOURS, Evaluation())
        of_clusters = map_clusters((old, new, num_tokens), (centroids, radius), found, "cosine", Evaluation())
        by_map = {each.map.method: f"{each.overlap.value:.3f}" for each in found.maps}
        cells = [by_map.get(method, "-") for method in ("identity", "mean_shift", "procrustes", "ridge")]
        cosine = "-" if found.drift.cosine is None else f"{found.drift.cosine.value:.3f}"
        chosen = found.chosen.map.method
        print(ROW.format(name, found.drift.overlap.value, cosine, *cells, chosen, *of_clusters.agreement), flush=True)


def embed(texts: list[str], *, dim: int | None = None, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and token counts by a variant of the model."""
    recipe = Encoder(**{"model": MODEL, "precision": "float32", "max_length": 128, **changes})
    encoder = TextEncoder(recipe, Embed(dim=dim), resolve_model(recipe))
    sequences = encoder.tokenizer.encode(texts)
    return encoder.embed_sequences(sequences, batch_tokens=2048)[0], sequences.tokens_per_text().astype(np.int32)


def clusters_of(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Unit centroids and radii that hold 99 % of their rows; and how far another seed agrees."""
    fits = [KMeans(k, spherical=True, seed=seed).fit(vectors) for seed in (0, 1)]
    labels, centroids = fits[0].labels_, fits[0].cluster_centers_
    distance = 1 - (vectors * centroids[labels]).sum(axis=1)
    radius = np.array([np.quantile(distance[labels == each], 0.99) for each in range(len(centroids))], np.float32)
    refit = adjusted_rand_index(np.ones((1, len(vectors))), labels, fits[1].labels_)
    return centroids, radius, float(refit[0])


if __name__ == "__main__":
    main()
