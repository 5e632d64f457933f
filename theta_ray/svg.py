"""Small pictures as SVG text: no script, no font of its own, light or dark as the reader's system is.

A picture has a title and a description for those who do not see it, and its series differ in their dashes as well as in
their colours (those of Okabe and Ito 2008, darker on white, lighter on black). It has no size of its own, so texts grow
with it. Strangers' text is escaped.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theta_ray.terminal import escaped

WIDTH, HEIGHT = 400, 260
LEFT, TOP, RIGHT, BOTTOM, LINE = 76, 40, 24, 60, 16
NUM_TICKS = 5
MAX_TEXT = 60
LIGHT = ("#0060a0", "#b04a00", "#00704f", "#a0387a", "#5c5c00", "#333333")
DARK = ("#6cbcf0", "#f0a04c", "#3cc8a0", "#e89cc8", "#e8dc50", "#cccccc")
DASHES = ("none", "6 3", "2 2", "8 3 2 3", "12 4", "1 4")
# One pixel of a plot is one unit; what is thinned away lies within one, the rounding of places included.
COLUMN = 0.75
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """What a direction of a plot shows, and from where to where."""

    label: str
    low: float
    high: float
    is_log: bool = False
    marked: tuple[float, ...] = ()
    """Where values are written; none: at round ones."""

    @classmethod
    def of(cls, label: str, values: Iterable[Values], *, is_log: bool = False, marked: tuple[float, ...] = ()) -> Axis:
        """An axis that holds all of some values; on a logarithmic one those above zero."""
        flat = np.concatenate([np.zeros(0), *values])
        known = flat[np.isfinite(flat) & ((flat > 0) | (not is_log))]
        low, high = (float(known.min()), float(known.max())) if len(known) else (1.0, 10.0)
        if low == high:
            low, high = (low / 2, high * 2) if is_log else (low - 1, high + 1)
        return cls(label, low, high, is_log, marked)

    def share(self, values: Values) -> Values:
        """How far along the axis values are, from 0 to 1; NaN where it has no place for them."""
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = (math.log(self.low), math.log(self.high)) if self.is_log else (self.low, self.high)
            found = ((np.log(values) if self.is_log else values) - low) / (high - low)
        return np.where((found >= -1e-9) & (found <= 1 + 1e-9), found, np.nan)

    def ticks(self) -> list[float]:
        """Round values within the axis, or those that are marked."""
        if self.marked:
            return list(self.marked)
        if self.is_log:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            step = max(1, math.ceil(len(powers) / NUM_TICKS))
            found = [10.0**power for power in powers[::step]]
            return found if len(found) > 1 else [self.low, self.high]
        rough = (self.high - self.low) / NUM_TICKS
        unit = 10 ** math.floor(math.log10(rough))
        step_ = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step_ - 1e-9), math.floor(self.high / step_ + 1e-9)
        return [round(place * step_, 12) for place in range(first, last + 1)]


@dataclass(frozen=True)
class Picture:
    """What a picture says in words."""

    title: str
    description: str


def plot(words: Picture, axes: tuple[Axis, Axis], marks: Sequence[str], legend: Sequence[str] = ()) -> str:
    """A picture of one plot; see `panel`."""
    return document(words, panel_size(1, len(legend)), panel(words.title, axes, marks, legend))


def panel_size(panels: int, names: int) -> tuple[int, int]:
    """Width and height of some plots side by side, with so many names in the longest legend."""
    return panels * (LEFT + WIDTH + RIGHT), TOP + HEIGHT + BOTTOM + LINE * names


def panel(
    title: str, axes: tuple[Axis, Axis], marks: Sequence[str], legend: Sequence[str] = (), place: int = 0
) -> list[str]:
    """One plot.

    Args:
        title: above it.
        axes: of x and y.
        marks: what is drawn in it, such as `line`.
        legend: names of series 0, 1, ..., below the plot.
        place: how many plots are to its left.
    """
    parts = [text(LEFT, 22, _short(title), 'class="tr-title"'), *_frame(*axes), *marks]
    for series, name in enumerate(legend):
        y = TOP + HEIGHT + BOTTOM + LINE * series
        parts += [f'<path class="tr-s{series % len(LIGHT)}" d="M{LEFT} {y - 4}h28"/>', text(LEFT + 36, y, _short(name))]
    return [f'<g transform="translate({place * (LEFT + WIDTH + RIGHT)} 0)">', *parts, "</g>"] if place else parts


def document(words: Picture, size: tuple[int, int], parts: Sequence[str]) -> str:
    """Parts as one SVG document of some width and height in units."""
    key = f"tr-{zlib.crc32(f'{words.title}|{words.description}'.encode('utf-8', 'replace')):08x}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img" class="tr" '
            f'aria-labelledby="{key}-t {key}-d" font-family="sans-serif" font-size="12">',
            f'<title id="{key}-t">{clean(words.title)}</title>',
            f'<desc id="{key}-d">{clean(words.description)}</desc>',
            f"<style>{_style()}</style>",
            f'<rect class="tr-back" width="{size[0]}" height="{size[1]}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def line(series: int, axes: tuple[Axis, Axis], x: ArrayLike, y: ArrayLike) -> str:
    """A curve from left to right; where a value has no place on the axes it is interrupted."""
    places = _places(axes, x, y)
    is_gap = np.isnan(places).any(axis=1)
    runs = (run[~np.isnan(run).any(axis=1)] for run in np.split(places, np.flatnonzero(is_gap)))
    path = "".join(_path(thinned(run)) for run in runs if len(run))
    return f'<path class="tr-s{series % len(LIGHT)}" d="{path}"/>'


def _path(places: Values) -> str:
    """Steps from place to place, which are shorter to write than places; of one place a cross."""
    (x, y), steps = places[0], np.round(np.diff(places, axis=0), 1) + 0.0  # no -0
    if not len(steps):
        return f"M{x - 3:g} {y:g}h6m-3 -3v6"
    return f"M{x:g} {y:g}l" + " ".join(f"{across:g} {down:g}" for across, down in steps)


def band(series: int, axes: tuple[Axis, Axis], x: ArrayLike, low: ArrayLike, high: ArrayLike) -> str:
    """The area between two curves, under the line of its series; left out where either is not known."""
    both = np.column_stack([_places(axes, x, high), _places(axes, x, low)[:, 1]])
    both = both[~np.isnan(both).any(axis=1)]
    edge = np.concatenate([both[:, :2], both[::-1][:, [0, 2]]])
    return f'<path class="tr-b{series % len(LIGHT)} tr-band" d="{_path(edge)}"/>' if len(both) else ""


def rule(axes: tuple[Axis, Axis], x: float) -> str:
    """A line from foot to top at one value of x."""
    place = LEFT + WIDTH * float(axes[0].share(np.array(x)))
    return f'<path class="tr-rule" d="M{place:.1f} {TOP}v{HEIGHT}"/>'


def bars(series: int, axes: tuple[Axis, Axis], heights: ArrayLike, names: Sequence[str]) -> list[str]:
    """Bars of width 1 at 0, 1, ... on the x axis, from the foot of the plot, each with its name for a pointer."""
    tops = _places(axes, np.arange(len(names)), heights)
    width = 0.8 * WIDTH / (axes[0].high - axes[0].low)
    return [
        f'<rect class="tr-b{series % len(LIGHT)}" x="{x - width / 2:.1f}" y="{y:g}" width="{width:.1f}" '
        f'height="{TOP + HEIGHT - y:.1f}"><title>{clean(name)}</title></rect>'
        for (x, y), name in zip(tops.tolist(), names, strict=True)
        if y == y
    ]


def thinned(places: Values) -> Values:
    """[points, 2] fewer points whose curve is nowhere a unit away: of each column the first, last, lowest and highest.

    Args:
        places: [points, 2] x and y in units, x ascending.
    """
    if len(places) < 3:
        return places
    starts = np.flatnonzero(np.diff(np.floor(places[:, 0] / COLUMN), prepend=-np.inf))
    ends = np.append(starts[1:], len(places))
    column = np.repeat(np.arange(len(starts)), ends - starts)
    by_height = np.lexsort((np.arange(len(places)), places[:, 1], column))
    kept = np.unique(np.concatenate([starts, ends - 1, by_height[starts], by_height[ends - 1]]))
    found: Values = places[kept]
    return found


def text(x: float, y: float, words: str, attributes: str = "") -> str:
    """A line of text that begins at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{clean(words)}</text>'


def clean(words: str) -> str:
    """Strangers' text in one line, escaped."""
    return escape(escaped(words))


def _places(axes: tuple[Axis, Axis], x: ArrayLike, y: ArrayLike) -> Values:
    """[points, 2] in units, in order of x, to a tenth."""
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    order = np.argsort(xs, kind="stable")
    across, up = axes[0].share(xs[order]), axes[1].share(ys[order])
    places: Values = np.column_stack([LEFT + WIDTH * across, TOP + HEIGHT * (1 - up)])
    return places.round(1)


def _frame(x: Axis, y: Axis) -> list[str]:
    foot = TOP + HEIGHT
    parts = [f'<path class="tr-axis" d="M{LEFT} {TOP}V{foot}H{LEFT + WIDTH}"/>']
    for value in x.ticks():
        place = LEFT + WIDTH * float(x.share(np.array(value)))
        parts.append(text(place, foot + 18, f"{value:g}", 'text-anchor="middle"'))
    for value in y.ticks():
        place = TOP + HEIGHT * (1 - float(y.share(np.array(value))))
        parts.append(f'<path class="tr-grid" d="M{LEFT} {place:.1f}h{WIDTH}"/>')
        parts.append(text(LEFT - 6, place + 4, f"{value:g}", 'text-anchor="end"'))
    middle = TOP + HEIGHT / 2
    parts.append(text(LEFT + WIDTH / 2, foot + 34, _short(x.label), 'text-anchor="middle"'))
    return [*parts, text(14, middle, _short(y.label), f'text-anchor="middle" transform="rotate(-90 14 {middle:g})"')]


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def _style() -> str:
    """Colours of light and dark, and dashes; of this picture alone where it stands within a page."""
    dashes = "".join(f".tr .tr-s{i}{{stroke-dasharray:{dash}}}" for i, dash in enumerate(DASHES))
    lines = ".tr path{fill:none;stroke-width:1.8}.tr .tr-axis,.tr .tr-grid{stroke-width:1}.tr .tr-grid{opacity:.15}"
    lines += ".tr .tr-rule{stroke-dasharray:4 3;opacity:.7}.tr .tr-band{opacity:.2;stroke:none}"
    light, dark = _colours("#222222", "#ffffff", LIGHT), _colours("#e6e6e6", "#181818", DARK)
    return f"{lines}{dashes}.tr .tr-title{{font-weight:bold}}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _colours(ink: str, back: str, series: Sequence[str]) -> str:
    each = "".join(f".tr .tr-s{i}{{stroke:{colour}}}.tr .tr-b{i}{{fill:{colour}}}" for i, colour in enumerate(series))
    return (
        f".tr text{{fill:{ink}}}.tr .tr-axis,.tr .tr-grid,.tr .tr-rule{{stroke:{ink}}}.tr .tr-back{{fill:{back}}}{each}"
    )
