"""Colours of charts, as CSS for the page's own style sheet: light, and dark where the reader's system is.

Series have the colours of Okabe and Ito (2008), darker on white and lighter on black, each at least 4.5 : 1 against its
background. Heat maps go from orange over the background to blue; the text on any cell has at least 4.5 : 1.
"""

from __future__ import annotations

from theta_ray.svg import DARK, LIGHT

NUM_SERIES = len(LIGHT)
# Vega-Lite's: lengths of dash and gap.
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [1, 4])
# from far below to far above what chance gives
LIGHT_HEATS = ("#f0a35e", "#f7c899", "#fce6d2", "#f2f2f2", "#d6e8f5", "#a3cdea", "#6db0dd")
DARK_HEATS = ("#8a4300", "#663408", "#43260d", "#262626", "#0f2c40", "#0c4263", "#045a8d")
NUM_HEATS = len(LIGHT_HEATS)
LIGHT_INK, DARK_INK = "#222222", "#e6e6e6"
LIGHT_PAPER, DARK_PAPER = "#ffffff", "#181818"


def charts_style() -> str:
    """Rules for `.chart`: charts are as wide as what holds them up to a readable size, and never wider."""
    light = _variables((LIGHT_INK, LIGHT_PAPER), LIGHT, LIGHT_HEATS)
    dark = _variables((DARK_INK, DARK_PAPER), DARK, DARK_HEATS)
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        ".chart{display:block;width:100%;height:auto;color:var(--chart-ink)}\n"
        ".chart text{font-family:Arial,'Liberation Sans',Helvetica,sans-serif}\n"
        ".spark{width:7em;height:1.6em;color:var(--chart-0)}\n" + _map_style()
    )


def _map_style() -> str:
    """Numbers are as large as a phone needs; words beside them are for wider screens."""
    hues = "".join(f".map .c{i}{{color:var(--chart-{i})}}" for i in range(NUM_SERIES))
    return (
        f"{hues}\n"
        ".map{display:block;width:100%;max-width:44rem;height:auto;color:var(--chart-ink)}\n"
        ".map .dots path{fill:none;stroke:currentColor;stroke-width:6;stroke-linecap:round;stroke-opacity:.6}\n"
        ".map.few .dots path{stroke-width:10}\n"
        ".map .other{opacity:.35}.map circle{fill:currentColor;stroke:var(--chart-paper);stroke-width:1.5}\n"
        ".map text{font-family:Arial,'Liberation Sans',Helvetica,sans-serif;fill:var(--chart-ink);"
        "stroke:var(--chart-paper);stroke-width:5;paint-order:stroke;stroke-linejoin:round;pointer-events:none}\n"
        ".map .number{font-size:21px;font-weight:bold;text-anchor:middle}.map .words{display:none;font-size:13px}\n"
        ".map .below{text-anchor:middle}.map .before{text-anchor:end}\n"
        ".map.one .dots,.map.one circle{opacity:.12}.map.one .dots.on{opacity:1}\n"
        "@media (min-width:40rem),print{.map .number{font-size:17px}.map .words{display:inline}}\n"
    )


def _variables(plain: tuple[str, str], series: tuple[str, ...], heats: tuple[str, ...]) -> str:
    named = {"ink": plain[0], "paper": plain[1]}
    named |= {str(i): hue for i, hue in enumerate(series)} | {f"h{i}": hue for i, hue in enumerate(heats)}
    return ";".join(f"--chart-{name}:{hue}" for name, hue in named.items())
