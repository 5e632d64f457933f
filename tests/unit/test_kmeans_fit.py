"""A fit on workers: where rows lie decides nothing, and odd data has a clear outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from theta_ray.errors import InputError
from theta_ray.topics.lloyd import Vectors
from theta_ray.topics.nested import Fit, Plan, fit
from theta_ray.topics.rows import RowStore, hold
from theta_ray.topics.worker import Worker
from theta_ray.topics.workers import LocalWorkers


def planted(num_clusters: int, num_rows: int, seed: int = 0) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Rows in well separated clusters of unequal sizes, and the cluster of each."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(1, num_clusters + 1)
    cluster = np.sort(generator.choice(num_clusters, num_rows, p=shares / shares.sum()))
    centres = generator.standard_normal((num_clusters, 16)) * 3
    return (centres[cluster] + generator.standard_normal((num_rows, 16)) * 0.3).astype(np.float32), cluster


def workers(vectors: Vectors, *, count: int = 1, threads: int = 1, spherical: bool = False) -> LocalWorkers:
    """The rows in eight files, dealt to some workers in turn."""
    files = {f"part-{part}": rows for part, rows in enumerate(np.array_split(vectors, 8))}
    dealt: Sequence[Sequence[str]] = [[name for name in files][worker::count] for worker in range(count)]

    def store(names: Sequence[str]) -> RowStore:
        return RowStore(names, lambda name: hold(name, files[name], 7, normalise=spherical))

    return LocalWorkers([Worker(store(names), spherical, threads) for names in dealt])


@pytest.mark.parametrize("spherical", [False, True])
def test_centroids_have_the_same_bits_on_one_two_and_four_workers_and_two_threads(spherical: bool) -> None:
    vectors, _ = planted(12, 6_000)
    plan = Plan(12, spherical=spherical, first_rows=1_000)

    def fitted(count: int, threads: int) -> Fit:
        return fit(workers(vectors, count=count, threads=threads, spherical=spherical), plan)

    one = fitted(1, 1)
    for count, threads in [(2, 1), (4, 1), (1, 2)]:
        other = fitted(count, threads)
        assert other.centroids.tobytes() == one.centroids.tobytes()
        assert [step.inertia for step in other.trace] == [step.inertia for step in one.trace]
        assert [step.moved for step in other.trace] == [step.moved for step in one.trace]


def test_a_worker_that_is_made_anew_before_every_answer_gives_the_same_centroids() -> None:
    vectors, _ = planted(9, 3_000)

    class Forgetful:
        def each(self, method: str, *arguments: object) -> list[object]:
            return workers(vectors, count=2).each(method, *arguments)

    plan = Plan(9, first_rows=500)
    remembered, forgot = fit(workers(vectors), plan), fit(Forgetful(), plan)
    assert forgot.centroids.tobytes() == remembered.centroids.tobytes()
    assert all(step.moved is None for step in forgot.trace)  # it says that it does not know
    assert any(step.moved is not None for step in remembered.trace)


def test_planted_clusters_are_found() -> None:
    vectors, cluster = planted(40, 8_000)
    found = fit(workers(vectors), Plan(40)).centroids
    nearest = np.square(vectors[:, None] - found).sum(axis=2).argmin(axis=1)
    assert len({(a, b) for a, b in zip(cluster.tolist(), nearest.tolist(), strict=True)}) == len(set(cluster.tolist()))


def test_inertia_does_not_grow_while_the_share_stays() -> None:
    vectors = np.random.default_rng(1).standard_normal((5_000, 8)).astype(np.float32)
    trace = fit(workers(vectors), Plan(30, seeding="random", first_rows=600, tol=1e-5)).trace
    pairs = [(a, b) for a, b in zip(trace, trace[1:], strict=False) if a.share == b.share and not a.events]
    assert len(pairs) > 5
    for a, b in pairs:
        # what a step gains is known before the next one, save for rounding
        assert b.inertia <= a.inertia * (1 - a.gain) + 1e-6


def test_a_centroid_is_the_mean_of_its_rows() -> None:
    vectors, _ = planted(5, 2_000)
    found = fit(workers(vectors), Plan(5))
    assert found.trace[-1].gain < 1e-9  # so the last step's labels are those of the centroids
    nearest = np.square(vectors[:, None] - found.centroids).sum(axis=2).argmin(axis=1)
    means = [vectors[nearest == cluster].mean(axis=0, dtype=np.float64) for cluster in range(5)]
    np.testing.assert_allclose(found.centroids, means, atol=1e-5)
    np.testing.assert_array_equal(found.weight, np.bincount(nearest))


def test_more_clusters_than_different_rows_gives_one_for_each_and_says_so() -> None:
    vectors = np.repeat(np.eye(5, dtype=np.float32), 20, axis=0)
    found = fit(workers(vectors), Plan(8))
    assert sorted(map(tuple, found.centroids.tolist())) == sorted(map(tuple, np.eye(5).tolist()))
    assert [event["event"] for step in found.trace for event in step.events] == ["dropped"] * 3
    assert found.weight.tolist() == [20] * 5


@pytest.mark.parametrize("spherical", [False, True])
def test_constant_vectors_are_one_cluster(spherical: bool) -> None:
    found = fit(workers(np.full((100, 4), 3, np.float32), spherical=spherical), Plan(3, spherical=spherical))
    np.testing.assert_allclose(found.centroids, [[0.5] * 4 if spherical else [3] * 4], rtol=1e-6)
    assert found.weight.tolist() == [100]


def test_one_cluster_is_the_mean_of_all_rows() -> None:
    vectors = np.random.default_rng(0).standard_normal((1_000, 6)).astype(np.float32)
    found = fit(workers(vectors), Plan(1))
    np.testing.assert_allclose(found.centroids[0], vectors.mean(axis=0), atol=1e-6)
    last, variance = found.trace[-1], np.square(vectors - vectors.mean(axis=0)).sum(axis=1).mean()
    assert last.inertia * (1 - last.gain) == pytest.approx(variance, rel=1e-5)


def test_zero_and_damaged_rows_are_counted_and_decide_nothing() -> None:
    vectors, _ = planted(4, 800)
    spoilt = vectors.copy()
    spoilt[:30], spoilt[100:110], spoilt[200, 3] = 0, np.nan, np.inf
    facts = fit(workers(spoilt, spherical=True), Plan(4, spherical=True)).facts
    assert (facts.num_zero, facts.num_non_finite, facts.weight) == (30, 11, 759)
    # without directions a zero row is a row as any other
    assert fit(workers(spoilt), Plan(4)).facts.weight == 789


def test_no_usable_row_is_said() -> None:
    with pytest.raises(InputError, match="no row can be clustered"):
        fit(workers(np.zeros((16, 4), np.float32), spherical=True), Plan(2, spherical=True))


def test_an_empty_cluster_starts_again_at_the_farthest_row_of_the_widest_one() -> None:
    vectors = np.array([[0, 0], [0, 1], [9, 0], [9, 1], [9, 8], [0, 0.5]], np.float32)
    first = np.array([[0, 0], [9, 0], [-500, 0]], np.float32)
    found = fit(workers(vectors), Plan(3), first)
    (event,) = [event for step in found.trace for event in step.events]
    assert (event["event"], event["cluster"], event["from"]) == ("empty", 2, 1)
    np.testing.assert_allclose(found.centroids, [[0, 0.5], [9, 0.5], [9, 8]], atol=1e-6)
    assert found.seeding["method"] == "warm"


def test_a_giant_is_cut_and_the_smallest_cluster_gives_its_place() -> None:
    generator = np.random.default_rng(0)
    vectors = np.concatenate([generator.normal(0, 1, (900, 2)), generator.normal(20, 0.1, (100, 2))]).astype(np.float32)
    first = np.array([[0, 0], [20, 20], [20.3, 20.3]], np.float32)
    assert fit(workers(vectors), Plan(3), first).weight.max() == 900
    found = fit(workers(vectors), Plan(3, max_share=0.6), first)
    assert found.weight.max() <= 600
    assert [event["event"] for step in found.trace for event in step.events] == ["giant"]


def test_files_beyond_memory_are_mapped_and_beyond_the_disk_read_again(tmp_path: Path) -> None:
    vectors, _ = planted(6, 4_000)
    in_memory = workers(vectors)
    size = in_memory.workers[0].store.rows("part-0").vectors.nbytes
    tight = workers(vectors)
    store = tight.workers[0].store
    store.memory_bytes, store.folder, store.disk_bytes = 2.5 * size, tmp_path, 3.5 * size
    plan = Plan(6, first_rows=500)
    assert fit(tight, plan).centroids.tobytes() == fit(in_memory, plan).centroids.tobytes()
    assert store.places == {"memory": 2, "disk": 3, "streamed": 3}


def test_of_few_clusters_several_sets_of_seeds_are_tried_and_the_best_goes_on() -> None:
    vectors = np.random.default_rng(3).standard_normal((3_000, 8)).astype(np.float32)  # no clusters, many optima
    seeds = range(10)
    alone = [fit(workers(vectors), Plan(7, seed=seed, tol=1e-7, restarts=1)).trace[-1].inertia for seed in seeds]
    found = fit(workers(vectors), Plan(7))
    assert [tried["seed"] for tried in found.seeding["tried"]] == list(seeds)
    assert found.trace[-1].inertia < np.median(alone) < max(alone)
    assert found.trace[-1].inertia <= min(alone) * 1.002
    assert fit(workers(vectors, count=4), Plan(7)).centroids.tobytes() == found.centroids.tobytes()
    assert "tried" not in fit(workers(vectors), Plan(51)).seeding
