"""The page asks nobody for anything, runs nothing of what strangers wrote, and can be read without its script."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from tests.report_facts import GRAPH, Parsed, facts, graph, network, parsed, points, stat, topic, topics
from theta_ray.config_report import Report
from theta_ray.report.facts import Facts, Night, Rejected
from theta_ray.report.page import render
from theta_ray.report.report import MAX_BYTES

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "</style></script><iframe src=https://example.org>",
    "\u202eevil\u2066\x1b[31m\x07\0\ud800",
    '=HYPERLINK("https://example.org")',
    "https://example.org/?a=1&b=<b>",
    "javascript:alert(1)",
)
# Tags that a page may have; a text that became markup would bring others, or more attributes.
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "script", "header", "main", "section", "nav", "footer"),
    *("h1", "h2", "h3", "h4", "p", "a", "b", "br", "small", "strong", "span", "bdi", "code", "blockquote", "div"),
    *("ul", "ol", "li", "dl", "dt", "dd", "details", "summary", "figure", "figcaption", "label", "input"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("svg", "g", "path", "text", "rect", "line", "circle", "desc"),
}


def page_of(found: Facts, **settings: Any) -> tuple[bytes, Parsed]:
    """The page, and what a browser makes of it."""
    page = render(found, Report(**settings))
    return page, parsed(page)


def hostile(value: Any, text: str) -> Any:
    """The same with a text in place of every text that a stranger could have written."""
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(hostile(each, text) for each in value)
    if isinstance(value, dict):
        return {key: hostile(each, text) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        # counted, named or decided by this project; all others hold what was in the data
        own = {"reason", "event", "name", "table", "fingerprint", "stage", "status", "bucket", "day", "date", "before"}
        return replace(
            value, **{f.name: hostile(getattr(value, f.name), text) for f in fields(value) if f.name not in own}
        )
    return value


def visible(page: Parsed) -> str:
    return " ".join(element.text for element in page.elements if element.tag not in ("style", "script"))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_strangers_wrote_is_text_and_nothing_else(text: str) -> None:
    whole = facts()
    assert whole.topics is not None
    listed = tuple(replace(each, excerpts=(text, text)) for each in whole.topics.listed)
    found = hostile(replace(whole, topics=replace(whole.topics, listed=listed, buckets=())), text)
    buckets = facts().topics
    assert buckets is not None
    page, seen = page_of(replace(found, topics=replace(found.topics, buckets=buckets.buckets)))
    assert {element.tag for element in seen.elements} <= TAGS
    assert len(seen.all("script")) == len(seen.all("style")) == 1
    safe(seen)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page.decode())
    shown = visible(seen)
    assert "49" not in shown or "{{ 7 * 7 }}" not in text
    if text.isprintable():
        assert text[:40] in shown


def safe(page: Parsed) -> None:
    """No address, handler or style that a browser would follow, run or apply."""
    for element in page.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on"), element
            assert name not in ("style", "src", "srcset", "action", "formaction", "ping", "background"), element
            if name in ("href", "xlink:href"):
                assert (value or "").startswith(("#", "data:text/csv;charset=utf-8;base64,")), element
            assert not re.match(r"\s*(javascript|https?|//)", value or "") or element.tag == "meta" or name != "href"


def test_the_policy_allows_the_one_style_and_the_one_script_and_nothing_else() -> None:
    _, page = page_of(facts())
    (policy,) = (e.attributes["content"] for e in page.all("meta") if "http-equiv" in e.attributes)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for tag in ("style", "script"):
        (element,) = page.all(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
        assert element.attributes == {}
    assert rules == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    safe(page)
    assert not re.search(
        r"@import|url\(|fetch\(|XMLHttp|import\(|innerHTML|eval\(",
        "".join(element.text for element in page.elements if element.tag in ("style", "script")),
    )


def after_a_night() -> Facts:
    """A day on which everything changed."""
    people = {GRAPH: frozenset({"nobody"})}
    stats = {(GRAPH, "reciprocity"): stat(0.9, null_sd=0.01), ("corpus", "posts_gini"): stat(0.1, low=0.0, high=0.2)}
    before = Night("2026-01-30", 500, 500, {}, {0: ("label 0", 500), 7: ("gone", 12)}, stats, people)
    return facts(before=before, drift="too many documents are outside of all clusters")


def test_all_changes_since_the_night_before_are_told() -> None:
    said = visible(page_of(after_a_night())[1])
    for headline in ("Fewer rows came in", "A topic was born", "A topic has died", "A new hub", "have drifted"):
        assert headline in said
    assert re.search(r"\d changes since 2026-01-30", said)


@pytest.mark.parametrize("found", [facts(), after_a_night(), facts(topics=None), facts(network=None)])
def test_links_lead_to_parts_of_the_page_and_ids_are_there_once(found: Facts) -> None:
    _, page = page_of(found)
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for element in page.elements:
        link = element.attributes.get("href") or ""
        assert not link.startswith("#") or link[1:] in ids, link
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set((element.attributes.get(name) or "").split()) <= set(ids)


def test_headings_are_in_order_and_tables_pictures_and_fields_have_names() -> None:
    _, page = page_of(facts())
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(element.attributes.get("scope") for element in page.all("th"))
    assert all(element.attributes.get("role") == "img" and "aria-labelledby" in element.attributes
               for element in page.all("svg"))  # fmt: skip
    assert {e.attributes.get("id") for e in page.all("input")} == {e.attributes.get("for") for e in page.all("label")}
    assert page.all("html")[0].attributes["lang"] == "en"
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1


def test_every_figure_has_its_reading_definition_table_and_numbers() -> None:
    text = render(facts(), Report()).decode()
    figures = re.findall(r"<figure .*?</figure>", text, flags=re.DOTALL)
    assert len(figures) >= 6
    for figure in figures:
        assert re.search(r'href="#def-', figure)
        assert re.search(r'href="#table-', figure)
        assert re.search(r'download="[\w-]+\.csv"', figure)


def test_the_same_facts_make_the_same_bytes() -> None:
    assert render(facts(), Report()) == render(facts(), Report())


def test_parts_without_tables_say_how_to_make_them() -> None:
    page, seen = page_of(facts(topics=None, network=None))
    shown = visible(seen)
    assert "jobs/label_topics.py" in shown
    assert "jobs/analyze_network.py" in shown
    assert not seen.all("input")
    assert len(page) < 60_000


def test_nothing_lost_is_said_only_where_the_counts_add_up() -> None:
    assert "nothing was lost" in visible(page_of(facts())[1])
    lost = facts()
    shown = visible(page_of(replace(lost, intake=replace(lost.intake, rows_in=101)))[1])
    assert "nothing was lost" not in shown
    assert "do not add up" in shown


def test_what_tells_people_apart_is_on_no_page() -> None:
    page = render(facts(), Report()).decode()
    files = [base64.b64decode(data).decode() for data in re.findall(r'base64,([^"]+)"', page)]
    assert "no. 1" in page
    assert not any("secret-" in each for each in (page, *files))


def large() -> Iterator[tuple[str, Any]]:
    """As much as a recipe can ask for."""
    listed = [
        topic(i, 9000 - i, label=f"{i} " + "label " * 20, terms=tuple(f"a long enough term {j}" for j in range(10)),
              counts=tuple((i * j) % 97 for j in range(366)), excerpts=("word " * 40, "text " * 40))
        for i in range(1000)
    ]  # fmt: skip
    rejected = tuple(Rejected(f"reason_{i}", "it is damaged " * 5, 5, True) for i in range(22))
    yield "topics", topics(*listed, buckets=tuple(f"day {i}" for i in range(366)))
    yield "intake", replace(facts().intake, rejected=rejected)
    names = ("comment_to_parent_author", "comment_to_post_author", "mention", "repost", "co_thread", "co_container")
    curve = tuple(float(1 + i) for i in range(300)), tuple(1 / (1 + i) for i in range(300))
    stats = {f"statistic {i}": stat(i, definition="What it is. " * 20) for i in range(150)}
    known = graph().stats
    yield "network", network(*(graph(n, degrees={"degree_ccdf": curve}, stats={**stats, **known}) for n in names))


def test_a_page_of_the_most_that_a_recipe_can_ask_for_is_small_enough() -> None:
    values = dict(large())
    days = tuple(f"2026-{1 + i // 28 % 12:02d}-{1 + i % 28:02d}" for i in range(366))
    values["topics"] = replace(values["topics"], buckets=days)
    values["map"] = points(50_000, 1000, {row: "some words of a text " * 6 for row in range(2000)})
    page = render(facts(**values), Report(num_topics=1000, num_points=50_000))
    assert len(values["topics"].listed) == 1000
    assert len(page) < 0.9 * MAX_BYTES
