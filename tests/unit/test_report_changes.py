"""Of what changed since the night before, the page says what matters most first, and nothing that chance would make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.report_facts import GRAPH, facts, graph, intake, network, stat, topic, topics
from theta_ray.report.changes import changes, most_worth, moved_beyond
from theta_ray.report.facts import Ended, Facts, Night, Rejected


def night(**values: Any) -> Night:
    """A night that was as today is."""
    known: dict[str, Any] = {"date": "2026-01-30", "rows_in": 1000, "kept": 1000, "rejected": {}}
    return Night(**{**known, **values})


def day(*listed: Any, before: Night, **values: Any) -> Facts:
    """A day of 1,000 rows after a night."""
    found = {"intake": intake(1000), "network": None, "topics": topics(*listed, num_documents=1000), **values}
    return facts(before=before, **found)


def headlines(found: Facts) -> list[str]:
    return [change.headline for change in most_worth(found)]


def test_fewer_rows_come_before_a_topic_that_was_born() -> None:
    found = day(topic(3, 60, event="born"), before=night(rows_in=1430, kept=1430))
    first, second, *_ = most_worth(found)
    assert first.headline == "Fewer rows came in"
    assert "1,000 rows came in, 1,430 on 2026-01-30 (\u221230 %)" in first.detail
    assert (second.headline, second.subject, second.anchor) == ("A topic was born", "label 3", "topic-3")
    assert "60 documents, 6.0 % of all" in second.detail


def test_a_topic_that_doubled_one_that_died_and_one_that_split_are_told() -> None:
    ended = (Ended(9, "died", (), "gone", 200), Ended(2, "split", (3,), "parted", 90))
    listed = topic(0, 400), topic(3, 45, event="split", previous_ids=(2,))
    found = day(*listed, before=night(topics={0: ("label 0", 200)}))
    assert found.topics is not None
    found = replace(found, topics=replace(found.topics, ended=ended))
    told = {change.headline: change for change in changes(found)}
    assert told.keys() == {"A topic grew", "A topic has died", "A topic was split off"}
    assert "2.0 times as many" in told["A topic grew"].detail
    assert "It had 200 documents" in told["A topic has died"].detail
    assert "It comes from topic 2" in told["A topic was split off"].detail


def test_a_topic_that_moved_as_the_corpus_did_is_no_change() -> None:
    before = night(rows_in=2000, kept=2000, topics={0: ("label 0", 800)})
    assert [change.headline for change in changes(day(topic(0, 400), before=before))] == ["Fewer rows came in"]


def test_a_new_kind_of_damage_is_told_and_the_same_share_as_before_is_not() -> None:
    rejected = Rejected("bad_time", "the time is bad", 8, True), Rejected("too_short", "few characters", 50, False)
    found = day(before=night(rejected={"too_short": 50}), intake=intake(1000, *rejected))
    (told,) = changes(found)
    assert (told.headline, told.subject, told.anchor) == ("A new kind of damage", "bad_time", "intake")
    assert "8 rows turned away: the time is bad" in told.detail


def test_deletions_are_told_however_few() -> None:
    found = day(before=night(rejected={"deleted_id": 2}), intake=intake(1000, Rejected("deleted_id", "gone", 3, False)))
    (told,) = changes(found)
    assert told.headline == "Documents were deleted"
    assert told.detail == "3 rows, 2 on 2026-01-30: gone."


def test_statistics_move_beyond_their_intervals_or_what_random_graphs_vary() -> None:
    assert moved_beyond(stat(0.5, low=0.4, high=0.6), stat(0.3, low=0.2, high=0.45)) is None
    assert moved_beyond(stat(0.5, low=0.46, high=0.6), stat(0.3, low=0.2, high=0.45)) is not None
    assert moved_beyond(stat(0.2, null_sd=0.01), stat(0.3, null_sd=0.01)) is not None
    assert moved_beyond(stat(0.2, null_sd=0.05), stat(0.3, null_sd=0.01)) is None
    assert moved_beyond(stat(0.3), stat(0.2)) is None
    now = graph(stats={"reciprocity": stat(0.2, null_sd=0.01)})
    before = night(stats={(GRAPH, "reciprocity"): stat(0.4, null_sd=0.01)})
    (told,) = changes(day(before=before, network=network(now)))
    assert told.headline == "reciprocity of who answers whom moved"
    assert told.anchor == f"graph-{GRAPH}"


def test_who_leads_a_list_for_the_first_time_is_told_and_who_was_in_it_is_not() -> None:
    known = night(people={GRAPH: frozenset({"secret-1"})})
    new = night(people={GRAPH: frozenset({"secret-2"})})
    assert not list(changes(day(before=known, network=network(graph()))))
    told = [change.headline for change in changes(day(before=new, network=network(graph())))]
    assert told == ["A new hub", "A new authority"]


def test_clusters_that_were_fitted_again_are_told() -> None:
    (told,) = changes(day(before=night(), drift="5 % of the documents are outside of all clusters"))
    assert "outside of all clusters" in told.detail


def test_a_first_night_has_no_changes_and_says_what_stands_out() -> None:
    assert not list(changes(facts()))
    assert len(most_worth(facts())) == 3


def test_what_stands_out_takes_the_places_that_changes_leave() -> None:
    found = day(topic(3, 60, event="born"), topic(4, 50), before=night())
    assert headlines(found)[0] == "A topic was born"
    assert len(most_worth(found)) in (2, 3)


@given(st.integers(0, 10**9))
def test_counts_that_did_not_move_are_no_change(rows: int) -> None:
    found = day(before=night(rows_in=rows, kept=rows), intake=intake(rows))
    assert not list(changes(found))
