"""Facts of a report as a test wants them, and what a browser would see of the page that they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np

from theta_ray.report.facts import (
    Cell,
    Community,
    Ended,
    Facts,
    GraphFacts,
    Intake,
    LevelChange,
    NetworkFacts,
    Person,
    Rejected,
    Source,
    Stat,
    Topic,
    Topics,
)
from theta_ray.report.map_picture import MapPoints
from theta_ray.runcard import RunCard

TABLES = (
    "corpus",
    "embeddings",
    "assignments",
    "topics",
    "topic_counts",
    "network_stats",
    "network_curves",
    "communities",
    "topic_communities",
    "nodes",
)
GRAPH = "comment_to_parent_author"


def stat(value: float, **values: Any) -> Stat:
    """A statistic beside nothing, unless a test says more."""
    known = dict.fromkeys(("low", "high", "null_mean", "null_sd", "z", "p_value"))
    return Stat(value, **{**known, "num_nulls": 0, "definition": "What it is.", **values})  # type: ignore[arg-type]


def topic(topic_id: int, size: int = 50, **values: Any) -> Topic:
    """A topic that goes on."""
    known: dict[str, Any] = {
        "label": f"label {topic_id}",
        "terms": ("one", "two"),
        "coherence": 0.25,
        "event": "kept",
        "previous_ids": (topic_id,),
        "languages": (("en", size),),
        "duplicate_share": 0.1,
        "changes": (),
        "counts": (),
    }
    return Topic(topic_id=topic_id, size=size, **{**known, **values})


def topics(*listed: Topic, **values: Any) -> Topics:
    """Topics of a day after another."""
    buckets = tuple(f"2026-01-{1 + i:02d}" for i in range(max((len(each.counts) for each in listed), default=0)))
    known: dict[str, Any] = {
        "num_topics": len(listed),
        "num_documents": sum(each.size for each in listed),
        "buckets": buckets,
        "ended": (),
        "mean_coherence": 0.25,
        "before": "2026-01-30",
    }
    return Topics(listed=listed, **{**known, **values})


def intake(rows_in: int = 100, *rejected: Rejected) -> Intake:
    """An intake that adds up."""
    kept = rows_in - sum(each.rows for each in rejected)
    return Intake(rows_in, kept, kept, 2, rejected, 0, {"en": kept})


def graph(name: str = GRAPH, **values: Any) -> GraphFacts:
    """A small graph of two communities."""
    people = tuple(Person(f"no. {i}", f"secret-{i}", "0", 9, 0.5, 0.25, 0.1) for i in (1, 2))
    known: dict[str, Any] = {
        "stats": {
            "num_nodes": stat(30),
            "num_communities": stat(2),
            "reciprocity": stat(0.2, null_mean=0.1, null_sd=0.01, z=10.0, num_nulls=100),
        },
        "communities": (Community("0", 20, 0.1), Community("1", 10, 0.2)),
        "degrees": {"in_degree_ccdf": ((1.0, 2.0, 9.0), (1.0, 0.5, 0.1))},
        "hubs": people,
        "authorities": people,
        "cells": (Cell(0, "0", 20, 10.0, 1.0, 0.01), Cell(0, "1", 10, 20.0, -1.0, 0.2)),
    }
    return GraphFacts(name=name, **{**known, **values})


def network(*graphs: GraphFacts) -> NetworkFacts:
    """Networks, and what is said of all people."""
    lorenz = {"posts": ((0.0, 0.5, 1.0), (0.0, 0.2, 1.0))}
    return NetworkFacts(graphs, {"posts_gini": stat(0.5, low=0.4, high=0.6)}, lorenz, tuple(range(24)))


def points(count: int, num_topics: int, texts: dict[int, str]) -> MapPoints:
    """Documents of topics 0, 1, ... anywhere on a map."""
    generator = np.random.default_rng(0)
    return MapPoints(generator.random((count, 2)), generator.integers(0, num_topics, count), texts, 2 * count)


def facts(**values: Any) -> Facts:
    """Everything that a page can say, of a small day."""
    sources = {name: Source(name, f"/root/{name}/0/dt=2026-01-31", "0" * 12, 1, 10) for name in TABLES}
    known: dict[str, Any] = {
        "title": "a title",
        "recipe": "recipe",
        "day": "2026-01-31",
        "intake": intake(100, Rejected("bad_record", "it is damaged", 3, True)),
        "topics": topics(
            topic(0, counts=(3, 4, 5), changes=(LevelChange("2026-01-02", 0.1, 0.3),)),
            topic(1, 20, event="born", previous_ids=(), counts=(0, 0, 9), coherence=None),
            ended=(Ended(7, "died", (), "an ended label", 12),),
        ),
        "network": network(graph()),
        "drift": None,
        "cards": (RunCard("embed", "committed", "/root", "0" * 12, "2026-01-31", {"tokens": 9}, {}),),
        "sources": sources,
        "before": None,
        "map": points(30, 2, {3: "a text of the map"}),
    }
    return Facts(**{**known, **values})


@dataclass
class Element:
    """A start tag, and the text right inside it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Parsed(HTMLParser):
    """All elements of a page in their order."""

    elements: list[Element] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    VOID = ("meta", "input", "br", "hr", "img", "link")

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> ends nothing"
        assert self._open[-1].tag == tag, f"</{tag}> where <{self._open[-1].tag}> is open"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open[-1:]:
            element.text += data

    def close(self) -> None:
        super().close()
        assert not self._open, f"not ended: {[element.tag for element in self._open]}"

    def all(self, tag: str) -> list[Element]:
        """Elements of a tag."""
        return [element for element in self.elements if element.tag == tag]


def parsed(page: bytes) -> Parsed:
    """A page, whose tags must all be ended in their order."""
    found = Parsed()
    found.feed(page.decode())
    found.close()
    return found
