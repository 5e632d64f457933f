"""Strangers' text in messages and logs: nothing in it may steer a terminal or forge a line."""

from __future__ import annotations

import re

# Bounded, since each of a million slashes could begin one.
CREDENTIALS = re.compile(r"//[^\s@'\"/:]{0,256}:[^\s@'\"]{0,512}@")
QUERY_VALUE = re.compile(r"((?:://[^\s?'\"]{0,512}\?|&)[\w.%-]{1,64}=)[^\s&'\"]+")


def escaped(text: str) -> str:
    """`text` in one line, with control, bidi and invisible characters as `\\x1b` or `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def escaped_lines(text: str) -> str:
    """`text` with its line breaks, each line escaped."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def masked_secrets(text: str) -> str:
    """`text` without what a URI in it may hold beside an address: user and password, and values of its query."""
    return QUERY_VALUE.sub(r"\1...", CREDENTIALS.sub("//...@", text))
