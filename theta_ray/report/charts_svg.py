"""Vega-Lite specification in, SVG element for a page out: named, small, and of the page's colours."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple
from xml.etree import ElementTree

import vl_convert

from theta_ray.report.texts import harmless

INK = "currentColor"
FONT = "Liberation Sans"  # comes with vl-convert: labels get the same room on every machine
ROOM = 1.15  # and as much more as the widest of the usual fonts takes (DejaVu Sans)
MAX_TEXT = 48
VERSION = "5.21"  # of Vega-Lite, among those that vl-convert brings
LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
# what the element has of its own, or nobody needs in a picture with a name
NEEDLESS = {"class", "role", "font-family", "pointer-events", "stroke-miterlimit"}
NUMERIC = {"d", "transform", "x", "y", "x1", "y1", "x2", "y2", "width", "height"}
CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": INK,
        "tickColor": INK,
        "gridColor": INK,
        "gridOpacity": 0.13,
        "labelFontSize": 12 * ROOM,
        "titleFontSize": 12 * ROOM,
        "titleFontWeight": "normal",
        "titlePadding": 6,
        "labelOverlap": "greedy",
        "labelSeparation": 6,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": 12 * ROOM,
        "labelLimit": 310,
        "orient": "bottom",
        "direction": "vertical",
        "offset": 6,
    },
    "text": {"color": INK, "fontSize": 12 * ROOM},
    "axisBand": {"grid": False},
    # above the axis and not along it, so that no head has to turn and no title is longer than its axis
    "axisY": {"titleAngle": 0, "titleAlign": "left", "titleBaseline": "bottom", "titleX": -34, "titleY": -8},
}


class Words(NamedTuple):
    """What a picture says in words. Charts of one page differ in their words or their numbers."""

    title: str
    description: str


def drawn(words: Words, spec: dict[str, Any]) -> str:
    """A chart as an `svg` element with role, title and description; it takes its width from the page."""
    svg = vl_convert.vegalite_to_svg({**spec, "config": CONFIG}, vl_version=VERSION)
    root = ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1))
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for parent in list(root.iter()):
        _tidy(parent)
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    return element(words, (width, height), body)


def element(words: Words, size: tuple[float, float], body: str, name: str = "chart") -> str:
    """An `svg` element of some width and height in units; `name` is its class, or classes."""
    told_apart = f"{words.title}|{words.description}|{body}".encode("utf-8", "replace")
    key = f"{name.partition(' ')[0]}-{zlib.crc32(told_apart):08x}"
    return (
        f'<svg class="{name}" viewBox="0 0 {size[0]:g} {size[1]:g}" role="img" aria-labelledby="{key}-t {key}-d">'
        f'<title id="{key}-t">{clean(words.title)}</title><desc id="{key}-d">{clean(words.description)}</desc>'
        f"{body}</svg>"
    )


def colour(series: int) -> str:
    """The page's colour of a series."""
    return f"var(--chart-{series})"


def heat_colour(step: int | None) -> str:
    """The page's colour of a step of a heat map; none where nothing is known."""
    return "none" if step is None else f"var(--chart-h{step})"


def clean(text: str) -> str:
    """Strangers' text in one line, escaped for element and attribute."""
    return escape(harmless(text, 1_000))


def cut(text: str, most: int = MAX_TEXT) -> str:
    """Strangers' text in one line of so many characters."""
    return harmless(text, most)


def distinct(names: Sequence[str]) -> list[str]:
    """Names that differ: Vega-Lite takes equal ones for one. Invisible word joiners tell the later ones apart."""
    seen = Counter[str]()
    found = []
    for name in names:
        found.append(name + "\u2060" * seen[name])
        seen[name] += 1
    return found


def short(value: float) -> str:
    """A number as a label of a chart has room for."""
    return f"{value:,.0f}" if value % 1 == 0 or abs(value) >= 1_000 else f"{value:.3g}"


def text_mark(size: int, **more: Any) -> dict[str, Any]:
    """A mark that is text of a size in units."""
    return {"type": "text", "fontSize": size * ROOM} | more


def _tidy(parent: ElementTree.Element) -> None:
    """Without what draws nothing, and with places to a tenth of a unit, which is less than a pixel."""
    for child in list(parent):
        if (child.get("class") == "background" and not child.get("fill")) or (child.tag == "g" and not _draws(child)):
            parent.remove(child)
    for name, value in list(parent.attrib.items()):
        if name in NEEDLESS or name.startswith("aria-") or (name, value) == ("opacity", "1"):
            del parent.attrib[name]
        elif name == "font-size":
            parent.set(name, f"{float(value.removesuffix('px')) / ROOM:.3g}")
        elif name in NUMERIC:
            parent.set(name, LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value))


def _draws(group: ElementTree.Element) -> bool:
    return any(part.tag != "g" and part.get("class") != "background" for part in group.iter())
