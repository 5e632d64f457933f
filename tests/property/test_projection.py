"""A projection is the same however it is cut into blocks, whatever its actors and contexts are called."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.incidences import EVENTS, NUM_ACTORS, NUM_CONTEXTS, Events, brute_force, incidence_of, projection_of
from theta_ray.network import projection
from theta_ray.network.pair_keys import Edges
from theta_ray.network.projection import WEIGHTINGS, Projection, Weighting, blocks, project

ANY_WEIGHTING = st.sampled_from(sorted(WEIGHTINGS))


def rows_of(edges: Edges) -> list[tuple[float, ...]]:
    return list(zip(*(column.tolist() for column in edges._arrays()), strict=True))


@given(EVENTS, st.integers(1, 4))
def test_shared_contexts_are_those_of_every_pair_and_pruned_ones_are_gone(events: Events, min_shared: int) -> None:
    edges = project(projection_of(incidence_of(events), min_shared=min_shared))
    expected = {pair: count for pair, count in sorted(brute_force(events).items()) if count >= min_shared}
    found = zip(edges.source.tolist(), edges.target.tolist(), strict=True)
    assert list(zip(found, edges.num_shared.tolist(), strict=True)) == list(expected.items())
    assert edges.weight.tolist() == edges.num_shared.tolist()


@given(EVENTS, ANY_WEIGHTING, st.integers(1, 3), st.integers(1, 20))
def test_blocks_of_any_size_have_the_same_edges_to_the_last_bit(
    events: Events, weighting: Weighting, min_shared: int, pairs: int
) -> None:
    whole = projection_of(incidence_of(events), weighting, min_shared=min_shared)
    parts = Edges.concatenate(list(blocks(whole, pairs=pairs)))
    assert rows_of(parts) == rows_of(project(whole))


@given(EVENTS, ANY_WEIGHTING, st.floats(1, 40), st.integers(1, 30))
def test_tasks_of_any_size_have_the_same_edges(events: Events, weighting: Weighting, pairs: float, chunk: int) -> None:
    whole = projection_of(incidence_of(events), weighting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "CHUNK", chunk)  # of participations that are counted at once
        cuts = whole.cuts(pairs)
    assert cuts.tolist() == whole.cuts(pairs).tolist()
    assert cuts[0] == 0
    assert cuts[-1] == NUM_ACTORS
    assert (np.diff(cuts) > 0).all()
    parts = [project(whole, int(begin), int(end)) for begin, end in zip(cuts, cuts[1:], strict=False)]
    assert rows_of(Edges.concatenate(parts)) == rows_of(project(whole))


@given(
    EVENTS,
    ANY_WEIGHTING,
    st.permutations(range(NUM_ACTORS)),
    st.permutations(range(NUM_CONTEXTS)),
    st.randoms(use_true_random=False),
)
def test_other_names_and_another_order_of_rows_change_no_bit(
    events: Events, weighting: Weighting, actors: list[int], contexts: list[int], random: object
) -> None:
    renamed = [(actors[actor], contexts[context]) for actor, context in events]
    random.shuffle(renamed)  # type: ignore[attr-defined]
    names = np.argsort(actors)
    other = project(projection_of(incidence_of(renamed), weighting))
    source, target = names[other.source], names[other.target]
    back = zip(np.minimum(source, target), np.maximum(source, target), other.weight, strict=True)
    here = project(projection_of(incidence_of(events), weighting))
    assert sorted(back) == list(zip(here.source, here.target, here.weight, strict=True))


@given(EVENTS)
def test_sums_of_weights_follow_from_the_sizes_of_contexts(events: Events) -> None:
    incidence = incidence_of(events)
    sizes, newman = incidence.sizes, project(projection_of(incidence, "newman"))
    count = project(projection_of(incidence))
    assert count.weight.sum() == (sizes * (sizes - 1) // 2).sum()
    np.testing.assert_allclose(newman.weight.sum(), sizes[sizes > 1].sum() / 2)
    strength = np.bincount(newman.source, newman.weight, NUM_ACTORS)
    strength += np.bincount(newman.target, newman.weight, NUM_ACTORS)
    shared = Counter(actor for actor, context in set(events) if sizes[context] > 1)
    np.testing.assert_allclose(strength, [shared[actor] for actor in range(NUM_ACTORS)], atol=1e-12)


@given(EVENTS, st.sampled_from(["sample", "thin"]), st.integers(2, 4), st.integers(1, 20))
def test_draws_do_not_depend_on_blocks(events: Events, policy: str, limit: int, pairs: int) -> None:
    incidence = incidence_of(events)
    if incidence.sizes.max(initial=0) < 2:
        return
    whole: Projection = projection_of(incidence, "newman", policy, limit)  # type: ignore[arg-type]
    assert rows_of(Edges.concatenate(list(blocks(whole, pairs=pairs)))) == rows_of(project(whole))
