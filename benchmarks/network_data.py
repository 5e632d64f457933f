"""Comment graphs for `networks_vs_peers.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

Arrays = tuple[int, np.ndarray, np.ndarray, np.ndarray]
"""Number of nodes; source, target and weight of each edge."""
# Of activity: a person has the share rank^-ZIPF.
ZIPF = 0.85


def comment_graph(num_edges: int, seed: int = 0) -> Arrays:
    """Comments in threads, each to the author of its post: 200 communities, 80 % of comments within one, Zipf activity.

    Threads have a median of six comments, some have hundreds, and one in 200,000 has 20,000. A fifth of all comments
    are the answers of authors.
    """
    generator = np.random.default_rng(seed)
    num_nodes, num_threads = num_edges * 98 // 1250, num_edges * 20 // 125
    activity = np.arange(1, num_nodes + 1) ** -ZIPF
    community = generator.integers(0, 200, num_nodes)
    by_community = np.argsort(community, kind="stable")
    comments = np.floor(3.6 * (1 - generator.random(num_threads)) ** (-1 / 1.45)).astype(np.int64)
    comments = np.minimum(comments, 1000)
    comments[: max(1, num_threads // 200_000)] = min(20_000, num_nodes // 5)
    author = generator.choice(num_nodes, num_threads, p=activity / activity.sum())
    target = np.repeat(author, comments)
    until = np.concatenate([[0], np.cumsum(activity[by_community])])
    first, last = (np.searchsorted(community[by_community], np.arange(200), side) for side in ("left", "right"))
    inside = generator.random(len(target)) < 0.8
    low = np.where(inside, until[first[community[target]]], 0)
    high = np.where(inside, until[last[community[target]]], until[-1])
    place = np.searchsorted(until, low + generator.random(len(target)) * (high - low), "right") - 1
    source = by_community[np.clip(place, 0, num_nodes - 1)]
    returned, of = generator.random(len(target)) < 0.2, generator.permutation(len(target))
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
