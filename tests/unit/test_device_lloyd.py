"""Steps through torch beside those of NumPy; on a GPU where there is one, else on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.unit.test_kmeans_fit import planted, workers
from theta_ray.topics.nested import Plan, fit
from theta_ray.topics.workers import Data

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("spherical", [False, True])
def test_a_step_in_float32_is_that_of_numpy(spherical: bool) -> None:
    vectors, _ = planted(15, 3_000)
    on_cpu, on_device = (workers(vectors, spherical=spherical) for _ in range(2))
    on_device.workers[0].device = DEVICE
    data = Data.of(on_cpu)
    centroids = data.sample(15, 0)
    one, other = (Data(each, data.facts, data.grid).step(centroids, 1.0) for each in (on_cpu, on_device))
    np.testing.assert_array_equal(one.weight, other.weight)
    np.testing.assert_allclose(one.means(data.grid), other.means(data.grid), atol=1e-5)
    np.testing.assert_allclose(one.inertias(data.grid), other.inertias(data.grid), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("products", ["float32", "bfloat16"])
def test_a_fit_on_a_device_finds_the_same_clusters_with_the_same_bits_for_any_number_of_workers(products: str) -> None:
    vectors, _ = planted(15, 3_000)
    fits = []
    for count in (1, 3):
        several = workers(vectors, count=count)
        for worker in several.workers:
            worker.device, worker.products = DEVICE, products
        fits.append(fit(several, Plan(15)))
    assert fits[0].centroids.tobytes() == fits[1].centroids.tobytes()
    expected = fit(workers(vectors), Plan(15)).centroids
    np.testing.assert_allclose(sorted(fits[0].centroids.tolist()), sorted(expected.tolist()), atol=1e-3)
