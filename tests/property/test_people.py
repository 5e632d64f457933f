"""Statistics of people in time: neither the order of rows nor the split into shards changes a digit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.network.arrival import Arrivals, Documents, arrival_deciles, arrival_statistics, arrivals
from theta_ray.network.arrival_ratios import arrival_ratios
from theta_ray.network.hours import hour_profile, hour_statistics, hours_of
from theta_ray.network.inequality import above_zero, inequality, lorenz
from theta_ray.network.lifespans import lifespan_statistics, lifespans, spans
from theta_ray.network.observations import DAY, HOUR, MISSING, histogram, merged
from theta_ray.network.repeats import copies, repeat_statistics, texts
from theta_ray.network.rhythm import interval_cv, rhythm_statistics
from theta_ray.network.thread_shape import TOP, UNKNOWN, Threads, depths, thread_shapes, thread_statistics
from theta_ray.network.topic_communities import Talk, enrichment

END = 20 * DAY
NUM_AUTHORS = 7
TIMES = st.one_of(st.just(MISSING), st.integers(-HOUR, END + HOUR), st.sampled_from([0, HOUR, END, END + 1]))
EVENTS = st.lists(
    st.tuples(
        st.integers(0, NUM_AUTHORS - 1),
        TIMES,
        st.one_of(st.just(MISSING), st.integers(-5, 90)),
        st.booleans(),
        st.one_of(st.just(MISSING), st.integers(0, 2)),
    ),
    max_size=80,
)
SEED = st.integers(0, 2**32 - 1)


def equal(one: dict[str, float], other: dict[str, float]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def to_documents(events: list[tuple[Any, ...]]) -> Documents:
    columns = list(zip(*events, strict=True)) or [()] * 5
    types = (np.int32, np.int64, np.int64, np.bool_, np.int64)
    return Documents(*(np.array(column, kind) for column, kind in zip(columns, types, strict=True)))


def say(parts: list[Documents]) -> dict[str, float]:
    """All statistics of shards, each of which has all documents of its authors."""
    found = [spans(part.author, part.times, NUM_AUTHORS, END) for part in parts]
    whole = lifespans(found[0], END)
    for part in found[1:]:
        whole = whole.merge(lifespans(part, END))
    coefficients = np.concatenate([interval_cv(part.author, part.times, NUM_AUTHORS, END) for part in parts])
    hours = merged(hours_of(part.times, END) for part in parts)
    of_posts = merged(hours_of(part.times[part.is_post], END) for part in parts)
    counts = merged(above_zero(histogram(np.bincount(part.author))) for part in parts)
    early = Arrivals.concat(*(arrivals(part, NUM_AUTHORS, END) for part in parts))
    tenths, means = arrival_deciles(early)
    return {
        **lifespan_statistics("activity", whole),
        **rhythm_statistics(coefficients),
        **hour_statistics(hour_profile(hours)),
        **hour_statistics(hour_profile(hours, of_posts), "post_"),
        **inequality("posts", counts, counts.size),
        **inequality("score", histogram(early.score), len(early.score) - int((early.score == MISSING).sum())),
        **arrival_statistics(early, END),
        **arrival_ratios(early, END).values,
        **{f"decile {tenth}": float(mean) for tenth, mean in zip(tenths, means, strict=True)},
    }


@given(events=EVENTS, seed=SEED)
def test_the_order_of_documents_changes_nothing(events: list[Any], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(events))
    documents = to_documents(events)
    mixed = Documents(*(column[order] for column in documents))
    assert equal(say([documents]), say([mixed]))


@given(events=EVENTS, cut=st.integers(0, NUM_AUTHORS))
def test_shards_of_authors_say_what_the_whole_says(events: list[Any], cut: int) -> None:
    documents = to_documents(events)
    is_low = documents.author < cut
    parts = [Documents(*(column[chosen] for column in documents)) for chosen in (is_low, ~is_low)]
    assert equal(say(parts), say([documents]))


@given(values=st.lists(st.integers(-3, 50), max_size=60), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_histograms_of_parts_merge_into_that_of_the_whole(values: list[int], cuts: list[int]) -> None:
    parts = np.split(np.array(values, np.int64), sorted(min(cut, len(values)) for cut in cuts))
    whole, apart = histogram(values), merged(map(histogram, parts))
    assert np.array_equal(whole.value, apart.value)
    assert np.array_equal(whole.frequency, apart.frequency)
    assert equal(inequality("score", whole, len(values)), inequality("score", apart, len(values)))


@given(values=st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_a_lorenz_curve_rises_below_the_diagonal_and_measures_are_shares(values: list[int]) -> None:
    authors, held = lorenz(histogram(values))
    assert (np.diff(authors) > 0).all()
    assert (np.diff(held) >= 0).all()
    assert (held <= authors + 1e-12).all()
    found = inequality("posts", histogram(values), len(values))
    shares = [found[f"posts_{name}_with_zeros"] for name in ("gini", "hoover", "top_1_percent_share")]
    assert all(np.isnan(share) or -1e-12 <= share <= 1 + 1e-12 for share in shares)


@given(parents=st.lists(st.integers(-2, 30), max_size=31))
def test_depths_of_any_parents_are_those_of_a_walk(parents: list[int]) -> None:
    parent = np.array([min(place, len(parents) - 1) for place in parents], np.int64)
    depth, is_cycle = depths(parent)
    for place in range(len(parent)):
        at, steps = place, 1
        while parent[at] >= 0 and steps <= len(parent):
            at, steps = int(parent[at]), steps + 1
        assert is_cycle[place] == (parent[at] >= 0)
        assert depth[place] == (steps if parent[at] == TOP else 0)


@given(
    comments=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(-2, 9), TIMES), max_size=40),
    seed=SEED,
)
def test_the_order_of_comments_and_threads_by_shard_change_nothing(comments: list[Any], seed: int) -> None:
    posts = np.array([0, MISSING, HOUR, DAY, 0])

    def say_threads(rows: list[Any], lowest: int, highest: int) -> Threads:
        rows = [row for row in rows if lowest <= row[0] < highest]
        place = {(thread, name): number for number, (thread, name, _, _) in enumerate(rows)}
        parent = [above if above < 0 else place.get((thread, above), UNKNOWN) for thread, _, above, _ in rows]
        thread = np.array([row[0] - lowest for row in rows], np.int32)
        times = np.array([row[3] for row in rows], np.int64)
        return thread_shapes(
            thread, np.array(parent, np.int64), times, posts[lowest:highest], posts[lowest:highest] != HOUR
        )

    named = list({(thread, name): (thread, name, above, time) for thread, name, above, time in comments}.values())
    mixed = [named[place] for place in np.random.default_rng(seed).permutation(len(named))]
    whole = thread_statistics(say_threads(named, 0, 5), 3)
    assert equal(whole, thread_statistics(say_threads(mixed, 0, 5), 3))
    assert equal(whole, thread_statistics(Threads.concat(say_threads(mixed, 0, 2), say_threads(named, 2, 5)), 3))


@given(words=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_ranges_of_hashes_say_what_all_texts_say(words: list[tuple[int, int]]) -> None:
    columns = np.array(words, np.uint64).reshape(-1, 2)
    whole = copies(texts(columns[:, 0], columns[:, 1]))
    parts = [columns[columns[:, 0] < 2], columns[columns[:, 0] >= 2][::-1]]
    apart = merged(copies(texts(part[:, 0], part[:, 1])) for part in parts)
    assert equal(repeat_statistics(whole), repeat_statistics(apart))


@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 3)), min_size=1, max_size=60),
    community=st.lists(st.integers(-1, 2), min_size=10, max_size=10),
    cut=st.integers(0, 60),
    seed=SEED,
)
def test_topics_by_community_do_not_depend_on_order_and_shards(
    pairs: list[tuple[int, int]], community: list[int], cut: int, seed: int
) -> None:
    documents = np.array(pairs, np.int32)
    mixed = np.random.default_rng(seed).permutation(documents)
    apart = Talk.merge(*(Talk.of(part[:, 0], part[:, 1]) for part in (mixed[:cut], mixed[cut:])))
    whole = Talk.of(documents[:, 0], documents[:, 1])
    found = [enrichment(each, np.array(community, np.int32), 19, min_cell=1) for each in (whole, apart)]
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
