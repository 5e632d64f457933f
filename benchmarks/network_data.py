"""Comment graphs for `networks_vs_peers.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

Arrays = tuple[int, np.ndarray, np.ndarray, np.ndarray]
"""Number of nodes; source, target and weight of each edge."""


def comment_graph(num_edges: int, seed: int = 0) -> Arrays:
    """Comments of some people: 200 communities, heavy tails of activity and fame, a quarter of comments returned."""
    generator = np.random.default_rng(seed)
    num_nodes, num_ties = num_edges * 98 // 1250, num_edges * 8 // 5
    size = 1 / np.sqrt(np.arange(1, 201))
    community = np.sort(generator.choice(200, num_nodes, p=size / size.sum()))
    activity = np.minimum(generator.pareto(1.1, num_nodes) + 1, 3000)
    fame = np.minimum(generator.pareto(1.0, num_nodes) + 1, 10_000)
    source = generator.choice(num_nodes, num_ties, p=activity / activity.sum())
    until = np.concatenate([[0], np.cumsum(fame)])
    first, last = (np.searchsorted(community, np.arange(200), side) for side in ("left", "right"))
    inside = generator.random(num_ties) < 0.8
    low = np.where(inside, until[first[community[source]]], 0)
    high = np.where(inside, until[last[community[source]]], until[-1])
    target = np.searchsorted(until, low + generator.random(num_ties) * (high - low), "right") - 1
    target = np.clip(target, 0, num_nodes - 1)
    returned, of = generator.random(num_ties) < 0.25, generator.permutation(num_ties)
    source, target = np.where(returned, target[of], source), np.where(returned, source[of], target)
    kept = source != target
    keys, weight = np.unique(source[kept] * num_nodes + target[kept], return_counts=True)
    order = generator.permutation(len(keys))[:num_edges]  # in no order, as rows come
    return num_nodes, keys[order] // num_nodes, keys[order] % num_nodes, weight[order].astype(np.float64)


def kept(folder: Path, num_edges: int) -> Path:
    """The graph of this size, made once."""
    path = folder / f"{num_edges}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        num_nodes, source, target, weight = comment_graph(num_edges)
        np.savez(path, num_nodes=num_nodes, source=source, target=target, weight=weight)
    return path


def load(path: Path) -> Arrays:
    with np.load(path) as arrays:
        return int(arrays["num_nodes"]), arrays["source"], arrays["target"], arrays["weight"]
