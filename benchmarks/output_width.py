"""One table: bytes of a vector and recall@10 of narrower forms of it, and of fewer layers.

    python benchmarks/output_width.py                         the synthetic sample's texts
    python benchmarks/output_width.py --texts FILE.parquet    column `text` of a file of yours

all-MiniLM-L6-v2 in float32 on one thread; it was trained neither for shorter vectors nor for fewer
layers. Recall is that of the neighbours by cosine of the whole model's float32 vectors at full
width: among 1,024 evenly spaced texts with 64 queries, as every run measures it on a shard, and
among all texts with 512 queries.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from embed_vs_peers import MODEL, write_texts

from theta_ray.config import Embed, Encoder
from theta_ray.encoder.encoder import TextEncoder, first_values
from theta_ray.encoder.neighbours import MAX_TEXTS, evenly_spaced, measure_recall
from theta_ray.encoder.source import resolve_model
from theta_ray.encoder.stored import to_stored

STORED = ("float16", "int8", "binary")
DIMS = (384, 256, 192, 128)
LAYERS = (5, 4, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="parquet file with a column `text`; default: the sample corpus")
    parser.add_argument("--limit", type=int, default=4096, help="texts to use (default 4096)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="theta-ray-benchmark-") as name:
        texts = pq.read_table(write_texts(options.texts, options.limit, Path(name)))["text"].to_pylist()
    encoder, full = embed(texts, None)
    print("| layers | dim | stored as | bytes | recall@10, sample | recall@10, all |")
    print("| ---: | ---: | --- | ---: | ---: | ---: |")
    for dim in DIMS:
        for store_dtype in STORED:
            show(encoder, full, full, f"all | {dim} | {store_dtype}")
    for num_layers in LAYERS:
        shallow, vectors = embed(texts, num_layers)
        show(shallow, full, vectors, f"{num_layers} | 384 | float16")
    started = time.perf_counter()
    sample = evenly_spaced(len(full), MAX_TEXTS)
    measure_recall(full[sample], to_stored(full, "int8").restored()[sample])
    print(f"\n{len(texts)} texts; measuring recall once takes {time.perf_counter() - started:.3f} s")


def embed(texts: list[str], num_layers: int | None) -> tuple[TextEncoder, Any]:
    """An encoder and its vectors of full width."""
    recipe = Encoder(model=MODEL, precision="float32", num_layers=num_layers)
    encoder = TextEncoder(recipe, Embed(), resolve_model(recipe))
    started = time.perf_counter()
    vectors = encoder.embed_texts(texts)
    print(f"{num_layers or 'all'} layers: {time.perf_counter() - started:.1f} s")
    return encoder, vectors


def show(encoder: TextEncoder, full: Any, vectors: Any, form: str) -> None:
    """One row of the table: the stored form of some vectors against the exact ones."""
    _, dim, store_dtype = form.split(" | ")
    stored = to_stored(first_values(vectors, replace(encoder.rules, dim=int(dim))), store_dtype)
    num_bytes = stored.values[0].nbytes + (0 if stored.scale_N is None else 4)
    sample = evenly_spaced(len(full), MAX_TEXTS)
    few = measure_recall(full[sample], stored.restored()[sample])
    every = measure_recall(full, stored.restored(), max_queries=512)
    print(f"| {form} | {num_bytes} | {few.at_10:.3f} | {every.at_10:.3f} |")


if __name__ == "__main__":
    main()
