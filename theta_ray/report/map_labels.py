"""Places for the labels of a map: a number at each topic, and its first words beside it where there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from theta_ray.report.charts_svg import clean, cut

# Units: of the numbers, which a phone shows at half the size, and of the words, which wider screens show.
NUMBER_HEIGHT, DIGIT, WORD_HEIGHT, LETTER = 24, 13, 16, 7.6
MAX_WORDS, MIN_WORDS = 28, 14
# A label may be moved by so many of its heights, up or down, to where there is room.
SHIFTS = (0, -1, 1, -2, 2)


class Label(NamedTuple):
    """What is written about a topic, and where its densest place is, in units."""

    topic_id: int
    words: str
    x: float
    y: float


class Box(NamedTuple):
    """A rectangle that a text takes."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def place_labels(labels: Sequence[Label], size: float) -> list[str]:
    """Text elements that do not overlap; labels without room are left out, numbers going before words.

    Args:
        labels: the most important first.
        size: of the picture, in units.
    """
    taken: list[Box] = []
    numbers = {}
    for label in labels:
        box = next((box for box in _number_boxes(label, size) if not any(box.meets(other) for other in taken)), None)
        if box is not None:
            taken.append(box)
            numbers[label.topic_id] = box
    found = [
        f'<text class="number" x="{(box.left + box.right) / 2:.0f}" y="{box.bottom - 6:.0f}">{topic_id}</text>'
        for topic_id, box in numbers.items()
    ]
    for label in labels:
        for words, box, kind in _words_boxes(label, numbers[label.topic_id]) if label.topic_id in numbers else ():
            if box.left >= 0 and box.right <= size and not any(box.meets(other) for other in taken):
                taken.append(box)
                x = {"after": box.left, "below": (box.left + box.right) / 2, "before": box.right}[kind]
                found.append(f'<text class="words {kind}" x="{x:.0f}" y="{box.bottom - 6:.0f}">{clean(words)}</text>')
                break
    return found


def first_terms(label: str, most: int) -> str:
    """As many whole terms of a label as so many characters hold; of a label that is one long term, its beginning."""
    found = ""
    for term in label.split(", "):
        longer = f"{found}, {term}" if found else term
        if len(longer) > most:
            break
        found = longer
    return cut(found or label, most)


def _number_boxes(label: Label, size: float) -> Iterator[Box]:
    """Where a number may stand: at its place or a little above or below, and within the picture."""
    width = DIGIT * len(str(label.topic_id)) + 6
    for shift in SHIFTS:
        x = min(max(label.x, width / 2), size - width / 2)
        y = min(max(label.y + shift * NUMBER_HEIGHT, NUMBER_HEIGHT / 2), size - NUMBER_HEIGHT / 2)
        yield Box(x - width / 2, y - NUMBER_HEIGHT / 2, x + width / 2, y + NUMBER_HEIGHT / 2)


def _words_boxes(label: Label, number: Box) -> Iterator[tuple[str, Box, str]]:
    """Words and where they may stand: right of the number, below or left of it; fewer of them if need be."""
    middle = (number.top + number.bottom) / 2
    for most in (MAX_WORDS, MIN_WORDS):
        words = first_terms(label.words, most)
        width = LETTER * len(words) + 2
        for kind, left, top in (
            ("after", number.right + 2, middle - 8),
            ("below", label.x - width / 2, number.bottom),
            ("before", number.left - 2 - width, middle - 8),
        ):
            yield words, Box(left, top, left + width, top + WORD_HEIGHT + 4), kind
