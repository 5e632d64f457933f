"""Triangles of a graph, found a block at a time.

From each node the pairs of its neighbours of higher degree are looked up among the edges: with nodes in order of degree
none has more than the root of 2 m such neighbours, whatever the hubs (Chiba and Nishizeki 1985; Schank and Wagner
2005).
Shapes: E connected pairs, W pairs of neighbours, T triangles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from theta_ray.network.reciprocity import BACKWARD, FORWARD, MUTUAL, Dyads

Places = NDArray[np.int32]
Keys = NDArray[np.int64]

# Of pairs of neighbours at a time: 40 MiB.
WEDGES_AT_ONCE = 2**19
MULTIPLIER = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio (Knuth, volume 3, section 6.4)


class Triangles(NamedTuple):
    """Triangles counted in two ways."""

    at_node: NDArray[np.int64]
    """[nodes] those that a node is in."""
    by_kinds: NDArray[np.int64]
    """[4, 4, 4] those with these kinds of dyads first to second, first to third, second to third node, in any order of
    the nodes; FORWARD is from the one named first."""


def count_triangles(pairs: Dyads) -> Triangles:
    """Triangles of the graph without directions. 40 bytes a pair, and 40 MiB.

    Time goes with the pairs of neighbours that are looked up: at most m times the root of m / 2, in social graphs some
    ten an edge, of which some 20 million are looked up in a second on one core.
    """
    at_node = np.zeros(pairs.num_nodes, np.int64)
    by_kinds = np.zeros(64, np.int64)
    ordered = _by_degree(pairs)
    for first, second, third in _blocks(ordered, pairs.num_nodes):
        for node in (ordered.low[first], ordered.high[first], ordered.high[second]):
            at_node += np.bincount(node, minlength=pairs.num_nodes)
        codes = (ordered.kind[first] * 4 + ordered.kind[second]) * np.int8(4) + ordered.kind[third]
        by_kinds += np.bincount(codes, minlength=64)
    found = np.empty_like(at_node)
    found[:] = at_node[_rank_by_degree(pairs)]
    return Triangles(found, by_kinds.reshape(4, 4, 4))


def _rank_by_degree(pairs: Dyads) -> Places:
    degree = np.bincount(pairs.low, minlength=pairs.num_nodes) + np.bincount(pairs.high, minlength=pairs.num_nodes)
    rank = np.empty(pairs.num_nodes, np.int32)
    rank[np.argsort(degree, kind="stable")] = np.arange(pairs.num_nodes, dtype=np.int32)
    return rank


def _by_degree(pairs: Dyads) -> Dyads:
    """The same pairs with nodes numbered by degree, in order."""
    rank = _rank_by_degree(pairs)
    one, other = rank[pairs.low], rank[pairs.high]
    turned = one > other
    swap = np.array([0, BACKWARD, FORWARD, MUTUAL], np.int8)
    kinds = np.where(turned, swap[pairs.kind], pairs.kind)
    ends = (np.minimum(one, other), np.maximum(one, other))
    ordered = csr_array((kinds, ends), shape=(pairs.num_nodes, pairs.num_nodes))
    ordered.sort_indices()
    low = np.repeat(np.arange(pairs.num_nodes, dtype=np.int32), np.diff(ordered.indptr))
    return Dyads(pairs.num_nodes, low, ordered.indices.astype(np.int32, copy=False), ordered.data)


def _blocks(pairs: Dyads, num_nodes: int) -> Iterator[tuple[Places, Places, Places]]:
    """[T] places of the pairs of each triangle: lowest and middle node, lowest and highest, middle and highest."""
    last = np.cumsum(np.bincount(pairs.low, minlength=num_nodes))
    later = last[pairs.low] - 1 - np.arange(len(pairs.low))  # of the same node
    until = np.cumsum(later)
    places = PairPlaces(pairs)
    begin = 0
    while begin < len(later):
        done = until[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(until, done + WEDGES_AT_ONCE, side="right")))
        counts = later[begin:end]
        starts = np.arange(begin + 1, end + 1) - (until[begin:end] - counts - done)
        second = np.repeat(starts, counts)
        second += np.arange(len(second))
        base = pairs.high[begin:end].astype(np.int64) * num_nodes
        wedge, third = places.find(np.repeat(base, counts) + pairs.high[second])
        first = np.repeat(np.arange(begin, end, dtype=np.int32), counts)[wedge]
        yield first, second[wedge].astype(np.int32), third
        begin = end


class PairPlaces:
    """Where a pair is, by its key low * num_nodes + high: hash tables, each of those that found no room before."""

    def __init__(self, pairs: Dyads) -> None:
        self.keys: Keys = np.append(pairs.low.astype(np.int64) * pairs.num_nodes + pairs.high, -1)
        self.tables: list[Places] = []
        waiting = np.arange(len(pairs.low), dtype=np.int32)
        while len(waiting):
            self.tables.append(np.full(4 << int(len(waiting)).bit_length(), -1, np.int32))
            slots = self._slots(self.keys[waiting], len(self.tables) - 1)
            self.tables[-1][slots] = waiting
            waiting = waiting[self.tables[-1][slots] != waiting]

    def find(self, keys: Keys) -> tuple[NDArray[np.intp], Places]:
        """Which of some keys are those of pairs, in order, and the places of these pairs."""
        asked = np.arange(len(keys))
        found = np.full(len(keys), -1, np.int32)
        for level, table in enumerate(self.tables):
            place = table[self._slots(keys, level)]
            hit = self.keys[place] == keys
            found[asked[hit]] = place[hit]
            # a slot that another pair has: the pair may be in the next table
            other = np.flatnonzero((place >= 0) & ~hit)
            asked, keys = asked[other], keys[other]
        which = np.flatnonzero(found >= 0)
        return which, found[which]

    def _slots(self, keys: Keys, level: int) -> NDArray[np.uint64]:
        bits = len(self.tables[level]).bit_length() - 1
        multiplier = np.uint64(MULTIPLIER * (2 * level + 1) % 2**64)
        return (keys.view(np.uint64) * multiplier) >> np.uint64(64 - bits)
