"""Episodes of coordination: the same actors together in one context after another, within a window of time.

Two actors meet where both act in the same context within the window. Where they meet again in another context within
the window, both meetings are repeated. Repeated meetings that have an event in common, or are of the same two actors
within the window of each other, are one episode; it counts from three actors on. One story that everybody shares at
once is no episode: nobody meets again.

Source of the idea: the episodes of near-synchronous engagement of MoltGraph (arXiv 2603.00646), there in windows of ten
minutes with three accounts and two shared targets.

Shapes: E events, M repeated meetings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from theta_ray.network.observations import SECOND, Doubles, Integers
from theta_ray.network.windows import Timeline, event_pairs

MIN_ACTORS = 3
DAY_SECONDS = 86_400
_OF = "NaN without episodes."
DEFINITIONS = {
    "num_episodes": f"Episodes of coordination: at least {MIN_ACTORS} authors of whom two and two act in the same "
    "context within `window_seconds`, again in another one within `window_seconds` of that, and have such an event in "
    "common with others (after MoltGraph 2026, arXiv 2603.00646).",
    "num_episode_authors": "Different authors in an episode.",
    "episode_authors_median": f"Median of the authors of an episode. {_OF}",
    "episode_authors_max": f"Most authors of an episode. {_OF}",
    "episode_contexts_median": f"Median of the contexts of an episode. {_OF}",
    "episode_seconds_median": f"Median of the seconds from the first event of an episode to its last. {_OF}",
    "episode_day_share": f"Share of episodes shorter than 24 hours. {_OF}",
}


class Episodes(NamedTuple):
    """[episodes] in order of their first event; and who is in one."""

    num_actors: Integers
    num_contexts: Integers
    num_events: Integers
    first: Integers
    """Microseconds since 1970."""
    last: Integers
    actors: Integers
    """Different actors in any episode, in order."""


def episodes(timeline: Timeline, window: float, min_actors: int = MIN_ACTORS) -> Episodes:
    """The episodes of all events.

    Args:
        timeline: of all events.
        window: seconds, 0 or more.
        min_actors: of an episode.
    """
    links = [np.zeros((2, 0), np.int64)]
    links += [_links(timeline, window, own, other) for own, other in event_pairs(timeline, window)]
    place, at = np.unique(np.concatenate(links, axis=1), return_inverse=True)
    ends = at.reshape(2, -1)
    joined = coo_array((np.ones(ends.shape[1], np.int8), (ends[0], ends[1])), shape=(len(place),) * 2)
    count, label = connected_components(joined, directed=False) if len(place) else (0, np.zeros(0, np.int64))
    actor, times = timeline.actors[place].astype(np.int64), timeline.times[place].astype(np.int64)
    num_actors = _distinct(label, actor, count)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, label, times)
    np.maximum.at(last, label, times)
    num_contexts = _distinct(label, timeline.contexts[place].astype(np.int64), count)
    kept = np.flatnonzero(num_actors >= min_actors)
    order = kept[np.lexsort((last[kept], first[kept]))]
    columns = (num_actors, num_contexts, np.bincount(label, minlength=count), first, last)
    is_one = num_actors >= min_actors
    return Episodes(*[*(column[order] for column in columns), np.unique(actor[is_one[label]])])


def _links(timeline: Timeline, window: float, own: Integers, other: Integers) -> NDArray[np.int64]:
    """[2, links] events that are of one episode: of repeated meetings, and of two such of the same actors."""
    pair = timeline.actors[own].astype(np.int64) << 32 | timeline.actors[other].astype(np.int64)
    at = np.minimum(timeline.times[own], timeline.times[other]).astype(np.int64)
    order = np.lexsort((timeline.contexts[own], at, pair))
    own, other, pair, at, context = own[order], other[order], pair[order], at[order], timeline.contexts[own][order]
    reach = round(window * SECOND)
    # the nearest meeting in another context is the first of the next run of one context, or the last of the one before
    is_same = np.diff(pair) == 0
    is_turn = is_same & (np.diff(context) != 0)
    run = np.concatenate([[0], np.cumsum(~is_same | is_turn)])[: len(pair)]
    turns = np.flatnonzero(is_turn)
    after, before = np.full(len(pair) + 1, np.iinfo(np.int64).max), np.full(len(pair) + 1, np.iinfo(np.int64).min)
    after[run[turns]], before[run[turns + 1]] = at[turns + 1], at[turns]
    is_repeated = (after[run] - at <= reach) | (before[run] >= at - reach)
    own, other, pair, at = own[is_repeated], other[is_repeated], pair[is_repeated], at[is_repeated]
    goes_on = np.flatnonzero((np.diff(pair) == 0) & (np.diff(at) <= reach))
    return np.concatenate([np.stack([own, other]), np.stack([own[goes_on], own[goes_on + 1]])], axis=1)


def _distinct(label: NDArray[np.integer], values: Integers, count: int) -> Integers:
    """[episodes] different values of each."""
    order = np.lexsort((values, label))
    label, values = label[order], values[order]
    is_new = np.ones(len(label), bool)
    is_new[1:] = (np.diff(label) != 0) | (np.diff(values) != 0)
    return np.bincount(label[is_new], minlength=count).astype(np.int64)


def episode_statistics(found: Episodes) -> dict[str, float]:
    """Statistics of episodes; see DEFINITIONS."""
    seconds = (found.last - found.first) / SECOND
    return {
        "num_episodes": float(len(seconds)),
        "num_episode_authors": float(len(found.actors)),
        "episode_authors_median": _median(found.num_actors),
        "episode_authors_max": float(found.num_actors.max()) if len(seconds) else float("nan"),
        "episode_contexts_median": _median(found.num_contexts),
        "episode_seconds_median": _median(seconds),
        "episode_day_share": float((seconds < DAY_SECONDS).mean()) if len(seconds) else float("nan"),
    }


def _median(values: Integers | Doubles) -> float:
    return float(np.median(values)) if len(values) else float("nan")
