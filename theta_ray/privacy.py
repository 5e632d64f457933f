"""What may be shown about groups of people: small groups are not, neither by name nor by what is left over."""

from __future__ import annotations

from collections.abc import Mapping

MINIMUM = 5
OTHER = "other"


def publishable(counts: Mapping[str, int], minimum: int = MINIMUM) -> dict[str, int]:
    """Counts by group without groups below `minimum`, which together become the row `other`.

    Where that row would stand for a single group, or for fewer than `minimum`, the smallest of the
    shown groups joins it: a total that is known elsewhere must not give a hidden count away. Nothing is
    left of counts that cannot be shown at all. Sums stay what they were otherwise.
    """
    named = sorted(((count, group) for group, count in counts.items() if count and group != OTHER), reverse=True)
    shown = [(count, group) for count, group in named if count >= minimum]
    hidden = [count for count, _ in named[len(shown) :]]
    rest = counts.get(OTHER, 0)
    while (hidden or rest) and (len(hidden) == 1 and not rest or sum(hidden) + rest < minimum):
        if not shown:
            return {}
        hidden.append(shown.pop()[0])
    visible = {group: count for count, group in shown}
    return {**visible, OTHER: sum(hidden) + rest} if hidden or rest else visible
