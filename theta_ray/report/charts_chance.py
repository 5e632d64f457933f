"""Charts that set values beside what chance gives: a heat map of ratios, statistics beside those of random graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from theta_ray.report.charts import BAR, FIT_ACROSS, WIDTH, Spec
from theta_ray.report.charts_style import NUM_HEATS
from theta_ray.report.charts_svg import INK, Words, colour, cut, distinct, drawn, heat_colour, short, text_mark

MAX_COLUMNS = 8
CELL = 33  # units wide
# |log2| of a cell that has the strongest colour
STRONGEST = 3.0


class Cell(NamedTuple):
    """One cell of a heat map: a signed value, and whether it is beyond chance."""

    value: float | None
    is_significant: bool = False


class Beside(NamedTuple):
    """A statistic beside the same of random graphs."""

    name: str
    value: float
    null_mean: float
    null_sd: float


def heat_map(words: Words, labels: tuple[str, str], columns: Sequence[str], rows: Mapping[str, Sequence[Cell]]) -> str:
    """Signed values of rows by columns, such as the log2 ratios of topics by communities.

    Each cell is written with its sign, and with a star and in bold where it is beyond chance: colour only repeats it.

    Args:
        words: title and description.
        labels: of rows and of columns.
        columns: their names, at most `MAX_COLUMNS`, so that a phone shows all.
        rows: by name, a cell for each column; an unknown value leaves its cell empty.

    Raises:
        ValueError: more columns.
    """
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"{len(columns)} columns: a phone shows {MAX_COLUMNS}")
    across, down = distinct([cut(name, 6) for name in columns]), distinct([cut(name, 22) for name in rows])
    values = [
        {"r": name, "c": column, "f": heat_colour(_heat(cell.value)), "t": _told(cell), "b": cell.is_significant}
        for name, cells in zip(down, rows.values(), strict=True)
        for column, cell in zip(across, cells, strict=True)
    ]
    side = {"type": "ordinal", "sort": None}
    top = {"orient": "top", "labelAngle": 0, "domain": False, "ticks": False}
    left = {"domain": False, "ticks": False, "labelLimit": 150, "titleX": -120}
    fill = {"field": "f", "type": "nominal", "scale": None}
    bold = {"expr": "datum.b ? 'bold' : 'normal'"}
    return drawn(
        words,
        {
            "width": {"step": CELL},
            "height": {"step": BAR + 2},
            "data": {"values": values},
            "encoding": {
                "x": side | {"field": "c", "title": cut(labels[1]), "axis": top},
                "y": side | {"field": "r", "title": cut(labels[0]), "axis": left},
            },
            "layer": [
                {"mark": "rect", "encoding": {"fill": fill}},
                {"mark": text_mark(10, fontWeight=bold), "encoding": {"text": {"field": "t"}}},
            ],
        },
    )


def null_chart(words: Words, rows: Sequence[Beside]) -> str:
    """How far statistics are from the mean of random graphs, in standard deviations of these; the band is within two.

    Args:
        words: title and description.
        rows: those whose random graphs do not differ among themselves (sd 0), or of no value, are left out.
    """
    known = [row for row in rows if row.null_sd > 0 and math.isfinite(row.value)]
    names = distinct([cut(row.name, 26) for row in known])
    scores = [(row.value - row.null_mean) / row.null_sd for row in known]
    most = max([3.0, *map(abs, scores)])
    x: Spec = {
        "type": "quantitative",
        "title": "distance in standard deviations",
        "scale": {"type": "symlog", "domain": [-most * 1.6, most * 1.6], "constant": 2},
        "axis": {"values": _symmetric_ticks(most), "format": "~s", "titleAnchor": "end"},
    }
    y = {"field": "n", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 160}}
    place = {"x": x | {"field": "z"}, "y": y}
    band = {"x": x | {"field": "low"}, "x2": {"field": "high"}}
    dot = {"type": "point", "filled": True, "size": 60, "opacity": 1, "color": colour(0)}
    values = [{"n": n, "z": z, "t": short(row.value)} for n, z, row in zip(names, scores, known, strict=True)]
    return drawn(
        words,
        {
            "width": WIDTH,
            "height": {"step": BAR + 4},
            "autosize": FIT_ACROSS,
            "data": {"values": values},
            "layer": [
                {
                    "data": {"values": [{"low": -2, "high": 2}]},
                    "mark": {"type": "rect", "color": INK, "opacity": 0.12},
                    "encoding": band,
                },
                {"mark": dot, "encoding": place},
                {"mark": text_mark(10, dy=-10), "encoding": place | {"text": {"field": "t"}}},
            ],
        },
    )


def _heat(value: float | None) -> int | None:
    """A step from 0 (far below) to the last (far above); the middle one is near 0."""
    if value is None or not math.isfinite(value):
        return None
    middle = NUM_HEATS // 2
    return int(np.clip(round(middle * (1 + value / STRONGEST)), 0, NUM_HEATS - 1))


def _told(cell: Cell) -> str:
    if cell.value is None or not math.isfinite(cell.value):
        return ""
    rounded = f"{cell.value:+.1f}".replace("-", "\u2212")
    return rounded + ("*" if cell.is_significant else "")


def _symmetric_ticks(most: float) -> list[float]:
    powers = [10.0**power for power in range(1, int(math.log10(most)) + 1)]
    chosen = powers[:: max(1, -(-len(powers) // 2))]
    return [-value for value in reversed(chosen)] + [-2.0, 0.0, 2.0] + chosen
