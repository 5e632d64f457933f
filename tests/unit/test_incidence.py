"""Distinct participations both ways round, from events that may be strange."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tests.incidences import EVENTS, NUM_ACTORS, NUM_CONTEXTS, Events, incidence_of
from theta_ray.network.incidence import Incidence


@given(EVENTS)
def test_both_orders_hold_the_distinct_pairs_and_their_events(events: Events) -> None:
    found = incidence_of(events)
    by_actor = zip(np.repeat(np.arange(NUM_ACTORS), found.degrees).tolist(), found.contexts.tolist(), strict=True)
    by_context = zip(np.repeat(np.arange(NUM_CONTEXTS), found.sizes).tolist(), found.members.tolist(), strict=True)
    pairs = list(by_actor)
    assert pairs == sorted(set(events))
    assert list(by_context) == sorted((context, actor) for actor, context in set(events))
    assert found.num_events.tolist() == [events.count(pair) for pair in pairs]
    assert found.members[found.places].tolist() == [actor for actor, _ in pairs]
    assert found.size_histogram().sum() == NUM_CONTEXTS
    assert (found.size_histogram() * np.arange(len(found.size_histogram()))).sum() == len(pairs)


@given(EVENTS)
def test_a_part_of_the_participations_is_the_incidence_of_their_events(events: Events) -> None:
    whole = incidence_of(events)
    is_kept = whole.members % 3 != 0
    part, expected = whole.restricted(is_kept), incidence_of([pair for pair in events if pair[0] % 3])
    for name in ("actor_starts", "contexts", "context_starts", "members", "places", "num_events"):
        assert getattr(part, name).tolist() == getattr(expected, name).tolist(), name


def test_the_first_time_is_of_the_events_that_have_one() -> None:
    times = ["2030-01-01", "NaT", "2011-05-06T07:08:09", "NaT", "2999-12-31"]
    found = Incidence.of(2, 2, [0, 0, 0, 1, 1], [1, 1, 1, 0, 1], np.array(times, "datetime64[us]"))
    expected = np.array(["2011-05-06T07:08:09", "NaT", "2999-12-31"], "datetime64[us]")
    np.testing.assert_array_equal(found.first_at, expected)
    assert found.num_events.tolist() == [3, 1, 1]
    part = found.restricted(found.members == 1)
    assert part.first_at is not None
    np.testing.assert_array_equal(part.first_at, expected[1:])


@pytest.mark.parametrize(("num_actors", "num_contexts"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_an_incidence_without_events_is_empty(num_actors: int, num_contexts: int) -> None:
    found = Incidence.of(num_actors, num_contexts, [], [], np.array([], "datetime64[us]"))
    assert (found.num_actors, found.num_contexts, found.num_participations) == (num_actors, num_contexts, 0)
    assert found.degrees.tolist() == [0] * num_actors
    assert found.size_histogram().tolist() == [num_contexts]


def test_events_that_are_no_events_are_refused() -> None:
    with pytest.raises(ValueError, match="actor 0 to 2: there are 2, numbered from 0"):
        Incidence.of(2, 2, [0, 2], [0, 1])
    with pytest.raises(ValueError, match="context -1 to 1: there are 2"):
        Incidence.of(2, 2, [0, 1], [-1, 1])
    with pytest.raises(ValueError, match="2 actors and 1 contexts"):
        Incidence.of(2, 2, [0, 1], [1])
    with pytest.raises(ValueError, match="1 times of 2 events"):
        Incidence.of(2, 2, [0, 1], [1, 0], np.array(["NaT"], "datetime64[us]"))
