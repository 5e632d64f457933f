"""What a projection will cost, from the sizes of the contexts alone: before any pair of actors is built.

A context of s actors has s (s - 1) / 2 pairs: a hundredth of the participations may have most of the pairs. A policy
says what is done with contexts above a limit of actors; the limit is given, or is the largest one within a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theta_ray.errors import ConfigError

Policy = Literal["cap", "exact", "sample", "thin"]
POLICIES: dict[Policy, str] = {
    "exact": "every pair of every context",
    "cap": "contexts above the limit are left out; they stay in the incidence",
    "thin": "of a context above the limit, as many of its actors as the limit are drawn; pairs of these are weighted by"
    " the inverse of their probability",
    "sample": "of a context above the limit, about as many pairs are drawn as a context at the limit has; each is"
    " weighted by the inverse of its probability",
}
MAX_PAIRS = 2_000_000_000
"""Default budget."""
PAIRS_PER_SECOND = 10e6
"""Of one core: below the slowest policy and weights that benchmarks/projection_vs_peers.py measures."""
EDGE_BYTES = 28
"""Of an edge in memory: two actors, contexts that they share, weight, variance."""
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Price:
    """What a projection builds, and what it leaves out."""

    policy: Policy
    limit: int | None
    """Actors of a context that is taken whole at most; None where all are."""
    num_actors: int
    num_contexts: int
    """With an actor at least."""
    num_participations: int
    largest_context: int
    num_pairs_exact: int
    """Of all contexts, taken whole."""
    num_pairs: int
    """That are built; of a sample, its expectation."""
    num_contexts_above: int
    """The limit."""
    num_participations_above: int
    """In contexts above the limit."""
    num_participations_dropped: int
    """No pair of theirs is built, or could be."""

    @property
    def num_edges_at_most(self) -> int:
        """Every pair may be an edge of its own; and there are no more edges than pairs of actors."""
        return min(self.num_pairs, self.num_actors * (self.num_actors - 1) // 2)

    @property
    def bytes_at_most(self) -> int:
        """Of all edges before any is pruned. A task holds those of one block at a time."""
        return self.num_edges_at_most * EDGE_BYTES

    def seconds(self, cores: int = 1, pairs_per_second: float = PAIRS_PER_SECOND) -> float:
        """Expected, on so many cores."""
        return self.num_pairs / pairs_per_second / cores

    def figures(self, cores: int = 1) -> dict[str, str]:
        """Lines of a plan."""
        share = self.num_pairs / self.num_pairs_exact if self.num_pairs_exact else 1.0
        limit = "" if self.limit is None else f", limit {self.limit:,} actors"
        lines = {
            "policy": f"{self.policy}{limit}",
            "pairs": f"{self.num_pairs:,} of {self.num_pairs_exact:,} ({share:.1%})",
            "largest context": f"{self.largest_context:,} of {self.num_actors:,} actors",
            "edges": f"{self.num_edges_at_most:,} at most, {_bytes(self.bytes_at_most)} before pruning",
            "seconds": f"{self.seconds(cores):,.1f} on {cores} cores at {PAIRS_PER_SECOND / 1e6:.0f} M pairs/s each",
        }
        if self.num_contexts_above:
            dropped = self.num_participations_dropped
            lines["above the limit"] = (
                f"{self.num_contexts_above:,} of {self.num_contexts:,} contexts with "
                f"{self.num_participations_above:,} of {self.num_participations:,} participations; {dropped:,} dropped"
            )
        return lines

    def metadata(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def price(
    histogram: ArrayLike,
    num_actors: int,
    policy: Policy = "exact",
    *,
    limit: int | None = None,
    max_pairs: int = MAX_PAIRS,
) -> Price:
    """The price of a projection.

    Args:
        histogram: [largest size + 1] number of contexts of each size.
        num_actors: of the population.
        policy: a key of `POLICIES`.
        limit: actors of a context that is taken whole; absent: the largest limit within the budget.
        max_pairs: the budget.

    Raises:
        ConfigError: it is over the budget, or nothing is left within it.
    """
    counts = np.asarray(histogram, np.int64)
    if policy == "exact" and limit is not None:
        raise ConfigError(f"projection: limit {limit} with policy exact; leave it out, or choose cap, thin or sample")
    if policy not in POLICIES or (limit is not None and limit < 2):
        raise ConfigError(
            f"projection: policy {policy}, limit {limit}; take one of {', '.join(POLICIES)} and 2 or more"
        )
    found = _priced(counts, num_actors, policy, limit)
    if policy != "exact" and limit is None and found.num_pairs > max_pairs:
        built = _pairs_by_limit(counts, policy)
        # the number of pairs never falls as the limit grows
        found = _priced(counts, num_actors, policy, int(np.searchsorted(built, max_pairs, side="right")) - 1)
        if not found.num_pairs:
            raise ConfigError(
                f"projection: {_counted(found)} and none within a budget of {max_pairs:,}; raise max_pairs"
            )
    if found.num_pairs > max_pairs:
        other = [name for name in POLICIES if name not in ("exact", policy)]
        raise ConfigError(
            f"projection: {_counted(found)}, over the budget of {max_pairs:,}; "
            f"choose policy {', '.join(other[:-1])} or {other[-1]}, a lower limit or more max_pairs"
        )
    return found


def _counted(found: Price) -> str:
    largest = found.largest_context
    whole = replace(found, num_pairs=found.num_pairs or found.num_pairs_exact)
    return (
        f"{whole.num_pairs:,} pairs of actors (the largest context, of {largest:,} actors, has {_pairs(largest):,}), "
        f"{_bytes(whole.bytes_at_most)} of edges at most, {whole.seconds():,.1f} seconds of one core"
    )


def _priced(counts: Counts, num_actors: int, policy: Policy, limit: int | None) -> Price:
    sizes = [int(size) for size in np.flatnonzero(counts)]
    sizes = [size for size in sizes if size]
    many = {size: int(counts[size]) for size in sizes}
    largest = max(sizes, default=0)
    if limit is not None and limit >= largest:
        limit = None
    above = [size for size in sizes if limit is not None and size > limit]
    exact, participations = _total(sizes, many), sum(size * many[size] for size in sizes)
    num_above, participations_above = sum(many[size] for size in above), sum(size * many[size] for size in above)
    pairs, dropped = exact - _total(above, many), 0
    if policy == "cap":
        dropped = participations_above
    elif limit is not None:
        pairs += num_above * _pairs(limit)
        dropped = participations_above - num_above * limit if policy == "thin" else 0
    return Price(
        policy,
        limit,
        num_actors,
        sum(many.values()),
        participations,
        largest,
        exact,
        pairs,
        num_above,
        participations_above,
        dropped,
    )


def _pairs(size: int) -> int:
    return size * (size - 1) // 2


def _total(sizes: Sequence[int], many: dict[int, int]) -> int:
    """Pairs of contexts of such sizes: Python's integers, since a sum may pass 2^63."""
    return sum(many[size] * _pairs(size) for size in sizes)


def _pairs_by_limit(counts: Counts, policy: Policy) -> NDArray[np.float64]:
    """[largest size + 1] pairs that are built under each limit."""
    size = np.arange(len(counts), dtype=np.float64)
    pairs = size * (size - 1) / 2
    whole = np.cumsum(counts * pairs)
    if policy == "cap":
        return whole
    above = counts.sum() - np.cumsum(counts)
    return np.asarray(whole + above * pairs)


def _bytes(count: int) -> str:
    units = ["B", "KB", "MB", "GB", "TB", "PB"]
    place = min(len(units) - 1, max(0, len(str(count)) - 1) // 3)
    return f"{count / 1000**place:,.1f} {units[place]}"
