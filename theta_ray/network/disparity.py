"""The disparity filter: edges that have more of an actor's strength than chance gives one of its edges.

Serrano, Boguna and Vespignani, PNAS 106 (2009), 6483, equation 2: were the strength of a node of degree k cut at k - 1
places drawn uniformly, an edge of it would have a share p or more with probability alpha = (1 - p)^(k - 1). An edge of
an undirected graph has two ends; it is kept where either end keeps it, so its alpha is the smaller one. The only edge
of a node has alpha 1 from that end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Doubles = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Ends:
    """What the filter knows of the nodes: sums over edges, so those of blocks add up."""

    degree: Counts
    """[nodes]"""
    strength: Doubles
    """[nodes]"""

    @classmethod
    def of(cls, num_nodes: int, source: Ids, target: Ids, weight: Doubles) -> Ends:
        """Of undirected edges, each there once."""
        ends = np.concatenate([source, target])
        strength = np.bincount(ends, np.concatenate([weight, weight]), num_nodes).astype(np.float64)
        return cls(np.bincount(ends, minlength=num_nodes), strength)

    def __add__(self, other: Ends) -> Ends:
        return Ends(self.degree + other.degree, self.strength + other.strength)

    def alpha(self, source: Ids, target: Ids, weight: Doubles) -> Doubles:
        """[edges] the smaller alpha of both ends. Weights are positive; ends are those of every edge of the graph."""
        return np.minimum(self._of_end(source, weight), self._of_end(target, weight))

    def _of_end(self, node: Ids, weight: Doubles) -> Doubles:
        # a share of 1 but for rounding: of a node's only edge
        rest = np.clip(1 - weight / self.strength[node], 0, 1)
        return np.asarray(rest ** (self.degree[node] - 1))
