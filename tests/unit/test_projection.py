"""Known projections, large contexts, and draws that are right on average."""

from __future__ import annotations

import numpy as np
import pytest

from tests.incidences import davis, incidence_of, projection_of
from theta_ray.network.hub_pairs import drawn, key_of
from theta_ray.network.incidence import Incidence
from theta_ray.network.pair_keys import Edges, Layout
from theta_ray.network.pricing import Policy, price
from theta_ray.network.projection import Projection, Weighting, blocks, project


def weight_of(edges: Edges, names: list[str]) -> dict[tuple[str, str], float]:
    """Weights by first names in order."""
    first = [name.split()[0] for name in names]
    ends = zip(edges.source.tolist(), edges.target.tolist(), strict=True)
    keys = [tuple(sorted((first[one], first[other]))) for one, other in ends]
    return dict(zip(keys, edges.weight.tolist(), strict=True))  # type: ignore[arg-type]


def test_the_women_of_davis_meet_as_often_as_is_known() -> None:
    incidence, women = davis()
    edges = project(projection_of(incidence))
    assert (len(edges), edges.weight.sum()) == (139, 322)
    assert [int((edges.num_shared >= least).sum()) for least in (2, 3, 4)] == [95, 46, 24]
    known = {
        ("Evelyn", "Theresa"): 7,
        ("Brenda", "Laura"): 6,
        ("Nora", "Sylvia"): 6,
        ("Evelyn", "Nora"): 2,
        ("Flora", "Olivia"): 2,
    }
    weights = weight_of(edges, women)
    assert {pair: weights[pair] for pair in known} == known
    assert ("Charlotte", "Flora") not in weights
    capped = project(projection_of(incidence, policy="cap", limit=10))
    assert (len(capped), capped.weight.sum()) == (81, 165)
    newman = project(projection_of(incidence, "newman"))
    assert weight_of(newman, women)["Evelyn", "Theresa"] == pytest.approx(1.486879786879787, abs=1e-12)
    assert newman.weight.sum() == pytest.approx(44.5)


def test_a_context_of_all_has_no_weight_by_idf() -> None:
    edges = project(projection_of(incidence_of([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)], 4, 3), "idf"))
    assert dict(zip(zip(edges.source, edges.target, strict=True), edges.weight, strict=True)) == pytest.approx(
        {(0, 1): np.log(3 / 2), (0, 2): 0.0, (1, 2): 0.0}
    )


@pytest.mark.parametrize("events", [[], [(0, 0)], [(0, 0), (0, 1)], [(0, 0), (1, 1)]])
def test_actors_who_share_nothing_have_no_edge(events: list[tuple[int, int]]) -> None:
    for num_actors in (2, 5):
        edges = project(projection_of(incidence_of(events, num_actors, 2)))
        assert len(edges) == 0
        assert edges.source.dtype == edges.num_shared.dtype == np.int32
    assert len(project(projection_of(incidence_of([], 0, 0)))) == 0


def test_all_in_one_context_are_a_clique() -> None:
    edges = project(projection_of(incidence_of([(actor, 0) for actor in range(9)], 9, 1), "newman"))
    assert len(edges) == 36
    assert edges.weight == pytest.approx(1 / 8)


def test_a_hub_is_spread_over_blocks_of_about_one_size() -> None:
    size = 3_000
    incidence = Incidence.of(size, 2, np.tile(np.arange(size), 2), np.repeat([0, 1], size))
    projection = projection_of(incidence, min_shared=2)
    parts = [len(part) for part in blocks(projection, pairs=100_000)]
    assert sum(parts) == size * (size - 1) // 2
    assert max(parts) <= 50_000 + size
    assert min(parts[:-1]) >= 50_000 - size


def test_an_actor_in_everything_is_read_in_parts() -> None:
    actor = np.concatenate([np.zeros(60, int), np.arange(1, 601)])
    incidence = Incidence.of(601, 60, actor, np.concatenate([np.arange(60), np.arange(600) % 60]))
    parts = [part for part in blocks(projection_of(incidence, "newman"), last=1, pairs=16)]
    assert max(map(len, parts)) <= 32
    assert sum(map(len, parts)) == 600


@pytest.mark.parametrize("policy", ["sample", "thin"])
@pytest.mark.parametrize("weighting", ["count", "newman"])
def test_weights_of_draws_are_right_on_average_and_so_is_their_variance(policy: Policy, weighting: Weighting) -> None:
    events = [(actor, 0) for actor in range(30)] + [(actor, 1) for actor in range(0, 30, 2)] + [(3, 2), (4, 2), (5, 2)]
    incidence = incidence_of(events, 30, 3)
    true, seen, variances, runs = np.zeros((30, 30)), [], np.zeros((30, 30)), 1500
    exact = project(projection_of(incidence, weighting))
    true[exact.source, exact.target] = exact.weight
    at = price(incidence.size_histogram(), 30, policy, limit=8)
    for seed in range(runs):
        edges = project(Projection.of(incidence, at, weighting, seed=seed))
        found = np.zeros((30, 30))
        found[edges.source, edges.target] = edges.weight
        seen.append(found)
        variances[edges.source, edges.target] += edges.variance / runs
    spread = np.var(seen, axis=0)
    error = np.abs(np.mean(seen, axis=0) - true) / np.sqrt(spread / runs).clip(min=1e-9)
    assert error.max() < 4.5  # of 435 pairs
    pairs = np.triu_indices(30, 1)
    assert variances[pairs].mean() == pytest.approx(spread[pairs].mean(), rel=0.05)
    small = (np.array([3, 3, 4]), np.array([4, 5, 5]))
    assert (variances[small] > 0).all()  # they meet in the hub as well


def test_a_sample_has_about_as_many_pairs_as_were_priced() -> None:
    incidence = Incidence.of(4_000, 1, np.arange(4_000), np.zeros(4_000, int))
    at = price(incidence.size_histogram(), 4_000, "sample", max_pairs=50_000)
    edges = project(Projection.of(incidence, at))
    assert abs(len(edges) - at.num_pairs) < 5 * np.sqrt(at.num_pairs)
    assert edges.weight.sum() == pytest.approx(4_000 * 3_999 / 2, rel=0.03)
    again = project(Projection.of(incidence, at, seed=1))
    assert not np.array_equal(again.target[:100], edges.target[:100])


def test_places_are_drawn_alike_wherever_they_are() -> None:
    rows = 20_000
    sizes, rate = np.full(rows, 7), np.full(rows, 0.3)
    row, place = drawn(sizes, rate, key_of(5, np.zeros(rows, np.int64), np.arange(rows)))
    assert len(np.unique(row * 7 + place)) == len(row)
    share = np.bincount(place, minlength=7) / rows
    assert share == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / rows))
    both = np.intersect1d(row[place == 0], row[place == 1])
    assert len(both) / rows == pytest.approx(0.09, abs=5 * np.sqrt(0.09 * 0.91 / rows))


def test_an_edge_shares_one_context_at_least() -> None:
    with pytest.raises(ValueError, match="min_shared 0"):
        projection_of(incidence_of([(0, 0)]), min_shared=0)


def test_pairs_that_do_not_fit_an_integer_are_refused() -> None:
    assert Layout.of(2**20, 2**28, 2**12).dtype is np.uint64
    assert Layout.of(2**10, 2**17, 1).dtype is np.uint32
    with pytest.raises(ValueError, match="its pairs have 72 bits"):
        Layout.of(2**30, 2**30, 2**12)


def test_arrays_that_tasks_share_are_only_read() -> None:
    projection = projection_of(davis()[0], "newman", "sample", 8)
    expected = project(projection)
    for holder in (projection, projection.incidence):
        for array in vars(holder).values():
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
    assert project(projection).weight.tolist() == expected.weight.tolist()
