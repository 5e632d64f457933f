"""Vectors with planted clusters for `kmeans_vs_peers.py`; made once and kept in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

BLOCK = 16_384


def mixture(num_rows: int, dim: int, num_topics: int, num_sub: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows in topics of sub-topics, and the topic of each.

    Sizes of sub-topics fall as 1 / (rank + 10.6): of 1,000 in 500,000 rows the largest has 9,600, the smallest 110. Of
    a row's squared length 0.08 is common to all, 0.25 its topic's, 0.085 its sub-topic's, 0.415 noise in half of the
    dimensions, along axes that each sub-topic stretches differently, and 0.17 noise in all.
    """
    generator = np.random.default_rng(seed)
    count = num_topics * num_sub
    shares = 1 / (generator.permutation(count) + 10.6)
    sub = generator.choice(count, num_rows, p=shares / shares.sum())
    topic = sub // num_sub
    common, topics, subs = (
        generator.standard_normal((many, dim)) * np.sqrt(part / dim)
        for many, part in ((1, 0.08), (num_topics, 0.25), (count, 0.085))
    )
    centres = (common + topics.repeat(num_sub, axis=0) + subs).astype(np.float32)
    width = dim // 2
    basis = np.linalg.qr(generator.standard_normal((dim, width)))[0].T.astype(np.float32)
    stretch = np.exp(generator.standard_normal((count, width)) * 0.5)
    stretch = (stretch * np.sqrt(0.415 / np.square(stretch).sum(axis=1, keepdims=True))).astype(np.float32)
    rows = np.empty((num_rows, dim), np.float32)
    for start in range(0, num_rows, BLOCK):
        part = sub[start : start + BLOCK]
        noise = generator.standard_normal((len(part), width), np.float32) * stretch[part]
        block = noise @ basis + generator.standard_normal((len(part), dim), np.float32) * np.float32(
            np.sqrt(0.17 / dim)
        )
        block += centres[part]
        rows[start : start + BLOCK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return rows, topic


def flat(num_rows: int, dim: int, count: int, separation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of such sizes around random centres of length `separation`, noise of length 1, and the cluster."""
    generator = np.random.default_rng(seed)
    shares = 1 / (generator.permutation(count) + 10.6)
    cluster = generator.choice(count, num_rows, p=shares / shares.sum())
    centres = generator.standard_normal((count, dim)) * (separation / np.sqrt(dim))
    rows = generator.standard_normal((num_rows, dim), np.float32) * np.float32(1 / np.sqrt(dim))
    for start in range(0, num_rows, BLOCK):
        rows[start : start + BLOCK] += centres[cluster[start : start + BLOCK]].astype(np.float32)
    return rows, cluster


def kept(folder: Path, name: str, num_rows: int, dim: int = 384) -> Path:
    """A folder with `rows.npy` and `cluster.npy` of a named mixture: topics, or flat-SEPARATION."""
    path = folder / f"{name}-{num_rows}x{dim}"
    if not (path / "rows.npy").exists():
        path.mkdir(parents=True, exist_ok=True)
        made = mixture(num_rows, dim, 100, 10) if name == "topics" else flat(num_rows, dim, 100, float(name[5:]))
        np.save(path / "cluster.npy", made[1])
        np.save(path / "rows.npy", made[0])
    return path


def embedded(folder: Path, files: list[Path]) -> Path:
    """A folder with `rows.npy`: vectors of the distinct texts of some parquet files, by all-MiniLM-L6-v2."""
    import pyarrow.parquet as pq
    from embed_vs_peers import MODEL

    from theta_ray.config import Embed, Encoder
    from theta_ray.encoder.encoder import TextEncoder
    from theta_ray.encoder.source import resolve_model

    texts = [text for file in files for text in pq.read_table(file, columns=["text"])["text"].to_pylist()]
    distinct = list(dict.fromkeys(text for text in texts if text and text.strip()))
    path = folder / f"texts-{len(distinct)}x384"
    if not (path / "rows.npy").exists():
        path.mkdir(parents=True, exist_ok=True)
        recipe = Encoder(model=MODEL, precision="float32")
        np.save(path / "rows.npy", TextEncoder(recipe, Embed(), resolve_model(recipe)).embed_texts(distinct))
    return path
