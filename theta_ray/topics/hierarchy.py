"""Centroids of topics in, a tree over them out: nodes that are sets of topics, and levels that cut it.

1. Merge: `ward` joins the two nodes whose joining adds least inertia, topics weighing as many documents as they have
   (ward.py). `density` joins along the minimum spanning tree of mutual reachability distances (Campello et al. 2013),
   at all densities at once: the distance of two topics, but no less than that of either to its nearest neighbours.
2. Nodes: every merge makes one. Its id is a hash of its topics' ids, so it is the same in any order of rows and on any
   day on which the same topics are joined. Persistence is how long a node lasts: from its own height to its parent's.
3. Levels: from all topics down to two nodes, each with half the nodes of the one before (a geometric ladder).
   Of each level: the share of the inertia between topics that lies between its nodes, and NMI where labels are known.

Left out: density below topics, which needs the neighbours of all documents; and nodes with too few documents are kept.
Time and memory: T^2 for T topics of D values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from theta_ray.topics.ward import Merges, cut, merges
from theta_ray.training.metrics import normalized_mutual_information

Linkage = Literal["density", "ward"]
Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer[Any]]
NEIGHBOURS = 2


@dataclass(frozen=True)
class Node:
    """Some topics that are joined; a topic alone is one as well."""

    node_id: str
    parent_id: str | None
    """None: all topics are in it."""
    topic_ids: tuple[int, ...]
    """Ascending."""
    size: int
    """Documents."""
    height: float
    """`ward`: inertia that its making added, per document; `density`: the distance at which it holds together."""
    persistence: float
    """Height of its parent less its own; NaN for the node of all topics."""


@dataclass(frozen=True)
class Level:
    """A cut of the tree."""

    node_ids: tuple[str, ...]
    """The node of each topic, in the order of the topics given."""
    num_nodes: int
    inertia_share: float
    """Of the inertia between topics; 1 where all are apart."""
    nmi: float
    """With labels; NaN where none are known."""


@dataclass(frozen=True)
class Tree:
    """Nodes from topics to the whole, and levels from many nodes to few."""

    nodes: tuple[Node, ...]
    levels: tuple[Level, ...]


def tree(
    topic_ids: Sequence[int],
    centroids_TD: npt.NDArray[np.floating[Any]],
    sizes_T: Sequence[int],
    *,
    linkage: Linkage = "ward",
    label_counts_LT: Counts | None = None,
) -> Tree:
    """The tree over some topics.

    Args:
        topic_ids: ids that last (align.py).
        centroids_TD: their centroids; unit vectors where clusters are spherical.
        sizes_T: their documents; a topic without any counts as one.
        linkage: how topics are joined.
        label_counts_LT: documents of each label in each topic.

    Raises:
        ValueError: an id is there twice.
    """
    ids = np.asarray(topic_ids, np.int64)
    if len(np.unique(ids)) < len(ids):
        raise ValueError("topics: an id is there twice")
    if not len(ids):
        return Tree((), ())
    order = np.argsort(ids)
    centroids, sizes = np.asarray(centroids_TD, np.float64)[order], np.maximum(np.asarray(sizes_T)[order], 1)
    found = LINKAGES[linkage](centroids, sizes)
    nodes = _nodes(ids[order].tolist(), np.asarray(sizes_T)[order].tolist(), found)
    labels = None if label_counts_LT is None else label_counts_LT[:, order]
    back = np.argsort(order)
    levels = [_level(found, k, (ids[order], centroids, sizes), labels, back) for k in ladder(len(ids))]
    return Tree(nodes, tuple(levels))


def ladder(count: int, ratio: float = 2.0) -> list[int]:
    """Numbers of nodes: all, then each `ratio` times fewer than before, down to 2."""
    found, wanted = [count], count / ratio
    while wanted > 1:
        if max(2, round(wanted)) < found[-1]:
            found.append(max(2, round(wanted)))
        wanted /= ratio
    return found


def node_id(topic_ids: Sequence[int]) -> str:
    """12 hex digits of the ids, in any order."""
    text = ",".join(map(str, sorted(topic_ids)))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _by_ward(centroids_TD: Values, sizes_T: Counts) -> Merges:
    found = merges(centroids_TD.astype(np.float32), sizes_T)
    return Merges(found.left, found.right, found.cost / sizes_T.sum())


def _by_density(centroids_TD: Values, sizes_T: Counts) -> Merges:
    """Edges of the minimum spanning tree of mutual reachability, shortest first."""
    del sizes_T  # a place is as dense as it has neighbours, which topics of any size are
    norms = (centroids_TD**2).sum(axis=1)
    squares = np.maximum(norms[:, None] - 2 * centroids_TD @ centroids_TD.T + norms, 0)
    np.fill_diagonal(squares, 0)
    distances = np.sqrt(squares)
    core = np.sort(distances, axis=1)[:, min(NEIGHBOURS, len(distances) - 1)]
    reach = np.maximum(distances, np.maximum(core[:, None], core))
    # a distance of 0 would be no edge, so 1 is added and taken off again
    spanning = minimum_spanning_tree(csr_array(np.triu(reach + 1, 1))).tocoo()
    order = np.lexsort((spanning.col, spanning.row, spanning.data))
    left, right = (np.asarray(x[order], np.int64) for x in (spanning.row, spanning.col))
    return Merges(left, right, np.asarray(spanning.data[order] - 1, np.float64))


LINKAGES = {"density": _by_density, "ward": _by_ward}


def _nodes(topic_ids: list[int], sizes: list[int], found: Merges) -> tuple[Node, ...]:
    """Topics, then merges from the lowest to that of all."""
    members: list[tuple[int, ...]] = [(id_,) for id_ in topic_ids]
    heights, totals = [0.0] * len(topic_ids), list(sizes)
    parents: list[int | None] = [None] * len(topic_ids)
    top = list(range(len(topic_ids)))
    for left, right, cost in zip(found.left.tolist(), found.right.tolist(), found.cost.tolist(), strict=True):
        a, b = (_root(parents, top[x]) for x in (left, right))
        top[left] = top[right] = parents[a] = parents[b] = len(members)
        members.append(tuple(sorted(members[a] + members[b])))
        heights.append(max(cost, heights[a], heights[b]))
        totals.append(totals[a] + totals[b])
        parents.append(None)
    names = [node_id(ids) for ids in members]
    nodes = []
    for number, parent in enumerate(parents):
        life = math.nan if parent is None else heights[parent] - heights[number]
        above = None if parent is None else names[parent]
        nodes.append(Node(names[number], above, members[number], totals[number], heights[number], life))
    return tuple(nodes)


def _root(parents: list[int | None], node: int) -> int:
    while (above := parents[node]) is not None:
        node = above
    return node


def _level(
    found: Merges,
    num_nodes: int,
    topics: tuple[npt.NDArray[np.int64], Values, Counts],
    label_counts_LT: Counts | None,
    back: npt.NDArray[np.int64],
) -> Level:
    """The cut with so many nodes; `back` are the places of topics as they were given."""
    ids, centroids_TD, sizes_T = topics
    of_T = cut(found, len(ids), num_nodes)
    names = [node_id(ids[of_T == node].tolist()) for node in range(num_nodes)]
    mean_D = np.average(centroids_TD, axis=0, weights=sizes_T)
    sums_ND = np.zeros((num_nodes, centroids_TD.shape[1]))
    np.add.at(sums_ND, of_T, centroids_TD * sizes_T[:, None])
    of_node = np.bincount(of_T, weights=sizes_T)
    between = float(of_node @ ((sums_ND / of_node[:, None] - mean_D) ** 2).sum(axis=1))
    total = float(sizes_T @ ((centroids_TD - mean_D) ** 2).sum(axis=1))
    nmi = math.nan
    if label_counts_LT is not None and label_counts_LT.any():
        label, topic = np.nonzero(label_counts_LT)
        weights = label_counts_LT[label, topic].astype(np.float64)[None]
        nmi = float(normalized_mutual_information(weights, label, of_T[topic])[0])
    share = min(1.0, between / total) if total > 0 else 1.0
    return Level(tuple(names[node] for node in of_T[back]), num_nodes, share, nmi)
