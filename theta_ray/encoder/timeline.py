"""When each shard was on each actor, and what the device waited for meanwhile. Times are seconds of the epoch.

    actor:   load weights | read, tokenise | forward | check | write |          read, tokenise | ...
    device:  weights      | read, tokens   | busy    | check | write | tokens | read, tokens   | ...

With two calls at once a write stalls the device only where both are writing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CAUSES = ("weights", "read", "tokens", "check", "write")


@dataclass(frozen=True)
class Call:
    """One shard on an actor."""

    actor: str
    loading: float
    """The actor began to load its model."""
    loaded: float
    began: float
    """The shard, or its name, had come."""
    was_read: float
    """Its texts were there; with tokens from elsewhere the same as `began`."""
    started: float
    """The device was free and its tokens were there."""
    computed: float
    checked: float
    ended: float
    """The shard was written."""


def stall_seconds(calls: Iterable[Call], calls_at_once: int) -> dict[str, float]:
    """Seconds that devices did not compute, by cause, from the first load of weights to the last write of each actor.

    `tokens` is waiting for input: tokenising in the call, or a shard that has not come yet.
    """
    stalls = dict.fromkeys(CAUSES, 0.0)
    for mine in _by_actor(calls).values():
        stalls["weights"] += mine[0].loaded - mine[0].loading
        points = sorted({mine[0].loaded, *(time for call in mine for time in _points(call))})
        first = 0
        for start, end in zip(points, points[1:], strict=False):
            while mine[first].ended <= start:
                first += 1
            active = [call for call in mine[first : first + 2 * calls_at_once] if call.began <= start < call.ended]
            cause = _cause(active, start, calls_at_once)
            if cause is not None:
                stalls[cause] += end - start
    return stalls


def ramp_seconds(calls: Iterable[Call], since: float) -> float:
    """Seconds from `since` until the last of the actors computed its first shard."""
    return max((min(call.started for call in mine) for mine in _by_actor(calls).values()), default=since) - since


def _by_actor(calls: Iterable[Call]) -> dict[str, Sequence[Call]]:
    """The calls of each actor, in the order in which they began."""
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: (call.began, call.ended)):
        found[call.actor].append(call)
    return dict(found)


def _points(call: Call) -> tuple[float, ...]:
    return call.began, call.was_read, call.started, call.computed, call.checked, call.ended


def _cause(active: Sequence[Call], time: float, calls_at_once: int) -> str | None:
    """What the device of an actor waits for at a time; None where it computes."""
    if any(call.started <= time < call.computed for call in active):
        return None
    if any(call.computed <= time < call.checked for call in active):
        return "check"
    if any(call.began <= time < call.was_read for call in active):
        return "read"
    writing = [call for call in active if time >= call.checked]
    return "write" if len(writing) >= calls_at_once else "tokens"
