from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from theta_ray.encoder.timeline import Call, ramp_seconds, stall_seconds


def call(actor: str, began: float, steps: list[float]) -> Call:
    """A call whose steps (read, tokenise, forward, check, write) take so many seconds."""
    times = [began]
    for seconds in steps:
        times.append(times[-1] + seconds)
    return Call(actor, 0.0, 2.0, *times)


def test_one_call_after_another_stalls_for_each_of_its_parts() -> None:
    calls = [call("a", 3, [1, 2, 10, 0.5, 4]), call("a", 21, [1, 1, 5, 0, 1])]
    assert stall_seconds(calls, 1) == {"weights": 2, "read": 2, "tokens": 1 + 2 + 0.5 + 1, "check": 0.5, "write": 5}


def test_a_write_beside_a_computation_stalls_nothing() -> None:
    calls = [call("a", 2, [0, 0, 10, 0, 4]), call("a", 3, [0, 9, 10, 0, 4])]
    assert stall_seconds(calls, 2) == {"weights": 2, "read": 0, "tokens": 4, "check": 0, "write": 0}


def test_two_writes_at_once_stall_an_actor_of_two_calls() -> None:
    calls = [call("a", 2, [0, 0, 1, 0, 9]), call("a", 2, [0, 1, 1, 0, 9]), call("a", 12, [0, 0, 1, 0, 0])]
    assert stall_seconds(calls, 2)["write"] == 8
    assert stall_seconds(calls, 2)["tokens"] == 0


def test_actors_are_added_up_and_the_ramp_ends_with_the_last_of_them() -> None:
    calls = [call("a", 3, [0, 1, 5, 0, 0]), call("b", 8, [0, 0, 5, 0, 0]), call("a", 30, [0, 0, 1, 0, 0])]
    assert ramp_seconds(calls, since=1.0) == 7
    assert stall_seconds(calls, 1)["weights"] == 4
    assert ramp_seconds([], since=1.0) == 0


@given(st.lists(st.lists(st.floats(0, 10), min_size=6, max_size=6), min_size=1, max_size=20))
def test_stalls_and_computing_fill_the_time_of_an_actor(steps: list[list[float]]) -> None:
    calls, now = [], 2.0
    for pause, *parts in steps:
        calls.append(call("a", now + pause, parts))
        now = calls[-1].ended
    computing = sum(one.computed - one.started for one in calls)
    assert abs(sum(stall_seconds(calls, 1).values()) + computing - now) < 1e-6
