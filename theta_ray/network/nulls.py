"""Random graphs with the degrees of a given one: what a statistic would be if only activity and popularity mattered.

A sweep puts all edges in random pairs (a, b), (c, d) and turns a pair into (a, d), (c, b), which leaves every in- and
out-degree as it is. A pair is left alone when one of its four edges, before or after, is a loop or also before or after
one of another pair. That rule sees the same four edges from the new graph, so a sweep leads back as often as it leads
there, and with some pairs left alone by a coin the chain ends at each graph with these degrees equally often (Rao et
al. 1996; Fosdick et al. 2018). Switches cannot turn a directed cycle of three around: nodes of the same in- and
out-degree are exchanged at random first, which reaches what switches do not (Berger and Carstens 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.graph import Graph

Edges = NDArray[np.uint64]
"""Source in the upper half of a word, target in the lower."""
Statistics = Callable[[Graph], Mapping[str, float]]

# On a graph of 1.4 million edges with hubs of 2,500, reciprocity and the edges shared with the first graph are at their
# limit after five sweeps, four switches an edge.
NUM_SWITCHES = 6.0
# Sweeps that show how often a pair can be switched; how many follow is fixed by them, and so not by where they lead.
NUM_TRIED = 3
# A small graph needs more than its edges say, and where hardly a pair can be switched there is hardly another graph.
MAX_SWEEPS, EDGES_SWEPT = 100, 100_000
# One pair in so many is left alone, or two edges would only change places for ever.
LEFT_ALONE = 8
HALF = np.uint64(32)
LOW = np.uint64(2**32 - 1)
HIGH = ~LOW


class Null(NamedTuple):
    """A statistic beside its values in random graphs of the same degrees."""

    value: float
    mean: float
    sd: float
    """Of the replicates, with n - 1; NaN with fewer than two."""
    z: float
    """(value - mean) / sd; NaN where the replicates do not vary."""
    p_value: float
    """Twice the smaller share of replicates at least as small or large, the graph itself counted among them, at most 1
    (Phipson and Smyth 2010): never below 2 / (replicates + 1)."""
    num_replicates: int
    """With a value."""


def rewired(graph: Graph, seed: int | Sequence[int], *, num_switches: float = NUM_SWITCHES) -> Graph:
    """A random graph with the same in- and out-degrees, or the same degrees, without loops and multiple edges.

    Weights stay with the sources of a directed graph, so out-strengths are kept and in-strengths are not; those of an
    undirected graph are dealt out at random. 50 bytes an edge.

    Args:
        graph: any.
        seed: of the one replicate: the same seed gives the same graph wherever it is made.
        num_switches: of each edge on average; more forget more of the graph.
    """
    generator = np.random.default_rng(seed)
    source, target = graph.source.astype(np.uint64), graph.target.astype(np.uint64)
    if graph.directed:
        other = _exchanged(graph, generator)
        source, target = other[graph.source], other[graph.target]
    edges = source << HALF | target
    if len(edges) > 1:
        tried = [_switch(edges, graph.directed, generator) for _ in range(NUM_TRIED)]
        share = max(sum(tried) / NUM_TRIED, num_switches / MAX_SWEEPS)
        for _ in range(max(math.ceil(num_switches / share), min(MAX_SWEEPS, EDGES_SWEPT // len(edges)))):
            _switch(edges, graph.directed, generator)
    # the weights of each source in order, its edges in a new one
    generator.shuffle(edges)
    source = (edges >> HALF).astype(np.int64)
    order = np.argsort(source, kind="stable") if graph.directed else np.arange(len(edges))
    weight = graph.weight if graph.directed else generator.permutation(graph.weight)
    return Graph.of(graph.num_nodes, source[order], (edges & LOW)[order], weight, directed=graph.directed)


def null_replicate(statistics: Statistics, graph: Graph, replicate: int, seed: int = 0) -> dict[str, float]:
    """Statistics of one random graph: one task, the same wherever and in whatever order replicates are made."""
    return dict(statistics(rewired(graph, [seed, replicate])))


def against_null(
    statistics: Statistics, graph: Graph, replicates: int | Sequence[Mapping[str, float]] = 100, seed: int = 0
) -> dict[str, Null]:
    """Each statistic of a graph beside random graphs of its degrees.

    Args:
        statistics: graph -> name -> value.
        graph: any.
        replicates: how many to make here, or what `null_replicate` gave elsewhere.
        seed: of the replicates made here.
    """
    if isinstance(replicates, int):
        replicates = [null_replicate(statistics, graph, replicate, seed) for replicate in range(replicates)]
    values = statistics(graph)
    return {name: compared(value, [found[name] for found in replicates]) for name, value in values.items()}


def compared(value: float, replicates: Sequence[float]) -> Null:
    """One value beside those of replicates; replicates without a value (NaN) are left out."""
    drawn = np.asarray(replicates, np.float64)
    drawn = drawn[~np.isnan(drawn)]
    count = len(drawn)
    mean = float(drawn.mean()) if count else np.nan
    sd = float(drawn.std(ddof=1)) if count > 1 else np.nan
    # values that should be equal may differ by rounding
    slack = 1e-12 * max(abs(value), abs(mean)) if count else 0.0
    sd = 0.0 if sd <= slack else sd
    smaller = min((drawn <= value + slack).sum(), (drawn >= value - slack).sum())
    known = count > 0 and not np.isnan(value)
    p_value = min(1.0, 2 * (1 + int(smaller)) / (count + 1)) if known else np.nan
    return Null(value, mean, sd, (value - mean) / sd if sd > 0 else np.nan, p_value, count)


def _exchanged(graph: Graph, generator: np.random.Generator) -> Edges:
    """[nodes] another node of the same in- and out-degree, at random; all of them once."""
    ins = np.bincount(graph.target, minlength=graph.num_nodes)
    outs = np.bincount(graph.source, minlength=graph.num_nodes)
    other = np.empty(graph.num_nodes, np.uint64)
    other[np.lexsort((generator.random(graph.num_nodes), ins, outs))] = np.lexsort((ins, outs))
    return other


def _switch(edges: Edges, directed: bool, generator: np.random.Generator) -> float:
    """One sweep, in place: the share of pairs that were switched. An edge without a partner stays."""
    generator.shuffle(edges)
    if not directed:
        turned = generator.integers(0, 2, len(edges), dtype=np.int8) > 0
        edges[turned] = _turned(edges[turned])
    half = len(edges) // 2
    one, two = edges[:half], edges[half : 2 * half]
    new_one, new_two = one & HIGH | two & LOW, two & HIGH | one & LOW
    cells = np.concatenate([edges, new_one, new_two])
    if not directed:
        cells = np.minimum(cells, _turned(cells))
    alone = _alone(cells, generator)
    moved = alone[:half] & alone[half : 2 * half] & alone[-2 * half : -half] & alone[-half:]
    moved &= (new_one >> HALF != new_one & LOW) & (new_two >> HALF != new_two & LOW)
    moved &= generator.integers(0, LEFT_ALONE, half, dtype=np.int8) > 0
    np.copyto(one, new_one, where=moved)
    np.copyto(two, new_two, where=moved)
    return float(moved.mean())


def _turned(edges: Edges) -> Edges:
    return edges << HALF | edges >> HALF


def _alone(cells: Edges, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which cells are there once, by a random hash: one that is may be missed, none that is not is taken.

    Every sweep has a hash of its own, or two edges with the same hash could never be there together. Hash and place
    share a word, so that words are sorted and not places: three times as fast.
    """
    bits = np.uint64(len(cells).bit_length())
    multiplier = generator.integers(0, 2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    words = (cells * multiplier) >> bits << bits | np.arange(len(cells), dtype=np.uint64)
    words.sort()
    same = words[1:] >> bits == words[:-1] >> bits
    places = (words & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    alone = np.ones(len(cells), bool)
    alone[places[1:][same]] = alone[places[:-1][same]] = False
    return alone
