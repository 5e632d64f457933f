"""Communities by votes of neighbours: what is left where a graph is too large for one task (Raghavan et al. 2007).

    labels = nodes -> each node votes for the label with the most weight near it -> a random half follows -> ...

Half of the nodes, as neighbours that all change at once exchange their labels for ever. Which half is drawn from the
seed and the round, and equal votes go to a node's own label or else the smallest, so the result is one of the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from theta_ray.network.graph import Nodes

MAX_ROUNDS = 100


class Propagated(NamedTuple):
    """Labels, and how they came to be."""

    labels: Nodes
    """[nodes] the number of a node of the community; a community may be in pieces."""
    num_rounds: int
    has_converged: bool


def propagated(vote: Callable[[Nodes], Nodes], num_nodes: int, seed: int, max_rounds: int = MAX_ROUNDS) -> Propagated:
    """Labels at which no node would change, or those after so many rounds.

    Args:
        vote: from the labels [nodes] of all to each one's vote, itself where it has no neighbours.
        num_nodes: of the graph.
        seed: draws who follows in each round.
        max_rounds: at most.
    """
    labels = np.arange(num_nodes, dtype=np.int32)
    for number in range(max_rounds):
        voted = vote(labels)
        if np.array_equal(voted, labels):
            return Propagated(labels, number, True)
        follows = np.random.default_rng((seed, number)).random(num_nodes) < 0.5
        labels = np.where(follows, voted, labels).astype(np.int32)
    return Propagated(labels, max_rounds, False)
