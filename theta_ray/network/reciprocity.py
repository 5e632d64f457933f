"""Pairs of nodes that have a tie in both directions.

Which tie is counted decides the figure more than the people do: who comments whose post and who answers whom differ by
a factor of five on the same threads. A reciprocity says nothing without its graph and a degree-preserving null.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from theta_ray.network.graph import Graph, Nodes, Weights

FORWARD, BACKWARD, MUTUAL = 1, 2, 3

DEFINITIONS = {
    "reciprocity": "Share of edges whose reverse is an edge: |{(i,j) in E: (j,i) in E}| / |E|; NaN without edges or "
    "where undirected (Newman 2010, section 7.10).",
    "reciprocity_dyad": "Share of connected pairs of nodes with both directions: mutual / (mutual + asymmetric); NaN "
    "without edges or where undirected.",
    "reciprocity_weighted": "Share of the weight that is returned: sum of min(w_ij, w_ji) over all edges / sum of w_ij "
    "(Squartini et al. 2013); NaN without edges or where undirected.",
    "reciprocity_rho": "(r - density) / (1 - density) with r the share of edges (Garlaschelli and Loffredo 2004): "
    "0 is a random graph of this density; NaN without edges, with all possible ones or where undirected.",
    "num_mutual_dyads": "Pairs of nodes with edges in both directions; NaN where undirected.",
    "num_asymmetric_dyads": "Pairs of nodes with an edge in one direction only; NaN where undirected.",
}


class Dyads(NamedTuple):
    """Connected pairs of nodes, in order: `low` < `high`, and what is between them.

    `kind` is FORWARD for an edge low to high alone, BACKWARD for high to low alone, MUTUAL for both, as are all
    pairs of an undirected graph.
    """

    num_nodes: int
    low: Nodes
    high: Nodes
    kind: NDArray[np.int8]
    weight: Weights
    """[pairs] of both directions together."""
    returned_weight: float
    """Sum of min(w_ij, w_ji) over all edges."""

    def graph(self, *, weighted: bool = False) -> Graph:
        """The graph without directions, and without weights unless these are asked for."""
        weight = self.weight if weighted else np.ones(len(self.low))
        return Graph(self.num_nodes, self.low, self.high, weight, directed=False)


def dyads(graph: Graph) -> Dyads:
    """Connected pairs of a graph: linear in its edges, 17 bytes a pair, 3 times that on the way."""
    if not graph.directed:
        kinds = np.full(graph.num_edges, MUTUAL, np.int8)
        return Dyads(graph.num_nodes, graph.source, graph.target, kinds, graph.weight, float(graph.weight.sum()))
    # both weights of a pair in one number: the upper triangles are merged once
    both = _upper(graph, graph.weight + 0j, forward=True) + _upper(graph, graph.weight * 1j, forward=False)
    low = np.repeat(np.arange(graph.num_nodes, dtype=np.int32), np.diff(both.indptr))
    forward, backward = both.data.real, both.data.imag
    kinds = (forward > 0) * np.int8(FORWARD) + (backward > 0) * np.int8(BACKWARD)
    returned = 2 * float(np.minimum(forward, backward).sum())
    high = both.indices.astype(np.int32, copy=False)
    return Dyads(graph.num_nodes, low, high, kinds, forward + backward, returned)


def reciprocity(graph: Graph, pairs: Dyads | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `pairs` when they are known already."""
    if not graph.directed:
        return dict.fromkeys(DEFINITIONS, np.nan)
    known = dyads(graph) if pairs is None else pairs
    mutual = int((known.kind == MUTUAL).sum())
    return reciprocity_of(graph.num_nodes, graph.num_edges, mutual, known.returned_weight, float(graph.weight.sum()))


def reciprocity_of(
    num_nodes: int, num_edges: int, mutual: int, returned_weight: float, weight: float
) -> dict[str, float]:
    """The statistics of `DEFINITIONS` of a graph with directions, from counts.

    Args:
        num_nodes: of the graph.
        num_edges: of the graph.
        mutual: pairs of nodes with edges in both directions.
        returned_weight: sum of min(w_ij, w_ji) over all edges.
        weight: of all edges.
    """
    if not num_edges:
        return dict.fromkeys(DEFINITIONS, np.nan) | {"num_mutual_dyads": 0, "num_asymmetric_dyads": 0}
    asymmetric = num_edges - 2 * mutual
    share = 2 * mutual / num_edges
    density = num_edges / (num_nodes * (num_nodes - 1))
    return {
        "reciprocity": share,
        "reciprocity_dyad": mutual / (mutual + asymmetric),
        "reciprocity_weighted": returned_weight / weight,
        "reciprocity_rho": (share - density) / (1 - density) if density < 1 else np.nan,
        "num_mutual_dyads": mutual,
        "num_asymmetric_dyads": asymmetric,
    }


def node_reciprocity(graph: Graph) -> Weights:
    """[nodes] share of the edges at a node, both directions, that are returned; NaN for isolates.

    As `networkx.reciprocity` of a node.

    Raises:
        ValueError: the graph is undirected.
    """
    if not graph.directed:
        raise ValueError("node_reciprocity: the graph is undirected, give one with directions")
    pairs = dyads(graph)
    both = pairs.kind == MUTUAL
    n = graph.num_nodes
    mutual = np.bincount(pairs.low[both], minlength=n) + np.bincount(pairs.high[both], minlength=n)
    edges = np.bincount(graph.source, minlength=n) + np.bincount(graph.target, minlength=n)
    share: Weights = np.divide(2 * mutual, edges, out=np.full(n, np.nan), where=edges > 0)
    return share


def _upper(graph: Graph, values: NDArray[np.generic], *, forward: bool) -> csr_array:
    """Edges from a smaller to a larger node, or those the other way round, as an upper triangle in canonical order."""
    kept = (graph.source < graph.target) == forward
    starts = np.zeros(graph.num_nodes + 1, np.int64)
    np.cumsum(np.bincount(graph.source[kept], minlength=graph.num_nodes), out=starts[1:])
    matrix = csr_array((values[kept], graph.target[kept], starts), shape=(graph.num_nodes, graph.num_nodes))
    return matrix if forward else csr_array(matrix.T.tocsr())
