"""Small groups are not shown, and what is left over does not tell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.privacy import OTHER, publishable

COUNTS = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 40))


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ({"en": 900, "de": 40}, {"en": 900, "de": 40}),
        ({"en": 900, "de": 40, "fr": 3, "it": 4}, {"en": 900, "de": 40, OTHER: 7}),
        ({"en": 900, "de": 40, "fr": 3}, {"en": 900, OTHER: 43}),
        ({"en": 900, "de": 40, "fr": 1, "it": 1}, {"en": 900, OTHER: 42}),
        ({"en": 900, "fr": 3}, {OTHER: 903}),
        ({"fr": 3}, {}),
        ({"fr": 1, "it": 2}, {}),
        ({}, {}),
        ({"en": 9, "fr": 0}, {"en": 9}),
        ({"en": 5}, {"en": 5}),
    ],
)
def test_groups_below_the_minimum_become_one_row_that_tells_none_of_them(
    counts: dict[str, int], shown: dict[str, int]
) -> None:
    assert publishable(counts, 5) == shown


@given(counts=COUNTS, minimum=st.integers(1, 12))
def test_no_shown_count_is_small_and_no_hidden_one_follows_from_the_total(counts: dict[str, int], minimum: int) -> None:
    shown = publishable(counts, minimum)
    assert all(count >= minimum for count in shown.values())
    if not shown:
        return
    assert sum(shown.values()) == sum(counts.values())
    hidden = [group for group, count in counts.items() if count and group not in shown]
    assert len(hidden) != 1
    assert all(shown[group] == counts[group] for group in shown if group != OTHER)


@given(counts=COUNTS)
def test_what_was_shown_once_is_shown_the_same_again(counts: dict[str, int]) -> None:
    shown = publishable(counts)
    assert publishable(shown) == shown
