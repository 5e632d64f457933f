"""Strangers' text for a page: one line that cannot steer a browser or a reader; and numbers as people read them."""

from __future__ import annotations

import math
import unicodedata

REPLACEMENT = "\ufffd"
# They join letters and emoji, and turn no direction: Persian, Hindi and families of emoji need them.
JOINERS = frozenset("\u200c\u200d")
HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def harmless(text: str, width: int = 200) -> str:
    """`text` in one line of at most `width` characters; control, bidi and invisible characters are replaced.

    What HTML gives a meaning (`<`, `&`, quotes) is left to the templates, which escape everything.
    """
    line = " ".join("".join(_visible(char) for char in text[: 4 * width]).split())
    return line if len(line) <= width else line[: width - 1] + "\u2026"


def _visible(char: str) -> str:
    if char in "\t\n\r\v\f" or unicodedata.category(char) in ("Zl", "Zp"):
        return " "
    hidden = char not in JOINERS and unicodedata.category(char) in HIDDEN
    return REPLACEMENT if hidden else char


def plain(value: float | int | str | bool | None, digits: int = 3) -> str:
    """A value as people read it: thousands apart, so many significant digits; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 in percent; `under 1 %` where it would round to nothing."""
    if share is None or not math.isfinite(share):
        return "\u2013"
    if 0 < share < 0.5 * 10 ** -(digits + 2):
        return f"under {10.0**-digits:g} %"
    return f"{100 * share:.{digits}f} %"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 topic`, `2 topics`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
