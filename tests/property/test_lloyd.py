"""Whatever the rows: sums are exact up to their stated error, and the same in any order."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.topics import lloyd
from theta_ray.topics.lloyd import (
    BITS,
    Block,
    Centroids,
    Grid,
    Sums,
    Vectors,
    add_block,
    squared_norms,
    total,
    unit_vectors,
)
from theta_ray.topics.rows import LEFT_OUT, hold

SEEDS = st.integers(0, 2**32 - 1)


def sums_of(rows: Vectors, weight: Vectors, centroids: Centroids, grid: Grid) -> Sums:
    """The sums of one block."""
    sums, nearest = Sums.zeros(*centroids.values.shape), centroids.nearest(rows)
    distance = centroids.squared_distances(squared_norms(rows), nearest.score)
    add_block(sums, grid, rows, Block(nearest.label, weight, distance))
    return sums


@given(SEEDS, st.integers(1, 60), st.integers(1, 9), st.integers(-30, 30), st.booleans())
def test_blocks_add_up_to_the_same_bits_in_any_order_and_within_the_stated_error(
    seed: int, num_rows: int, k: int, exponent: int, spherical: bool
) -> None:
    generator = np.random.default_rng(seed)
    rows: Vectors = (generator.standard_normal((num_rows, 4)) * 2.0**exponent).astype(np.float32)
    if spherical:
        rows = unit_vectors(rows)
    weight = generator.integers(1, 9, num_rows).astype(np.float32)
    centroids = Centroids(rows[generator.integers(0, num_rows, k)], spherical)
    grid = Grid.fitting(float(np.sqrt(squared_norms(rows).max())), int(weight.sum()))
    limits = np.sort(generator.integers(0, num_rows + 1, 3))
    parts = [
        sums_of(block, here, centroids, grid)
        for block, here in zip(np.split(rows, limits), np.split(weight, limits), strict=True)
    ]
    whole, shuffled = total(parts), total([parts[place] for place in generator.permutation(len(parts))])
    for name in ("sums", "weight", "sse"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(shuffled, name))
    assert whole.weight.sum() == weight.sum()
    assert whole.num_rows == num_rows
    label = centroids.nearest(rows).label
    exact = np.zeros((k, 4))
    np.add.at(exact, label, rows.astype(np.float64) * weight[:, None])
    rounding = np.finfo(np.float32).eps * num_rows * np.abs(rows * weight[:, None]).sum(axis=0)
    error = np.abs(whole.sums * 2.0**-grid.sums - exact)
    assert (error <= len(parts) * 2.0**-grid.sums + rounding).all()


@given(st.floats(1e-9, 1e9), st.integers(1, 2**40))
def test_nothing_overflows_where_all_rows_are_as_long_and_as_far_as_they_can_be(norm: float, weight: int) -> None:
    grid = Grid.fitting(norm, weight)
    assert norm * weight * 2.0**grid.sums < 2**BITS
    assert 4 * norm * norm * weight * 2.0**grid.sse < 2**BITS
    # and no finer grid would do with a bit to spare for rounding, unless float32 has no such power of two
    assert norm * weight * 2.0 ** (grid.sums + 2) >= 2**BITS or grid.sums == 120


@given(SEEDS, st.integers(1, 80), st.integers(1, 12), st.integers(1, 12))
def test_the_nearest_two_centroids_are_those_of_all_distances(seed: int, num_rows: int, k: int, tile: int) -> None:
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((num_rows, 6)).astype(np.float32)
    with patch.multiple(lloyd, PIECE_ROWS=7, TILE=tile):
        centroids = Centroids(generator.standard_normal((k, 6)).astype(np.float32))
        found = centroids.nearest(rows, with_second=True)
    squared = np.square(rows[:, None].astype(np.float64) - centroids.values).sum(axis=2)
    ranked = np.sort(squared, axis=1)
    norms = squared_norms(rows)
    np.testing.assert_allclose(squared[np.arange(num_rows), found.label], ranked[:, 0], atol=1e-4)
    np.testing.assert_allclose(centroids.squared_distances(norms, found.score), ranked[:, 0], atol=1e-4)
    assert found.second is not None
    if k == 1:
        assert np.isneginf(found.second).all()
    else:
        np.testing.assert_allclose(centroids.squared_distances(norms, found.second), ranked[:, 1], atol=1e-4)


@settings(max_examples=50)
@given(SEEDS, st.integers(0, 60), st.booleans())
def test_held_rows_are_the_files_rows_in_another_order_with_copies_counted(
    seed: int, num_rows: int, normalise: bool
) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.integers(-1, 2, (num_rows, 3)).astype(np.float32)  # many copies, some zero rows
    vectors[generator.random(num_rows) < 0.1] = np.nan
    rows = hold("file", vectors, seed, normalise=normalise)
    finite = np.isfinite(vectors).all(axis=1)
    usable = finite & (vectors != 0).any(axis=1) if normalise else finite
    np.testing.assert_array_equal(rows.place == LEFT_OUT, ~usable)
    assert rows.num_non_finite == (~finite).sum()
    assert rows.num_zero == (finite & ~usable).sum()
    assert len(rows) == len({tuple(vector) for vector in vectors[usable].tolist()})
    assert rows.weight.sum() == usable.sum()
    expected = vectors[usable]
    if normalise:
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows.vectors[rows.place[usable]], expected, atol=1e-6)
    again = hold("file", vectors, seed, normalise=normalise)
    assert again.vectors.tobytes() == rows.vectors.tobytes()
