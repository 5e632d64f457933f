"""Pictures: one XML document that says its series, escapes names, follows light and dark, and is small."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from theta_ray.network.pictures import fits
from theta_ray.network.plots import Curve, degree_plot, hours_plot, line_plot, lorenz_plot
from theta_ray.svg import HEIGHT, LEFT, TOP, WIDTH, Axis, Picture, Values, line, thinned

MAX_BYTES = 60_000
NUM_POINTS = 10_000
HOSTILE = '"><script>alert(1)</script>&\u202e\x00'
WORDS = Picture("Growth", "Edges over nodes.")


def parsed(picture: str) -> ElementTree.Element:
    """The document, which every picture here must be."""
    root = ElementTree.fromstring(picture)
    assert root.get("role") == "img"
    names = {element.get("id") for element in root.iter()}
    assert set(root.get("aria-labelledby", "").split()) < names
    assert root.find("{*}title") is not None
    assert root.find("{*}desc") is not None
    assert root.get("width") is root.get("height") is None
    assert "prefers-color-scheme:dark" in picture
    assert not re.search(r"<script|href|url\(|@import|@font-face", picture)
    assert "nan" not in picture.lower().replace("title", "")
    return root


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")]


def places(path: str) -> Values:
    start, _, steps = path.removeprefix("M").partition("l")
    return np.array(f"{start} {steps}".split(), float).reshape(-1, 2).cumsum(0)


def growing(seed: int) -> Curve:
    x = np.linspace(0, 1, NUM_POINTS)
    y = np.sort(np.random.default_rng(seed).pareto(1.2, NUM_POINTS)).cumsum()
    return Curve(x, y / y[-1])


def distance(points: Values, path: Values) -> float:
    """The largest distance of points from a path of straight lines, both from left to right."""
    longest = 0.0
    for part in np.array_split(points, 200):
        low, high = np.searchsorted(path[:, 0], [part[0, 0] - 2, part[-1, 0] + 2])
        near = path[max(low - 1, 0) : high + 1]
        start, step = near[:-1], np.diff(near, axis=0)
        along = ((part[:, None] - start) * step).sum(2) / np.maximum((step**2).sum(1), 1e-12)
        off = part[:, None] - start - np.clip(along, 0, 1)[..., None] * step
        longest = max(longest, float(np.sqrt((off**2).sum(2)).min(1).max()))
    return longest


def test_lorenz_curves_have_their_gini_and_the_line_of_equality() -> None:
    root = parsed(lorenz_plot({"posts": growing(1), "scores": growing(2)}, {"posts": 0.6014, "scores": 0.992}))
    assert {"posts (Gini 0.601)", "scores (Gini 0.992)", "equality"} < set(texts(root))
    drawn = [places(path.get("d", "")) for path in root.findall("{*}path") if "l" in path.get("d", "")]
    assert len(drawn) == 3
    for curve in drawn:
        np.testing.assert_allclose(curve[[0, -1]], [[LEFT, TOP + HEIGHT], [LEFT + WIDTH, TOP]])


def test_a_power_law_is_a_straight_line_on_logarithmic_axes() -> None:
    degree = np.arange(1, 1001)
    fits = {"power law": Curve(degree, degree**-1.5), "lognormal": Curve(degree[50:], degree[50:] ** -1.4)}
    picture = degree_plot(Curve(degree, degree**-1.5), fits)
    root = parsed(picture)
    assert {"observed", "power law", "lognormal", "1", "10", "100", "1000"} < set(texts(root))
    assert "largest degree is 1,000" in picture
    (straight,) = [p for p in root.findall("{*}path") if p.get("class") == "tr-s1" and "l" in p.get("d", "")]
    x, y = places(straight.get("d", "")).T
    np.testing.assert_allclose(y - TOP, (x - LEFT) * HEIGHT / WIDTH, atol=0.1)


def test_a_lognormal_far_below_its_tail_has_shares(recwarn: pytest.WarningsRecorder) -> None:
    # as fitted to a tail that looks like a power law: the tail's own probability is below the smallest number
    found = {"exponent": 3.0, "x_min": 2.0, "size": 50.0, "lognormal_mu": -400.0, "lognormal_sigma": 10.0}
    known = {("mention", f"degree_tail_{name}"): value for name, value in found.items()}
    curve = fits(np.array([1.0, 2.0, 4.0, 8.0]), "degree", "mention", {**known, ("mention", "num_nodes"): 100.0})
    assert curve["lognormal"].x.tolist() == [2, 4, 8]
    assert curve["lognormal"].y[0] == 0.5
    assert (np.diff(curve["lognormal"].y) < 0).all()
    assert not recwarn.list


def test_an_hour_is_a_bar_with_its_number_and_share() -> None:
    counts = [hour * 10 for hour in range(24)]
    picture = hours_plot(counts, 7)
    bars = [rect for rect in parsed(picture).findall("{*}rect") if rect.get("class") == "tr-b0"]
    heights = [float(bar.get("height", "nan")) for bar in bars]
    assert heights == pytest.approx([HEIGHT * count / 230 for count in counts], abs=0.1)
    assert "23:00: 230 (8.3%)" in "".join(bars[-1].itertext())
    assert "2,760 events of 7 whole days; most begin in the hour 23:00" in picture
    with pytest.raises(ValueError, match="23 hours: a day has 24"):
        hours_plot(counts[1:], 7)


def test_a_day_without_events_is_a_picture() -> None:
    parsed(hours_plot([0] * 24, 0))


@pytest.mark.parametrize("logarithmic", [(False, False), (True, True)])
@pytest.mark.parametrize("points", [[], [5.0], [3.0, 3.0], [0.0, np.nan, 2.0, np.inf, 7.0]])
def test_few_odd_or_no_points_are_a_picture(points: list[float], logarithmic: tuple[bool, bool]) -> None:
    curve = Curve(np.arange(len(points)), points)
    parsed(line_plot(WORDS, ("x", "y"), {"one": curve}, logarithmic))
    parsed(degree_plot(curve, {"fit": curve}))
    parsed(lorenz_plot({"one": curve}, {}))


def test_strangers_names_are_escaped_everywhere() -> None:
    picture = line_plot(Picture(HOSTILE, HOSTILE), (HOSTILE, HOSTILE), {HOSTILE: Curve([0, 1], [0, 1])})
    root = parsed(picture)
    shown = '"><script>alert(1)</script>&\\u202e\\x00'
    assert texts(root).count(shown) == 4
    assert root.findtext("{*}title") == root.findtext("{*}desc") == shown


@pytest.mark.parametrize("seed", range(3))
def test_ten_thousand_points_are_small_and_no_point_is_a_pixel_off(seed: int) -> None:
    smooth, noise = growing(seed), np.random.default_rng(seed).random(NUM_POINTS)
    x = np.asarray(smooth.x)
    axes = (Axis("x", 0, 1), Axis("y", 0, 1))
    for y in (np.asarray(smooth.y), noise, np.where(x < 0.5, 0, noise)):
        assert len(line_plot(WORDS, ("x", "y"), {"one": Curve(x, y)}).encode()) < MAX_BYTES
        exact = np.column_stack([LEFT + WIDTH * x, TOP + HEIGHT * (1 - y)])
        drawn = places(re.findall(' d="(.*)"', line(0, axes, x, y))[0])
        assert distance(exact, drawn) < 1
        assert set(map(tuple, np.round(drawn, 1))) <= set(map(tuple, np.round(exact, 1)))


def test_four_curves_of_ten_thousand_points_are_small() -> None:
    picture = lorenz_plot({f"series {i}": growing(i) for i in range(4)}, {})
    assert len(picture.encode()) < MAX_BYTES


def test_one_point_is_a_cross() -> None:
    assert line(0, (Axis("x", 0, 2), Axis("y", 0, 2)), [1], [1]).count("h6m-3 -3v6") == 1


def test_what_is_thin_already_stays() -> None:
    few = np.array([[0.0, 0.0], [10.0, 5.0], [20.0, 1.0], [20.1, 9.0]])
    np.testing.assert_array_equal(thinned(few), few)


def test_rows_in_any_order_are_one_curve() -> None:
    x, y = np.arange(100), np.arange(100) ** 2
    order = np.random.default_rng(0).permutation(100)
    axes = (Axis.of("x", [x]), Axis.of("y", [y]))
    assert line(0, axes, x, y) == line(0, axes, x[order], y[order])


@pytest.mark.parametrize(
    ("low", "high", "is_log", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 44, False, [0, 10, 20, 30, 40]),
        (1e6, 3e6, False, [1e6, 1.5e6, 2e6, 2.5e6, 3e6]),
        (1, 1000, True, [1, 10, 100, 1000]),
        (1e-9, 1, True, [1e-9, 1e-7, 1e-5, 1e-3, 1e-1]),
        (2, 7, True, [2, 7]),
    ],
)
def test_ticks_are_round(low: float, high: float, is_log: bool, expected: list[float]) -> None:
    assert Axis("", low, high, is_log).ticks() == pytest.approx(expected)
