"""Ward's merging of weighted centroids, by chains of nearest neighbours.

Merging two clusters adds w_i w_j / (w_i + w_j) |c_i - c_j|^2 to the inertia (Ward, JASA 1963). A chain goes from a
cluster to the one that is cheapest to merge with, until two are each other's cheapest; these are merged, and the costs
of the new cluster follow from those of its parts (Murtagh, The Computer Journal 1983; Lance and Williams 1967).
The order of merges is that of their costs. Time and memory: K^2 for K centroids; alive is one float32 cost a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theta_ray.topics.lloyd import Int64, Vectors

Doubles = npt.NDArray[np.float64]
# Costs of a band of centroids are computed at once.
BAND = 1024


@dataclass(frozen=True)
class Merges:
    """Merges of K centroids, cheapest first: K - 1 of them make one cluster."""

    left: Int64
    """[K - 1], a centroid of one of the merged clusters."""
    right: Int64
    """[K - 1], a centroid of the other one."""
    cost: Doubles
    """[K - 1], what the merge adds to the sum of weighted squared distances; half of scipy's distance squared."""


def merges(centroids: Vectors, weight: npt.NDArray[np.integer]) -> Merges:
    """The merges of centroids [K, D] with weights [K] above 0, down to one cluster."""
    weights = weight.astype(np.float64)
    costs = merge_costs(centroids, weights)
    member = np.arange(len(costs))  # a centroid of the cluster in each slot
    found, chain = list[tuple[int, int, float]](), list[int]()
    for count in range(len(costs), 1, -1):
        one, other = _each_others_cheapest(costs[:count, :count], chain)
        found.append((int(member[one]), int(member[other]), float(costs[one, other])))
        _merge(costs[:count, :count], weights[:count], one, other)
        # the last cluster moves into the free slot, so that what is alive stays a square
        last = count - 1
        costs[other, :count], costs[:count, other] = costs[last, :count], costs[last, :count]
        costs[other, other] = np.inf
        weights[other], member[other] = weights[last], member[last]
        chain = [other if slot == last else slot for slot in chain]
    left, right, cost = (np.array(column) for column in zip(*found, strict=True)) if found else [np.empty(0, int)] * 3
    order = np.argsort(cost, kind="stable")
    return Merges(left[order], right[order], cost[order].astype(np.float64))


def cut(merged: Merges, num_centroids: int, num_clusters: int) -> Int64:
    """[num_centroids], the cluster 0, 1, ... of each centroid when the cheapest merges have left so many."""
    parent = np.arange(num_centroids)

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = int(parent[node])
        return node

    done = slice(num_centroids - num_clusters)
    for left, right in zip(merged.left[done], merged.right[done], strict=True):
        parent[root(int(right))] = root(int(left))
    return np.unique([root(node) for node in range(num_centroids)], return_inverse=True)[1]


def together(parts: Sequence[Merges]) -> Merges:
    """The merges within several groups of centroids, which follow one another, as those of all of them."""
    starts = np.cumsum([0, *(len(part.cost) + 1 for part in parts)])
    left, right, cost = (
        np.concatenate(column)
        for column in (
            [part.left + start for part, start in zip(parts, starts, strict=False)],
            [part.right + start for part, start in zip(parts, starts, strict=False)],
            [part.cost for part in parts],
        )
    )
    order = np.argsort(cost, kind="stable")
    return Merges(left[order], right[order], cost[order])


def merge_costs(centroids: Vectors, weights: Doubles) -> Vectors:
    """[K, K] what each merge costs, symmetric to the last bit; infinite on the diagonal."""
    # without the common part of the centroids, differences of their products lose fewer digits
    centred = (centroids - np.average(centroids, axis=0, weights=weights)).astype(np.float32)
    norms = np.einsum("kd,kd->k", centred, centred)
    light = weights.astype(np.float32)
    costs = np.empty((len(centred), len(centred)), np.float32)
    for start in range(0, len(centred), BAND):
        band, rest = slice(start, start + BAND), slice(start, None)
        part = np.dot(centred[band], centred[rest].T)
        part *= -2
        part += norms[band, None]
        part += norms[rest]
        np.maximum(part, 0, out=part)
        part *= (light[band, None] / (light[band, None] + light[rest])) * light[rest]
        costs[band, rest] = part
        costs[rest, band] = part.T
        costs[band, band] = np.maximum(costs[band, band], costs[band, band].T)  # rounded alike
    np.fill_diagonal(costs, np.inf)
    return costs


def _each_others_cheapest(costs: Vectors, chain: list[int]) -> tuple[int, int]:
    """Two clusters that are each other's cheapest, lower slot first; the chain goes on from where they left it."""
    if not chain:
        chain.append(0)
    while True:
        row = costs[chain[-1]]
        nearest = int(row.argmin())
        if len(chain) > 1 and row[chain[-2]] <= row[nearest]:
            pair = sorted((chain.pop(), chain.pop()))
            return pair[0], pair[1]
        chain.append(nearest)


def _merge(costs: Vectors, weights: Doubles, one: int, other: int) -> None:
    """The cluster in slot `other` joins that in slot `one`."""
    together = weights[one] + weights[other]
    row = (weights[one] + weights) * costs[one] + (weights[other] + weights) * costs[other]
    row -= weights * costs[one, other]
    row /= together + weights
    row[one] = row[other] = np.inf
    costs[one] = costs[:, one] = row
    weights[one] = together
