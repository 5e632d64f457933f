"""Rows of `network_curves` in, pictures of them out: inequality, degrees, hours of the day, growth.

A curve is two arrays, x and y, of one length. What it shows is told in the description as well, for those who do not
see the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from theta_ray.svg import Axis, Picture, bars, line, plot

NUM_HOURS = 24
EQUALITY = "equality"


class Curve(NamedTuple):
    """[points] places of a curve."""

    x: ArrayLike
    y: ArrayLike


def lorenz_plot(curves: Mapping[str, Curve], ginis: Mapping[str, float], title: str = "Inequality") -> str:
    """Lorenz curves: share of the total that the least active share of the authors has.

    Args:
        curves: by what is counted, such as posts.
        ginis: of the same, for the legend; those not known are left out.
        title: of the picture.
    """
    axes = (Axis("share of authors, least active first", 0, 1), Axis("share of the total", 0, 1))
    names = [f"{name} (Gini {ginis[name]:.3f})" if name in ginis else name for name in curves]
    marks = [line(place, axes, *curve) for place, curve in enumerate(curves.values())]
    marks.append(line(len(curves), axes, (0, 1), (0, 1)))
    said = f"Lorenz curves of {', '.join(names)}. The further below the diagonal, the less equal."
    return plot(Picture(title, said), axes, marks, [*names, EQUALITY])


def degree_plot(degrees: Curve, fits: Mapping[str, Curve], title: str = "Degrees") -> str:
    """Share of the nodes that have a degree or more, on two logarithmic axes, with the tails fitted to it.

    Args:
        degrees: degree, and the share of nodes with so many or more.
        fits: by the name of a distribution, the same of its tail.
        title: of the picture.
    """
    curves = [degrees, *fits.values()]
    axes = _axes(("degree", "share of nodes with so many or more"), [degrees], (True, True))
    marks = [line(place, axes, *curve) for place, curve in enumerate(curves)]
    most = np.nanmax(np.append(np.asarray(degrees.x, np.float64), np.nan)) if np.size(degrees.x) else 0
    fitted = f" Fitted tails: {', '.join(fits)}." if fits else ""
    said = f"Share of the nodes by degree, both axes logarithmic; the largest degree is {most:,.0f}.{fitted}"
    return plot(Picture(title, said), axes, marks, ["observed", *fits])


def hours_plot(counts: Sequence[int], num_days: int, title: str = "Activity by hour of the day (UTC)") -> str:
    """24 bars: events in each hour of whole days.

    Args:
        counts: [24] events that began in each hour.
        num_days: whole days that they are of.
        title: of the picture.

    Raises:
        ValueError: not 24 counts.
    """
    if len(counts) != NUM_HOURS:
        raise ValueError(f"{len(counts)} hours: a day has {NUM_HOURS}")
    shares = np.asarray(counts, np.float64) / max(sum(counts), 1)
    axes = (
        Axis("hour of the day (UTC)", -0.5, NUM_HOURS - 0.5),
        Axis("share of events", 0, float(shares.max()) or 1.0),
    )
    names = [
        f"{hour:02d}:00: {count:,} ({share:.1%})"
        for hour, (count, share) in enumerate(zip(counts, shares, strict=True))
    ]
    busiest = int(np.argmax(shares))
    said = f"{sum(counts):,} events of {num_days:,} whole days; most begin in the hour {names[busiest]}."
    return plot(Picture(title, said), axes, bars(0, axes, shares, names))


def line_plot(
    words: Picture,
    labels: tuple[str, str],
    curves: Mapping[str, Curve],
    logarithmic: tuple[bool, bool] = (False, False),
) -> str:
    """Lines of any kind, such as edges over nodes as a network grows, or a statistic over a threshold.

    Args:
        words: title and description.
        labels: of the x and the y axis.
        curves: by their names.
        logarithmic: whether the x and the y axis are.
    """
    axes = _axes(labels, list(curves.values()), logarithmic)
    marks = [line(place, axes, *curve) for place, curve in enumerate(curves.values())]
    return plot(words, axes, marks, list(curves))


def _axes(labels: tuple[str, str], curves: Sequence[Curve], logarithmic: tuple[bool, bool]) -> tuple[Axis, Axis]:
    across, up = ([np.asarray(curve[i], np.float64) for curve in curves] for i in (0, 1))
    return Axis.of(labels[0], across, is_log=logarithmic[0]), Axis.of(labels[1], up, is_log=logarithmic[1])
