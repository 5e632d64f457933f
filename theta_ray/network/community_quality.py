"""What is said of communities, whoever found them: number, sizes, modularity, edges between them, conductance.

    labels [nodes] + edges -> of each community: size, volume, weight and edges inside and leaving -> five metrics

Everything is counted again from the labels: a library's own modularity may leave the weights out.
Nodes with label -1 are in no community; they and their edges are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from theta_ray.network.graph import Graph, Nodes, Weights
from theta_ray.network.inequality import gini
from theta_ray.network.observations import histogram

_OVER = {"mean": "mean", "median": "median", "max": "largest", "weighted_mean": "mean weighted by size"}

DEFINITIONS = {
    "num_communities": "Communities with at least one node.",
    "largest_community_share": "Nodes of the largest community over nodes in communities; NaN without any.",
    "community_size_gini": "Gini of the sizes, 2 sum_i i x_i / (n sum x) - (n + 1) / n with x in rising order; NaN "
    "without communities.",
    "modularity": "Sum over communities of w_in / W - r (K / 2W)^2: weight inside and strengths K of the graph without "
    "directions, total weight W, resolution r (Newman and Girvan 2004; Reichardt and Bornholdt 2006); NaN without "
    "edges.",
    "modularity_directed": "Sum over communities of w_in / W - r K_out K_in / W^2 (Leicht and Newman 2008, eq. 5); NaN "
    "where undirected or without edges.",
    "num_between_edges": "Edges whose ends are in different communities.",
    "between_edge_share": "The same over all edges; NaN without edges.",
    "between_weight_share": "Weight of these over all weight; NaN without edges.",
    "coverage": "Edges with both ends in one community over all edges (Fortunato 2010, III.C.2); NaN without edges.",
    **{
        f"conductance_{name}": f"Over communities, the {text} of cut / min(vol, 2W - vol): weight leaving, and sum of "
        "strengths (Yang and Leskovec 2015); NaN where it is defined for none."
        for name, text in _OVER.items()
    },
    **{
        f"cut_ratio_{name}": f"Over communities, the {text} of edges leaving over pairs of a node in and one outside; "
        "in a directed graph each pair counts twice (Yang and Leskovec 2015); NaN where there is one community."
        for name, text in _OVER.items()
    },
}

# Communities whose edges with each other are counted: a million cells at most, however many communities there are.
LARGEST = 1000

_OF_EDGES = (
    "num_edges",
    "weight",
    "volume",
    "out_volume",
    "in_volume",
    "inner_edges",
    "inner_weight",
    "cut_edges",
    "cut_weight",
    "between",
)


@dataclass(frozen=True)
class Split:
    """What communities are made of, [communities] each; of directed graphs, edges and weights both ways."""

    num_nodes: int
    num_edges: int
    weight: float
    """Of all edges."""
    size: NDArray[np.int64]
    volume: Weights
    """Sum of strengths."""
    out_volume: Weights
    in_volume: Weights
    inner_edges: NDArray[np.int64]
    inner_weight: Weights
    cut_edges: NDArray[np.int64]
    cut_weight: Weights
    between: csr_array
    """[LARGEST, LARGEST] at most: edges as the real part and their weight as the imaginary one, from rows to columns;
    of an undirected graph each edge once, above the diagonal or on it."""
    directed: bool

    @property
    def conductance(self) -> Weights:
        """[communities] weight leaving over the smaller of both sides' volumes; NaN where that is 0."""
        return _over(self.cut_weight, np.minimum(self.volume, 2 * self.weight - self.volume))

    @property
    def cut_ratio(self) -> Weights:
        """[communities] edges leaving over those that could; NaN where none could."""
        pairs = self.size * (self.num_nodes - self.size) * (2 if self.directed else 1)
        return _over(self.cut_edges, pairs)

    def modularity(self, resolution: float = 1.0) -> float:
        """Of the graph without directions; NaN without edges."""
        if not self.weight:
            return float("nan")
        return float((self.inner_weight / self.weight - resolution * (self.volume / (2 * self.weight)) ** 2).sum())

    def modularity_directed(self, resolution: float = 1.0) -> float:
        """Of the graph with directions; NaN where it has none or no edges."""
        if not self.directed or not self.weight:
            return float("nan")
        by_chance = self.out_volume / self.weight * (self.in_volume / self.weight)
        return float((self.inner_weight / self.weight - resolution * by_chance).sum())


def split(graph: Graph, labels: Nodes) -> Split:
    """What communities are made of: 60 bytes an edge.

    Args:
        graph: any.
        labels: [nodes] community from 0, or -1 for none.

    Raises:
        ValueError: there is not one label a node.
    """
    if len(labels) != graph.num_nodes:
        raise ValueError(f"{len(labels)} labels: the graph has {graph.num_nodes} nodes, give one label for each")
    is_in = labels >= 0
    count = int(labels.max(initial=-1)) + 1
    tail, head, weight = labels[graph.source], labels[graph.target], graph.weight
    if not is_in.all():
        kept = (tail >= 0) & (head >= 0)
        tail, head, weight = tail[kept], head[kept], weight[kept]
    inner = tail == head

    def sums(ends: Nodes, weights: Weights) -> Weights:
        return np.bincount(ends, weights, count).astype(np.float64)

    outs, ins, inner_weight = sums(tail, weight), sums(head, weight), sums(tail[inner], weight[inner])
    inner_edges = np.bincount(tail[inner], minlength=count)
    ends = np.bincount(tail, minlength=count) + np.bincount(head, minlength=count)
    crossing = ~inner
    cut_weight = sums(tail[crossing], weight[crossing]) + sums(head[crossing], weight[crossing])
    low, high = np.minimum(tail, head), np.maximum(tail, head)
    shown, num_shown = high < LARGEST, min(count, LARGEST)
    cell = (tail[shown], head[shown]) if graph.directed else (low[shown], high[shown])
    between = coo_array((1 + 1j * weight[shown], cell), shape=(num_shown, num_shown)).tocsr()
    return Split(
        num_nodes=int(is_in.sum()),
        num_edges=len(tail),
        weight=float(weight.sum()),
        size=np.bincount(labels[is_in], minlength=count),
        volume=outs + ins,
        out_volume=outs,
        in_volume=ins,
        inner_edges=inner_edges,
        inner_weight=inner_weight,
        cut_edges=ends - 2 * inner_edges,
        cut_weight=cut_weight,
        between=between,
        directed=graph.directed,
    )


def together(parts: Sequence[Split]) -> Split:
    """What communities are made of, from parts of the edges, all with the labels of all nodes."""
    first = parts[0]
    added = {name: sum(getattr(part, name) for part in parts) for name in _OF_EDGES}
    return replace(first, **added)


def community_quality(parts: Split, resolution: float = 1.0) -> dict[str, float]:
    """The statistics of `DEFINITIONS`."""
    sizes = parts.size[parts.size > 0]
    num_between = parts.num_edges - int(parts.inner_edges.sum())
    has_edges, has_nodes = parts.num_edges > 0, len(sizes) > 0
    nan = float("nan")
    # from the edges that cross, not as a difference: 0 has to be 0
    between_weight = float(parts.cut_weight.sum()) / 2
    return {
        "num_communities": len(sizes),
        "largest_community_share": float(sizes.max() / sizes.sum()) if has_nodes else nan,
        "community_size_gini": gini(histogram(sizes)),
        "modularity": parts.modularity(resolution),
        "modularity_directed": parts.modularity_directed(resolution),
        "num_between_edges": num_between,
        "between_edge_share": num_between / parts.num_edges if has_edges else nan,
        "between_weight_share": between_weight / parts.weight if has_edges else nan,
        "coverage": 1 - num_between / parts.num_edges if has_edges else nan,
        **_summary("conductance", parts.conductance, parts.size),
        **_summary("cut_ratio", parts.cut_ratio, parts.size),
    }


def _over(part: Weights | NDArray[np.int64], whole: Weights | NDArray[np.int64]) -> Weights:
    found: Weights = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


def _summary(name: str, values: Weights, sizes: NDArray[np.int64]) -> dict[str, float]:
    known = ~np.isnan(values)
    if not known.any():
        return {f"{name}_{over}": float("nan") for over in _OVER}
    values, sizes = values[known], sizes[known]
    found = values.mean(), np.median(values), values.max(), np.average(values, weights=sizes)
    return {f"{name}_{over}": float(value) for over, value in zip(_OVER, found, strict=True)}
