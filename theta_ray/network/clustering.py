"""How often two neighbours of a node are neighbours of each other, directions and weights left out."""

from __future__ import annotations

import numpy as np

from theta_ray.network.graph import Graph, Weights
from theta_ray.network.reciprocity import dyads
from theta_ray.network.triangles import Triangles, count_triangles

DEFINITIONS = {
    "num_triangles": "Sets of three nodes that are all connected, directions left out.",
    "transitivity": "3 * triangles / pairs of neighbours at all nodes, directions left out (Newman 2010, section 7.9); "
    "NaN where no node has two neighbours.",
    "average_clustering": "Mean over all nodes of the share of connected pairs among their neighbours, 0 for nodes "
    "with fewer than two (Watts and Strogatz 1998); NaN without nodes.",
    "average_clustering_two_neighbors": "The same mean over nodes with two neighbours or more; NaN without such nodes.",
}


def clustering(graph: Graph, triangles: Triangles | None = None) -> dict[str, float]:
    """The statistics of `DEFINITIONS`; `triangles` of the graph when they are known already."""
    found = triangles or count_triangles(dyads(graph))
    wedges = _wedges(graph)
    local = _local(found, wedges)
    total, triples = int(found.at_node.sum()), float(wedges.sum())
    known = local[wedges > 0]
    return {
        "num_triangles": total // 3,
        "transitivity": total / triples if triples else np.nan,
        "average_clustering": float(local.mean()) if len(local) else np.nan,
        "average_clustering_two_neighbors": float(known.mean()) if len(known) else np.nan,
    }


def local_clustering(graph: Graph, triangles: Triangles | None = None) -> Weights:
    """[nodes] share of connected pairs among a node's neighbours; 0 where there are fewer than two."""
    return _local(triangles or count_triangles(dyads(graph)), _wedges(graph))


def _local(triangles: Triangles, wedges: Weights) -> Weights:
    return np.divide(triangles.at_node, wedges, out=np.zeros(len(wedges)), where=wedges > 0)


def _wedges(graph: Graph) -> Weights:
    """[nodes] pairs of neighbours."""
    pairs = dyads(graph)
    ends = (np.bincount(end, minlength=graph.num_nodes) for end in (pairs.low, pairs.high))
    degree = sum(ends, np.zeros(graph.num_nodes))
    return degree * (degree - 1) / 2
