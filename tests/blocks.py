"""Graphs in files and in blocks, and what is asked of them, for tests of the partitioned engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from theta_ray.network.block_worker import BlockJob, BlockWorker
from theta_ray.network.blocks import limits_of
from theta_ray.network.edge_files import EdgeFiles, count_ends, spread_file, write_edges
from theta_ray.network.engines import Engine
from theta_ray.network.graph import Graph
from theta_ray.network.partitioned import Partitioned
from theta_ray.topics.workers import LocalWorkers


def in_files(graph: Graph, folder: Path, num_files: int, seed: int = 0) -> EdgeFiles:
    """The edges of a graph, in any order, in files of different sizes; undirected ones with either end first."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(graph.num_edges)
    turned = (generator.random(graph.num_edges) < 0.5) & (not graph.directed)
    source, target = np.where(turned, graph.target, graph.source), np.where(turned, graph.source, graph.target)
    parts = np.split(order, np.sort(generator.integers(0, graph.num_edges + 1, num_files - 1)))
    names = tuple(f"{number:05d}" for number in range(num_files))
    for name, part in zip(names, parts, strict=True):
        write_edges(f"{folder}/{name}.parquet", [(source[part], target[part], graph.weight[part])])
    return EdgeFiles(str(folder), names, tuple(len(part) for part in parts), graph.num_nodes, graph.directed)


def in_blocks(files: EdgeFiles, folder: Path, num_blocks: int, num_workers: int) -> Partitioned:
    """The same edges in blocks on so many workers of this process."""
    limits = limits_of(sum(count_ends(task) for task in files.tasks()), files.num_nodes, num_blocks).tolist()
    for task in files.tasks(limits, str(folder)):
        spread_file(task)
    job = BlockJob(files, tuple(limits), str(folder))
    numbers = [tuple(range(first, len(limits) - 1, num_workers)) for first in range(num_workers)]
    workers = LocalWorkers([BlockWorker(job, group) for group in reversed(numbers) if group])
    return Partitioned(workers, files.num_nodes, files.directed)


def answers(engine: Engine, num_nodes: int) -> dict[str, Any]:
    """Everything that an engine can be asked, as arrays and numbers."""
    labels = np.random.default_rng(num_nodes).integers(-1, 5, num_nodes).astype(np.int32)
    hits = {f"hits {weights}": engine.hits(weights) for weights in ("binary", "log1p", "raw")}
    ranks = {f"pagerank {weights}": engine.pagerank(0.85, weights).score for weights in ("binary", "log1p", "raw")}
    return {
        **engine.degrees()._asdict(),
        "reciprocity": list(engine.reciprocity().values()),
        "weak components": engine.weak_components(),
        "core number": engine.core_number(),
        **{f"{name} {side}": getattr(found, side) for name, found in hits.items() for side in ("hub", "authority")},
        **ranks,
        **{f"labels {seed}": engine.label_propagation(seed) for seed in (0, 1)},
        **{f"split {name}": _dense(value) for name, value in vars(engine.split(labels)).items()},
    }


def _dense(value: Any) -> Any:
    return value.toarray() if issparse(value) else value
