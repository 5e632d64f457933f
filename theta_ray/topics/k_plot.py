"""The rows of `k_curve` in, a picture of them out: SVG text, which needs neither scripts nor fonts of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, GAP = 300, 200, 60
NUM_TICKS = 4
PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("silhouette of rows not seen", (("held_out_silhouette", "#1b6ca8"), ("reference_silhouette", "#999999"))),
    ("stability (ARI of resamples)", (("stability", "#1b6ca8"),)),
    ("inertia", (("inertia", "#1b6ca8"),)),
)
Row = Mapping[str, Any]


def to_svg(rows: Sequence[Row], suggested: int | None, why: str) -> str:
    """One panel for each figure over the number of clusters, with bands for intervals and a line at the suggestion.

    Args:
        rows: of `k_curve`.
        suggested: a number of clusters, or None.
        why: told below.
    """
    width, height = len(PANELS) * (WIDTH + GAP) + GAP, HEIGHT + 2 * GAP + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="11" fill="#333333">',
        f"<title>{escape(why)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, (title, metrics) in enumerate(PANELS):
        parts += _panel(rows, (title, metrics), suggested, GAP + place * (WIDTH + GAP))
    parts.append(f'<text x="{GAP}" y="{height - 12}">{escape(why)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    rows: Sequence[Row], panel: tuple[str, tuple[tuple[str, str], ...]], suggested: int | None, left: int
) -> list[str]:
    title, metrics = panel
    curves = {
        metric: sorted((r for r in rows if r["metric"] == metric), key=lambda r: r["num_clusters"])
        for metric, _ in metrics
    }
    values = [r[name] for curve in curves.values() for r in curve for name in ("value", "low", "high")]
    known = [value for value in values if value is not None and math.isfinite(value)]
    numbers = sorted({r["num_clusters"] for r in rows})
    if not known or not numbers:
        return []
    low, high = min(known), max(known)
    low, high = (low - 1, high + 1) if low == high else (low, high)

    def x(k: int) -> float:
        first, last = math.log(numbers[0]), math.log(numbers[-1])
        return round(left + WIDTH * ((math.log(k) - first) / (last - first) if last > first else 0.5), 1)

    def y(value: float) -> float:
        return round(float(GAP + HEIGHT * (high - value) / (high - low)), 1)

    parts = [
        f'<text x="{left}" y="{GAP - 14}" font-weight="bold">{escape(title)}</text>',
        f'<path d="M{left} {GAP}V{GAP + HEIGHT}H{left + WIDTH}" fill="none" stroke="#333333"/>',
    ]
    for step in range(NUM_TICKS + 1):
        value = low + (high - low) * step / NUM_TICKS
        parts.append(f'<text x="{left - 4}" y="{y(value) + 4}" text-anchor="end">{value:.3g}</text>')
    parts += [f'<text x="{x(k)}" y="{GAP + HEIGHT + 16}" text-anchor="middle">{k}</text>' for k in numbers]
    if suggested is not None:
        parts.append(f'<path d="M{x(suggested)} {GAP}v{HEIGHT}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    for place, (metric, colour) in enumerate(metrics):
        curve = [r for r in curves[metric] if r["value"] is not None]
        band = [r for r in curve if r["low"] is not None and r["high"] is not None]
        if band:
            edge = [(x(r["num_clusters"]), y(r["high"])) for r in band]
            edge += [(x(r["num_clusters"]), y(r["low"])) for r in reversed(band)]
            parts.append(f'<polygon points="{_points(edge)}" fill="{colour}" opacity="0.2"/>')
        line = [(x(r["num_clusters"]), y(r["value"])) for r in curve]
        parts.append(f'<polyline points="{_points(line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(metrics) > 1:
            name = escape(metric.replace("_", " "))
            parts.append(
                f'<text x="{left + WIDTH}" y="{GAP + 12 * place}" text-anchor="end" fill="{colour}">{name}</text>'
            )
    return parts


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)
