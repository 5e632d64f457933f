"""Early arrival and votes: rates, horizons and regressions that correct for exposure, beside SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from theta_ray.network.arrival import (
    DEFINITIONS,
    Arrivals,
    Documents,
    arrival_deciles,
    arrival_statistics,
    arrivals,
    main_containers,
    rank_correlation,
)
from theta_ray.network.arrival_ratios import DEFINITIONS as OF_RATIOS
from theta_ray.network.arrival_ratios import arrival_ratios
from theta_ray.network.observations import DAY, HOUR, MISSING

END = 30 * DAY


def of(first: list[int], score: list[int], early: list[int] | None = None, posts: list[int] | None = None) -> Arrivals:
    columns = (first, score, early or score, posts or [1] * len(first), [MISSING] * len(first))
    return Arrivals(*(np.array(column, np.int64) for column in columns))


def platform(daily: float, per_day: float = 1.0, seed: int = 0) -> Arrivals:
    """Authors whose votes come at a rate that changes by a factor with each day of later arrival."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, END - DAY, 2000)
    quality = rng.gamma(2, 0.5, 2000)
    rate = per_day * quality * daily ** (first / DAY)
    score = rng.poisson(rate * (END - first) / DAY)
    early = rng.poisson(rate)
    return Arrivals(first, score, early, rng.integers(1, 5, 2000), np.full(2000, MISSING))


def interval(found: Arrivals, name: str = "") -> tuple[float, float]:
    return arrival_ratios(found, END).intervals[f"arrival_rate_ratio{name}"]


def test_ranks_agree_with_scipy_where_values_repeat() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 200), rng.integers(0, 9, 200)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic, rel=1e-12)
    assert np.isnan(rank_correlation(x, np.zeros(200)))
    assert np.isnan(rank_correlation(x[:1], y[:1]))


def test_exposure_alone_makes_early_authors_rich_and_all_corrections_see_it() -> None:
    authors = platform(1.0, per_day=5)
    found = arrival_statistics(authors, END)
    assert found["arrival_spearman"] < -0.3
    assert abs(found["arrival_spearman_rate"]) < 0.06
    assert abs(found["arrival_spearman_horizon"]) < 0.06
    for low, high in (interval(authors), interval(authors, "_negative_binomial")):
        assert low < 1 < high


def test_a_planted_advantage_is_found_by_all() -> None:
    authors = platform(0.93, per_day=5)
    found = arrival_statistics(authors, END)
    assert found["arrival_spearman"] < -0.6
    assert found["arrival_spearman_rate"] < -0.3
    assert found["arrival_spearman_horizon"] < -0.2
    for low, high in (interval(authors), interval(authors, "_negative_binomial")):
        assert low < 0.93 < high < 0.95


def test_the_interval_of_the_rate_ratio_holds_although_scores_vary_more_than_poisson() -> None:
    covered = {"": 0, "_negative_binomial": 0}
    for seed in range(40):
        found = arrival_ratios(platform(0.97, per_day=5, seed=seed), END).intervals
        for name in covered:
            low, high = found[f"arrival_rate_ratio{name}"]
            covered[name] += low <= 0.97 <= high
    assert min(covered.values()) >= 34


def test_early_authors_of_a_generous_container_have_no_advantage_inside_of_it() -> None:
    # those of the second half are in a container with a tenth of the votes
    everyone = platform(1.0, per_day=20)
    container = (everyone.first > END // 2).astype(np.int64)
    found = everyone._replace(container=container, score=everyone.score // np.where(container, 10, 1))
    assert interval(found)[1] < 0.95
    low, high = interval(found, "_container")
    assert low < 1 < high
    nobody = found._replace(score=np.where(container, 0, found.score))
    assert arrival_ratios(nobody, END).values["arrival_num_authors_container"] == (container == 0).sum()


def test_authors_belong_where_most_of_their_documents_are() -> None:
    author = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3], np.int32)
    container = np.array([7, 4, 7, 9, 5, MISSING, 8, MISSING, MISSING])
    assert main_containers(author, container, 5).tolist() == [7, 5, MISSING, 8, MISSING]


def test_scores_of_the_first_hours_and_totals_are_summed_by_author() -> None:
    documents = Documents(
        author=np.array([0, 0, 0, 0, 1, 2], np.int32),
        times=np.array([HOUR, DAY + HOUR, DAY + HOUR + 1, MISSING, END + 1, 5]),
        score=np.array([1, 10, 100, 1000, 7, MISSING]),
        is_post=np.array([True, False, True, True, True, False]),
        container=np.full(6, MISSING),
    )
    found = arrivals(documents, 3, END)
    assert found.first.tolist() == [HOUR, MISSING, 5]
    assert found.score.tolist() == [1111, 7, MISSING]
    assert found.early_score.tolist() == [11, 0, MISSING]
    assert found.num_posts.tolist() == [3, 1, 0]


def test_authors_without_time_for_the_horizon_are_left_out_of_it_alone() -> None:
    found = arrival_statistics(of([0, DAY, END - DAY, END - HOUR], [4, 3, 2, 1]), END)
    assert (found["arrival_num_authors"], found["arrival_num_authors_horizon"]) == (4, 2)
    assert found["arrival_spearman"] == pytest.approx(-1)


def test_a_rate_counts_at_least_one_hour() -> None:
    assert arrival_statistics(of([END - 2 * HOUR, END - 1], [3, 1]), END)["arrival_spearman_rate"] == pytest.approx(-1)


def test_tenths_are_of_authors_in_order_of_arrival() -> None:
    tenth, mean = arrival_deciles(of(list(range(20)), list(range(20, 0, -1))))
    assert tenth.tolist() == list(range(1, 11))
    assert mean.tolist() == [19.5 - 2 * i for i in range(10)]
    tenth, mean = arrival_deciles(of([7] * 20, [1] * 20))
    assert (tenth.tolist(), mean.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    "found",
    [of([], []), of([5], [1]), of([5] * 9, [3] * 9), of([MISSING] * 5, [1] * 5), of(list(range(9)), [-1] * 9)],
)
def test_every_statistic_is_defined_and_no_other(found: Arrivals) -> None:
    statistics = arrival_statistics(found, END)
    assert set(statistics) == set(DEFINITIONS)
    ratios = arrival_ratios(found, END)
    assert set(ratios.values) == set(OF_RATIOS)
    assert ratios.intervals == {}
    assert np.isnan(ratios.values["arrival_rate_ratio"])
