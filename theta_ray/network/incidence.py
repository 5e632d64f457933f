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
from scipy.sparse import csr_array

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
        """The incidence of some events. About 40 bytes an event are alive while it is made.

        Args:
            num_actors: actors without an event included.
            num_contexts: contexts without one included.
            actor: [E]
            context: [E] of the same length.
            times: [E] anything that `datetime64[us]` can be made of; taken as they are, in the future too.

        Raises:
            ValueError: an event is of an actor or context that does not exist, or the arrays differ in length.
        """
        actors, of_contexts = _checked("actor", actor, num_actors), _checked("context", context, num_contexts)
        if len(actors) != len(of_contexts):
            raise ValueError(f"{len(actors)} actors and {len(of_contexts)} contexts: an event has one of each")
        keys = of_contexts * max(num_actors, 1) + actors
        if times is None:
            pairs, num_events = np.unique(keys, return_counts=True)
            first_at = None
        else:
            at = np.asarray(times, "datetime64[us]")
            if len(at) != len(keys):
                raise ValueError(f"{len(at)} times of {len(keys)} events: an event has one, or NaT")
            order = np.argsort(keys, kind="stable")
            pairs, first, num_events = np.unique(keys[order], return_index=True, return_counts=True)
            # fmin goes by the times that are known
            first_at = np.fmin.reduceat(at[order], first) if len(first) else at
        members = (pairs % max(num_actors, 1)).astype(np.int32)
        sizes = np.bincount(pairs // max(num_actors, 1), minlength=num_contexts)
        return cls._from_members(num_actors, sizes, members, (num_events.astype(np.int32), first_at))

    @classmethod
    def _from_members(cls, num_actors: int, sizes: Counts, members: Ids, events: tuple[Ids, Times | None]) -> Incidence:
        """From members in order of contexts, with their events in the same order."""
        starts = _starts(sizes)
        kind = np.int32 if len(members) <= LARGEST_INT32 else np.int64
        by_context = csr_array(
            (np.arange(len(members), dtype=kind), members, starts), shape=(len(sizes), max(num_actors, 1))
        )
        by_actor = by_context.tocsc()  # a counting sort
        num_events, first_at = events
        places = by_actor.data
        return cls(
            by_actor.indptr.astype(np.int64)[: num_actors + 1],
            by_actor.indices.astype(np.int32),
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
        sizes = np.diff(np.concatenate([[0], np.cumsum(is_kept)])[self.context_starts])
        events = np.empty_like(self.num_events)
        events[self.places] = self.num_events
        at = None
        if self.first_at is not None:
            at = np.empty_like(self.first_at)
            at[self.places] = self.first_at
        kept = (events[is_kept], None if at is None else at[is_kept])
        return Incidence._from_members(self.num_actors, sizes, self.members[is_kept], kept)


def _starts(sizes: Counts) -> Places:
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _checked(what: str, ids: ArrayLike, count: int) -> Places:
    """Ids as int64, all of them of 0 to `count` - 1."""
    found = np.asarray(ids)
    if len(found) and not 0 <= found.min() <= found.max() < count:
        raise ValueError(f"{what} {found.min()} to {found.max()}: there are {count}, numbered from 0")
    return found.astype(np.int64)
