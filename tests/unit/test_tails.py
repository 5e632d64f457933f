"""Tails of degrees: pinned, planted and without an answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import zeta

from theta_ray.network.tails import DEFINITIONS, ccdf, lognormal, power_law, tail, vuong

FREQUENCIES = [1000, 250, 111, 62, 40, 28, 20, 16, 12, 10]
PINNED = np.repeat(np.arange(1, 11), FREQUENCIES)


def test_the_exponent_of_a_known_sample_is_the_pinned_one() -> None:
    law = power_law(PINNED, x_min=1)
    assert law is not None
    assert law.exponent == pytest.approx(2.247834, abs=5e-7)
    assert (law.x_min, law.size) == (1, 1549)


@pytest.mark.parametrize("x_min", [1, 2, 5])
def test_no_other_exponent_is_likelier(x_min: int) -> None:
    logs = np.log([x for x in PINNED if x >= x_min])
    found = minimize_scalar(lambda a: a * logs.mean() + np.log(zeta(a, x_min)), bounds=(1.05, 10), method="bounded")
    law = power_law(PINNED, x_min)
    assert law is not None
    assert law.exponent == pytest.approx(found.x, abs=1e-5)


def test_a_planted_power_law_is_recovered_and_not_doubted() -> None:
    values = np.random.default_rng(0).zipf(2.5, 20_000)
    found = tail(values, num_samples=40)
    assert found["tail_exponent"] == pytest.approx(2.5, abs=0.05)
    assert found["tail_p_value"] > 0.1
    assert found["tail_log_ratio"] > 0


def test_the_tail_starts_where_the_power_law_does() -> None:
    generator = np.random.default_rng(1)
    law = generator.zipf(2.5, 400_000)
    values = np.concatenate([generator.integers(1, 20, 30_000), law[law >= 20]])
    found = power_law(values)
    assert found is not None
    assert 18 <= found.x_min <= 50
    assert found.exponent == pytest.approx(2.5, abs=0.15)


def test_a_lognormal_is_told_from_a_power_law() -> None:
    values = np.rint(np.random.default_rng(2).lognormal(3, 0.6, 20_000))
    x, count = np.unique(values, return_counts=True)
    mu, sigma = lognormal(x, count, 1)
    assert (mu, sigma) == (pytest.approx(3, abs=0.02), pytest.approx(0.6, abs=0.02))
    law = power_law(values, x_min=1)
    assert law is not None
    ratio, p_value = vuong(x, count, law, (mu, sigma))
    assert ratio < -10
    assert p_value < 1e-9
    assert tail(values, num_samples=1)["tail_log_ratio"] < 0


def test_the_same_seed_gives_the_same_p_value_whatever_the_order_of_the_values() -> None:
    values = np.random.default_rng(3).zipf(2.2, 3000)
    first = tail(values, num_samples=30, seed=5)
    assert first == tail(np.random.default_rng(4).permutation(values), num_samples=30, seed=5)
    assert first["tail_p_value"] * 31 == pytest.approx(round(first["tail_p_value"] * 31))


@pytest.mark.parametrize("values", [[], [0, 0, 0], [7] * 100, [1, 2, 3], [0] * 60 + [1] * 20])
def test_what_has_no_tail_gets_no_numbers(values: list[int]) -> None:
    found = tail(values)
    assert found.keys() == DEFINITIONS.keys()
    assert np.isnan(list(found.values())).all()


def test_a_hub_far_from_everybody_does_no_harm() -> None:
    values = np.append(np.random.default_rng(5).zipf(2.5, 1000), 10**9)
    found = tail(values, num_samples=10)
    assert np.isfinite(list(found.values())).all()


def test_the_curve_is_the_share_of_values_at_least_as_large() -> None:
    x, share = ccdf([3, 1, 1, 0])
    assert x.tolist() == [0, 1, 3]
    assert share.tolist() == [1, 0.75, 0.25]
    assert [len(part) for part in ccdf([])] == [0, 0]
