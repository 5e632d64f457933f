"""All workers of a fit as one: what the driver asks of them, and their answers put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from theta_ray.topics.lloyd import Grid, Sums, Vectors, total
from theta_ray.topics.worker import Facts, Far, farthest_of, together


class Workers(Protocol):
    """Workers that have every file once between them.

    Each answers the methods of `worker.Worker`, and may be restarted at any time from its files and the seed.
    """

    def each(self, method: str, *arguments: Any) -> list[Any]:
        """The answers of every worker to `getattr(worker, method)(*arguments)`, in any order."""
        ...


@dataclass(frozen=True)
class LocalWorkers:
    """Workers of this process."""

    workers: Sequence[object]

    def each(self, method: str, *arguments: Any) -> list[Any]:
        """The answers of every worker, one after another."""
        return [getattr(worker, method)(*arguments) for worker in self.workers]


@dataclass(frozen=True)
class Data:
    """All rows of a fit, wherever they are."""

    workers: Workers
    facts: Facts
    grid: Grid

    @classmethod
    def of(cls, workers: Workers) -> Data:
        """What the workers hold."""
        facts = together(workers.each("facts"))
        return cls(workers, facts, Grid.fitting(facts.max_norm, facts.weight))

    @classmethod
    def nothing(cls, dim: int) -> Data:
        """No rows at all, of so many values."""
        return cls(LocalWorkers(()), Facts(0, 0, dim, 0.0, 0, 0), Grid.fitting(1.0, 1))

    def share(self, num_rows: float) -> float:
        """The share of each file's rows that has so many."""
        return min(1.0, num_rows / max(self.facts.num_rows, 1))

    def step(self, centroids: Vectors, share: float) -> Sums:
        """The sums over the first share of each file, for centroids [K, D]."""
        return total(self.workers.each("step", centroids, share, self.grid))

    def sample(self, num_rows: int, seed: int, among: int = 1) -> Vectors:
        """[at most num_rows, D] rows drawn from all files alike, out of `among` times as many that are first."""
        answers = self.workers.each("sample", self.share(among * num_rows))
        files = {name: rows for answer in answers for name, rows in answer.items()}
        drawn = np.concatenate([files[name] for name in sorted(files)])
        if len(drawn) <= num_rows:  # each file gives a whole number of rows, so there are often a few too many
            return drawn
        return drawn[np.sort(np.random.default_rng(seed).choice(len(drawn), num_rows, replace=False))]

    def farthest(self, centroids: Vectors, share: float, cluster: int, count: int) -> Far:
        """At most so many rows of a cluster, farthest from its centroid first."""
        return farthest_of(self.workers.each("farthest", centroids, share, cluster, count), count)
