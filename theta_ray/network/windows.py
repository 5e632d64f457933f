"""Coordination: actors who take part in the same contexts within seconds of each other.

The events of a context are in order of time; those within `window` of an event are a run around it, found by bisection.
So only pairs that count are ever made, not all pairs of a context. As in a projection, a block is a range of actors
with every pair (u, v), v after u: nothing is added up across blocks, and edges are pruned inside.

Events without a time are left out. Two events of the same time are within every window; a window of 0 asks for that.
Source of the idea: Pacheco et al., ICWSM 2021, and CooRTweet (Righetti and Balluff, 2024), whose co-shares these are.

Shapes: A actors, C contexts, E events with a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theta_ray.network.incidence import Ids, Incidence, Times
from theta_ray.network.pair_keys import Edges
from theta_ray.network.segments import Places, first_at_least, places_of

# Pairs of events of a block.
BLOCK_PAIRS = 2**20


@dataclass(frozen=True)
class CoActions:
    """Pairs of actors, in order of source and target; source < target."""

    source: Ids
    target: Ids
    num_shared: Ids
    """Contexts in which both acted within the window of each other."""
    num_co_actions: NDArray[np.int64]
    """Pairs of events, one of each, within the window: a context can have many."""
    seconds: NDArray[np.float64]
    """Mean distance in time of these pairs."""

    def __len__(self) -> int:
        return len(self.source)

    def edges(self) -> Edges:
        """The edges whose weights are the contexts."""
        weight = self.num_shared.astype(np.float64)
        return Edges(self.source, self.target, self.num_shared, weight, np.zeros(len(weight)))


@dataclass(frozen=True)
class Timeline:
    """Events in order of contexts and time, and of actors. 24 bytes an event; arrays can be shared."""

    actor_starts: Places
    """[A + 1] where the events of each actor begin."""
    places: Places
    """[E] in order of actors: where in the arrays below."""
    actors: Ids
    """[E] in order of contexts, then times, then actors."""
    contexts: Ids
    """[E]"""
    times: Times
    """[E]"""
    context_starts: Places
    """[C + 1] where the events of each context begin."""
    num_without_time: int
    """Events that are left out."""

    @classmethod
    def of(cls, num_actors: int, num_contexts: int, actor: ArrayLike, context: ArrayLike, times: ArrayLike) -> Timeline:
        """The timeline of some events, which may have one actor in one context many times.

        Raises:
            ValueError: an event is of an actor or context that does not exist, or the arrays differ in length.
        """
        checked = Incidence.of(num_actors, num_contexts, actor, context, times)
        actors, contexts = np.asarray(actor, np.int32), np.asarray(context, np.int32)
        at = np.asarray(times, "datetime64[us]")
        known = ~np.isnat(at)
        actors, contexts, at = actors[known], contexts[known], at[known]
        order = np.lexsort((actors, at, contexts))
        actors, contexts, at = actors[order], contexts[order], at[order]
        starts = np.searchsorted(contexts, np.arange(num_contexts + 1)).astype(np.int64)
        places = np.argsort(actors, kind="stable")
        actor_starts = np.searchsorted(actors[places], np.arange(num_actors + 1)).astype(np.int64)
        num_left_out = int(checked.num_events.sum()) - len(at)
        return cls(actor_starts, places, actors, contexts, at, starts, num_left_out)

    def runs(self, window: float, first: int = 0, last: int | None = None) -> tuple[Places, Places]:
        """[events of actors `first` to `last`] where the events within `window` seconds begin and end around each.

        The event itself is among them, and its actor's others.
        """
        reach = np.timedelta64(round(window * 1_000_000), "us")
        starts = self.actor_starts[first : None if last is None else last + 1]
        place = self.places[starts[0] : starts[-1]]
        context = self.contexts[place].astype(np.int64)
        begin, end = self.context_starts[context], self.context_starts[context + 1]
        low = first_at_least(self.times, begin, place, self.times[place] - reach)
        one = np.timedelta64(1, "us")
        high = first_at_least(self.times, place + 1, end, self.times[place] + reach + one)
        return low, high

    def shuffled(self, seed: int | Sequence[int]) -> Timeline:
        """The events of each context dealt to its actors anew: who acts there how often and when it is acted in stay.

        What it keeps is what makes actors meet by chance: how active they are, and how hectic a context is.
        """
        generator = np.random.default_rng(seed)
        order = np.lexsort((generator.random(len(self.actors)), self.contexts))
        actors = self.actors[order]
        return replace(self, actors=actors, places=np.argsort(actors, kind="stable"))

    def num_pairs(self, window: float) -> int:
        """Pairs of different events within the window in one context: what coordination costs, without building it."""
        low, high = self.runs(window)
        return int((high - low - 1).sum()) // 2


def coordinated(
    timeline: Timeline, window: float, *, min_shared: int = 1, first: int = 0, last: int | None = None
) -> Iterator[CoActions]:
    """Pairs of actors `first` to `last` (not included) with later ones, a block at a time.

    Args:
        timeline: of all events.
        window: seconds, 0 or more.
        min_shared: pairs with fewer contexts are pruned.
        first: actor.
        last: actor; absent: all.

    Raises:
        ValueError: the window is negative.
    """
    for own, other in event_pairs(timeline, window, first, last):
        yield _co_actions(timeline, own, other, min_shared)


def event_pairs(
    timeline: Timeline, window: float, first: int = 0, last: int | None = None
) -> Iterator[tuple[Places, Places]]:
    """Places of the events of actors `first` to `last` (not included), and beside each one of a later actor's within
    the window in the same context. All that two actors have are in one block.

    Args:
        timeline: of all events.
        window: seconds, 0 or more.
        first: actor.
        last: actor; absent: all.

    Raises:
        ValueError: the window is negative.
    """
    if window < 0:
        raise ValueError(f"a window of {window} seconds; give 0 or more")
    last = len(timeline.actor_starts) - 1 if last is None else last
    low, high = timeline.runs(window, first, last)
    starts = timeline.actor_starts[first : last + 1] - timeline.actor_starts[first]
    upto = np.concatenate([[0], np.cumsum(high - low)])[starts]
    inner = np.searchsorted(upto, np.arange(1, int(upto[-1] // BLOCK_PAIRS) + 1) * BLOCK_PAIRS)
    cuts = np.unique(np.concatenate([[0], inner, [len(starts) - 1]]))
    for begin, end in zip(cuts, cuts[1:], strict=False):
        part = slice(starts[begin], starts[end])
        own, sizes = timeline.places[timeline.actor_starts[first] :][part], high[part] - low[part]
        own, other = np.repeat(own, sizes), places_of(low[part], sizes)
        # each pair of events is met from both sides: the one of the smaller actor counts
        is_later = timeline.actors[other] > timeline.actors[own]
        yield own[is_later], other[is_later]


def _co_actions(timeline: Timeline, own: Places, other: Places, min_shared: int) -> CoActions:
    ends = timeline.actors[own].astype(np.int64) << 32 | timeline.actors[other].astype(np.int64)
    order = np.lexsort((timeline.contexts[own], ends))
    ends, context = ends[order], timeline.contexts[own][order]
    apart = np.abs(timeline.times[own] - timeline.times[other])[order].astype(np.int64)
    is_new_pair = np.diff(ends, prepend=-1) != 0
    is_new_context = is_new_pair | (np.diff(context, prepend=-1) != 0)
    first = np.flatnonzero(is_new_pair)
    if not len(first):
        none = np.empty(0, np.int32)
        return CoActions(none, none, none, np.empty(0, np.int64), np.empty(0))
    num_shared = np.add.reduceat(is_new_context.astype(np.int64), first)
    num_co_actions = np.diff(first, append=len(ends))
    seconds = np.add.reduceat(apart, first) / num_co_actions / 1e6  # whole numbers until here: any order adds up
    kept = num_shared >= min_shared
    found = ends[first][kept]
    return CoActions(
        (found >> 32).astype(np.int32),
        (found & (2**32 - 1)).astype(np.int32),
        num_shared[kept].astype(np.int32),
        num_co_actions[kept],
        seconds[kept],
    )
