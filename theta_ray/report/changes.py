"""A night beside the one before in, the few things most worth looking at out, in plain words with their numbers.

Each candidate has a weight: how many doublings apart, times how much of the corpus it is about. A change that chance
would make, beyond three standard deviations of counts or of random graphs, is no candidate. Where there is no earlier
night, or nothing changed, what stands out today takes the places that are left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from theta_ray.report.facts import Facts, Night, Stat, Topic
from theta_ray.report.texts import counted, percent, plain
from theta_ray.report.today import stand_outs
from theta_ray.report.words import graph_name, statistic_name

NUM_SHOWN = 3
DELETED = ("deleted_id", "deleted_text")
MIN_Z, MIN_RELATIVE = 3.0, 0.1
# Weights: what all else depends on comes first.
OF_INPUT, OF_REASON, OF_TOPIC, OF_NETWORK, OF_DRIFT, OF_PERSON = 5.0, 2.0, 3.0, 1.0, 1.5, 0.8


@dataclass(frozen=True)
class Change:
    """One thing worth looking at."""

    headline: str
    """In the page's own words."""
    subject: str
    """What it is about in strangers' words; empty where it has no name of its own."""
    detail: str
    anchor: str
    """Id of the part of the page that shows it."""
    weight: float


def most_worth(facts: Facts, count: int = NUM_SHOWN) -> list[Change]:
    """The changes of most weight, then what stands out today."""
    changed = ranked(changes(facts))[:count]
    taken = {change.anchor for change in changed}
    others = [Change(*each) for each in stand_outs(facts)]
    return [*changed, *(each for each in others if each.anchor not in taken)][:count]


def ranked(found: Iterable[Change]) -> list[Change]:
    """Changes, those of most weight first."""
    return sorted(found, key=lambda change: (-change.weight, change.headline, change.subject))


def changes(facts: Facts) -> Iterator[Change]:
    """All candidates since the earlier night, in no order; none without one."""
    before = facts.before
    if before is None:
        return
    yield from _input(facts, before)
    yield from _reasons(facts, before)
    yield from _topics(facts, before)
    yield from _statistics(facts, before)
    yield from _people(facts, before)
    if facts.drift is not None:
        detail = f"The clusters were fitted again: {facts.drift}."
        yield Change("The documents have drifted", "", detail, "topics", OF_DRIFT)


def beyond_chance(now: int, before: int) -> bool:
    """Whether two counts differ by more than three standard deviations of their difference."""
    return abs(now - before) > MIN_Z * math.sqrt(now + before)


def _doublings(now: float, before: float) -> float:
    return abs(math.log2((now + 1) / (before + 1)))


def _moved(now: int, before: int) -> str:
    share = (now - before) / before if before else math.inf
    if share >= 1:
        return f"{(now + 1e-9) / before:.1f} times as many" if before else "none before"
    sign = "+" if share > 0 else "\u2212"
    return sign + percent(abs(share))


def _input(facts: Facts, before: Night) -> Iterator[Change]:
    now, then = facts.intake.rows_in, before.rows_in
    if abs(now - then) > MIN_RELATIVE * max(then, 1) and beyond_chance(now, then):
        way = "More" if now > then else "Fewer"
        detail = f"{now:,} rows came in, {then:,} on {before.date} ({_moved(now, then)})."
        yield Change(f"{way} rows came in", "", detail, "intake", OF_INPUT * _doublings(now, then))


def _reasons(facts: Facts, before: Night) -> Iterator[Change]:
    """Reasons that are new, or turn away another share of the rows than before."""
    rows = max(facts.intake.rows_in, 1)
    for each in facts.intake.rejected:
        then = before.rejected.get(each.reason, 0)
        expected = then * rows / max(before.rows_in, 1)
        if each.reason in DELETED and each.rows > then:
            detail = f"{counted(each.rows, 'row')}, {then:,} on {before.date}: {each.meaning}."
            yield Change("Documents were deleted", "", detail, "intake", OF_REASON * (0.5 + 10 * each.rows / rows))
        elif each.is_damaged and not then:
            detail = f"{counted(each.rows, 'row')} turned away: {each.meaning}."
            weight = OF_REASON * (0.5 + 10 * each.rows / rows)
            yield Change("A new kind of damage", each.reason, detail, "intake", weight)
        elif each.rows > (1 + MIN_RELATIVE) * expected and beyond_chance(each.rows, round(expected)):
            detail = f"{each.rows:,} rows, {then:,} on {before.date}: {each.meaning}."
            weight = OF_REASON * _doublings(each.rows, expected) * math.sqrt(each.rows / rows)
            yield Change("More rows turned away", each.reason, detail, "intake", weight)


def _topics(facts: Facts, before: Night) -> Iterator[Change]:
    topics = facts.topics
    if topics is None:
        return
    for topic in topics.listed:
        share = topic.size / max(topics.num_documents, 1)
        weight = OF_TOPIC * math.sqrt(share)
        anchor = f"topic-{topic.topic_id}"
        if topic.event == "born":
            detail = f"{counted(topic.size, 'document')}, {percent(share, 1)} of all."
            yield Change("A topic was born", topic.label, detail, anchor, 1.5 * weight)
        elif topic.event in ("split", "merged"):
            detail = f"It comes from topic {', '.join(map(str, topic.previous_ids))}; {topic.size:,} documents."
            yield Change(f"A topic {_event_of(topic)}", topic.label, detail, anchor, weight)
        elif topic.topic_id in before.topics:
            yield from _resized(topic, before, facts.intake.kept, weight)
    for ended in topics.ended:
        if ended.event == "died" and ended.size:
            detail = f"It had {counted(ended.size, 'document')} on {before.date}."
            weight = OF_TOPIC * math.sqrt(ended.size / max(before.kept, 1))
            yield Change("A topic has died", ended.label or f"topic {ended.topic_id}", detail, "ended", 1.5 * weight)


def _event_of(topic: Topic) -> str:
    return "was split off" if topic.event == "split" else "was merged"


def _resized(topic: Topic, before: Night, kept: int, weight: float) -> Iterator[Change]:
    """A topic whose size moved otherwise than the corpus did."""
    then = before.topics[topic.topic_id][1]
    expected = then * kept / max(before.kept, 1)
    if abs(topic.size - expected) > MIN_RELATIVE * expected and beyond_chance(topic.size, round(expected)):
        way = "grew" if topic.size > expected else "shrank"
        detail = f"{topic.size:,} documents, {then:,} on {before.date} ({_moved(topic.size, then)})."
        strength = weight * _doublings(topic.size, expected)
        yield Change(f"A topic {way}", topic.label, detail, f"topic-{topic.topic_id}", strength)


def _statistics(facts: Facts, before: Night) -> Iterator[Change]:
    if facts.network is None:
        return
    now = {("corpus", name): row for name, row in facts.network.stats.items()}
    for graph in facts.network.graphs:
        now |= {(graph.name, name): row for name, row in graph.stats.items()}
    for (graph_id, name), then in before.stats.items():
        row = now.get((graph_id, name))
        if row is not None and (beyond := moved_beyond(row, then)) is not None:
            of = "" if graph_id == "corpus" else f" of {graph_name(graph_id)}"
            detail = f"{plain(row.value)}, {plain(then.value)} on {before.date}: {beyond}."
            anchor = "people" if graph_id == "corpus" else f"graph-{graph_id}"
            weight = OF_NETWORK * _relative(row.value, then.value)
            yield Change(f"{statistic_name(name)}{of} moved", "", detail, anchor, weight)


def moved_beyond(now: Stat, then: Stat) -> str | None:
    """How a statistic is beyond what its intervals, or random graphs of its degrees, allow; None where it is not."""
    if abs(now.value - then.value) <= MIN_RELATIVE * max(abs(then.value), 1e-9):
        return None
    if now.low is not None and now.high is not None and then.low is not None and then.high is not None:
        apart = now.low > then.high or now.high < then.low
        return "the 95 % intervals do not meet" if apart else None
    sd = max(now.null_sd or 0.0, then.null_sd or 0.0)
    if sd and abs(now.value - then.value) > MIN_Z * sd * math.sqrt(2):
        return f"{abs(now.value - then.value) / sd:.0f} times what random graphs of the same degrees vary"
    return None


def _relative(now: float, then: float) -> float:
    """Doublings between two values of one sign, at most 3."""
    if now * then <= 0:
        return 3.0
    return min(3.0, abs(math.log2(abs(now / then))))


def _people(facts: Facts, before: Night) -> Iterator[Change]:
    """Who leads a list now and was not in it before."""
    for graph in facts.network.graphs if facts.network else ():
        known = before.people.get(graph.name)
        for role, people in (("hub", graph.hubs), ("authority", graph.authorities)):
            if known and people and people[0].key not in known:
                detail = f"The first {role} of {graph_name(graph.name)}, with {people[0].degree:,} ties, is new there."
                yield Change(f"A new {role}", people[0].name, detail, f"people-{graph.name}", OF_PERSON)
