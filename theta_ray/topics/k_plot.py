"""The rows of `k_curve` in, a picture of them out: one panel for each figure over the number of clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from theta_ray.svg import LEFT, Axis, Picture, Values, band, document, line, panel, panel_size, rule, text

PANELS = (
    ("silhouette of rows not seen", ("held_out_silhouette", "reference_silhouette")),
    ("stability (ARI of resamples)", ("stability",)),
    ("inertia", ("inertia",)),
)
Row = Mapping[str, Any]


def to_svg(rows: Sequence[Row], suggested: int | None, why: str) -> str:
    """Panels with bands for intervals and a line at the suggestion; those that nothing is known of are left out.

    Args:
        rows: of `k_curve`.
        suggested: a number of clusters, or None.
        why: told below.
    """
    parts: list[str] = []
    for place, (title, metrics) in enumerate(PANELS):
        parts += _panel(rows, (title, metrics), suggested, place)
    width, height = panel_size(len(PANELS), 2)
    parts.append(text(LEFT, height + 8, why))
    return document(Picture("Numbers of clusters", why), (width, height + 20), parts)


def _panel(rows: Sequence[Row], shown: tuple[str, tuple[str, ...]], suggested: int | None, place: int) -> list[str]:
    title, metrics = shown
    curves = [_curve(rows, metric) for metric in metrics]
    values = np.concatenate([curve[:, 1:].ravel() for curve in curves])
    if not np.isfinite(values).any():
        return []
    numbers = tuple(sorted({row["num_clusters"] for row in rows}))
    axes = Axis.of("clusters", [np.array(numbers, np.float64)], is_log=True, marked=numbers), Axis.of(title, [values])
    marks = [] if suggested is None else [rule(axes, suggested)]
    for series, curve in enumerate(curves):
        number, value, low, high = curve.T
        marks += [band(series, axes, number, low, high), line(series, axes, number, value)]
    names = [metric.replace("_", " ") for metric in metrics]
    return panel(title, axes, marks, names, place)


def _curve(rows: Sequence[Row], metric: str) -> Values:
    """[numbers, 4] number of clusters, value, low and high of a metric; NaN where one is not known."""
    names = ("num_clusters", "value", "low", "high")
    found = [[row[name] for name in names] for row in rows if row["metric"] == metric]
    return np.array(found, np.float64).reshape(-1, len(names))
