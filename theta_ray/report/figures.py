"""The figures of a page: facts in, pictures with what they say, where they are from and their numbers out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from theta_ray.network.pictures import fits
from theta_ray.report.charts import Axis, Curve, bar_chart, hours_chart, line_chart
from theta_ray.report.charts_chance import Beside, heat_map, null_chart
from theta_ray.report.charts_chance import Cell as HeatCell
from theta_ray.report.charts_svg import Words
from theta_ray.report.csv_table import MAX_ROWS, Cell, csv_link
from theta_ray.report.facts import Facts, GraphFacts, NetworkFacts, Topics
from theta_ray.report.map_picture import TopicMap
from theta_ray.report.texts import harmless
from theta_ray.report.words import BESIDE_CHANCE, graph_name, statistic_name

NUM_REASONS, NUM_TRENDS, NUM_TOPICS, NUM_COLUMNS = 12, 5, 25, 8


@dataclass(frozen=True)
class Download:
    """Numbers behind a part of the page, as a file that the page carries with it."""

    name: str
    link: str
    num_rows: int
    is_cut: bool
    """Only the first rows are in it."""

    @classmethod
    def of(cls, name: str, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Download:
        """A file of some rows."""
        return cls(f"{name}.csv", csv_link(header, rows), min(len(rows), MAX_ROWS), len(rows) > MAX_ROWS)


@dataclass(frozen=True)
class Figure:
    """A picture and what a reader needs beside it."""

    name: str
    """Its id in the page."""
    title: str
    reading: str
    """How to read it, in a sentence."""
    svg: str
    table: str
    """That it is of."""
    defined: str
    """Name of its definition."""
    download: Download


def reasons_figure(facts: Facts) -> Figure | None:
    """Rows by the reason for which they were turned away."""
    rejected = facts.intake.rejected
    if not rejected:
        return None
    values = {each.reason.replace("_", " "): float(each.rows) for each in rejected[:NUM_REASONS]}
    rows = [(each.reason, each.rows, "damaged" if each.is_damaged else "filtered", each.meaning) for each in rejected]
    said = "; ".join(f"{name} {count:,.0f}" for name, count in values.items())
    return Figure(
        name="reasons",
        title="Rows turned away, by reason",
        reading="A longer bar is more rows; the table below says what each reason means.",
        svg=bar_chart(Words("Rows turned away, by reason", said), "rows", values),
        table="corpus",
        defined="row",
        download=Download.of("turned-away", ("reason", "rows", "kind", "meaning"), rows),
    )


def topics_download(topics: Topics) -> Download:
    """The list of topics."""
    header = ("topic_id", "label", "terms", "documents", "share", "coherence", "event", "previous_ids", "languages")
    rows = [
        (
            topic.topic_id,
            topic.label,
            ", ".join(topic.terms),
            topic.size,
            round(topic.size / max(topics.num_documents, 1), 6),
            topic.coherence,
            topic.event,
            " ".join(map(str, topic.previous_ids)),
            ", ".join(f"{lang} {count}" for lang, count in topic.languages),
        )
        for topic in topics.listed
    ]
    return Download.of("topics", header, rows)


def map_download(found: TopicMap) -> Download:
    """Where the topics are on the map."""
    rows = [(each.topic_id, each.label, each.size, each.where, " ".join(map(str, each.near))) for each in found.regions]
    return Download.of("topic-map", ("topic_id", "label", "documents", "where", "nearest_topics"), rows)


def trends_figure(topics: Topics) -> Figure | None:
    """Documents of the largest topics by time."""
    if len(topics.buckets) < 2 or not topics.listed:
        return None
    shown = topics.listed[:NUM_TRENDS]
    curves = {f"{topic.topic_id}: {harmless(topic.label, 32)}": Curve(topics.buckets, topic.counts) for topic in shown}
    when = "of that night" if topics.is_of_nights else "on that day (or week, or month)"
    words = Words("The largest topics in time", f"Documents from {topics.buckets[0]} on of {', '.join(curves)}.")
    rows = [
        (topic.topic_id, bucket, count)
        for topic in topics.listed
        for bucket, count in zip(topics.buckets, topic.counts, strict=True)
    ]
    return Figure(
        name="trends",
        title="The largest topics in time",
        reading=f"A higher line is more documents {when} about a topic.",
        svg=line_chart(words, (Axis("day", "day"), Axis("documents")), curves),
        table="topics" if topics.is_of_nights else "topic_counts",
        defined="topic",
        download=Download.of("topic-counts", ("topic_id", "bucket", "documents"), rows),
    )


def lorenz_figure(network: NetworkFacts) -> Figure | None:
    """How unequally people are active, and are rewarded."""
    if not network.lorenz:
        return None
    ginis = {name: network.stats.get(f"{name}_gini") for name in network.lorenz}
    named = {name: f"{name} (Gini {row.value:.2f})" if row else name for name, row in ginis.items()}
    curves = {named[name]: Curve(*curve) for name, curve in network.lorenz.items()}
    words = Words("Who writes how much", f"Lorenz curves of {', '.join(named.values())}, and the line of equality.")
    axes = Axis("share of people, least active first"), Axis("share of the total")
    rows = [(name, x, y) for name, curve in network.lorenz.items() for x, y in zip(*curve, strict=True)]
    return Figure(
        name="lorenz",
        title="Who writes how much",
        reading="If all wrote the same, the curves would be the diagonal; the further below it, the more a few people "
        "have of the total.",
        svg=line_chart(words, axes, {**curves, "all equal": Curve((0.0, 1.0), (0.0, 1.0))}),
        table="network_curves",
        defined="lorenz",
        download=Download.of("lorenz", ("of", "share_of_people", "share_of_total"), rows),
    )


def hours_figure(network: NetworkFacts) -> Figure | None:
    """When people write."""
    if not sum(network.hours):
        return None
    busiest = int(np.argmax(network.hours))
    said = f"{sum(network.hours):,} events; most begin between {busiest}:00 and {busiest + 1}:00 (UTC)."
    return Figure(
        name="hours",
        title="When people write",
        reading="Each bar is the share of all posts and comments that begin in an hour of the day, in UTC.",
        svg=hours_chart(Words("When people write", said), network.hours),
        table="network_curves",
        defined="hour",
        download=Download.of("hours", ("hour_utc", "events"), list(enumerate(network.hours))),
    )


def communities_figure(graph: GraphFacts) -> Figure | None:
    """Sizes of the communities of a graph."""
    if not graph.communities:
        return None
    values = {each.name: float(each.size) for each in graph.communities}
    said = f"{len(values)} bars; the largest community has {max(values.values()):,.0f} people."
    rows = [(each.name, each.size, each.conductance) for each in graph.communities]
    return Figure(
        name=f"communities-{graph.name}",
        title="Communities, by size",
        reading="Groups of people who deal with each other more than with others, largest first; 'other' holds all "
        "that are too small to be shown apart.",
        svg=bar_chart(Words(f"Communities of the graph of {graph_name(graph.name)}", said), "people", values),
        table="communities",
        defined="community",
        download=Download.of(f"communities-{graph.name}", ("community", "people", "conductance"), rows),
    )


def degree_figures(graph: GraphFacts) -> Iterator[Figure]:
    """How many ties people have, with the tails fitted to it."""
    known = {(graph.name, name): row.value for name, row in graph.stats.items()}
    for name, (x, y) in graph.degrees.items():
        kind = name.removesuffix("_ccdf")
        what = {"in_degree": "people who come to a person", "out_degree": "people whom a person goes to"}.get(
            kind, "ties of a person"
        )
        fitted = fits(np.asarray(x), kind, graph.name, dict(known))
        curves = {"observed": Curve(x, y), **{of: Curve(*curve) for of, curve in fitted.items()}}
        title = f"{'Ties' if kind == 'degree' else kind.replace('_', '-').capitalize()} of people"
        words = Words(
            f"{title}: {graph_name(graph.name)}", f"Share of people with so many or more. {', '.join(curves)}."
        )
        axes = Axis(what, "log"), Axis("share with so many or more", "log")
        yield Figure(
            name=f"{kind.replace('_', '-')}-{graph.name}",
            title=title,
            reading="Further right and down are the few with very many ties; a straight line would be a power law.",
            svg=line_chart(words, axes, curves),
            table="network_curves",
            defined="degree",
            download=Download.of(f"{kind}-{graph.name}", (kind, "share_with_or_more"), list(zip(x, y, strict=True))),
        )


def chance_figure(graph: GraphFacts) -> Figure | None:
    """Statistics of a graph beside those of random graphs of its degrees."""
    found = [(name, graph.stats[name]) for name in BESIDE_CHANCE if name in graph.stats]
    beside = [
        Beside(statistic_name(name), row.value, row.null_mean, row.null_sd)
        for name, row in found
        if row.null_mean is not None and row.null_sd is not None
    ]
    if not any(row.null_sd > 0 for row in beside):
        return None
    said = "; ".join(f"{row.name} {row.value:.3g} where chance gives {row.null_mean:.3g}" for row in beside)
    rows = [(name, row.value, row.null_mean, row.null_sd, row.z, row.p_value, row.num_nulls) for name, row in found]
    header = ("statistic", "value", "null_mean", "null_sd", "z", "p_value", "num_nulls")
    return Figure(
        name=f"chance-{graph.name}",
        title="More than chance?",
        reading="A point within the band is what random graphs would have as well; far to the right is more than that, "
        "far to the left less.",
        svg=null_chart(Words(f"Beside random graphs: {graph_name(graph.name)}", said), beside),
        table="network_stats",
        defined="chance",
        download=Download.of(f"statistics-{graph.name}", header, rows),
    )


def heat_figure(graph: GraphFacts, topics: Topics | None) -> Figure | None:
    """Which community writes more, or less, about which topic than all do."""
    if topics is None or not graph.cells:
        return None
    columns = [each.name for each in graph.communities if each.name != "other"][:NUM_COLUMNS]
    cells = {(cell.topic_id, cell.community): cell for cell in graph.cells}
    rows = {}
    for topic in topics.listed[:NUM_TOPICS]:
        mine = [cells.get((topic.topic_id, column)) for column in columns]
        rows[f"{topic.topic_id}: {harmless(topic.label, 30)}"] = [
            HeatCell(None) if cell is None else HeatCell(cell.log2_ratio, (cell.q_value or 1) < 0.05) for cell in mine
        ]
    said = f"{len(rows)} topics by {len(columns)} communities: log2 of documents over those expected."
    header = ("topic_id", "community", "documents", "expected", "log2_ratio", "q_value")
    numbers = [(c.topic_id, c.community, c.num_documents, c.expected, c.log2_ratio, c.q_value) for c in graph.cells]
    return Figure(
        name=f"topics-by-community-{graph.name}",
        title="Who writes about what",
        reading="+1 is twice as many documents as usual of a topic in a community, \u22121 half; a star is more than "
        "chance.",
        svg=heat_map(
            Words(f"Topics by communities: {graph_name(graph.name)}", said), ("topic", "community"), columns, rows
        ),
        table="topic_communities",
        defined="topic_by_community",
        download=Download.of(f"topics-by-community-{graph.name}", header, numbers),
    )
