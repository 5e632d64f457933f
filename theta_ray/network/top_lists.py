"""Lists of the groups with most documents, such as threads, hashtags or addresses, that name no small group of people.

A hashtag of two authors tells on them. Such groups are in the row `other`, and one more with them where that row would
stand for one group alone: its figures would follow from the total (theta_ray/privacy.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from theta_ray.network.observations import Integers
from theta_ray.privacy import MINIMUM, OTHER, publishable


class Row(NamedTuple):
    """A group of a list."""

    name: str
    num_documents: int
    num_authors: int | None
    """None for `other`: an author may be in several of its groups."""


def top_list(
    names: Sequence[str], num_documents: Integers, num_authors: Integers, count: int, minimum: int = MINIMUM
) -> list[Row]:
    """The groups of most documents, those of as many by name, and a row `other` for all that are not in the list.

    Nothing where no group may be named.

    Args:
        names: of the groups; one that is called `other` is in the row of that name.
        num_documents: [groups]
        num_authors: [groups] distinct.
        count: names at most.
        minimum: authors that a named group has at least.

    Raises:
        ValueError: two groups have one name.
    """
    if len(set(names)) != len(names):
        raise ValueError("names of groups repeat: give each a name of its own")
    visible = publishable({name: int(size) for name, size in zip(names, num_authors, strict=True)}, minimum)
    rows = [
        Row(name, int(documents), int(size))
        for name, documents, size in zip(names, num_documents, num_authors, strict=True)
    ]
    visible.pop(OTHER, None)
    named = sorted((row for row in rows if row.name in visible), key=lambda row: (-row.num_documents, row.name))
    shown = named[:count]
    left = sum(row.num_documents for row in rows) - sum(row.num_documents for row in shown)
    return [*shown, Row(OTHER, left, None)] if shown and len(shown) < len(rows) else shown
