"""A projection is priced by the sizes of its contexts, before a pair is built; what is over the budget is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.errors import ConfigError
from theta_ray.network.pricing import POLICIES, Policy, price

SIZES = st.lists(st.integers(0, 12), max_size=20)
DRAWN = st.sampled_from(["cap", "sample", "thin"])


def built(sizes: list[int], policy: Policy, limit: int) -> int:
    """Pairs, one context after another."""
    over = {"cap": 0, "thin": limit, "sample": limit}[policy]
    left = [size if size <= limit else over for size in sizes]
    return sum(size * (size - 1) // 2 for size in left)


@given(SIZES, DRAWN, st.integers(2, 14))
def test_pairs_are_those_of_the_contexts_under_a_limit(sizes: list[int], policy: Policy, limit: int) -> None:
    found = price(np.bincount(sizes, minlength=1), 12, policy, limit=limit)
    assert found.num_pairs == built(sizes, policy, limit)
    assert found.num_pairs_exact == built(sizes, "cap", 99)
    assert found.num_participations == sum(sizes)
    assert found.num_participations_above == sum(size for size in sizes if size > limit)
    kept = {"cap": 0, "thin": limit, "sample": 99}[policy]
    assert found.num_participations_dropped == sum(size - min(size, kept) for size in sizes if size > limit)


@given(SIZES, DRAWN, st.integers(1, 400))
def test_a_budget_gives_the_largest_limit_within_it(sizes: list[int], policy: Policy, budget: int) -> None:
    within = [limit for limit in range(13) if built(sizes, policy, limit) <= budget]
    histogram = np.bincount(sizes, minlength=1)
    if built(sizes, policy, within[-1]) == 0 and built(sizes, policy, 12):
        with pytest.raises(ConfigError, match="none within a budget"):
            price(histogram, 12, policy, max_pairs=budget)
        return
    found = price(histogram, 12, policy, max_pairs=budget)
    assert found.num_pairs == built(sizes, policy, within[-1]) <= budget
    assert found.limit is None or built(sizes, policy, found.limit + 1) > budget


def test_a_hub_is_refused_in_one_line_that_says_what_to_choose() -> None:
    histogram = np.zeros(100_001, np.int64)
    histogram[[10, 100_000]] = 1000, 1
    with pytest.raises(ConfigError) as refused:
        price(histogram, 100_000)
    assert str(refused.value) == (
        "projection: 4,999,995,000 pairs of actors (the largest context, of 100,000 actors, has 4,999,950,000), "
        "140.0 GB of edges at most, 500.0 seconds of one core, "
        "over the budget of 2,000,000,000; choose policy cap, thin or sample, a lower limit or more max_pairs"
    )


def test_a_plan_shows_what_is_built_and_what_is_left_out() -> None:
    histogram = np.zeros(101, np.int64)
    histogram[[2, 100]] = 10, 1
    found = price(histogram, 100, "cap", limit=50)
    assert found.figures(cores=4) == {
        "policy": "cap, limit 50 actors",
        "pairs": "10 of 4,960 (0.2%)",
        "largest context": "100 of 100 actors",
        "edges": "10 at most, 280.0 B before pruning",
        "seconds": "0.0 on 4 cores at 10 M pairs/s each",
        "above the limit": "1 of 11 contexts with 100 of 120 participations; 100 dropped",
    }
    assert json.loads(json.dumps(found.metadata()))["num_pairs"] == 10


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_to_project_costs_nothing(policy: Policy) -> None:
    for histogram in ([5], [5, 3]):
        found = price(histogram, 3, policy)
        assert found.num_pairs == found.bytes_at_most == 0


def test_a_limit_without_a_use_is_refused() -> None:
    with pytest.raises(ConfigError, match="limit 5 with policy exact"):
        price([0, 1], 1, limit=5)
    with pytest.raises(ConfigError, match="limit 1; take one of"):
        price([0, 1], 1, "cap", limit=1)
