"""Triangles of a graph, found a block at a time.

From each node the pairs of its neighbours of higher degree are looked up among the edges: with nodes in order of degree
none has more than the root of 2 m such neighbours, whatever the hubs (Chiba and Nishizeki 1985; Schank and Wagner
2005). Most of these pairs are of hubs, whose edges are a table; others are searched for among one node's neighbours.
Shapes: E connected pairs, W pairs of neighbours, T triangles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from theta_ray.network.graph import Nodes
from theta_ray.network.reciprocity import BACKWARD, FORWARD, MUTUAL, Dyads

Places = NDArray[np.int32]
Kinds = NDArray[np.int8]

# Of pairs of neighbours at a time: 10 MiB.
WEDGES_AT_ONCE = 2**18
# Nodes of the highest degrees, all pairs of which are a table: 16 MiB.
HUBS = 4096


class Triangles(NamedTuple):
    """Triangles counted in two ways."""

    at_node: NDArray[np.int64]
    """[nodes] those that a node is in."""
    by_kinds: NDArray[np.int64]
    """[4, 4, 4] those with these kinds of dyads first to second, first to third, second to third node, in any order of
    the nodes; FORWARD is from the one named first."""


class _Ordered(NamedTuple):
    """Pairs with nodes numbered by degree, in order; the first are of nodes that are no hubs."""

    num_nodes: int
    starts: Places
    """[nodes + 1] where the pairs of each lower node begin."""
    low: Nodes
    high: Nodes
    kind: Kinds

    @property
    def first_hub(self) -> int:
        return max(0, self.num_nodes - HUBS)


# Kinds [W] of dyads between a node that repeats and others, 0 where there is none: from places of first pairs [P], how
# often each repeats [P], and the others [W].
_Lookup = Callable[[Places, Places, Nodes], Kinds]


def count_triangles(pairs: Dyads) -> Triangles:
    """Triangles of the graph without directions. 35 bytes a pair, and 30 MiB.

    Time goes with the pairs of neighbours that are looked up: at most m times the root of m / 2, in social graphs some
    ten an edge, of which some 30 million are looked up in a second on one core, and twice as many of hubs.
    """
    rank = _rank_by_degree(pairs)
    ordered = _by_rank(pairs, rank)
    of_pair = np.zeros(len(ordered.low), np.int64)
    at_node = np.zeros(pairs.num_nodes, np.int64)
    by_kinds = np.zeros(64, np.int64)
    before, four = ordered.kind * np.int8(16), ordered.kind * np.int8(4)
    later = ordered.starts[1:][ordered.low]  # of the same node
    later -= np.arange(1, len(later) + 1, dtype=np.int32)
    is_hub = ordered.high >= ordered.first_hub
    for chosen, lookup in ((is_hub, _hub_kinds(ordered)), (~is_hub, _searched_kinds(ordered))):
        for first, counts in _blocks(np.flatnonzero(chosen & (later > 0)).astype(np.int32), later):
            second = np.repeat(first + 1 - (np.cumsum(counts, dtype=np.int32) - counts), counts)
            second += np.arange(len(second), dtype=np.int32)
            third = ordered.high[second]
            kind = lookup(first, counts, third)
            hit = np.flatnonzero(kind > 0)
            place = np.repeat(np.arange(len(first), dtype=np.int32), counts)[hit]
            of_pair[first] += np.bincount(place, minlength=len(first))
            at_node += np.bincount(third[hit], minlength=pairs.num_nodes)
            by_kinds += np.bincount(before[first][place] + four[second[hit]] + kind[hit], minlength=64)
    for ends in (ordered.low, ordered.high):
        at_node += np.bincount(ends, of_pair, pairs.num_nodes).astype(np.int64)
    return Triangles(at_node[rank], by_kinds.reshape(4, 4, 4))


def _rank_by_degree(pairs: Dyads) -> Places:
    degree = np.bincount(pairs.low, minlength=pairs.num_nodes) + np.bincount(pairs.high, minlength=pairs.num_nodes)
    rank = np.empty(pairs.num_nodes, np.int32)
    rank[np.argsort(degree, kind="stable")] = np.arange(pairs.num_nodes, dtype=np.int32)
    return rank


def _by_rank(pairs: Dyads, rank: Places) -> _Ordered:
    one, other = rank[pairs.low], rank[pairs.high]
    turned = one > other
    swap = np.array([0, BACKWARD, FORWARD, MUTUAL], np.int8)
    kinds = np.where(turned, swap[pairs.kind], pairs.kind)
    ends = (np.minimum(one, other), np.maximum(one, other))
    ordered = csr_array((kinds, ends), shape=(pairs.num_nodes, pairs.num_nodes))
    ordered.sort_indices()
    starts, high = (places.astype(np.int32, copy=False) for places in (ordered.indptr, ordered.indices))
    low = np.repeat(np.arange(pairs.num_nodes, dtype=np.int32), np.diff(starts))
    return _Ordered(pairs.num_nodes, starts, low, high, ordered.data)


def _blocks(first: Places, later: Places) -> Iterator[tuple[Places, Places]]:
    """Some pairs at a time, and how many later ones of the same node each has."""
    until = np.cumsum(later[first], dtype=np.int64)
    begin = 0
    while begin < len(first):
        done = until[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(until, done + WEDGES_AT_ONCE, side="right")))
        yield first[begin:end], later[first[begin:end]]
        begin = end


def _hub_kinds(pairs: _Ordered) -> _Lookup:
    base, width = pairs.first_hub, pairs.num_nodes - pairs.first_hub
    table = np.zeros(width * width, np.int8)
    begin = int(pairs.starts[base])
    rows = (pairs.high - base) * np.int32(width) - np.int32(base)
    table[(pairs.low[begin:] - base) * np.int32(width) - np.int32(base) + pairs.high[begin:]] = pairs.kind[begin:]
    return lambda first, counts, third: table[np.repeat(rows[first], counts) + third]


def _searched_kinds(pairs: _Ordered) -> _Lookup:
    # a row is searched by halves; no hub has one
    end, shape = int(pairs.starts[pairs.first_hub]), (pairs.first_hub, pairs.num_nodes)
    rows = csr_array((pairs.kind[:end], pairs.high[:end], pairs.starts[: pairs.first_hub + 1]), shape=shape)
    return lambda first, counts, third: np.asarray(rows[np.repeat(pairs.high[first], counts), third])
