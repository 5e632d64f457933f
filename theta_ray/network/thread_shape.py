"""Threads as trees: how deep, how broad, how often a comment is answered, and how soon the first one comes.

Depths are found for all comments at once by pointer doubling, a round for each doubling of the depth, so that neither a
deep thread nor a cycle of parents takes long. What hangs on a parent that is not there, or on a cycle, has no depth.

Interfaces of platforms cut the comments of a post at a round number. Such a thread is truncated: its comments are more
than can be seen, and those that answer, or came first, may be the ones that are missing. Where the number is known,
truncated threads are counted and everything is said of the others as well; where it is not, many threads with exactly
the largest number of comments give it away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.observations import MISSING, SECOND, Flags, Integers

Places = NDArray[np.int64]
TOP, UNKNOWN = -1, -2
"""Parents that are no comment: the post itself, and one that is not there."""
CLASSES = ("minimal", "wide_tree", "deep_chain", "branching", "sparse")
MINIMAL, WIDE, DEEP, NARROW, ANSWERED = 5, 0.5, 4, 0.3, 0.2
_CLASS_TEXTS = (
    f"fewer than {MINIMAL} comments",
    f"at most 2 levels, one of them with at least {WIDE} of the comments",
    f"at least {DEEP} levels, none with {NARROW} of the comments",
    f"neither, and at least {ANSWERED} of the comments answered",
    "none of these",
)
_SHAPE = {
    "thread_comments_mean": "Comments by thread. NaN without threads.",
    "thread_commented_share": "Share with a comment of threads whose post is there. NaN without such threads.",
    "thread_top_level_mean": "Comments on the post itself by thread. NaN without threads.",
    "comment_depth_mean": "Mean depth of comments, 1 on the post itself; of those with a depth. NaN without any.",
    "comment_depth_max": "Largest depth of a comment; 0 without any.",
    "comment_answered_share": "Share of comments that a comment answers. NaN without comments.",
    "comment_orphan_share": "Share of comments below a parent that is not there: without depth. NaN without comments.",
    "comment_cycle_share": "Share of comments whose parents lead in a circle: without depth. NaN without comments.",
    "first_comment_median": "Median seconds from post to first comment; over threads where both times are known and in "
    "order. NaN without any.",
    "first_comment_mean": "Mean of the same.",
    "first_comment_disordered_share": "Share of commented threads with known times whose post is the later one.",
    **{
        f"thread_{name}_share": f"Share of threads with {text} (Holtz 2026, arXiv 2602.10131). NaN without threads."
        for name, text in zip(CLASSES, _CLASS_TEXTS, strict=True)
    },
}
DEFINITIONS = {
    "num_threads": "Threads: posts, commented or not, and contexts of comments whose post is not there. A repost is in "
    "none but its own, where others answer it.",
    "num_threads_without_post": "Of these, those whose post is not there.",
    "thread_comments_max": "Most comments of a thread; NaN without threads.",
    "num_threads_at_max": "Threads with exactly so many comments, 0 where that is none: several with the same round "
    "number, such as 100, were cut where the source cuts.",
    **_SHAPE,
    "num_threads_truncated": "Threads with as many comments as the source gives at most (`max_comments`), or more: "
    "there may be others that cannot be seen. NaN where the recipe does not say how many that is.",
    "truncated_comment_share": "Share of the comments that are in such threads. NaN as well, and without comments.",
    **{
        f"{name}_untruncated": f"{text[:-1]}; of threads with fewer comments than the source gives at most."
        for name, text in _SHAPE.items()
    },
}


class Threads(NamedTuple):
    """[threads] what each one is like; those of shards are put one after another (`concat`). 80 bytes a thread."""

    num_comments: Integers
    num_top_level: Integers
    num_answered: Integers
    num_orphans: Integers
    num_in_cycles: Integers
    depth: Integers
    """Levels of comments."""
    depth_sum: Integers
    """Over comments with a depth."""
    breadth: Integers
    """Comments of the largest level."""
    first_comment: Integers
    """Microseconds from post to first comment, below zero where the times are not in order; MISSING without one."""
    has_post: Integers
    """1 where the post is there."""

    @classmethod
    def concat(cls, *parts: Threads) -> Threads:
        """Those of several shards; a thread is in one of them."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def depths(parent: Places) -> tuple[Integers, Flags]:
    """[comments] depth of each, 0 for those without; and which of these are on or below a cycle.

    40 bytes a comment.

    Args:
        parent: [comments] place of the comment that each one answers, TOP or UNKNOWN.
    """
    places = np.arange(len(parent), dtype=np.int64)
    above = np.where(parent >= 0, parent, places).astype(np.int64)
    depth = (parent >= 0).astype(np.int64)
    # after so many rounds a path of all comments has come to its end: what has not goes round
    for _ in range(max(1, len(parent)).bit_length()):
        if np.array_equal(above[above], above):
            break
        depth += depth[above]
        above = above[above]
    end = parent[above]
    is_cycle: Flags = end >= 0
    return np.where(end == TOP, depth + 1, 0), is_cycle


def thread_shapes(
    thread: NDArray[np.int32], parent: Places, times: Integers, post_times: Integers, has_post: Flags
) -> Threads:
    """What the threads of a shard are like.

    Args:
        thread: [comments] number of the thread, from 0.
        parent: [comments] place of the comment that each one answers among these, TOP or UNKNOWN.
        times: [comments] microseconds since 1970, or MISSING.
        post_times: [threads] those of the posts, MISSING where there is none.
        has_post: [threads] whether the post is there.
    """
    num_threads = len(post_times)
    depth, is_cycle = depths(parent)
    is_answered = np.zeros(len(parent), bool)
    is_answered[parent[parent >= 0]] = True
    deepest = np.zeros(num_threads, np.int64)
    np.maximum.at(deepest, thread, depth)
    return Threads(
        num_comments=_sum(thread, None, num_threads),
        num_top_level=_sum(thread, parent == TOP, num_threads),
        num_answered=_sum(thread, is_answered, num_threads),
        num_orphans=_sum(thread, (depth == 0) & ~is_cycle, num_threads),
        num_in_cycles=_sum(thread, is_cycle, num_threads),
        depth=deepest,
        depth_sum=_sum(thread, depth, num_threads),
        breadth=_breadth(thread, depth, num_threads),
        first_comment=_first(thread, times, post_times),
        has_post=has_post.astype(np.int64),
    )


def _sum(thread: NDArray[np.int32], values: Integers | Flags | None, num_threads: int) -> Integers:
    return np.bincount(thread, values, num_threads).astype(np.int64)


def _breadth(thread: NDArray[np.int32], depth: Integers, num_threads: int) -> Integers:
    has_depth = depth > 0
    width = int(depth.max(initial=0)) + 1
    level, count = np.unique(thread[has_depth].astype(np.int64) * width + depth[has_depth], return_counts=True)
    breadth = np.zeros(num_threads, np.int64)
    np.maximum.at(breadth, level // width, count)
    return breadth


def _first(thread: NDArray[np.int32], times: Integers, post_times: Integers) -> Integers:
    is_known = times != MISSING
    latest = np.iinfo(np.int64).max
    first = np.full(len(post_times), latest)
    np.minimum.at(first, thread[is_known], times[is_known])
    is_usable = (first != latest) & (post_times != MISSING)
    return np.where(is_usable, first - np.where(is_usable, post_times, 0), MISSING)


def classes(threads: Threads) -> NDArray[np.int8]:
    """[threads] place of each one's class in CLASSES: the first that fits."""
    size, depth, breadth = threads.num_comments, threads.depth, threads.breadth
    chosen = np.select(
        [
            size < MINIMAL,
            (depth <= 2) & (breadth >= WIDE * size),
            (depth >= DEEP) & (breadth < NARROW * size),
            threads.num_answered >= ANSWERED * size,
        ],
        [0, 1, 2, 3],
        4,
    )
    return chosen.astype(np.int8)


def thread_statistics(threads: Threads, max_comments: int | None = None) -> dict[str, float]:
    """Statistics of threads; see DEFINITIONS.

    Args:
        threads: all of them.
        max_comments: of a post that the source gives; absent: nobody knows, and nothing is said of truncated threads.
    """
    size = threads.num_comments
    largest = int(size.max(initial=0))
    found = {
        "num_threads": float(len(size)),
        "num_threads_without_post": float((threads.has_post == 0).sum()),
        "thread_comments_max": float(largest) if len(size) else float("nan"),
        "num_threads_at_max": float((size == largest).sum()) if largest else 0.0,
        **_shape_statistics(threads),
    }
    if max_comments is None:
        return dict.fromkeys(DEFINITIONS, float("nan")) | found
    is_truncated = size >= max_comments
    whole = _shape_statistics(Threads(*(column[~is_truncated] for column in threads)))
    return {
        **found,
        "num_threads_truncated": float(is_truncated.sum()),
        "truncated_comment_share": _ratio(int(size[is_truncated].sum()), int(size.sum())),
        **{f"{name}_untruncated": value for name, value in whole.items()},
    }


def _shape_statistics(threads: Threads) -> dict[str, float]:
    num_threads, num_comments = len(threads.depth), int(threads.num_comments.sum())
    num_orphans, num_in_cycles = int(threads.num_orphans.sum()), int(threads.num_in_cycles.sum())
    delays = threads.first_comment[threads.first_comment != MISSING]
    in_order = delays[delays >= 0] / SECOND
    of_class = np.bincount(classes(threads), minlength=len(CLASSES))
    is_commented = threads.num_comments > 0
    return {
        "thread_comments_mean": _ratio(num_comments, num_threads),
        "thread_commented_share": _ratio(int(threads.has_post[is_commented].sum()), int(threads.has_post.sum())),
        "thread_top_level_mean": _ratio(int(threads.num_top_level.sum()), num_threads),
        "comment_depth_mean": _ratio(int(threads.depth_sum.sum()), num_comments - num_orphans - num_in_cycles),
        "comment_depth_max": float(threads.depth.max(initial=0)),
        "comment_answered_share": _ratio(int(threads.num_answered.sum()), num_comments),
        "comment_orphan_share": _ratio(num_orphans, num_comments),
        "comment_cycle_share": _ratio(num_in_cycles, num_comments),
        "first_comment_median": float(np.median(in_order)) if len(in_order) else float("nan"),
        "first_comment_mean": _ratio(int(delays[delays >= 0].sum()), len(in_order)) / SECOND,
        "first_comment_disordered_share": _ratio(len(delays) - len(in_order), len(delays)),
        **{f"thread_{name}_share": _ratio(int(n), num_threads) for name, n in zip(CLASSES, of_class, strict=True)},
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
