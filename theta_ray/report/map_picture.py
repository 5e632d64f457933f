"""The topic map: places of documents and their topics in, one SVG element and its table in words out.

Documents are zero-length lines with round ends, one path for each topic and about 6 bytes for each document, so that
50,000 of them are some 300 kB, sharp in print and of the page's colours, light or dark. A pointer over them is told the
topic by the element's own titles, without a script. Topics that lie beside each other differ in colour, and each has
its number where it is densest: colour alone says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from theta_ray.report.charts_style import NUM_SERIES
from theta_ray.report.charts_svg import Words, clean, cut, element
from theta_ray.report.map_labels import Label, place_labels

# Places of the grid that documents stand on, and units of the picture; a unit is two places.
GRID, SIZE, MARGIN = 1_200, 640, 20
# A topic's colour differs from those of so many around it.
NUM_AROUND = 5
# Fewer documents than these are larger dots.
FEW = 5_000
MAX_TEXTS, MAX_TEXT = 1_500, 120
OTHER = -1


@dataclass(frozen=True)
class MapPoints:
    """N documents on a map."""

    places: NDArray[np.float64]
    """[N, 2] x to the right and y down, each from 0 to 1."""
    topic_ids: NDArray[np.int64]
    """[N]; `OTHER` for documents of topics that are not shown apart."""
    texts: Mapping[int, str] = field(default_factory=dict)
    """Excerpts of some of the N, where the recipe allows them."""
    num_documents: int = 0
    """That the N are drawn from."""


@dataclass(frozen=True)
class MapTopic:
    """A topic as the map tells it."""

    topic_id: int
    label: str
    size: int
    """Documents of the corpus, also those that are not drawn."""


@dataclass(frozen=True)
class Region:
    """A row of the map's table: where a topic is, in words."""

    topic_id: int
    label: str
    size: int
    where: str
    near: tuple[int, ...]
    """Topics that are nearest, nearest first."""


@dataclass(frozen=True)
class TopicMap:
    """A map for a page."""

    svg: str
    regions: tuple[Region, ...]


def topic_map(points: MapPoints, topics: Sequence[MapTopic]) -> TopicMap:
    """A picture of documents by their topics, with the same in words.

    Args:
        points: documents; those of topics that are not among `topics` are drawn in grey below the others.
        topics: largest first.
    """
    cells = np.clip(np.rint(points.places * GRID), 0, GRID).astype(np.int64)
    of_topic = {topic.topic_id: cells[points.topic_ids == topic.topic_id] for topic in topics}
    centres = {topic_id: densest(mine) for topic_id, mine in of_topic.items() if len(mine)}
    colours = spread_colours(centres)
    is_other = ~np.isin(points.topic_ids, list(centres))
    parts = [f'<g class="dots other"><title>other topics</title><path d="{dots(cells[is_other])}"/></g>']
    shown = [topic for topic in topics if topic.topic_id in centres]
    for topic in shown:
        name = clean(f"{topic.topic_id}: {cut(topic.label, 60)}")
        group = f'<g class="dots c{colours[topic.topic_id]}" data-topic="{topic.topic_id}"><title>{name}</title>'
        parts.append(f'{group}<path d="{dots(of_topic[topic.topic_id])}"/></g>')
    parts += _excerpts(points, cells, {topic.topic_id: colours[topic.topic_id] for topic in shown})
    body = f'<g transform="translate({MARGIN} {MARGIN}) scale(.5)">{"".join(parts)}</g>'
    labels = place_labels([Label(t.topic_id, t.label, *_units(centres[t.topic_id])) for t in shown], SIZE)
    words = Words("Map of the topics", _description(points, shown))
    regions = tuple(
        Region(topic.topic_id, topic.label, topic.size, where(centres[topic.topic_id]), _near(topic.topic_id, centres))
        for topic in shown
    )
    name = "map few" if len(cells) < FEW else "map"
    return TopicMap(element(words, (SIZE, SIZE), body + "".join(labels), name), regions)


def dots(cells: NDArray[np.int64]) -> str:
    """[M, 2] places of a grid as the steps of a path from dot to dot; several in one place are one."""
    if not len(cells):
        return ""
    ordered = np.unique(cells[:, ::-1], axis=0)[:, ::-1]
    steps = np.diff(ordered, axis=0, prepend=0)
    return "".join(f"m{x} {y}z" for x, y in steps.tolist())


def densest(cells: NDArray[np.int64], num_bins: int = 24) -> tuple[float, float]:
    """Where most documents are: the mean of those around the fullest bin of a histogram that is smoothed over 3 x 3."""
    bins = np.minimum(cells * num_bins // GRID, num_bins - 1)
    counts = np.zeros((num_bins + 2, num_bins + 2))
    np.add.at(counts, (bins[:, 0] + 1, bins[:, 1] + 1), 1)
    around = [(i, j, (2 - abs(i)) * (2 - abs(j))) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    rolled = [weight * np.roll(counts, (i, j), axis=(0, 1)) for i, j, weight in around]
    smooth = np.sum(rolled, axis=0)[1:-1, 1:-1]
    fullest = np.array(np.unravel_index(int(np.argmax(smooth)), smooth.shape))
    x, y = cells[(np.abs(bins - fullest) <= 1).all(axis=1)].mean(axis=0) / GRID
    return float(x), float(y)


def spread_colours(centres: Mapping[int, tuple[float, float]]) -> dict[int, int]:
    """A colour for each topic, the one that is rarest among those around it that have one already."""
    found: dict[int, int] = {}
    uses = [0] * NUM_SERIES
    for topic_id in centres:
        around = [found[near] for near in _near(topic_id, centres, NUM_AROUND) if near in found]
        found[topic_id] = min(range(NUM_SERIES), key=lambda colour: (around.count(colour), uses[colour], colour))
        uses[found[topic_id]] += 1
    return found


def where(centre: tuple[float, float]) -> str:
    """A place in words, such as `top left`."""
    x, y = centre
    across = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    down = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    return " ".join(filter(None, (down, across))) or "middle"


def _near(topic_id: int, centres: Mapping[int, tuple[float, float]], count: int = 3) -> tuple[int, ...]:
    x, y = centres[topic_id]
    others = [(((x - a) ** 2 + (y - b) ** 2), other) for other, (a, b) in centres.items() if other != topic_id]
    return tuple(other for _, other in sorted(others)[:count])


def _excerpts(points: MapPoints, cells: NDArray[np.int64], colours: Mapping[int, int]) -> list[str]:
    """Dots with a text each, over the others: a pointer is told what the document begins with."""
    found = []
    for row, text in sorted(points.texts.items())[:MAX_TEXTS]:
        topic_id = int(points.topic_ids[row])
        if topic_id in colours:
            said = clean(f"{topic_id}: {cut(text, MAX_TEXT)}")
            place = f'cx="{cells[row, 0]}" cy="{cells[row, 1]}"'
            found.append(f'<circle class="c{colours[topic_id]}" {place} r="5"><title>{said}</title></circle>')
    return found


def _units(centre: tuple[float, float]) -> tuple[float, float]:
    x, y = (MARGIN + part * GRID / 2 for part in centre)
    return x, y


def _description(points: MapPoints, shown: Sequence[MapTopic]) -> str:
    drawn = f"{len(points.places):,} of {max(points.num_documents, len(points.places)):,} documents"
    largest = "; ".join(f"{t.topic_id} {cut(t.label, 40)}" for t in shown[:5])
    return f"{drawn} as dots, near each other where their texts are alike. The largest topics: {largest}."
