"""Shapes of threads: depth, breadth, answers, classes; parents that are not there or go round."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zstandard

from theta_ray.network.observations import MISSING, SECOND
from theta_ray.network.thread_shape import (
    CLASSES,
    DEFINITIONS,
    TOP,
    UNKNOWN,
    Threads,
    classes,
    depths,
    thread_shapes,
    thread_statistics,
)


def shapes(*parents: list[int], times: list[int] | None = None, posts: list[int] | None = None) -> Threads:
    """Threads from the parents of their comments, places within each thread."""
    sizes = [len(each) for each in parents]
    starts = np.cumsum([0, *sizes])
    parent = [
        place + start if place >= 0 else place for each, start in zip(parents, starts, strict=False) for place in each
    ]
    thread = np.repeat(np.arange(len(parents), dtype=np.int32), sizes)
    known = np.array(times if times else [MISSING] * len(parent), np.int64)
    of_posts = np.array(posts if posts else [MISSING] * len(parents), np.int64)
    has_post = np.ones(len(parents), bool)
    return thread_shapes(thread, np.array(parent, np.int64), known, of_posts, has_post)


def test_depth_counts_from_one_on_the_post_itself() -> None:
    depth, is_cycle = depths(np.array([TOP, 0, 1, TOP, 3, 2]))
    assert depth.tolist() == [1, 2, 3, 1, 2, 4]
    assert not is_cycle.any()


def test_what_hangs_on_a_missing_parent_or_a_cycle_has_no_depth() -> None:
    depth, is_cycle = depths(np.array([TOP, UNKNOWN, 1, 4, 3, 4, 6, 9, 7, 8]))
    assert depth.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert is_cycle.tolist() == [False] * 3 + [True] * 7


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 1000, 100_000])
def test_chains_and_cycles_of_any_length_end(length: int) -> None:
    chain = np.arange(-1, length - 1)
    assert depths(chain)[0].tolist() == list(range(1, length + 1))
    assert depths(np.roll(np.arange(length), 1))[1].all()


def test_a_thread_has_levels_and_its_broadest_one() -> None:
    found = shapes([TOP, TOP, TOP, 0, 0, 3], [], [TOP])
    assert found.num_comments.tolist() == [6, 0, 1]
    assert (found.depth.tolist(), found.breadth.tolist()) == ([3, 0, 1], [3, 0, 1])
    assert (found.num_top_level.tolist(), found.num_answered.tolist()) == ([3, 0, 1], [2, 0, 0])


@pytest.mark.parametrize(
    ("parents", "name"),
    [
        ([], "minimal"),
        ([TOP] * 4, "minimal"),
        ([TOP] * 5, "wide_tree"),
        ([TOP, TOP, TOP, 0, 1], "wide_tree"),
        ([TOP, 0, 1, 2, 3], "deep_chain"),
        ([TOP, TOP, TOP, 0, 3, 4], "branching"),
        ([TOP, 0, 1, *[TOP] * 10], "sparse"),
    ],
)
def test_threads_have_the_class_that_fits_first(parents: list[int], name: str) -> None:
    assert CLASSES[classes(shapes(parents))[0]] == name


def test_the_first_comment_is_timed_from_its_post() -> None:
    times = [5 * SECOND, 3 * SECOND, MISSING, 9 * SECOND, 4 * SECOND]
    found = shapes([TOP, 0], [TOP], [TOP], [TOP], times=times, posts=[SECOND, 0, MISSING, 5 * SECOND])
    assert found.first_comment.tolist() == [2 * SECOND, MISSING, MISSING, -SECOND]
    statistics = thread_statistics(found)
    assert statistics["first_comment_median"] == statistics["first_comment_mean"] == 2
    assert statistics["first_comment_disordered_share"] == 0.5


def test_statistics_are_of_all_threads_and_comments() -> None:
    found = thread_statistics(shapes([TOP, 0, UNKNOWN], [], [TOP, 2, 1]))
    assert (found["num_threads"], found["thread_comments_mean"], found["thread_commented_share"]) == (3, 2, 2 / 3)
    assert (found["comment_orphan_share"], found["comment_cycle_share"]) == (1 / 6, 2 / 6)
    assert (found["comment_depth_mean"], found["comment_depth_max"]) == (4 / 3, 2)
    assert found["comment_answered_share"] == 3 / 6


def test_threads_that_the_source_has_cut_are_counted_and_everything_is_said_of_the_others_as_well() -> None:
    threads = [[TOP] * 4, [TOP, TOP, 0, 1], [], [TOP, 0]]
    found = thread_statistics(shapes(*threads), max_comments=4)
    assert (found["thread_comments_max"], found["num_threads_at_max"], found["num_threads_truncated"]) == (4, 2, 2)
    assert found["truncated_comment_share"] == 8 / 10
    assert (found["comment_answered_share"], found["comment_answered_share_untruncated"]) == (3 / 10, 1 / 2)
    others = thread_statistics(shapes(*threads[2:]))
    for name in (name for name in DEFINITIONS if name.endswith("_untruncated")):
        assert np.array_equal(found[name], others[name.removesuffix("_untruncated")], equal_nan=True), name
    assert np.isnan(thread_statistics(shapes(*threads))["num_threads_truncated"])


def test_threads_whose_post_is_missing_do_not_make_posts_look_commented() -> None:
    found = shapes([TOP], [], [TOP], [TOP])
    said = thread_statistics(found._replace(has_post=np.array([1, 1, 0, 0])))
    assert (said["num_threads_without_post"], said["thread_commented_share"]) == (2, 1 / 2)


@pytest.mark.parametrize("found", [shapes(), shapes([]), shapes([TOP])])
@pytest.mark.parametrize("max_comments", [None, 1])
def test_every_statistic_is_defined_and_no_other(found: Threads, max_comments: int | None) -> None:
    assert set(thread_statistics(found, max_comments)) == set(DEFINITIONS)


def test_a_whole_thread_of_reddit_has_its_known_depth(shared_data) -> None:  # type: ignore[no-untyped-def]
    path = shared_data / "forum_reddit/RC_sample.ndjson.zst"
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        comments = [comment for comment in map(json.loads, lines) if comment["link_id"] == "t3_n49rw"]
    place = {f"t1_{comment['id']}": number for number, comment in enumerate(comments)}
    parents = [TOP if c["parent_id"] == "t3_n49rw" else place.get(c["parent_id"], UNKNOWN) for c in comments]
    found = thread_statistics(shapes(parents))
    assert found["thread_comments_mean"] == 1428
    assert found["comment_depth_max"] == 11
    assert found["comment_orphan_share"] == found["comment_cycle_share"] == 0
