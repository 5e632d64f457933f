"""Actors who share contexts: A A^T of an incidence, in blocks of actors, pruned inside each block.

A block is a range of actors u with every pair (u, v), v after u, of their contexts:

1. the members after u of each context of u are read off the incidence: the upper triangle, nothing twice;
2. row of u, v and the weight class of the context become one integer, and the integers of a block are sorted;
3. runs of one (u, v) that are long enough become edges. Other pairs are gone before the next block begins.

So the whole projection never exists, a large context is spread over all blocks, no pair is ever sent anywhere, and
weights are added in the order of weight classes: blocks, and the numbers that actors and contexts happen to have,
change no bit of the result.

Weights that a context of s actors adds to a pair of them, of N actors who take part in anything:
count 1; newman 1 / (s - 1) (Newman, PRE 64, 016132, 2001, equation 2); idf log(N / s), 0 for a context of all.

Shapes: A actors, C contexts, P participations, K weight classes, E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.hub_pairs import drawn, key_of, thinned
from theta_ray.network.incidence import Ids, Incidence
from theta_ray.network.pair_keys import Edges, Layout, Rows, edges_of
from theta_ray.network.pricing import Price
from theta_ray.network.segments import Places

Doubles = NDArray[np.float64]
Weighting = Literal["count", "idf", "newman"]
# Pairs of a block: their integers stay in a core's cache while they are sorted.
BLOCK_PAIRS = 2**19
# Participations whose pairs are counted at once.
CHUNK = 2**18
# Pairs of a task: seconds of work.
TASK_PAIRS = 2**27


def _newman(sizes: Places, num_actors: int) -> Doubles:
    return np.asarray(1 / np.maximum(sizes - 1, 1))


def _idf(sizes: Places, num_actors: int) -> Doubles:
    return np.log(num_actors / np.maximum(sizes, 1))


WEIGHTINGS: dict[Weighting, Callable[[Places, int], Doubles]] = {
    "count": lambda sizes, num_actors: np.ones(len(sizes)),
    "idf": _idf,
    "newman": _newman,
}


@dataclass(frozen=True)
class Projection:
    """What every block needs: read-only arrays that tasks share. 4 bytes a context beside the incidence."""

    incidence: Incidence
    """Its contexts above a cap are left out, its thinned ones have some of their actors."""
    weight_class: Ids
    """[C] class of each context."""
    weight: Doubles
    """[K] that a context of the class adds to a pair of its actors that was seen."""
    rate: Doubles
    """[K] probability with which a pair is drawn; 1 where all pairs are read."""
    variance: Doubles
    """[K] that it adds to the variance."""
    min_shared: int
    """Edges with fewer shared contexts are pruned."""
    seed: int

    @classmethod
    def of(
        cls, incidence: Incidence, price: Price, weighting: Weighting = "count", *, min_shared: int = 1, seed: int = 0
    ) -> Projection:
        """A projection at a price.

        Args:
            incidence: as it is; contexts are weighted by their sizes here.
            price: policy and limit.
            weighting: a key of `WEIGHTINGS`.
            min_shared: 1 or more. Of a sample, an edge was drawn in so many contexts: a high one leaves out most
                edges that only contexts above the limit have.
            seed: of what is drawn.
        """
        if min_shared < 1:
            raise ValueError(f"min_shared {min_shared}: an edge shares 1 context at least")
        sizes, limit = incidence.sizes, price.limit
        distinct, of_size = np.unique(sizes, return_inverse=True)
        weight = WEIGHTINGS[weighting](distinct, max(1, int((incidence.degrees > 0).sum())))
        seen = np.ones(len(distinct))
        if limit is not None and price.policy != "cap":
            above = distinct > limit
            seen[above] = limit * (limit - 1.0) / (distinct[above] * (distinct[above] - 1.0))
        rate = seen if price.policy == "sample" else np.ones(len(distinct))
        table, classes = np.unique(np.stack([weight / seen, seen, rate]), axis=1, return_inverse=True)
        weight, seen, rate = table
        variance = weight**2 * (1 - seen)
        if limit is not None and price.policy == "cap":
            incidence = incidence.restricted(np.repeat(sizes <= limit, sizes))
        elif limit is not None and price.policy == "thin":
            incidence = incidence.restricted(thinned(incidence, limit, seed))
        return cls(incidence, classes.reshape(-1).astype(np.int32)[of_size], weight, rate, variance, min_shared, seed)

    def cuts(self, pairs: float = TASK_PAIRS, first: int = 0, last: int | None = None) -> Places:
        """Actors at which ranges of about so many pairs begin, and the end: the same cost each.

        A range has more where one actor alone does.
        """
        incidence = self.incidence
        starts = incidence.actor_starts[first : None if last is None else last + 1]
        upto, before, end = np.zeros(len(starts)), 0.0, int(starts[-1])
        for begin in range(int(starts[0]), end, CHUNK):
            part = slice(begin, min(begin + CHUNK, end))
            rate = self.rate[self.weight_class[incidence.contexts[part]]]
            cost = before + np.cumsum(self._members_after(part) * rate)
            here = slice(*np.searchsorted(starts, [begin, part.stop], side="right"))
            upto[here] = cost[starts[here] - begin - 1]
            before = float(cost[-1])
        inner = np.searchsorted(upto, np.arange(1, int(before // pairs) + 1) * pairs)
        return np.asarray(np.unique(np.concatenate([[0], inner, [len(starts) - 1]])) + first)

    def _members_after(self, part: slice) -> Places:
        """Members of its context after the actor of each participation."""
        ends = self.incidence.context_starts[self.incidence.contexts[part].astype(np.int64) + 1]
        return np.asarray(ends - self.incidence.places[part] - 1)


def project(projection: Projection, first: int = 0, last: int | None = None) -> Edges:
    """The edges of actors `first` to `last` (not included): one task's work, a function of its arguments."""
    return Edges.concatenate(list(blocks(projection, first, last)))


def blocks(
    projection: Projection, first: int = 0, last: int | None = None, pairs: int = BLOCK_PAIRS
) -> Iterator[Edges]:
    """The edges of actors `first` to `last` (not included), some at a time; a backbone prunes them before the next.

    About 60 bytes are alive a pair of a block; an actor with more pairs than a block is read in parts.
    """
    cuts = projection.cuts(pairs, first, last)
    for begin, end in zip(cuts, cuts[1:], strict=False):
        yield from _block(projection, int(begin), int(end), pairs)


def _block(projection: Projection, first: int, last: int, pairs: int) -> Iterator[Edges]:
    incidence, table = projection.incidence, (projection.weight, projection.variance)
    starts = incidence.actor_starts[first : last + 1]
    part = slice(starts[0], starts[-1])
    after = projection._members_after(part)
    is_open = after > 0
    row = np.repeat(np.arange(last - first), np.diff(starts))[is_open]
    begin = incidence.places[part][is_open] + np.int64(1)
    contexts, after = incidence.contexts[part][is_open], after[is_open]
    kind = projection.weight_class[contexts]
    rate = projection.rate[kind]
    is_read = rate == 1
    of_hub = np.flatnonzero(~is_read)
    hub_row, place = drawn(after[of_hub], rate[of_hub], key_of(projection.seed, contexts[of_hub], row[of_hub] + first))
    hub_row = of_hub[hub_row]
    targets = incidence.members[begin[hub_row] + place]
    actors, row = _numbered(row, np.concatenate([np.flatnonzero(is_read), hub_row]), last - first)
    layout = Layout.of(len(actors), incidence.num_actors, len(projection.weight))
    base = layout.base(row, kind)
    rows, hub_base = Rows(base[is_read], begin[is_read], (begin + after)[is_read]), base[hub_row]
    # an actor who has more pairs than a block alone is read by targets; any other block is one piece
    limit = 2 * pairs if len(actors) == 1 else rows.num_pairs
    for piece, low, high in rows.pieces(incidence.members, 0, incidence.num_actors, limit):
        is_here = (targets >= low) & (targets < high)
        drawn_keys = layout.with_target(hub_base[is_here], targets[is_here])
        keys = np.concatenate([piece.keys(incidence.members, layout), drawn_keys])
        yield edges_of(keys, layout, table, actors + first, projection.min_shared)


def _numbered(row: Places, seen: Places, num_rows: int) -> tuple[Places, Places]:
    """The rows that have a pair, and every participation's row among them."""
    has_pair = np.zeros(num_rows, bool)
    has_pair[row[seen]] = True
    return np.flatnonzero(has_pair), np.maximum(np.cumsum(has_pair) - 1, 0)[row]
