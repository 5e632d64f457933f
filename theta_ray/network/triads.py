"""The census of sets of three nodes by the ties among them (Holland and Leinhardt 1970; Davis and Leinhardt 1972).

A class is named by its mutual, asymmetric and null dyads and, where these leave a choice, by direction: Down, Up,
Cyclic, Transitive. Only triangles are looked for. Open triads follow from the degrees of the node in their middle, less
those that a triangle closes; the rest from the number of dyads: the counts are exact.
"""

from __future__ import annotations

from itertools import combinations, permutations, product
from math import comb

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.graph import Graph
from theta_ray.network.reciprocity import BACKWARD, FORWARD, MUTUAL, Dyads, dyads
from theta_ray.network.triangles import Triangles, count_triangles

Tie = tuple[int, int]

# One triad of each class, as its edges.
EXAMPLES: dict[str, tuple[Tie, ...]] = {
    "003": (),
    "012": ((0, 1),),
    "102": ((0, 1), (1, 0)),
    "021D": ((1, 0), (1, 2)),
    "021U": ((0, 1), (2, 1)),
    "021C": ((0, 1), (1, 2)),
    "111D": ((0, 1), (1, 0), (2, 1)),
    "111U": ((0, 1), (1, 0), (1, 2)),
    "030T": ((0, 1), (2, 1), (0, 2)),
    "030C": ((1, 0), (2, 1), (0, 2)),
    "201": ((0, 1), (1, 0), (1, 2), (2, 1)),
    "120D": ((1, 0), (1, 2), (0, 2), (2, 0)),
    "120U": ((0, 1), (2, 1), (0, 2), (2, 0)),
    "120C": ((0, 1), (1, 2), (0, 2), (2, 0)),
    "210": ((0, 1), (1, 2), (2, 1), (0, 2), (2, 0)),
    "300": ((0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)),
}
DEFINITIONS = {
    f"triad_{name}": f"Sets of three nodes with exactly the ties of class {name}; NaN where undirected "
    "(Holland and Leinhardt 1970)."
    for name in EXAMPLES
}


def triad_census(graph: Graph, pairs: Dyads | None = None, triangles: Triangles | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `pairs` and `triangles` of the graph when they are known already."""
    if not graph.directed:
        return dict.fromkeys(DEFINITIONS, np.nan)
    known = dyads(graph) if pairs is None else pairs
    by_kinds = (triangles or count_triangles(known)).by_kinds
    found = dict.fromkeys(EXAMPLES, 0)
    wedges = _wedges(known)
    for kinds in product((FORWARD, BACKWARD, MUTUAL), repeat=3):
        number, ties = int(by_kinds[kinds]), _triangle(*kinds)
        found[CLASSES[ties]] += number
        for pair in combinations(range(3), 2):  # of its nodes: the wedge without the dyad between them
            wedges[CLASSES[frozenset(tie for tie in ties if set(tie) != set(pair))]] -= number
    found |= wedges
    _add_rest(found, known)
    return {f"triad_{name}": number for name, number in found.items()}


def _wedges(pairs: Dyads) -> dict[str, int]:
    """Pairs of connected pairs with a node in common, by class, whether or not the other two nodes are connected."""

    def at_nodes(*chosen: tuple[NDArray[np.int32], int]) -> NDArray[np.int64]:
        counts = (np.bincount(ends[pairs.kind == kind], minlength=pairs.num_nodes) for ends, kind in chosen)
        return sum(counts, np.zeros(pairs.num_nodes, np.int64))

    outs = at_nodes((pairs.low, FORWARD), (pairs.high, BACKWARD))
    ins = at_nodes((pairs.high, FORWARD), (pairs.low, BACKWARD))
    mutual = at_nodes((pairs.low, MUTUAL), (pairs.high, MUTUAL))

    def two(counts: NDArray[np.int64]) -> int:
        return int((counts * (counts - 1) // 2).sum())

    return {
        "021D": two(outs),
        "021U": two(ins),
        "021C": int((ins * outs).sum()),
        "111D": int((mutual * ins).sum()),
        "111U": int((mutual * outs).sum()),
        "201": two(mutual),
    }


def _add_rest(found: dict[str, int], pairs: Dyads) -> None:
    """Triads with one tie or none: every dyad has n - 2 third nodes, every set of three is of one class."""
    n, mutual = pairs.num_nodes, int((pairs.kind == MUTUAL).sum())
    for name, place, number in (("012", 1, len(pairs.kind) - mutual), ("102", 0, mutual)):
        others = sum(int(other[place]) * count for other, count in found.items())
        found[name] = number * max(n - 2, 0) - others
    found["003"] = comb(n, 3) - sum(found.values())


def _triangle(first: int, second: int, third: int) -> frozenset[Tie]:
    """Edges of a triangle by the kinds of its dyads 0 and 1, 0 and 2, 1 and 2."""
    dyad_kinds = zip(((0, 1), (0, 2), (1, 2)), (first, second, third), strict=True)
    return frozenset(
        tie
        for (low, high), kind in dyad_kinds
        for tie, has in (((low, high), kind & FORWARD), ((high, low), kind & BACKWARD))
        if has
    )


def _classes() -> dict[frozenset[Tie], str]:
    """The class of each set of edges among nodes 0, 1 and 2."""
    return {
        frozenset((order[a], order[b]) for a, b in ties): name
        for name, ties in EXAMPLES.items()
        for order in permutations(range(3))
    }


CLASSES = _classes()
