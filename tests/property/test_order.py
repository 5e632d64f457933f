"""The order of training pairs: a permutation of each epoch, the same for everyone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.training.order import Order, permuted

sizes, seeds = st.integers(1, 2000), st.integers(0, 2**31)


@given(size=sizes, seed=seeds, epoch=st.integers(0, 50))
def test_each_place_comes_once(size: int, seed: int, epoch: int) -> None:
    places = permuted(np.arange(size), size, (seed, epoch))
    assert sorted(places.tolist()) == list(range(size))


@given(size=sizes, seed=seeds, data=st.data())
def test_a_place_does_not_depend_on_those_asked_with_it(size: int, seed: int, data: st.DataObject) -> None:
    chosen = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    whole = permuted(np.arange(size), size, (seed, 0))
    assert permuted(chosen, size, (seed, 0)).tolist() == whole[chosen].tolist()


@given(num_pairs=sizes, batch_size=st.integers(2, 64), seed=seeds)
def test_the_batches_of_an_epoch_share_no_pair(num_pairs: int, batch_size: int, seed: int) -> None:
    order = Order(num_pairs, batch_size, seed)
    batches = [order.batch(step) for step in range(order.steps_per_epoch)]
    places = np.concatenate(batches)
    assert len(set(places.tolist())) == len(places)
    assert {len(batch) for batch in batches} == {min(batch_size, num_pairs)}
    assert num_pairs - len(places) < batch_size


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(permuted(np.arange(100), 100, key).tolist()) for key in ((0, 0), (0, 1), (1, 0))}
    assert len(orders) == 3


def test_pairs_that_are_neighbours_in_the_table_are_spread_evenly() -> None:
    """Among 2,000 batches of 32 of 100,000 pairs, each tenth of the table has its share to within chance."""
    order = Order(100_000, 32, seed=1)
    tenths = np.concatenate([order.batch(step) for step in range(2000)]) // 10_000
    counts = np.bincount(tenths, minlength=10)
    assert abs(counts - 6400).max() < 6 * np.sqrt(6400)


def test_a_table_of_a_billion_pairs_needs_no_list_of_them() -> None:
    places = Order(10**9, 64, seed=0).batch(10**6)
    assert len(set(places.tolist())) == 64
    assert places.max() < 10**9


def test_steps_are_those_of_whole_batches() -> None:
    assert Order(100, 32, 0).num_steps(1) == 3
    assert Order(100, 32, 0).num_steps(2.5) == 8
    assert Order(5, 32, 0).num_steps(1) == 1
