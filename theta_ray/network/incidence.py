"""Who takes part in what: distinct pairs of an actor and a context, in order of actors and in order of contexts.

Actors are authors; a context is whatever they can share: a thread, a community, a hashtag, a link, a reposted document.
Both are numbers from 0; names stay with the caller.

Shapes: A actors, C contexts, P participations (distinct pairs), E events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array, csr_array

from theta_ray.network.segments import Places

Ids = NDArray[np.int32]
Counts = NDArray[np.int64]
Times = NDArray[np.datetime64]
"""Microseconds; NaT where a time is missing."""
LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Incidence:
    """Participations both ways round. 16 bytes each, and 8 with times; arrays are read only and can be shared."""

    actor_starts: Places
    """[A + 1], where the contexts of each actor begin."""
    contexts: Ids
    """[P] in order of actors, then contexts."""
    context_starts: Places
    """[C + 1], where the members of each context begin."""
    members: Ids
    """[P] actors, in order of contexts, then actors."""
    places: NDArray[np.integer[Any]]
    """[P] place in `members` of each participation in order of actors; int32 where that is enough."""
    num_events: Ids
    """[P] in order of actors."""
    first_at: Times | None = None
    """[P] in order of actors: of the events with a time; NaT where none has one."""

    @classmethod
    def of(
        cls, num_actors: int, num_contexts: int, actor: ArrayLike, context: ArrayLike, times: ArrayLike | None = None
    ) -> Incidence:
        """The incidence of some events. About 28 bytes an event are alive while it is made; 60 with times.

        Arrays of int32 are read where they lie. A caller who keeps no name for them gives their memory back early.

        Args:
            num_actors: actors without an event included.
            num_contexts: contexts without one included.
            actor: [E]
            context: [E] of the same length.
            times: [E] anything that `datetime64[us]` can be made of; taken as they are, in the future too.

        Raises:
            ValueError: an event is of an actor or context that does not exist, or the arrays differ in length.
        """
        actors, contexts = np.asarray(actor), np.asarray(context)
        del actor, context
        _check(num_actors, num_contexts, actors, contexts)
        if times is not None:
            return cls._timed(num_actors, num_contexts, (actors, contexts), np.asarray(times, "datetime64[us]"))
        ends = contexts.astype(np.int32, copy=False), actors.astype(np.int32, copy=False)
        del actors, contexts
        # events are sorted by counting, and counted where they are the same
        ones = np.ones(len(ends[0]), np.int32)
        by_context = coo_array((ones, ends), shape=(num_contexts, max(num_actors, 1)))
        del ends, ones
        members = by_context.tocsr()
        del by_context
        return cls._from_members(num_actors, np.diff(members.indptr), members.indices, (members.data, None))

    @classmethod
    def _timed(
        cls, num_actors: int, num_contexts: int, ends: tuple[NDArray[Any], NDArray[Any]], at: Times
    ) -> Incidence:
        keys = ends[1].astype(np.int64)
        keys *= max(num_actors, 1)
        np.add(keys, ends[0], out=keys, casting="unsafe")
        if len(at) != len(keys):
            raise ValueError(f"{len(at)} times of {len(keys)} events: an event has one, or NaT")
        order = np.argsort(keys, kind="stable")
        keys, at = keys[order], at[order]
        del order
        is_first = np.ones(len(keys), bool)
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
        first = np.flatnonzero(is_first)
        num_events = np.empty(len(first), np.int32)
        np.subtract(first[1:], first[:-1], out=num_events[:-1], casting="unsafe")
        num_events[-1:] = len(keys) - first[-1:]
        # fmin goes by the times that are known
        first_at = np.fmin.reduceat(at, first) if len(first) else at
        del first, at
        keys = keys if len(num_events) == len(keys) else keys[is_first]
        members = np.empty(len(keys), np.int32)
        np.remainder(keys, max(num_actors, 1), out=members, casting="unsafe")
        keys //= max(num_actors, 1)
        sizes = np.bincount(keys, minlength=num_contexts)
        del keys
        return cls._from_members(num_actors, sizes, members, (num_events, first_at))

    @classmethod
    def _from_members(cls, num_actors: int, sizes: Counts, members: Ids, events: tuple[Ids, Times | None]) -> Incidence:
        """From members in order of contexts, with their events in the same order."""
        starts = _starts(sizes)
        kind = np.int32 if len(members) <= LARGEST_INT32 else np.int64
        by_context = csr_array(
            (np.arange(len(members), dtype=kind), members, starts), shape=(len(sizes), max(num_actors, 1))
        )
        by_actor = by_context.tocsc()  # a counting sort
        del by_context
        num_events, first_at = events
        places = by_actor.data
        return cls(
            by_actor.indptr.astype(np.int64)[: num_actors + 1],
            by_actor.indices.astype(np.int32, copy=False),
            starts,
            members,
            places,
            num_events[places],
            None if first_at is None else first_at[places],
        )

    @property
    def num_actors(self) -> int:
        """Of the population, whether or not they take part."""
        return len(self.actor_starts) - 1

    @property
    def num_contexts(self) -> int:
        """Empty ones included."""
        return len(self.context_starts) - 1

    @property
    def num_participations(self) -> int:
        """Distinct pairs of an actor and a context."""
        return len(self.members)

    @property
    def degrees(self) -> Counts:
        """[A] contexts of each actor."""
        return np.diff(self.actor_starts)

    @property
    def sizes(self) -> Counts:
        """[C] actors of each context."""
        return np.diff(self.context_starts)

    def size_histogram(self) -> Counts:
        """[largest size + 1] number of contexts of each size: what a projection is priced by."""
        return np.bincount(self.sizes, minlength=1)

    def restricted(self, is_kept: NDArray[np.bool_]) -> Incidence:
        """The incidence with some participations only, of the same actors and contexts.

        Args:
            is_kept: [P] in the order of `members`.
        """
        by_actor = is_kept[self.places]
        before = np.zeros(len(is_kept) + 1, self.places.dtype)  # kept ones before each
        np.cumsum(is_kept, out=before[1:])
        places, context_starts = before[self.places[by_actor]], before[self.context_starts].astype(np.int64)
        np.cumsum(by_actor, out=before[1:])
        actor_starts = before[self.actor_starts].astype(np.int64)
        del before
        return Incidence(
            actor_starts,
            self.contexts[by_actor],
            context_starts,
            self.members[is_kept],
            places,
            self.num_events[by_actor],
            None if self.first_at is None else self.first_at[by_actor],
        )


def _starts(sizes: NDArray[Any]) -> Places:
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _check(num_actors: int, num_contexts: int, actor: NDArray[Any], context: NDArray[Any]) -> None:
    if len(actor) != len(context):
        raise ValueError(f"{len(actor)} actors and {len(context)} contexts: an event has one of each")
    for what, ids, count in (("actor", actor, num_actors), ("context", context, num_contexts)):
        if len(ids) and not 0 <= ids.min() <= ids.max() < count:
            raise ValueError(f"{what} {ids.min()} to {ids.max()}: there are {count}, numbered from 0")
