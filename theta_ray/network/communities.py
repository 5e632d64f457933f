"""Communities: groups of nodes with more weight inside than their strengths alone would give.

    edges in order, directions dropped -> NetworKit with one thread, once a seed -> communities in pieces are split
      -> ids by size -> the partition with the best weighted modularity, and how far the seeds agree

Modularity has many partitions near its maximum, so a single partition says little: the spread and the agreement between
seeds say whether the communities are there or whether the search drew them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from theta_ray.network.components import by_size, weak_components
from theta_ray.network.graph import Graph, Nodes
from theta_ray.network.labels_agreement import agreement
from theta_ray.network.reciprocity import Dyads, dyads

Algorithm = Literal["leiden", "louvain"]
Within = Literal["largest", "all"]
Places = NDArray[np.int64]
SEEDS = tuple(range(10))
# At most: it stops where nothing moves. Three, NetworKit's default, end up to 0.01 lower on weak communities.
LEIDEN_ITERATIONS = 50

DEFINITIONS = {
    "best_modularity": "Largest modularity over seeds, counted again from the labels with the weights of the search, "
    "of the nodes searched, without directions; NaN without edges.",
    "worst_modularity": "Smallest modularity over seeds.",
    "modularity_spread": "Largest less smallest modularity over seeds.",
    "num_seeds": "Searches, each with a seed of its own.",
    "seed_nmi": "Mean over pairs of seeds of the normalized mutual information of their partitions (arithmetic mean of "
    "entropies); NaN below two seeds or without nodes.",
    "seed_ari": "Mean over pairs of seeds of the adjusted Rand index of their partitions (Hubert and Arabie 1985); NaN "
    "below two seeds or without nodes.",
}


@dataclass(frozen=True)
class Search:
    """How communities are looked for."""

    algorithm: Algorithm = "leiden"
    resolution: float = 1.0
    """Above 1: more and smaller communities (Reichardt and Bornholdt 2006)."""
    weighted: bool = True
    within: Within = "largest"
    """The largest weak component, or all nodes, where each other component is a community or several."""


@dataclass(frozen=True)
class Communities:
    """The best of several partitions, and how far they agree."""

    label: Nodes
    """[nodes] community; 0 is the largest, of equal ones that with the smallest node; -1 where not searched."""
    modularity: tuple[float, ...]
    """Of each seed's partition."""
    best: int
    """Place of the best seed, the first of equals."""
    nmi: float
    ari: float


def leiden(graph: Graph, seeds: Sequence[int] = SEEDS, resolution: float = 1.0) -> Communities:
    """Communities of the largest component by Leiden (Traag et al. 2019, Sci. Rep. 9:5233), weighted."""
    return communities(graph, seeds, Search(resolution=resolution))


def communities(
    graph: Graph,
    seeds: Sequence[int] = SEEDS,
    search: Search | None = None,
    *,
    pairs: Dyads | None = None,
    weak: Nodes | None = None,
) -> Communities:
    """Communities of a graph without its directions, the best over seeds.

    The same seeds give the same partition on any number of cores. Which one depends on the order of node ids, as in
    every greedy search; a caller with names sorts them first. 100 bytes an edge.

    Args:
        graph: any.
        seeds: of the searches.
        search: how.
        pairs: of the graph when they are known already.
        weak: weak components when they are known already.

    Raises:
        ValueError: there are no seeds.
    """
    search = search or Search()
    if not len(seeds):
        raise ValueError("no seeds: a search for communities needs at least one")
    searched: Places = np.arange(graph.num_nodes, dtype=np.int64)
    if search.within == "largest":
        searched = np.flatnonzero((weak_components(graph) if weak is None else weak) == 0)
    part = _induced((pairs or dyads(graph)).graph(weighted=True), searched)
    if not search.weighted:
        part = Graph(part.num_nodes, part.source, part.target, np.ones(part.num_edges), directed=False)
    labels, quality = zip(*_searched(part, seeds, search), strict=True)
    best = int(np.argmax(np.round(quality, 12)))
    agreed = [agreement(*both) for both in combinations(labels, 2)] if part.num_nodes else []
    label = np.full(graph.num_nodes, -1, np.int32)
    label[searched] = labels[best]
    nmi, ari = np.mean(agreed, axis=0) if agreed else (np.nan, np.nan)
    return Communities(label, tuple(quality), best, float(nmi), float(ari))


def community_statistics(found: Communities) -> dict[str, float]:
    """The statistics of `DEFINITIONS`."""
    return {
        "best_modularity": max(found.modularity),
        "worst_modularity": min(found.modularity),
        "modularity_spread": max(found.modularity) - min(found.modularity),
        "num_seeds": len(found.modularity),
        "seed_nmi": found.nmi,
        "seed_ari": found.ari,
    }


def _induced(graph: Graph, nodes: Places) -> Graph:
    """The graph of some nodes, in rising order, numbered anew."""
    if len(nodes) == graph.num_nodes:
        return graph
    number = np.full(graph.num_nodes, -1, np.int32)
    number[nodes] = np.arange(len(nodes), dtype=np.int32)
    source, target = number[graph.source], number[graph.target]
    kept = (source >= 0) & (target >= 0)
    return Graph(len(nodes), source[kept], target[kept], graph.weight[kept], directed=graph.directed)


def connected_parts(graph: Graph, labels: Nodes) -> Nodes:
    """[nodes] parts of the partition that hang together: a community that falls apart becomes several."""
    return _parts(graph, labels[graph.source] == labels[graph.target])


def _parts(graph: Graph, inner: NDArray[np.bool_]) -> Nodes:
    """[nodes] what some of the edges connect."""
    starts = np.zeros(graph.num_nodes + 1, np.int32)
    np.cumsum(np.bincount(graph.source[inner], minlength=graph.num_nodes), out=starts[1:])
    target = graph.target[inner]
    matrix = csr_array((np.ones(len(target)), target, starts), shape=(graph.num_nodes, graph.num_nodes))
    return np.asarray(connected_components(matrix, directed=False)[1], np.int32)


def _searched(graph: Graph, seeds: Sequence[int], search: Search) -> Iterator[tuple[Nodes, float]]:
    """Connected communities by size, and their modularity, once a seed."""
    total = float(graph.weight.sum())
    strength = sum(np.bincount(ends, graph.weight, graph.num_nodes) for ends in (graph.source, graph.target))
    for found in _partitions(graph, seeds, search):
        # an edge within a community is within one of its parts, so one look at the edges is enough
        inner = found[graph.source] == found[graph.target]
        labels = by_size(_parts(graph, inner))
        if not total:
            yield labels, float("nan")
            continue
        by_chance = np.square(np.bincount(labels, strength) / (2 * total)).sum()
        yield labels, float(graph.weight[inner].sum() / total - search.resolution * by_chance)


def _partitions(graph: Graph, seeds: Sequence[int], search: Search) -> Iterator[Nodes]:
    """[nodes] labels, once a seed."""
    if not graph.num_edges:
        for _ in seeds:
            yield np.arange(graph.num_nodes, dtype=np.int32)
        return
    import networkit as nk

    with _one_thread(nk):
        built = _built(nk, graph, (graph.source, graph.target))
        for seed in seeds:
            nk.setSeed(seed, False)
            if search.algorithm == "leiden":
                found = nk.community.ParallelLeiden(built, iterations=LEIDEN_ITERATIONS, gamma=search.resolution)
                yield _labels(found)
            else:
                # Louvain takes nodes in their order, whatever the seed: they are shuffled
                order: Places = np.random.default_rng(seed).permutation(graph.num_nodes)
                shuffled = _built(nk, graph, (order[graph.source], order[graph.target]))
                yield _labels(nk.community.PLM(shuffled, gamma=search.resolution))[order]


def _built(nk: Any, graph: Graph, ends: tuple[NDArray[Any], NDArray[Any]]) -> Any:
    """NetworKit's graph, its edges between these ends."""
    # it reads 8 bytes a node id, whatever it is given
    wide = tuple(side.astype(np.uint64) for side in ends)
    return nk.GraphFromCoo((exactly_summed(graph.weight), wide), n=graph.num_nodes, weighted=True, directed=False)


def exactly_summed(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights to the nearest multiple of 2^-50 of their total, so that their sums are exact in any order.

    With sums that are rounded NetworKit's Leiden (11.2) can move nodes to and fro between communities for ever.
    """
    total = float(weight.sum())
    if not total:
        return weight
    step = 2.0 ** (np.ceil(np.log2(total)) - 50)
    return np.asarray(np.round(weight / step) * step)


def _labels(algorithm: Any) -> Nodes:
    return np.array(algorithm.run().getPartition().getVector(), np.int32)


@contextmanager
def _one_thread(nk: Any) -> Iterator[None]:
    """NetworKit with one thread, whose results are the same each time."""
    before = nk.getMaxNumberOfThreads()
    nk.setNumberOfThreads(1)
    try:
        yield
    finally:
        nk.setNumberOfThreads(before)
