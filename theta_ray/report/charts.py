"""Charts as inline SVG text: numbers and words in, a picture out that needs no script and no style attribute.

Layout, scales and labels are Vega-Lite's (drawn by vl-convert, in this process and without a browser). A chart has a
title and a description for those who do not see it; its series differ in their dashes as well as in their colours,
which are the page's own, light or dark (theta_ray.report.charts_style). The same numbers give the same bytes.
docs/design.md compares the libraries.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theta_ray.report.charts_style import DASHES, NUM_SERIES
from theta_ray.report.charts_svg import INK, Words, colour, cut, distinct, drawn, element, short, text_mark
from theta_ray.svg import Axis as Places
from theta_ray.svg import thinned

NUM_HOURS = 24
# Units of a drawing, labels included; a phone of 360 pixels shows it nearly 1:1.
WIDTH, HEIGHT, BAR = 340, 240, 22
LEGEND = 20
# Dates have room for so many after the first.
NUM_DAYS = 2
FIT = {"type": "fit", "contains": "padding"}
FIT_ACROSS = {"type": "fit-x", "contains": "padding"}
Spec = dict[str, Any]


class Axis(NamedTuple):
    """What a direction shows. `day`: the values are dates."""

    label: str
    scale: Literal["linear", "log", "day"] = "linear"


class Curve(NamedTuple):
    """[points] of a line, x ascending; what is not finite, or not above 0 on a logarithmic axis, is left out."""

    x: ArrayLike | Sequence[dt.date]
    y: ArrayLike


def line_chart(words: Words, axes: tuple[Axis, Axis], curves: Mapping[str, Curve]) -> str:
    """Lines of one or several series: a trend, Lorenz curves, a degree distribution with its fits.

    Args:
        words: title and description.
        axes: of x and of y; an axis of days begins and ends with its values, a linear y axis of trends at 0.
        curves: at most `NUM_SERIES`, by their names; one alone has no legend.

    Raises:
        ValueError: no curve, or more than can be told apart.
    """
    if not 0 < len(curves) <= NUM_SERIES:
        raise ValueError(f"{len(curves)} curves: a chart tells 1 to {NUM_SERIES} apart")
    names = distinct([cut(name, 36) for name in curves])
    values = [
        {"x": x, "y": y, "s": name}
        for name, curve in zip(names, curves.values(), strict=True)
        for x, y in _points(axes, curve)
    ]
    series = {"field": "s", "sort": None, "legend": _legend() if len(curves) > 1 else None, "title": None}
    return drawn(
        words,
        {
            "width": WIDTH,
            "height": HEIGHT + LEGEND * (len(curves) if len(curves) > 1 else 0),
            "autosize": FIT,
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 2, "point": _few(row["s"] for row in values)},
            "encoding": {
                "x": _positional("x", axes[0], [row["x"] for row in values]),
                "y": _positional("y", axes[1], [row["y"] for row in values]),
                "color": series | {"scale": {"domain": names, "range": [colour(i) for i in range(len(names))]}},
                "strokeDash": series | {"scale": {"domain": names, "range": list(DASHES[: len(names)])}},
            },
        },
    )


def bar_chart(words: Words, label: str, values: Mapping[str, float]) -> str:
    """Bars to the right, in the order given, each with its value: reasons, sizes.

    Args:
        words: title and description.
        label: what is counted.
        values: by name; not negative.
    """
    names = distinct([cut(name, 24) for name in values])
    rows = [{"n": name, "v": value, "t": short(value)} for name, value in zip(names, values.values(), strict=True)]
    largest = max([1e-12, *values.values()])
    x = {"field": "v", "type": "quantitative", "title": cut(label), "scale": {"domain": [0, largest * 1.18]}}
    return drawn(
        words,
        {
            "width": WIDTH,
            "height": {"step": BAR},
            "autosize": FIT_ACROSS,
            "data": {"values": rows},
            "encoding": {
                "y": {"field": "n", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 150}},
                "x": x | {"axis": {"tickCount": 3, "format": ".3~s"}},
            },
            "layer": [
                {"mark": {"type": "bar", "color": colour(0)}},
                {"mark": text_mark(12, align="left", dx=4), "encoding": {"text": {"field": "t"}}},
            ],
        },
    )


def hours_chart(words: Words, counts: Sequence[float]) -> str:
    """24 bars: how much of something begins in each hour of the day (UTC).

    Raises:
        ValueError: not 24 counts.
    """
    if len(counts) != NUM_HOURS:
        raise ValueError(f"{len(counts)} hours: a day has {NUM_HOURS}")
    total = max(float(np.sum(counts)), 1e-12)
    rows = [{"h": hour, "v": float(count) / total} for hour, count in enumerate(counts)]
    hours = {"field": "h", "type": "ordinal", "title": "hour of the day (UTC)"}
    share = {"field": "v", "type": "quantitative", "title": "share"}
    return drawn(
        words,
        {
            "width": WIDTH,
            "height": HEIGHT * 3 // 4,
            "autosize": FIT,
            "data": {"values": rows},
            "mark": {"type": "bar", "color": colour(0)},
            "encoding": {
                "x": hours | {"axis": {"values": list(range(0, NUM_HOURS, 3)), "labelAngle": 0}},
                "y": share | {"axis": {"format": ".0%", "tickCount": 4}},
            },
        },
    )


def _points(axes: tuple[Axis, Axis], curve: Curve) -> list[tuple[Any, float]]:
    """Places of a curve, thinned to what can be seen; of an axis of days the dates as text."""
    y = np.asarray(curve.y, np.float64)
    if axes[0].scale == "day":
        days = [str(day) for day in curve.x]  # type: ignore[union-attr]
        return [(day, value) for day, value in zip(days, y.tolist(), strict=True) if np.isfinite(value)]
    x = np.asarray(curve.x, np.float64)
    is_log = [axis.scale == "log" for axis in axes]
    kept = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not is_log[0])) & ((y > 0) | (not is_log[1]))
    x, y = x[kept], y[kept]
    across, up = Places.of("", [x], is_log=is_log[0]).share(x), Places.of("", [y], is_log=is_log[1]).share(y)
    units = thinned(np.column_stack([across * WIDTH, up * HEIGHT, x, y]))
    return [(float(f"{a:.6g}"), float(f"{b:.6g}")) for a, b in units[:, 2:].tolist()]


def spark_line(words: Words, values: ArrayLike) -> str:
    """A line as high as a text, from the first to the last value over 0 to the largest, its end marked."""
    y = np.asarray(values, np.float64)
    y = y[np.isfinite(y)]
    if not len(y):
        return ""
    top = max(float(y.max()), 1e-12)
    x = np.linspace(3, 97, len(y)) if len(y) > 1 else np.array([97.0])
    places: NDArray[np.float64] = np.column_stack([x, 21 - 18 * np.clip(y, 0, None) / top]).round(1)
    path = " ".join(f"{a:g} {b:g}" for a, b in places.tolist())
    end = f'<circle cx="{places[-1, 0]:g}" cy="{places[-1, 1]:g}" r="2.5" fill="{INK}"/>'
    line = f'<path d="M{path}" fill="none" stroke="{INK}" stroke-width="2" vector-effect="non-scaling-stroke"/>'
    return element(words, (100, 24), line + end, "spark")


def _positional(name: str, axis: Axis, values: Sequence[Any]) -> Spec:
    """An axis of a line chart: few ticks, powers of ten on a logarithmic one."""
    found: Spec = {"field": name, "title": cut(axis.label)}
    if axis.scale == "day":
        days = sorted(set(values))
        chosen = [days[i * (len(days) - 1) // NUM_DAYS] for i in range(NUM_DAYS + 1)] if days else []
        ticks = {"format": "%Y-%m-%d", "values": [_milliseconds(day) for day in sorted(set(chosen))]}
        return found | {"type": "temporal", "scale": {"type": "utc"}, "axis": ticks}
    found["type"] = "quantitative"
    if axis.scale == "log":
        places = Places.of("", [np.asarray(values, np.float64)], is_log=True)
        return found | {
            "scale": {"type": "log", "domain": [places.low, places.high], "nice": False},
            "axis": {"values": places.ticks(), "format": ".6~g"},
        }
    low = 0.0 if name == "y" and min(values, default=0) >= 0 else None
    scale: Spec = {"zero": low is not None, "nice": name == "y"}
    return found | {"scale": scale, "axis": {"tickCount": 5, "format": ",.12~g"}}


def _milliseconds(day: str) -> float:
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp() * 1_000


def _legend() -> Spec:
    return {"title": None, "symbolType": "stroke", "symbolSize": 600, "symbolStrokeWidth": 2}


def _few(series: Iterable[str]) -> bool:
    """Whether a line would hardly be one: its points are drawn too."""
    return max(Counter(series).values(), default=0) <= 2
