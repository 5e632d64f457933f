"""Web addresses that documents share: found in texts or taken from a dump, and written in one way.

Two documents share an address when their `links` hold the same string, so that what differs between copies of
one address (letter case of the host, fragment, marks of campaigns, last slash) is taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MAX_LINKS = 100
MAX_LINK_CHARS = 2048
# Letters beyond ASCII up to Cyrillic, as in Twitter's own rule: texts in Chinese or Japanese go on without a space.
ADDRESS = re.compile(r"(?i)(?<![a-z0-9])https?://[!#-;=?-Z_a-z~\u00c0-\u052f]+")
PARTS = re.compile(r"(?i)(https?)://([^/?#\\]+)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
UNPRINTABLE = re.compile(r"[\s\x00-\x20\x7f-\x9f\ud800-\udfff]")
CUT_OFF = "\u2026"
# What ends a sentence or emphasis, not an address. A closing bracket stays where the address opens one.
TRAILING = frozenset(".,;:!?'*")
TRACKING = re.compile(r"(?i)(?:utm_[^=]*|fbclid)(?:=.*)?", re.DOTALL)


def find_links(text: str) -> Iterator[str]:
    """Addresses (http, https) as written in a text, without the punctuation around them; linear in its length.

    An address that an ellipsis cuts off, or of more than 2,048 characters, is left out. `&amp;` counts as `&`.
    """
    for found in ADDRESS.finditer(text):
        if text[found.end() : found.end() + 1] != CUT_OFF and found.end() - found.start() <= MAX_LINK_CHARS:
            yield _bare(found[0]).replace("&amp;", "&")


def _bare(address: str) -> str:
    """The address without what closes a sentence or bracket around it."""
    opened = address.count("(") - address.count(")")
    end = len(address)
    while end and (address[end - 1] in TRAILING or (address[end - 1] == ")" and opened < 0)):
        opened += address[end - 1] == ")"
        end -= 1
    return address[:end]


def normalized(address: str) -> str | None:
    """An address as the `links` column holds it, or None where it is none.

    Scheme and host in small letters; without user and password, fragment, the parameters `utm_*` and `fbclid`,
    and slashes at the end of its path. None for schemes other than http(s), hosts without a dot, more than 2,048
    characters, white space and control characters.
    """
    address = address.strip()
    parts = PARTS.fullmatch(address) if len(address) <= MAX_LINK_CHARS and not UNPRINTABLE.search(address) else None
    if parts is None:
        return None
    scheme, host, path, query = parts.groups("")
    host = host.rpartition("@")[2].lower()
    if not host.strip(".") or "." not in host:
        return None
    kept = "&".join(part for part in query.split("&") if part and not TRACKING.fullmatch(part))
    return f"{scheme.lower()}://{host}{path.rstrip('/')}" + (f"?{kept}" if kept else "")


def to_column(addresses: Iterable[str]) -> list[str]:
    """Distinct normalised addresses in their order, at most 100."""
    links: dict[str, None] = {}
    for address in addresses:
        link = normalized(address)
        if link is not None:
            links[link] = None
            if len(links) == MAX_LINKS:
                break
    return list(links)
