"""What stands out in a day by itself, for the first page and for nights on which little changed."""

from __future__ import annotations

from collections.abc import Iterator

from theta_ray.report.facts import Cell, Facts, GraphFacts
from theta_ray.report.texts import percent, plain
from theta_ray.report.words import graph_name

# Headline, subject, detail, anchor, weight.
StandOut = tuple[str, str, str, str, float]


def stand_outs(facts: Facts) -> list[StandOut]:
    """Things worth a look, in the order in which a newcomer would ask for them."""
    found = [*_topics(facts), *_network(facts), *_intake(facts)]
    return [(*each, 0.0) for each in found]


def _intake(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    intake = facts.intake
    if intake.rejected:
        first, rows = intake.rejected[0], sum(each.rows for each in intake.rejected)
        detail = f"{rows:,} of {intake.rows_in:,} rows; most often since {first.meaning} ({first.rows:,})."
        yield f"{percent(rows / max(intake.rows_in, 1))} of the rows were turned away", "", detail, "intake"
    yield "Nothing was turned away", "", f"All {intake.rows_in:,} rows are documents now.", "intake"


def _topics(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    if facts.topics is None or not facts.topics.listed:
        return
    first = facts.topics.listed[0]
    share = percent(first.size / max(facts.topics.num_documents, 1))
    detail = f"{first.size:,} documents are about it, {share} of all."
    yield "The largest topic", first.label, detail, f"topic-{first.topic_id}"


def _network(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    if facts.network is None or not facts.network.graphs:
        return
    yield from _strongest_cell(facts)
    for graph in facts.network.graphs:
        found = _answered(graph)
        if found is not None:
            yield found
            return


def _answered(graph: GraphFacts) -> tuple[str, str, str, str] | None:
    row = graph.stats.get("reciprocity")
    if row is None or not row.null_mean or row.z is None:
        return None
    times = row.value / row.null_mean
    way = f"{times:.1f} times as often as" if abs(times - 1) > 0.1 else "about as often as"
    detail = f"{percent(row.value)} of the ties of {graph_name(graph.name)}: {way} in random networks of as many ties"
    headline = "Ties are returned more than by chance" if times > 1.1 else "How often ties are returned"
    return headline, "", f"{detail} each (z = {plain(row.z)}).", f"graph-{graph.name}"


def _strongest_cell(facts: Facts) -> Iterator[tuple[str, str, str, str]]:
    """The topic that a community writes most about beyond what is expected."""
    labels = {topic.topic_id: topic.label for topic in facts.topics.listed} if facts.topics else {}
    best: tuple[float, GraphFacts, Cell] | None = None
    for graph in facts.network.graphs if facts.network else ():
        for cell in graph.cells:
            is_sure = cell.q_value is not None and cell.q_value < 0.05 and cell.topic_id in labels
            if is_sure and (best is None or cell.num_documents - cell.expected > best[0]):
                best = cell.num_documents - cell.expected, graph, cell
    if best is not None:
        _, graph, cell = best
        detail = f"{cell.num_documents:,} documents of community {cell.community}, where {cell.expected:,.0f} would be"
        headline = "A community with a topic of its own"
        yield headline, labels[cell.topic_id], f"{detail} usual.", f"topics-by-community-{graph.name}"
