"""Facts in, one self-contained HTML page out: all escaped, nothing asked of anybody, no script needed to read it.

A strict Content Security Policy names the hashes of the one style sheet and the one script, and allows nothing else, so
that even a text that got past the escaping could load or run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from theta_ray.config_report import Report
from theta_ray.report.changes import changes, most_worth, ranked
from theta_ray.report.charts import spark_line
from theta_ray.report.charts_style import charts_style
from theta_ray.report.charts_svg import Words
from theta_ray.report.facts import Facts
from theta_ray.report.figures import (
    hours_figure,
    lorenz_figure,
    map_download,
    reasons_figure,
    topics_download,
    trends_figure,
)
from theta_ray.report.map_picture import MapTopic, topic_map
from theta_ray.report.page_network import graph_parts
from theta_ray.report.texts import counted, harmless, percent, plain
from theta_ray.report.words import BESIDE_CHANCE, BY_ITSELF, DEFINITIONS, EVENTS, OF_PEOPLE, STAGES, statistic_name
from theta_ray.runcard import RunCard

CONTENTS = (
    ("intake", "What came in"),
    ("topics", "Topics"),
    ("people", "People"),
    ("run", "How it was made"),
    ("definitions", "Definitions"),
)
TOPICS_HOW = (
    "jobs/label_topics.py makes them, where the recipe has a section cluster (such as cluster: {num_clusters: 8}), and "
    "jobs/report.py this page again."
)
NETWORK_HOW = "jobs/analyze_network.py makes them, and jobs/report.py this page again."
# Of the run card of `embed`: its own name, the page's, the definition.
RUN_NUMBERS = (
    ("tokens", "Tokens", ""),
    ("tokens_per_second", "Tokens per second", ""),
    ("padding_share", "Padding", "padding"),
    ("smallest_cosine", "Parity", "parity"),
    ("cost_of_million_documents", "Cost of a million documents", ""),
)
SPARK_POINTS, NUM_CHANGES = 60, 50


def render(facts: Facts, settings: Report) -> bytes:
    """The page, in UTF-8. The same facts give the same bytes."""
    style, script = Markup(_file("style.css") + charts_style()), Markup(_file("script.js"))
    looks = most_worth(facts)
    values = {
        "facts": facts,
        "policy": policy(str(style), str(script)),
        "style": style,
        "script": script,
        "lead": _lead(facts),
        "numbers": list(_numbers(facts)),
        "looks": looks,
        "changes": ranked(changes(facts))[:NUM_CHANGES],
        "looks_title": f"{_number_word(len(looks))} most worth looking at",
        "looks_lead": _looks_lead(facts),
        "contents": CONTENTS,
        "topics_how": TOPICS_HOW,
        "network_how": NETWORK_HOW,
        "events": _Names(EVENTS),
        "ended": _Names({"died": "died", "split": "was split", "merged": "was merged"}),
        "stages": _Names(STAGES),
        "min_cell": settings.min_cell,
        **_map_values(facts),
        **_topic_values(facts),
        **_network_values(facts),
        **_run_values(facts),
        "reasons": reasons_figure(facts),
        "definitions": list(_definitions(facts)),
    }
    return environment().get_template("page.html").render(values).encode("utf-8", "replace")


def policy(style: str, script: str) -> str:
    """The Content Security Policy of a page with one style sheet and one script, both inline."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def made_with() -> str:
    """16 hex digits over the templates, style and script: another look of the page is another version of it."""
    folder = files("theta_ray.report") / "templates"
    parts = sorted((each.name, each.read_bytes()) for each in folder.iterdir())
    texts = b"".join(name.encode() + b"\0" + data + b"\0" for name, data in parts) + charts_style().encode()
    return hashlib.sha256(texts).hexdigest()[:16]


@cache
def environment() -> Environment:
    """The templates: everything is escaped but pictures, which charts escape themselves."""
    found = Environment(
        loader=PackageLoader("theta_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "harmless": harmless,
        "stranger": stranger,
        "plain": plain,
        "percent": percent,
        "counted": counted,
        "picture": Markup,
        "told": lambda value: value if isinstance(value, str) else plain(value, 9),
    }
    return found


def stranger(text: str, width: int = 200) -> Markup:
    """A stranger's text, which turns the direction of nothing beside it."""
    return Markup("<bdi>{}</bdi>").format(escape(harmless(text, width)))


class _Names(dict[str, str]):
    """Names by key; nothing for one that is not known."""

    def __missing__(self, key: str) -> str:
        return ""


def _file(name: str) -> str:
    return (files("theta_ray.report") / "templates" / name).read_text(encoding="utf-8")


def _lead(facts: Facts) -> str:
    parts = ["which texts came in and what became of them"]
    if facts.topics is not None:
        parts.append("what they are about")
    if facts.network is not None:
        parts.append("who deals with whom")
    return f"This page says {', '.join(parts[:-1]) + ' and ' + parts[-1] if len(parts) > 1 else parts[0]}."


def _numbers(facts: Facts) -> Iterator[dict[str, str]]:
    intake = facts.intake
    turned_away = sum(each.rows for each in intake.rejected)
    yield {"value": f"{intake.kept:,}", "name": "documents", "note": f"of {intake.num_texts:,} different texts"}
    note = "nothing was lost" if intake.adds_up else "the counts do not add up"
    yield {"value": f"{turned_away:,}", "name": "rows turned away", "note": f"each with a reason; {note}"}
    if facts.topics is not None:
        born = [topic.event for topic in facts.topics.listed].count("born")
        sizes = [topic.size for topic in facts.topics.listed]
        note = f"the largest of {max(sizes):,} documents" if sizes else "none of them large enough to show"
        note = f"{counted(born, 'new one')} since {facts.topics.before}" if facts.topics.before else note
        yield {"value": f"{facts.topics.num_topics:,}", "name": "topics", "note": note}
    if facts.network is not None and facts.network.graphs:
        graph = facts.network.graphs[0]
        people, groups = graph.value("num_nodes") or 0, graph.value("num_communities") or 0
        yield {"value": f"{groups:,.0f}", "name": "communities", "note": f"of {people:,.0f} people"}


def _number_word(count: int) -> str:
    return {0: "Nothing", 1: "The one thing", 2: "Two things", 3: "Three things"}[count]


def _looks_lead(facts: Facts) -> str:
    if facts.before is None:
        return "There is no earlier night to compare with: this is what stands out in the day itself."
    return f"Compared with {facts.before.date}; where little changed, what stands out in the day itself."


def _topic_values(facts: Facts) -> dict[str, Any]:
    topics = facts.topics
    if topics is None:
        return {"sparks": {}, "topics_file": None, "trends": None}
    sparks = {}
    for topic in topics.listed:
        words = Words(f"Topic {topic.topic_id} in time", f"{topic.size:,} documents")
        sparks[topic.topic_id] = spark_line(words, _summed(topic.counts)) if len(topics.buckets) > 1 else ""
    return {"sparks": sparks, "topics_file": topics_download(topics), "trends": trends_figure(topics)}


def _map_values(facts: Facts) -> dict[str, Any]:
    if facts.map is None or facts.topics is None:
        return {"map": None, "map_file": None}
    found = topic_map(facts.map, [MapTopic(each.topic_id, each.label, each.size) for each in facts.topics.listed])
    return {"map": found, "map_file": map_download(found)}


def _summed(counts: tuple[int, ...]) -> list[int]:
    """The same in at most so many sums of neighbours: a line of a few letters' width shows no more."""
    step = -(-len(counts) // SPARK_POINTS) or 1
    return [sum(counts[place : place + step]) for place in range(0, len(counts), step)]


def _network_values(facts: Facts) -> dict[str, Any]:
    if facts.network is None:
        return {"of_people": [], "graphs": [], "names_note": ""}
    of_people = [lorenz_figure(facts.network), hours_figure(facts.network)]
    corpus = next((card for card in facts.cards if card.stage == "prepare"), None)
    authors = (corpus.recipe.get("corpus") or {}).get("authors") if corpus else None
    note = "they are numbered within each list, since the corpus holds their own names."
    if authors == "pseudonym":
        note = "what stands for them is the beginning of a keyed pseudonym."
    return {
        "of_people": [each for each in of_people if each is not None],
        "graphs": [graph_parts(graph, facts.topics) for graph in facts.network.graphs],
        "names_note": note,
    }


def _run_values(facts: Facts) -> dict[str, Any]:
    card = next((card for card in facts.cards if card.stage == "embed"), None)
    figures: Mapping[str, Any] = card.figures if card else {}
    shown = [
        (title, f"{100 * figures[name]:.1f} %" if name == "padding_share" else plain(figures[name], 9), key)
        for name, title, key in RUN_NUMBERS
        if name in figures
    ]
    return {"run_numbers": shown, "versions": _versions(facts.cards)}


def _versions(cards: tuple[RunCard, ...]) -> dict[str, str]:
    """Of all stages; where two had different ones, both."""
    found: dict[str, list[str]] = {}
    for card in cards:
        for name, version in card.versions.items():
            if version not in found.setdefault(name, []):
                found[name].append(version)
    return {name: " and ".join(each) for name, each in sorted(found.items())}


def _definitions(facts: Facts) -> Iterator[tuple[str, str, str]]:
    for key, text in DEFINITIONS.items():
        yield key, key.replace("_", " "), text
    if facts.network is None:
        return
    stats = [facts.network.stats, *(graph.stats for graph in facts.network.graphs)]
    for name in (*BY_ITSELF, *BESIDE_CHANCE, *OF_PEOPLE):
        known = next((each[name] for each in stats if name in each), None)
        if known is not None:
            yield name, statistic_name(name), known.definition
