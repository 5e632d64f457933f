"""Charts are small, the same every time, named, escaped, and told apart by more than colour."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from theta_ray.report.charts import Axis, Curve, bar_chart, hours_chart, line_chart, spark_line
from theta_ray.report.charts_chance import Beside, Cell, heat_map, null_chart
from theta_ray.report.charts_style import (
    DARK_HEATS,
    DARK_INK,
    DARK_PAPER,
    LIGHT_HEATS,
    LIGHT_INK,
    LIGHT_PAPER,
    charts_style,
)
from theta_ray.report.charts_svg import Words
from theta_ray.svg import DARK, LIGHT

WORDS = Words("A title", "A description")
DAYS = [dt.date(2026, 1, 1) + dt.timedelta(days) for days in range(60)]
LINEAR = (Axis("x"), Axis("y"))
HOSTILE = "<script>alert(1)</script>&\"'\u202e\x1b[31m\0 {{7*7}} " + "long " * 40


def trend(words: Words = WORDS, name: str = "a") -> str:
    return line_chart(
        words, (Axis("day", "day"), Axis("documents")), {name: Curve(DAYS, range(60)), "b": Curve(DAYS, [1] * 60)}
    )


def degrees(words: Words = WORDS, name: str = "a") -> str:
    x = np.arange(1, 2000)
    curves = {name: Curve(x, x**-1.5), "fit": Curve((10, 1000), (0.1, 0.001))}
    return line_chart(words, (Axis("degree", "log"), Axis(name, "log")), curves)


def bars(words: Words = WORDS, name: str = "a") -> str:
    return bar_chart(words, name, {name: 1_200.0, "b": 3.0, "c": 0.0})


def heat(words: Words = WORDS, name: str = "a") -> str:
    return heat_map(
        words, (name, "column"), [name, "2"], {name: [Cell(1.26, True), Cell(-0.5)], "b": [Cell(None), Cell(0.0)]}
    )


def nulls(words: Words = WORDS, name: str = "a") -> str:
    return null_chart(words, [Beside(name, 0.2, 0.1, 0.01), Beside("b", -5.0, 1.0, 2.0), Beside("flat", 1.0, 1.0, 0.0)])


def hours(words: Words = WORDS, name: str = "a") -> str:
    return hours_chart(words, range(24))


def spark(words: Words = WORDS, name: str = "a") -> str:
    return spark_line(words, [1, 5, 2])


CHARTS = [trend, degrees, bars, heat, nulls, hours, spark]
Chart = Callable[..., str]


def texts(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in ElementTree.fromstring(svg).iter("text")]


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_named_small_and_the_same_every_time(chart: Chart) -> None:
    svg = chart()
    assert svg == chart()
    root = ElementTree.fromstring(svg)
    named = dict(zip(root.attrib["aria-labelledby"].split(), ["A title", "A description"], strict=True))
    assert {each.get("id"): each.text for each in root if each.get("id")} == named
    assert root.attrib["role"] == "img"
    assert len(svg) < 12_000
    assert float(root.attrib["viewBox"].split()[2]) <= 400, "a phone shows it nearly 1 : 1"
    assert not re.search(r'style=|class="mark|<script|href|\bon\w+=|url\(|#[0-9a-f]{3}', svg)


@pytest.mark.parametrize("chart", CHARTS)
def test_hostile_names_are_cut_and_stay_text(chart: Chart) -> None:
    svg = chart(Words(HOSTILE, HOSTILE), HOSTILE)
    root = ElementTree.fromstring(svg)
    assert {each.tag for each in root.iter()} <= {"svg", "title", "desc", "g", "path", "rect", "line", "circle", "text"}
    assert not re.search("[\u202e\x1b\0]", svg)
    assert all(len(text) <= 48 for text in texts(svg))


def test_charts_of_other_numbers_or_words_have_other_ids() -> None:
    found = [*(chart() for chart in CHARTS), *(chart(Words("A title", "Another")) for chart in CHARTS)]
    ids = [each for svg in found for each in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)) == 4 * len(CHARTS)


def test_series_differ_in_dashes_and_have_a_legend() -> None:
    svg = trend()
    assert {"a", "b"} <= set(texts(svg))
    dashes = set(re.findall(r'stroke="var\(--chart-\d\)"[^>]*stroke-dasharray="([^"]+)"', svg))
    assert len(dashes) == 2


def test_series_of_one_name_are_two() -> None:
    name = "the same beginning of a rather long name of a topic "
    svg = line_chart(WORDS, LINEAR, {name + "1": Curve((0, 1), (0, 1)), name + "2": Curve((0, 1), (1, 0))})
    assert "--chart-0" in svg
    assert "--chart-1" in svg


def test_what_has_no_place_on_an_axis_is_left_out() -> None:
    x, y = [0, 1, 10, 100, np.nan], [1, 1, 0.1, 0, 0.01]
    assert line_chart(WORDS, (Axis("", "log"), Axis("", "log")), {"a": Curve(x, y)}) == line_chart(
        WORDS, (Axis("", "log"), Axis("", "log")), {"a": Curve([1, 10], [1, 0.1])}
    )


def test_heat_maps_tell_sign_and_chance_without_colour() -> None:
    svg = heat()
    assert {"+1.3*", "\u22120.5", "+0.0"} <= set(texts(svg))
    (star,) = re.findall(r"<text[^>]*>\+1\.3\*</text>", svg)
    assert 'font-weight="bold"' in star


def test_statistics_are_placed_by_their_distance_from_chance() -> None:
    found = texts(nulls())
    assert {"0.2", "-5", "a", "b"} <= set(found)
    assert "flat" not in found, "random graphs that are all alike tell no distance"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: line_chart(WORDS, LINEAR, {}), "0 curves"),
        (lambda: line_chart(WORDS, LINEAR, {str(i): Curve((0, 1), (0, 1)) for i in range(7)}), "7 curves"),
        (lambda: hours_chart(WORDS, [1] * 23), "23 hours"),
        (lambda: heat_map(WORDS, ("", ""), list("123456789"), {}), "9 columns"),
    ],
)
def test_charts_that_nobody_could_read_are_refused(wrong: Callable[[], str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wrong()


def test_empty_charts_are_drawn() -> None:
    for svg in (bar_chart(WORDS, "rows", {}), null_chart(WORDS, []), hours_chart(WORDS, [0] * 24)):
        ElementTree.fromstring(svg)
    assert spark_line(WORDS, []) == ""


def contrast(one: str, other: str) -> float:
    """Ratio of two colours (WCAG 2.1, 1.4.3)."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_have_contrast_in_light_and_dark() -> None:
    for series, heats, ink, paper in (
        (LIGHT, LIGHT_HEATS, LIGHT_INK, LIGHT_PAPER),
        (DARK, DARK_HEATS, DARK_INK, DARK_PAPER),
    ):
        assert all(contrast(colour, paper) >= 4.5 for colour in (*series, ink))
        assert all(contrast(colour, ink) >= 4.5 for colour in heats)
        assert all(one != other for one, other in combinations(heats, 2))
    used = set(re.findall(r"var\((--chart-\w+)\)", charts_style() + "".join(chart() for chart in CHARTS)))
    assert used <= set(re.findall(r"(--chart-\w+):", charts_style()))
