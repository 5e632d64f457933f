"""Hubs and authorities: who comments on those that everybody comments on (Kleinberg 1999, J. ACM 46:604).

    a <- A'h, h <- A a, each over its sum, from the uniform vector   converges to the leading singular vectors of A
    the same limit, taken from the span of the iterates              Lanczos, where one vector needs hundreds of steps

With raw weights the vectors collapse on the pair with the most comments, so an edge counts once by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from theta_ray.network.graph import Graph
from theta_ray.training.metrics import spearman

Vector = NDArray[np.float64]
EdgeWeights = Literal["binary", "log1p", "raw"]
WEIGHTS: tuple[EdgeWeights, ...] = ("binary", "log1p", "raw")

# Iterates that are kept: 8 bytes a node each.
NUM_KEPT = 8
MAX_STEPS = 2000
# Smaller than this share of the largest value is rounding.
FLOOR = 1e-12
# Values are compared in steps of the largest; a power of two, so that simple fractions are never between two steps.
STEPS = 2.0**36
TOP = (20, 100)

_SCORES = {
    "singular_value": "largest singular value of the adjacency matrix",
    "steps": "products with A'A until the angle to the limit was below the tolerance",
    **{
        f"overlap_at_{k}": f"nodes both among the top {k} hubs and the top {k} authorities (ties with the last are in, "
        "zeros are not), over the size of the smaller of both sets; NaN where one is empty"
        for k in TOP
    },
    **{f"jaccard_at_{k}": f"nodes in both of the sets of overlap_at_{k} over nodes in either" for k in TOP},
    "spearman": "Spearman correlation of hub and authority scores over nodes with an edge; NaN where one is constant",
    "effective_hubs": "1 / sum of squared hub scores, which sum to 1: as many equal hubs are as concentrated",
    "effective_authorities": "1 / sum of squared authority scores, which sum to 1",
}
_OF = {"binary": "each edge counts 1", "log1p": "an edge counts log(1 + weight)", "raw": "an edge counts its weight"}
DEFINITIONS = {
    f"hits_{weights}_{name}": f"HITS where {_OF[weights]}: {text} (Kleinberg 1999)."
    for weights in WEIGHTS
    for name, text in _SCORES.items()
} | {
    "share_only_out": "Nodes with out-edges only over nodes with an edge; 0 where undirected, NaN without edges.",
    "share_only_in": "Nodes with in-edges only over nodes with an edge; 0 where undirected, NaN without edges.",
    "share_in_and_out": "Nodes with both over nodes with an edge; 1 where undirected, NaN without edges.",
}


class Links(Protocol):
    """Adjacency matrix A of a graph, row = source, wherever its edges are."""

    @property
    def num_nodes(self) -> int:
        """Rows and columns of A."""
        ...

    def forward(self, x: Vector) -> Vector:
        """[nodes] A x: what each node's targets have."""
        ...

    def backward(self, x: Vector) -> Vector:
        """[nodes] A' x: what each node's sources have."""
        ...


class Matrix:
    """A matrix in this process, and its transpose."""

    def __init__(self, matrix: csr_array, *, symmetric: bool) -> None:
        self.matrix, self.num_nodes = matrix, matrix.shape[0]
        self.transposed = matrix if symmetric else csr_array(matrix.T)

    def forward(self, x: Vector) -> Vector:
        """[nodes] A x."""
        return np.asarray(self.matrix @ x)

    def backward(self, x: Vector) -> Vector:
        """[nodes] A' x."""
        return np.asarray(self.transposed @ x)


@dataclass(frozen=True)
class Hits:
    """Scores of all nodes; each kind sums to 1, or is all zero where there is no edge."""

    hub: Vector
    authority: Vector
    singular_value: float
    num_steps: int
    has_converged: bool


def adjacency(graph: Graph, weights: EdgeWeights) -> csr_array:
    """[nodes, nodes] what an edge counts."""
    if weights == "log1p":
        graph = replace(graph, weight=np.log1p(graph.weight))
    return graph.matrix(weighted=weights != "binary")


def hits(graph: Graph, weights: EdgeWeights = "binary", *, tolerance: float = 1e-10) -> Hits:
    """Hub and authority scores of each node, 24 bytes an edge and 90 a node.

    Where several leading singular values are equal, the limit of the iteration from the uniform vector: its projection
    on their space, which no order of rows or labels changes. Values below 1e-12 of the largest are 0.

    Args:
        graph: of an undirected one, both scores are its eigenvector centrality.
        weights: what an edge counts.
        tolerance: largest angle to the limit.
    """
    matrix = adjacency(graph, weights)
    return singular_vectors(Matrix(matrix, symmetric=not graph.directed), tolerance)


def singular_vectors(links: Links, tolerance: float = 1e-10) -> Hits:
    """Hub and authority scores, wherever the edges are."""
    num_nodes = links.num_nodes
    authority = links.backward(np.full(num_nodes, 1 / max(num_nodes, 1)))
    if not authority.any():
        return Hits(np.zeros(num_nodes), np.zeros(num_nodes), 0.0, 0, True)
    num_steps, value, done = 0, 0.0, False
    while not done and num_steps < MAX_STEPS:
        authority, value, steps, done = _cycle(links, authority, tolerance)
        num_steps += steps
    authority = _shares(np.abs(authority))
    return Hits(_shares(links.forward(authority)), authority, float(np.sqrt(value)), num_steps, done)


def _cycle(links: Links, start: Vector, tolerance: float) -> tuple[Vector, float, int, bool]:
    """Lanczos with full reorthogonalisation on A'A from a vector (Golub and Van Loan 2013, section 10.1).

    Returns:
        The best vector of the span, its value, products made, whether its angle to an eigenvector is below tolerance.
    """
    kept = np.empty((NUM_KEPT, len(start)))
    kept[0] = start / np.linalg.norm(start)
    projected = np.zeros((NUM_KEPT, NUM_KEPT))
    for step in range(NUM_KEPT):
        found = links.backward(links.forward(kept[step]))
        basis = kept[: step + 1]
        for _ in range(2):  # the second time takes off what rounding has left
            parts = basis @ found
            found -= parts @ basis
            projected[: step + 1, step] += parts
        rest = float(np.linalg.norm(found))
        # the upper triangle is enough
        values, vectors = np.linalg.eigh(projected[: step + 1, : step + 1], UPLO="U")
        gap = values[-1] - (values[-2] if step else 0.0)
        done = rest * abs(vectors[-1, -1]) <= tolerance * gap
        if done or step + 1 == NUM_KEPT:
            break
        kept[step + 1] = found / rest
    return vectors[:, -1] @ basis, float(values[-1]), step + 1, bool(done)


def _shares(scores: Vector) -> Vector:
    scores = np.where(scores > FLOOR * scores.max(initial=0.0), scores, 0.0)
    total = scores.sum()
    return np.asarray(scores / total) if total > 0 else scores


def hits_statistics(graph: Graph, found: Mapping[EdgeWeights, Hits]) -> dict[str, float]:
    """What `DEFINITIONS` says, for the weights in `found`."""
    touched = np.zeros((2, graph.num_nodes), bool)
    touched[0, graph.source] = touched[1, graph.target] = True
    if not graph.directed:
        touched[:] = touched[0] | touched[1]
    return hits_statistics_of(touched, found)


def hits_statistics_of(touched: NDArray[np.bool_], found: Mapping[EdgeWeights, Hits]) -> dict[str, float]:
    """The same from [2, nodes], whether a node has an edge out, and in."""
    active = touched[0] | touched[1]
    statistics: dict[str, float] = {}
    for weights, scores in found.items():
        values = _compared(scores, active)
        statistics |= {f"hits_{weights}_{name}": value for name, value in values.items()}
    roles = {
        "share_only_out": touched[0] & ~touched[1],
        "share_only_in": touched[1] & ~touched[0],
        "share_in_and_out": touched[0] & touched[1],
    }
    count = int(active.sum())
    return statistics | {name: float(role.sum() / count) if count else float("nan") for name, role in roles.items()}


def _compared(scores: Hits, active: NDArray[np.bool_]) -> dict[str, float]:
    hub, authority = (_in_steps(values[active]) for values in (scores.hub, scores.authority))
    found = {"singular_value": scores.singular_value, "steps": float(scores.num_steps)}
    for k in TOP:
        left, right = _top(hub, k), _top(authority, k)
        both, smaller = float((left & right).sum()), float(min(left.sum(), right.sum()))
        found[f"overlap_at_{k}"] = both / smaller if smaller else float("nan")
        found[f"jaccard_at_{k}"] = both / float((left | right).sum()) if smaller else float("nan")
    found["spearman"] = float(spearman(np.ones((1, len(hub))), hub, authority)[0]) if len(hub) else float("nan")
    found["effective_hubs"] = effective_number(scores.hub)
    found["effective_authorities"] = effective_number(scores.authority)
    return found


def _in_steps(scores: Vector) -> Vector:
    """Scores as whole numbers of steps, so that what differs by rounding is a tie."""
    return np.asarray(np.rint(scores * (STEPS / scores.max(initial=FLOOR))))


def _top(scores: Vector, k: int) -> NDArray[np.bool_]:
    """Whether each is among the k highest; ties with the last of them are in, zeros are not."""
    last = np.partition(scores, len(scores) - k)[len(scores) - k] if len(scores) > k else 0.0
    return np.asarray((scores >= last) & (scores > 0))


def effective_number(shares: Vector) -> float:
    """1 / sum of squares of shares that sum to 1; NaN where all are 0."""
    squares = float(shares @ shares)
    return 1 / squares if squares else float("nan")
