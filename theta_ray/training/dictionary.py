"""Dictionaries of terms with wildcards: `*` stands for any run of characters but blanks, wherever it is.

    migrant*    migrant, migrants            *migrant*   immigrant, migrants
    work* class working class                * worker    care worker, one word for the lone asterisk

Each asterisk counts by itself. Programs that look at the first or the last character of a word only read `*migrant*`
as a word that ends in a literal asterisk, and never match it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A form is a word or a few: longer texts only mention it.
MAX_FORM_CHARS = 100


@dataclass(frozen=True)
class Pattern:
    """One term with a wildcard, and its category."""

    text: str
    category: str


def to_term(pattern: str) -> str:
    """A term for a model to read: without asterisks; the pattern itself where nothing else is in it."""
    term = " ".join(pattern.replace("*", "").split())
    return term or pattern


def to_regex(pattern: str) -> re.Pattern[str]:
    """What a pattern matches: whole words, case ignored. For `search` in a text, or `fullmatch` of a form."""
    words = r"\s+".join(_word(word) for word in pattern.split())
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def _word(word: str) -> str:
    if set(word) == {"*"}:
        return r"\S+"
    return r"\S*".join(re.escape(part) for part in re.split(r"\*+", word))


class Forms:
    """Finds the patterns that a text is a form of."""

    def __init__(self, patterns: list[Pattern]) -> None:
        wild = [p for p in set(patterns) if "*" in p.text and set(p.text) - set("* \t")]
        ordered = sorted(wild, key=lambda pattern: (pattern.category, pattern.text))
        self._known = [(to_regex(pattern.text), pattern) for pattern in ordered]

    def find(self, text: str) -> dict[str, Pattern]:
        """For each category with a pattern that the whole text is a form of, the first such pattern."""
        text = text.strip()
        if len(text) > MAX_FORM_CHARS:
            return {}
        found: dict[str, Pattern] = {}
        for expression, pattern in self._known:
            if pattern.category not in found and expression.fullmatch(text):
                found[pattern.category] = pattern
        return found
