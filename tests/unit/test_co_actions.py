"""Coordination beside chance: shuffled timelines, p-values of ties within a window, episodes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from math import comb
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpora import DAY
from tests.networks import Row, network_config, statistics_of, tables_of
from tests.unit.test_analyze_network import row
from tests.unit.test_windows import EVENTS, Events, timeline_of
from theta_ray.corpus import prepare
from theta_ray.errors import ConfigError
from theta_ray.network import analyze_network, windows
from theta_ray.network.co_action_chance import CoActionTest
from theta_ray.network.episodes import DEFINITIONS, episode_statistics, episodes
from theta_ray.network.windows import Timeline, coordinated


@given(EVENTS, st.integers(0, 2**32 - 1))
def test_a_shuffle_keeps_who_acts_where_and_when_it_is_acted_in(events: Events, seed: int) -> None:
    timeline = timeline_of(events)
    drawn = timeline.shuffled(seed)
    assert drawn.times.tolist() == timeline.times.tolist()
    assert drawn.contexts.tolist() == timeline.contexts.tolist()
    for context in range(4):
        own = slice(*timeline.context_starts[context : context + 2])
        assert sorted(drawn.actors[own]) == sorted(timeline.actors[own])
    assert (np.diff(drawn.actors[drawn.places]) >= 0).all()
    assert drawn.num_pairs(4) == timeline.num_pairs(4)
    again = timeline.shuffled(seed)
    assert again.actors.tolist() == drawn.actors.tolist()


def random_timeline(num_actors: int, num_contexts: int, size: int, seed: int = 0) -> Timeline:
    """Everybody at most once in a context, whose events fall into a time of their own length."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(num_actors * num_contexts, size, replace=False)
    context = keys % num_contexts
    times = (rng.random(size) * 200 * (1 + context)).astype("datetime64[s]")
    return Timeline.of(num_actors, num_contexts, keys // num_contexts, context, times)


def test_of_two_who_act_once_in_each_context_the_p_value_has_its_closed_form() -> None:
    # contexts of three and four events, one and two pairs of which are within a second
    events = [(0, 0, 0), (1, 0, 1), (2, 0, 9), (0, 1, 0), (1, 1, 1), (2, 1, 5), (3, 1, 6)]
    timeline = timeline_of([*events, (0, 2, 0), (3, 2, 9)])
    (found,) = coordinated(timeline, 1)
    p, q = 1 / 3, 2 / 6
    expected = {(0, 1): p * q, (2, 3): q}
    pairs = zip(found.source.tolist(), found.target.tolist(), strict=True)
    assert dict(zip(pairs, CoActionTest.of(timeline, 1).p_values(found), strict=True)) == pytest.approx(expected)


@given(EVENTS, st.integers(1, 9))
def test_blocks_change_no_bit_and_p_values_are_probabilities(events: Events, pairs: int) -> None:
    timeline = timeline_of(events)
    test = CoActionTest.of(timeline, 3)
    (whole,) = coordinated(timeline, 3)
    found = test.p_values(whole)
    assert ((found > 0) & (found <= 1)).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "BLOCK_PAIRS", pairs)
        patch.setattr("theta_ray.network.co_action_chance.BLOCK", pairs)
        patch.setattr("theta_ray.network.co_action_chance.CELLS", pairs)
        parts = [test.p_values(part) for part in coordinated(timeline, 3)]
    assert np.concatenate([np.zeros(0), *parts]).tolist() == found.tolist()


def test_p_values_are_the_shares_of_shuffled_timelines_and_bounds_where_actors_act_often() -> None:
    rng = np.random.default_rng(1)
    once = random_timeline(8, 12, 70)
    size = 90
    often = Timeline.of(
        6, 5, rng.integers(0, 6, size), rng.integers(0, 5, size), rng.integers(0, 900, size).astype("M8[s]")
    )
    for timeline, slack in ((once, 0.07), (often, 1.0)):
        (found,) = coordinated(timeline, 30)
        p_values = CoActionTest.of(timeline, 30).p_values(found)
        pairs = list(zip(found.source.tolist(), found.target.tolist(), strict=True))
        at_least = np.zeros(len(pairs))
        for seed in range(800):
            (drawn,) = coordinated(timeline.shuffled([7, seed]), 30)
            met = dict(
                zip(zip(drawn.source.tolist(), drawn.target.tolist(), strict=True), drawn.num_shared, strict=True)
            )
            at_least += [met.get(pair, 0) >= many for pair, many in zip(pairs, found.num_shared, strict=True)]
        assert (p_values >= at_least / 800 - 0.07).all()
        assert (p_values <= at_least / 800 + slack).all()


def met_again(events: Events, window: float) -> Iterator[set[int]]:
    """Sets of events that are of one episode, by definition."""
    meetings: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for (i, (one, context, at)), (j, (other, place, later)) in combinations(enumerate(events), 2):
        if at is None or later is None or context != place or one == other or abs(at - later) > window:
            continue
        meetings.setdefault((min(one, other), max(one, other)), []).append((min(at, later), context, i, j))
    for met in meetings.values():
        repeated = [m for m in met if any(m[1] != n[1] and abs(m[0] - n[0]) <= window for n in met)]
        yield from ({i, j} for _, _, i, j in repeated)
        yield from ({*m[2:], *n[2:]} for m, n in combinations(repeated, 2) if abs(m[0] - n[0]) <= window)


@given(EVENTS, st.sampled_from([0, 2, 9]))
def test_episodes_are_those_of_the_definition(events: Events, window: float) -> None:
    graph = nx.Graph()
    for joined in met_again(events, window):
        nx.add_path(graph, joined)
    expected = []
    for component in nx.connected_components(graph):
        who, where, when = (sorted(column) for column in zip(*(events[place] for place in component), strict=True))
        if len(set(who)) >= 3:
            expected.append((when[0], when[-1], len(set(who)), len(set(where)), len(component)))
    found = episodes(timeline_of(events), window)
    seconds = (found.first // 10**6).tolist(), (found.last // 10**6).tolist()
    rows = zip(*seconds, found.num_actors.tolist(), found.num_contexts.tolist(), found.num_events.tolist(), strict=True)
    assert sorted(rows) == sorted(expected)
    assert set(episode_statistics(found)) == set(DEFINITIONS)


def ring(num_actors: int, contexts: list[int], start: int) -> Events:
    """Actors who act in some contexts one after another, all within a second."""
    return [
        (actor, context, start + 20 * place) for place, context in enumerate(contexts) for actor in range(num_actors)
    ]


def test_a_story_that_all_share_at_once_is_no_episode_and_three_who_go_on_together_are() -> None:
    assert episode_statistics(episodes(timeline_of(ring(5, [0], 0)), 60))["num_episodes"] == 0
    assert episode_statistics(episodes(timeline_of(ring(2, [0, 1, 2], 0)), 60))["num_episodes"] == 0
    found = episodes(timeline_of([*ring(3, [0, 1, 2], 0), *ring(3, [0, 3], 5000)]), 60)
    assert (found.num_actors.tolist(), found.num_contexts.tolist()) == ([3, 3], [3, 2])
    said = episode_statistics(found)
    assert (said["num_episodes"], said["num_episode_authors"], said["episode_seconds_median"]) == (2, 3, 30)
    assert said["episode_day_share"] == 1


def shares(num_bots: int) -> list[Row]:
    """Forty accounts that share thirty objects over a day each, and bots that share ten of these in the same second."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(30):
        for account in rng.choice(40, 15, replace=False):
            seconds = int(rng.integers(0, 86_400))
            rows.append((f"a{account:02d}", number, seconds))
        rows += [(f"bot{bot}", number, 7200 + 15 * number) for bot in range(num_bots) if number < 10]
    begin = datetime(2026, 1, 10, tzinfo=UTC)
    times = [(begin + timedelta(seconds=seconds)).isoformat() for _, _, seconds in rows]
    return [
        row(f"r{at}", author, f"o{number}", kind="repost", time=times[at])
        for at, (author, number, _) in enumerate(rows)
    ]


def test_bots_are_the_backbone_of_ties_within_a_window_and_chance_has_no_episodes(tmp_path: Path) -> None:
    section = {"graphs": ["co_repost"], "projection": {"weight": "count", "window_seconds": 60}, "num_nulls": 19}
    tables = tables_of(network_config(tmp_path, [row("p1", "ann"), *shares(4)], section))
    kept = {(edge["source_id"], edge["target_id"]) for edge in tables["edges"].to_pylist() if edge["in_backbone"]}
    assert kept == set(combinations([f"bot{bot}" for bot in range(4)], 2))
    found = statistics_of(tables, "co_repost")
    assert (found["num_episodes"], found["num_episode_authors"], found["backbone_edges"]) == (1, 4, comb(4, 2))
    rows = {each["statistic"]: each for each in tables["network_stats"].to_pylist() if each["graph"] == "co_repost"}
    assert rows["num_episodes"]["null_mean"] < 1
    assert rows["transitivity"]["num_nulls"] == rows["num_edges"]["num_nulls"] == 19
    # the bots meet each other instead of many others
    assert rows["num_edges"]["z"] < -2


def test_the_plan_counts_the_pairs_within_the_window_and_refuses_what_the_run_would_refuse(tmp_path: Path) -> None:
    rules: dict[str, object] = {"weight": "count", "window_seconds": 60}
    rows = [row("p1", "ann"), *shares(4)]
    rows += [{**rows[-1], "id": "r9998", "author": "late", "time": "2036-01-01T00:00:00Z"}]
    config = network_config(tmp_path, rows, {"graphs": ["co_repost"], "projection": rules})
    prepare.run(config, DAY)
    figures = analyze_network.plan(config, DAY).steps[-1].figures
    # the bots with each other ten times, and some others
    pairs = int(figures["co_repost: pairs"].split()[0])
    assert 10 * comb(4, 2) <= pairs < 300
    assert figures["co_repost: events without a time"].startswith("1 of")
    poor = network_config(tmp_path, rows, {"graphs": ["co_repost"], "projection": {**rules, "max_pairs": pairs - 1}})
    refused = analyze_network.plan(poor, DAY).steps[-1].figures["co_repost: refused"]
    assert refused.startswith(f"co_repost: {pairs} pairs of events are within 60 seconds of each other")
    with pytest.raises(ConfigError, match=f"{pairs} pairs of events are within 60 seconds"):
        analyze_network.run(poor, DAY)


def test_without_bots_nothing_within_a_window_is_more_than_chance(tmp_path: Path) -> None:
    section = {"graphs": ["co_repost"], "projection": {"weight": "count", "window_seconds": 600}, "num_nulls": 19}
    tables = tables_of(network_config(tmp_path, [row("p1", "ann"), *shares(0)], section))
    rows = {each["statistic"]: each for each in tables["network_stats"].to_pylist() if each["graph"] == "co_repost"}
    assert rows["num_edges"]["value"] > 20
    assert rows["backbone_edges"]["value"] == 0
    assert rows["num_edges"]["p_value"] > 0.05
