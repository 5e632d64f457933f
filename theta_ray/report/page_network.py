"""The part of a page that is of one graph: its facts in, what its template needs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from theta_ray.report.facts import GraphFacts, Person, Stat, Topics
from theta_ray.report.figures import (
    Download,
    Figure,
    chance_figure,
    communities_figure,
    degree_figures,
    heat_figure,
)
from theta_ray.report.words import BESIDE_CHANCE, BY_ITSELF, GRAPHS, graph_name, statistic_name


@dataclass(frozen=True)
class StatRow:
    """A statistic of the table of a graph."""

    key: str
    name: str
    stat: Stat


@dataclass(frozen=True)
class GraphPart:
    """What the template says of a graph."""

    facts: GraphFacts
    title: str
    meaning: str
    rows: tuple[StatRow, ...]
    figures: tuple[Figure, ...]
    heat: Figure | None
    lists_title: str
    lists: tuple[tuple[str, tuple[Person, ...], Download], ...]
    """Where ties have no direction, hubs are the authorities: one list."""


def graph_parts(graph: GraphFacts, topics: Topics | None) -> GraphPart:
    """Everything that is shown of a graph."""
    name = graph_name(graph.name)
    has_directions = not graph.name.startswith("co_")
    hubs = ("Hubs" if has_directions else "People", graph.hubs, _people(f"hubs-{graph.name}", graph.hubs))
    authorities = ("Authorities", graph.authorities, _people(f"authorities-{graph.name}", graph.authorities))
    found = (communities_figure(graph), *degree_figures(graph), chance_figure(graph))
    return GraphPart(
        facts=graph,
        title=name[0].upper() + name[1:],
        meaning=GRAPHS.get(graph.name, ("", ""))[1],
        rows=tuple(
            StatRow(key, statistic_name(key), graph.stats[key])
            for key in (*BY_ITSELF, *BESIDE_CHANCE)
            if key in graph.stats
        ),
        figures=tuple(figure for figure in found if figure is not None),
        heat=heat_figure(graph, topics),
        lists_title="Hubs and authorities" if has_directions else "The best connected",
        lists=(hubs, authorities) if has_directions else (hubs,),
    )


def _people(name: str, people: Sequence[Person]) -> Download:
    header = ("person", "ties", "community", "hub", "authority", "pagerank")
    rows = [(p.name, p.degree, p.community, p.hub, p.authority, p.pagerank) for p in people]
    return Download.of(name, header, rows)
