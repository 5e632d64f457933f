"""Actors who act within seconds of each other, in the same contexts."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.network import windows
from theta_ray.network.windows import Timeline, coordinated

EVENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.none() | st.integers(0, 30)), max_size=40)
Events = list[tuple[int, int, int | None]]


def timeline_of(events: Events) -> Timeline:
    times = np.array(["NaT" if at is None else at for _, _, at in events], "datetime64[s]")
    return Timeline.of(6, 4, [actor for actor, _, _ in events], [context for _, context, _ in events], times)


def brute_force(events: Events, window: float) -> dict[tuple[int, int], tuple[int, int, float]]:
    """Contexts, pairs of events and their mean distance, of every pair of actors."""
    known = [event for event in events if event[2] is not None]
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (one, context, at), (other, place, later) in combinations(known, 2):
        assert at is not None
        assert later is not None
        if context == place and one != other and abs(at - later) <= window:
            found.setdefault((min(one, other), max(one, other)), []).append((context, abs(at - later)))
    return {
        pair: (len({context for context, _ in met}), len(met), sum(apart for _, apart in met) / len(met))
        for pair, met in sorted(found.items())
    }


@given(EVENTS, st.sampled_from([0, 1, 4.5, 1000]), st.integers(1, 3))
def test_pairs_are_those_of_all_pairs_of_events(events: Events, window: float, min_shared: int) -> None:
    timeline, expected = timeline_of(events), brute_force(events, window)
    (found,) = coordinated(timeline, window, min_shared=min_shared)
    rows = zip(
        zip(found.source.tolist(), found.target.tolist(), strict=True),
        zip(found.num_shared.tolist(), found.num_co_actions.tolist(), found.seconds.tolist(), strict=True),
        strict=True,
    )
    assert list(rows) == [(pair, met) for pair, met in expected.items() if met[0] >= min_shared]
    assert timeline.num_without_time == sum(at is None for _, _, at in events)
    every = sum(
        one[1] == other[1] and one[2] is not None and other[2] is not None and abs(one[2] - other[2]) <= window
        for one, other in combinations(events, 2)
    )
    assert timeline.num_pairs(window) == every


@given(EVENTS, st.integers(0, 6), st.integers(1, 20))
def test_blocks_and_tasks_have_the_pairs_of_one_task(events: Events, cut: int, pairs: int) -> None:
    timeline = timeline_of(events)
    (whole,) = coordinated(timeline, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "BLOCK_PAIRS", pairs)
        parts = [*coordinated(timeline, 5, last=cut), *coordinated(timeline, 5, first=cut)]
    for name in ("source", "target", "num_shared", "num_co_actions", "seconds"):
        assert [value for part in parts for value in getattr(part, name).tolist()] == getattr(whole, name).tolist()


def test_a_window_of_nothing_is_empty_and_a_negative_one_is_refused() -> None:
    empty = Timeline.of(0, 0, [], [], np.array([], "datetime64[us]"))
    assert [len(part) for part in coordinated(empty, 5)] in ([], [0])
    with pytest.raises(ValueError, match="a window of -1 seconds"):
        next(coordinated(empty, -1))


def test_accounts_of_a_real_campaign_share_within_a_minute(shared_data: Path) -> None:
    table = pq.read_table(shared_data / "net_coshare_ru" / "shares.parquet")
    accounts, shared = (table[name].dictionary_encode().combine_chunks() for name in ("account_id", "object_id"))
    at = table["timestamp_share"].to_numpy().astype("datetime64[s]")
    ids = accounts.indices.to_numpy(), shared.indices.to_numpy()
    timeline = Timeline.of(len(accounts.dictionary), len(shared.dictionary), *ids, at)
    found = next(coordinated(timeline, 60, min_shared=2))
    assert len(found) > 0
    assert timeline.num_without_time == pc.sum(pc.is_null(table["timestamp_share"])).as_py()
    # the strongest pair, by all pairs of events of these two
    best = int(found.num_shared.argmax())
    one, other = (np.flatnonzero(ids[0] == ends[best]) for ends in (found.source, found.target))
    near = (ids[1][one][:, None] == ids[1][other]) & (np.abs(at[one][:, None] - at[other]) <= np.timedelta64(60, "s"))
    assert found.num_co_actions[best] == near.sum()
    assert found.num_shared[best] == len(np.unique(ids[1][one][near.any(axis=1)])) == found.edges().weight.max()
