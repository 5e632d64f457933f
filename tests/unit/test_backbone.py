"""Which edges are more than chance: the disparity filter, the bipartite configuration model, and false discoveries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, poisson_binom

from tests.incidences import EVENTS, Events, davis, incidence_of, projection_of
from theta_ray.network.bicm import Bicm
from theta_ray.network.disparity import Ends
from theta_ray.network.false_discoveries import benjamini_hochberg, largest_candidate
from theta_ray.network.incidence import Incidence
from theta_ray.network.pair_keys import Edges
from theta_ray.network.pricing import price
from theta_ray.network.projection import Projection, blocks, project
from theta_ray.network.sdsm import Sdsm, upper_tails


def edge_of(edges: Edges, one: int, other: int) -> Edges:
    return edges.select((edges.source == min(one, other)) & (edges.target == max(one, other)))


def test_the_disparity_filter_keeps_known_edges_of_davis() -> None:
    edges = project(projection_of(davis()[0]))
    ends = Ends.of(18, edges.source, edges.target, edges.weight)
    alpha = ends.alpha(edges.source, edges.target, edges.weight)
    assert [int((alpha < level).sum()) for level in (0.05, 0.1, 0.2, 0.3)] == [0, 3, 27, 55]


def test_ends_of_blocks_add_up_and_an_only_edge_says_nothing() -> None:
    edges = project(projection_of(davis()[0]))
    parts = [edges.select(slice(0, 50)), edges.select(slice(50, None))]
    first, second = (Ends.of(18, part.source, part.target, part.weight) for part in parts)
    whole = Ends.of(18, edges.source, edges.target, edges.weight)
    assert (first + second).strength.tolist() == whole.strength.tolist()
    assert (first + second).degree.tolist() == whole.degree.tolist()
    pair = np.array([0], np.int32), np.array([1], np.int32), np.array([7.0])
    assert Ends.of(2, *pair).alpha(*pair).tolist() == [1.0]


def test_probabilities_of_davis_are_those_of_two_other_codes() -> None:
    incidence, women = davis()
    model = Bicm.of(incidence)
    row = model.probability[model.actor_class[women.index("Evelyn Jefferson")]]
    by_size = dict(zip(model.sizes.tolist(), row, strict=True))
    known = {3: 0.34232891, 6: 0.59281351, 4: 0.43545529}
    assert {size: by_size[size] for size in known} == pytest.approx(known, abs=1e-7)
    assert model.largest_error < 1e-10


@given(EVENTS)
def test_expected_degrees_are_those_that_were_seen(events: Events) -> None:
    incidence = incidence_of(events)
    model = Bicm.of(incidence)
    assert ((model.probability >= 0) & (model.probability <= 1)).all()
    degrees = model.probability @ model.num_contexts
    np.testing.assert_allclose(degrees[model.actor_class], incidence.degrees, rtol=1e-6, atol=1e-9)
    many = np.bincount(model.actor_class, minlength=len(model.degrees))
    np.testing.assert_allclose(many @ model.probability, model.sizes, rtol=1e-6, atol=1e-9)


def test_who_is_in_every_context_is_certain_to_be() -> None:
    model = Bicm.of(incidence_of([(0, 0), (0, 1), (0, 2), (1, 0), (2, 1)], 4, 3))
    assert model.probability[model.actor_class[0]].tolist() == [1.0] * len(model.sizes)
    assert model.probability[model.actor_class[3]].tolist() == [0.0] * len(model.sizes)
    assert model.probability[model.actor_class[1]] @ model.num_contexts == pytest.approx(1)


def test_p_values_of_davis_are_exact() -> None:
    incidence, women = davis()
    edges = project(projection_of(incidence))
    test = Sdsm.of(Bicm.of(incidence))
    p_values = test.p_values(edges)
    pair = edge_of(edges, women.index("Evelyn Jefferson"), women.index("Theresa Anderson"))
    assert test.p_values(pair).tolist() == pytest.approx([0.18668806864450552], abs=1e-8)
    assert [int((p_values < level).sum()) for level in (0.05, 0.1)] == [0, 2]
    exact = oracle(test, edges)
    np.testing.assert_allclose(p_values, exact, rtol=0.02)


def oracle(test: Sdsm, edges: Edges) -> np.ndarray:
    """Upper tails by scipy's Poisson binomial."""
    found = []
    for one, other, shared in zip(edges.source, edges.target, edges.num_shared, strict=True):
        p = test.model.probability
        q = (p[test.model.actor_class[one]] * p[test.model.actor_class[other]]).repeat(test.model.num_contexts)
        found.append(poisson_binom.sf(shared - 1, q))
    return np.array(found)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 6)), min_size=1, max_size=5),
    st.integers(1, 20),
)
def test_exact_tails_are_those_of_scipy(flips: list[tuple[float, int]], shared: int) -> None:
    q, many = np.array([[p for p, _ in flips]]), np.array([count for _, count in flips])
    expected = poisson_binom.sf(shared - 1, q[0].repeat(many)) if shared <= many.sum() else 0.0
    assert upper_tails(q, many, np.array([shared]))[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_an_exact_tail_keeps_its_digits_where_it_is_tiny() -> None:
    found = upper_tails(np.array([[1e-8], [1e-8]]), np.array([10]), np.array([2, 10]))
    assert found.tolist() == pytest.approx([45 * 1e-16 * (1 - 16e-8 / 3), 1e-80], rel=1e-7)


def groups(num_groups: int, num_actors: int, num_contexts: int, inside: float) -> tuple[Incidence, np.ndarray]:
    """Contexts of five to fourteen actors, most of one planted group; and the groups."""
    generator = np.random.default_rng(7)
    group = np.arange(num_actors) % num_groups
    sizes = generator.integers(5, 15, num_contexts)
    context = np.repeat(np.arange(num_contexts), sizes)
    activity = np.sort(generator.pareto(1.5, num_actors) + 0.2)
    share = activity / activity.sum()
    actor = generator.choice(num_actors, len(context), p=share)
    home = (context % num_groups).astype(np.int64)
    of_home = generator.random(len(context)) < inside
    for each in range(num_groups):
        rows = np.flatnonzero(of_home & (home == each))
        members = np.flatnonzero(group == each)
        actor[rows] = generator.choice(members, len(rows), p=share[members] / share[members].sum())
    return Incidence.of(num_actors, num_contexts, actor, context), group


def test_p_values_are_within_two_percent_of_exact_ones_on_active_and_idle_actors() -> None:
    incidence, _ = groups(5, 300, 1_500, 0.8)
    test = Sdsm.of(Bicm.of(incidence))
    assert 0.1 < test.model.probability.max() <= 0.6
    edges = project(projection_of(incidence))
    p_values = test.p_values(edges)
    order = np.argsort(p_values)
    chosen = order[(p_values[order] > 1e-6)][:: len(order) // 300]
    np.testing.assert_allclose(p_values[chosen], oracle(test, edges.select(chosen)), rtol=0.02)


def test_a_p_value_beyond_doubt_is_never_below_the_exact_one() -> None:
    incidence, _ = groups(5, 300, 1_500, 0.8)
    test = Sdsm.of(Bicm.of(incidence))
    edges = project(projection_of(incidence, min_shared=3))
    many = replace(edges, num_shared=np.full(len(edges), 60, np.int32))
    rows = [test.model.actor_class[ends] for ends in (edges.source, edges.target)]
    q = test.model.probability[rows[0]] * test.model.probability[rows[1]]
    exact = upper_tails(q, test.model.num_contexts, many.num_shared.astype(np.int64))
    found = test.p_values(many)
    assert (found >= exact * (1 - 1e-9)).all()
    assert 0 < np.median(found) < 1e-30


def test_planted_groups_are_kept_and_chance_is_not() -> None:
    for inside, least, most in ((0.8, 500, None), (0.0, 0, 5)):
        incidence, group = groups(5, 300, 1_500, inside)
        edges = project(projection_of(incidence))
        p_values = Sdsm.of(Bicm.of(incidence)).p_values(edges)
        kept = edges.select(p_values <= benjamini_hochberg(p_values, 300 * 299 // 2, 0.05))
        assert least <= len(kept) <= (len(edges) if most is None else most)
        if inside:
            is_inside = group[kept.source] == group[kept.target]
            assert is_inside.mean() > 0.97
            everywhere = group[edges.source] == group[edges.target]
            assert everywhere.mean() < 0.5


def test_p_values_of_blocks_are_those_of_the_whole_and_a_cap_counts_for_the_model() -> None:
    incidence, _ = groups(5, 300, 1_500, 0.8)
    at = price(incidence.size_histogram(), 300, "cap", limit=10)
    projection = Projection.of(incidence, at, min_shared=2)
    test = Sdsm.of(Bicm.of(projection.incidence))
    whole = test.p_values(project(projection))
    parts = [test.p_values(part) for part in blocks(projection, pairs=500)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert projection.incidence.sizes.max() == test.model.sizes.max() == 10


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 50), st.floats(0.01, 0.5))
def test_what_is_kept_is_what_scipy_keeps_among_all_pairs(p_values: list[float], others: int, rate: float) -> None:
    every = np.array(p_values + [1.0] * others)
    expected = every[false_discovery_control(every) <= rate]
    threshold = benjamini_hochberg(np.array(p_values), len(every), rate)
    kept = every[every <= threshold]
    if len(expected) or threshold:
        assert sorted(kept) == pytest.approx(sorted(expected))
    candidates = every[every <= largest_candidate(rate, len(p_values), len(every))]
    assert benjamini_hochberg(candidates, len(every), rate) == threshold


def test_nothing_tested_keeps_nothing() -> None:
    assert benjamini_hochberg(np.empty(0), 0, 0.05) == 0.0
    assert benjamini_hochberg(np.array([0.5]), 10, 0.05) == 0.0
