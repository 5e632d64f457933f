"""Tables of a terminal: columns and rows in, lines that fit its width out; strangers' text cannot steer it.

Where not all columns fit, a table gives way as its fields say: a spare column is left out, prose goes on in further
lines, rows become records. What is left is cut, the widest texts first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from theta_ray.runcard import RULE
from theta_ray.terminal import escaped

GAP = 2
BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
SHORTEST = 6
ELLIPSIS = "\u2026"


@dataclass(frozen=True)
class TextTable:
    """A table by name, its rows as values."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    keep: str = ""
    """A column that is never cut: what another command takes."""
    spare: str = ""
    """A column that is left out where not all fit: what another one says as well, in other words."""
    prose: bool = False
    """Where not all columns fit, the last one goes on in further lines."""
    records: bool = False
    """Where not all columns fit, the first is a heading, the second a line's name, the others words after it."""

    def lines(self, width: int, max_rows: int | None = None) -> list[str]:
        """The table in at most `width` columns of a terminal, but for a column to keep; at most `max_rows` rows."""
        shown = self.rows if max_rows is None else self.rows[:max_rows]
        cells = [[_cell(value) for value in row] for row in shown]
        heads = [name.replace("_", " ") for name in self.columns]
        needed = [max(display_width(row[i]) for row in [heads, *cells]) for i in range(len(heads))]
        total = sum(needed) + GAP * len(needed)
        if self.spare and total > width:
            return self._without_spare(total).lines(width, max_rows)
        lines = [escaped(self.name), RULE[: min(width, len(RULE))]]
        if self.records and total > width:
            lines += _records(heads, shown, width)
        else:
            widths = _fit(needed, width, self._kept())
            right = [any(map(_is_number, column)) for column in zip(*shown, strict=True)] or [False] * len(heads)
            for row in [heads, *cells]:
                rest = wrapped(row[-1], widths[-1]) if self.prose else [row[-1]]
                lines.append(_line([*row[:-1], rest[0]], widths, right))
                lines += [_line([*[""] * (len(row) - 1), more], widths, right) for more in rest[1:]]
        hidden = len(self.rows) - len(shown)
        if hidden:
            lines.append(f"{hidden:,} more: --table {self.name}")
        return lines + ([cut_to(escaped(self.note), width)] if self.note else [])

    def _kept(self) -> int | None:
        return self.columns.index(self.keep) if self.keep else None

    def _without_spare(self, full_width: int) -> TextTable:
        place = self.columns.index(self.spare)
        told = f"without {self.spare}: all columns take a width of {full_width}, or --json"
        return replace(
            self,
            columns=self.columns[:place] + self.columns[place + 1 :],
            rows=tuple(row[:place] + row[place + 1 :] for row in self.rows),
            note=f"{self.note}; {told}" if self.note else told,
            spare="",
        )

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as objects."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def of_values(name: str, values: Mapping[str, Any]) -> TextTable:
    """A table of names and values."""
    return TextTable(name, ("what", "value"), tuple(values.items()))


def display_width(text: str) -> int:
    """Columns of a terminal that a text takes: wide East Asian characters two, marks on others none."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut_to(text: str, width: int) -> str:
    """A text of at most so many columns, an ellipsis where it was longer."""
    if display_width(text) <= width:
        return text
    kept, used = "", 1
    for character in text:
        used += _columns(character)
        if used > width:
            break
        kept += character
    return kept + ELLIPSIS


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of at most so many columns, broken between words; a word that is wider is cut."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if display_width(longer) <= width or not lines[-1]:
            lines[-1] = cut_to(longer, width)
        else:
            lines.append(cut_to(word, width))
    return lines


def trend(counts: Sequence[int], length: int = 16) -> str:
    """Counts over time as bars of eight heights, the last `length` of them; 0 is the lowest bar."""
    shown = list(counts)[-length:]
    top = max(shown, default=0)
    return "".join(BARS[0 if not top else round(count / top * (len(BARS) - 1))] for count in shown)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if isinstance(value, float):
        shown = f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
        return f"{value:.9g}" if shown == "1" else shown  # a cosine just below 1 is not 1
    return escaped(str(value))


def _fit(widths: Sequence[int], width: int, kept: int | None) -> list[int]:
    """The same widths, but for one that is kept the largest made smaller until all fit, none below six.

    Where the one that is kept leaves no room for that, the terminal breaks the lines anyway and nothing is cut.
    """
    fitted = list(widths)
    places = [place for place in range(len(fitted)) if place != kept and fitted[place] > SHORTEST]
    while places and sum(fitted) + GAP * len(fitted) > width:
        fitted[max(places, key=lambda place: fitted[place])] -= 1
        places = [place for place in places if fitted[place] > SHORTEST]
    too_wide = kept is not None and sum(fitted) + GAP * len(fitted) > width
    return list(widths) if too_wide else fitted


def _records(heads: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Lines of rows that do not fit side by side: nothing is cut but what is wider than the terminal."""
    lines: list[str] = []
    heading = None
    for first, name, *values in rows:
        if first != heading:
            heading = first
            lines.append(cut_to(" " * GAP + _cell(first), width))
        words = [f"{head} {_cell(value)}" for head, value in zip(heads[2:], values, strict=True) if value is not None]
        told = wrapped("  ".join([_cell(name), *words]), width - 3 * GAP)
        lines += [" " * (GAP * (2 if place == 0 else 3)) + line for place, line in enumerate(told)]
    return lines


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        text = cut_to(cell, width)
        space = " " * (width - display_width(text))
        parts.append(space + text if is_right else text + space)
    return (" " * GAP + (" " * GAP).join(parts)).rstrip()
