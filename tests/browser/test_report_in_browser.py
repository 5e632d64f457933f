"""The report in headless Chromium: it asks for nothing, says no error, fits a phone, and can be used by keyboard."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from tests.browser.opened import AXE_SHA256, DESKTOP, PHONE, Opened, axe, opened
from tests.browser.pages import HOSTILE, hostile_page

pytestmark = pytest.mark.browser
# Charts, and their nearest element that has a name, whose size is not positive.
EMPTY_CHARTS = """() => [...document.querySelectorAll('svg')].filter(svg => {
  const box = svg.getBoundingClientRect();
  return box.width < 20 || box.height < 8 || !svg.querySelector('path, rect, line, circle, text');
}).map(svg => svg.closest('[id]')?.id ?? svg.outerHTML.slice(0, 80))"""
# Texts of charts that reach into another text of the same chart, or out of it.
CLASHES = """() => [...document.querySelectorAll('svg.chart, svg.map')].flatMap(svg => {
  const edge = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('text')].filter(text => getComputedStyle(text).display !== 'none')
    .map(text => [text.textContent, text.getBoundingClientRect()]);
  const found = boxes.filter(([, box]) => box.left < edge.left - 2 || box.right > edge.right + 2).map(([text]) => text);
  boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, other]) => {
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (across > 1 && down > 4) found.push(a + ' / ' + b);
  }));
  return found;
})"""
OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(params=["facts_page", "sample_page", "forum_page"])
def page(request: pytest.FixtureRequest) -> Path:
    """Each of the pages."""
    found: Path = request.getfixturevalue(request.param)
    return found


def quiet(found: Opened) -> None:
    """Nothing was said, asked for or shown in a dialog."""
    assert (found.said, found.asked, found.dialogs) == ([], [], [])


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_page_says_no_error_asks_for_nothing_and_shows_its_charts(
    browser: Any, page: Path, size: tuple[int, int]
) -> None:
    with opened(browser, page, size) as found:
        assert found.run("() => document.querySelectorAll('svg.chart').length") >= 3
        assert found.run("() => document.querySelectorAll('svg.map').length") == 1
        assert found.run(EMPTY_CHARTS) == []
        assert found.run(CLASHES) == []
        assert found.run(OVERFLOW) <= 0
        quiet(found)


@pytest.mark.parametrize(
    ("size", "colours"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone-light", "desktop-dark"]
)
def test_axe_finds_nothing_against_wcag_a_and_aa(browser: Any, page: Path, size: tuple[int, int], colours: str) -> None:
    assert hashlib.sha256(axe().encode()).hexdigest() == AXE_SHA256
    with opened(browser, page, size, color_scheme=colours) as found:
        assert found.violations() == []


def test_axe_is_heard(browser: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<title>a</title><img src='data:,'><p style='color:#ccc;background:#fff'>grey</p>", encoding="utf-8")
    with opened(browser, bad) as found:
        names = {each.split(":")[0] for each in found.violations()}
    assert {"image-alt", "html-has-lang", "color-contrast"} <= names


def test_topics_are_filtered_by_keyboard_alone(browser: Any, facts_page: Path) -> None:
    shown = "() => [...document.querySelectorAll('#topic-rows tr')].filter(row => !row.hidden).length"
    with opened(browser, facts_page, PHONE) as found:
        page = found.page
        for _ in range(200):
            page.keyboard.press("Tab")
            if found.run("() => document.activeElement.id") == "topic-filter":
                break
        assert found.run("() => document.activeElement.matches(':focus-visible')")
        all_topics = found.run(shown)
        page.keyboard.type("word7")
        assert (all_topics, found.run(shown)) == (12, 1)
        said = page.get_by_role("status")
        assert said.inner_text() == "1 of 12 topics shown"
        assert said.get_attribute("aria-live") == "polite"
        page.keyboard.press("Escape")
        assert found.run(shown) == 12
        quiet(found)


def test_a_topic_is_marked_on_the_map_by_pointer_and_by_keyboard(browser: Any, facts_page: Path) -> None:
    marked = "() => [...document.querySelectorAll('.map .dots.on')].map(each => each.dataset.topic)"
    with opened(browser, facts_page) as found:
        page = found.page
        page.locator("#map summary").focus()
        page.keyboard.press("Enter")
        page.locator('[data-map-topic="3"] a').focus()
        assert found.run(marked) == ["3"]
        page.locator("#map summary").focus()
        assert found.run(marked) == []
        page.locator('.map [data-topic="5"]').hover(force=True, position={"x": 1, "y": 1})
        dot = page.locator(".map circle").first
        dot.hover()
        assert "an excerpt" in page.locator("#map-said").inner_text()
        quiet(found)


def test_without_scripts_all_topics_charts_and_numbers_are_there(browser: Any, facts_page: Path) -> None:
    with opened(browser, facts_page, PHONE, scripts=False) as found:
        page = found.page
        assert page.locator("#topic-rows tr").count() == 12
        assert page.locator("#topic-rows tr").last.is_visible()
        assert page.locator("svg.chart").count() >= 3
        assert not page.locator("#topic-tools").is_visible()
        page.locator("#map summary").click()
        assert page.locator("[data-map-topic]").first.is_visible()
        assert found.asked == []


def test_a_page_is_printed(browser: Any, page: Path) -> None:
    with opened(browser, page, color_scheme="dark") as found:
        printed = found.page.pdf(print_background=True)
        assert printed.startswith(b"%PDF")
        assert len(printed) > 20_000
        found.page.emulate_media(media="print")
        paper = "() => getComputedStyle(document.body).backgroundColor"
        assert found.run(paper) in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
        quiet(found)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_what_strangers_wrote_does_nothing(browser: Any, tmp_path: Path, number: int) -> None:
    with opened(browser, hostile_page(tmp_path, number), PHONE) as found:
        title = found.page.title()
        found.run("() => document.querySelectorAll('details').forEach(each => { each.open = true; })")
        found.page.keyboard.press("End")
        assert found.run("() => window.hacked") is None
        assert found.page.title() == title
        assert title != "hacked"
        assert found.run("() => document.querySelectorAll('iframe, img, object, embed, form').length") == 0
        assert found.run(OVERFLOW) <= 0
        quiet(found)


def test_a_downloaded_table_starts_no_formula(browser: Any, tmp_path: Path) -> None:
    number = next(i for i, text in enumerate(HOSTILE) if text.startswith("="))
    with opened(browser, hostile_page(tmp_path, number)) as found:
        links = found.page.locator("a[download]")
        assert links.count() >= 5
        formulas = 0
        for link in links.all()[:5]:  # a browser takes few at once
            with found.page.expect_download() as waiting:
                link.click()
            waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
            rows = csv.reader(
                io.StringIO((tmp_path / waiting.value.suggested_filename).read_text(encoding="utf-8-sig"))
            )
            cells = [cell for row in rows for cell in row]
            formulas += sum("HYPERLINK" in cell for cell in cells)
            assert not any(cell[:1] in ("=", "@", "\t", "\r") for cell in cells)
        assert formulas
