"""Stage `cluster` in one process: topics are found, a day like the last keeps its centroids, another one does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.clustered import TOPICS, committed, rows_of, texts_of, topic_config
from theta_ray.config import Config
from theta_ray.errors import ConfigError, InputError
from theta_ray.runcard import RunCard
from theta_ray.topics import cluster
from theta_ray.topics.cluster_worker import NUM_STEPS, radii
from theta_ray.training.metrics import normalized_mutual_information

DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]
ALL = list(TOPICS)


def _run(config: Config, *days: str) -> list[RunCard]:
    return [cluster.run(config, day) for day in days]


def test_each_document_gets_the_cluster_of_its_topic(tmp_path: Path, minilm: Path) -> None:
    config = topic_config(tmp_path, minilm, {DAYS[0]: texts_of(ALL, 400)})
    (card,) = _run(config, DAYS[0])
    job = cluster.make_job(config, DAYS[0])
    rows = rows_of(job.assignments)
    found = dict(zip(rows["doc_id"].to_pylist(), rows["cluster_id"].to_pylist(), strict=True))
    truth = {f"d{i}": i % len(ALL) for i in range(400)}
    assert found.keys() == truth.keys()
    labels, clusters = (np.array([which[doc] for doc in truth]) for which in (truth, found))
    assert normalized_mutual_information(np.ones((1, len(truth))), labels, clusters)[0] > 0.95
    assert card.figures["clusters"] == 4
    assert card.figures["documents"] == 400
    assert card.upstream[0].stage == "embed"


def test_centroids_are_the_unit_means_of_their_documents_with_size_and_radius(tmp_path: Path, bert: Path) -> None:
    from theta_ray.encoder.stored import read_vectors

    config = topic_config(tmp_path, bert, {DAYS[0]: texts_of(ALL, 400)})
    _run(config, DAYS[0])
    job = cluster.make_job(config, DAYS[0])
    vectors, rows, centroids = read_vectors(rows_of(job.embeddings)), rows_of(job.assignments), rows_of(job.centroids)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found, radius = rows["cluster_id"].to_numpy(), centroids["radius"].to_numpy()
    values = np.stack(centroids["centroid"].to_pylist())
    assert rows["similarity"].to_numpy() == pytest.approx((vectors * values[found]).sum(axis=1), abs=1e-5)
    for number, size in enumerate(centroids["size"].to_pylist()):
        mean = vectors[found == number].mean(axis=0)
        assert size == (found == number).sum()
        # the last step of the fit moved centroids by little, so that some rows may have another since
        assert values[number] @ mean / np.linalg.norm(mean) > 0.999
        inside = 1 - rows["similarity"].to_numpy()[found == number] <= radius[number] + 1e-6
        assert inside.mean() >= 0.99


def test_a_day_like_the_fit_keeps_its_centroids_and_clusters(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {DAYS[0]: texts_of(ALL, 400), DAYS[1]: texts_of(ALL, 200, seed=1)})
    _run(config, *DAYS[:2])
    (first, _), (second, assignments) = (committed(config, day) for day in DAYS[:2])
    assert second["mode"] == "assign"
    assert second["reason"] == f"like {DAYS[0]}"
    assert second["fitted_on"] == DAYS[0]
    assert second["earlier"]["sha256"]
    one, two = (rows_of(cluster.make_job(config, day).centroids) for day in DAYS[:2])
    assert one["centroid"].equals(two["centroid"])
    assert one["radius"].equals(two["radius"])
    assert two["size"].to_pylist() != one["size"].to_pylist()
    assert sum(two["size"].to_pylist()) == 200
    assert assignments["counts"] == {"num_rows_in": 200, "num_rows": 200, "num_left_out": 0}
    assert first["mode"] == "fit"


def test_a_day_that_has_changed_is_fitted_again_and_says_why(tmp_path: Path, minilm: Path) -> None:
    days = {DAYS[0]: texts_of(ALL[:2], 200), DAYS[1]: texts_of(ALL[2:], 200), DAYS[2]: texts_of(ALL[2:], 100, seed=2)}
    config = topic_config(tmp_path, minilm, days, num_clusters=2)
    cards = _run(config, *DAYS)
    manifests = [committed(config, day)[0] for day in DAYS]
    assert [manifest["mode"] for manifest in manifests] == ["fit", "warm", "assign"]
    assert "outside share" in manifests[1]["reason"]
    assert manifests[2]["fitted_on"] == DAYS[1]
    assert cards[1].figures["drift_outside_share"] > 0.5


def test_a_run_that_is_repeated_does_nothing_and_another_mode_makes_a_version(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {day: texts_of(ALL, 200, seed=int(day[-1])) for day in DAYS[:2]})
    _run(config, *DAYS[:2])
    before = {path: path.stat().st_mtime_ns for path in Path(config.root).rglob("*")}
    (again,) = _run(config, DAYS[1])
    assert again.status == "nothing to do"
    assert {path: path.stat().st_mtime_ns for path in Path(config.root).rglob("*")} == before  # not even a lease
    settings = config.recipe.cluster
    assert settings is not None
    recipe = config.recipe.model_copy(update={"cluster": settings.model_copy(update={"mode": "fit"})})
    _run(config.model_copy(update={"recipe": recipe}), DAYS[1])
    centroids, assignments = committed(config, DAYS[1])
    assert centroids["version"] == 2
    assert centroids["reason"] == "the recipe says so"
    assert centroids["earlier"] is None
    assert assignments["inputs"]["centroids"]["version"] == 2


def test_assign_without_anything_before_says_what_to_run(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {DAYS[0]: texts_of(ALL, 50)}, mode="assign")
    with pytest.raises(InputError, match=r"cluster.mode assign: no centroids of a day before 2026-01-01 .* mode fit"):
        _run(config, DAYS[0])


def test_a_recipe_without_the_section_says_which(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {DAYS[0]: texts_of(ALL, 50)})
    recipe = config.recipe.model_copy(update={"cluster": None})
    with pytest.raises(ConfigError, match="has no section cluster; add one"):
        _run(config.model_copy(update={"recipe": recipe}), DAYS[0])


def test_more_clusters_than_different_texts_gives_as_many_as_there_are(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {DAYS[0]: ["road", "bridge", "galaxy"] * 30}, num_clusters=10)
    (card,) = _run(config, DAYS[0])
    assert card.figures["clusters"] == 3
    assert card.figures["mean_squared_distance"] == pytest.approx(0, abs=1e-6)


def test_the_plan_names_what_comes_first_and_then_that_all_is_done(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {DAYS[0]: texts_of(ALL, 100)})
    before = cluster.plan(config, DAYS[0]).steps
    assert [step.stage for step in before] == ["prepare", "embed", "cluster"]
    assert before[-1].status == "would run after embed"
    _run(config, DAYS[0])
    assert [step.status for step in cluster.plan(config, DAYS[0]).steps] == ["nothing to do: committed"] * 3


def test_a_radius_holds_its_share_of_a_cluster_s_rows() -> None:
    steps = np.zeros((3, NUM_STEPS), np.int64)
    steps[0, 10], steps[0, 200], steps[1, 0] = 99, 1, 5
    assert radii(steps, 2.0, 0.99) == pytest.approx([11 * 2 / NUM_STEPS, 2 / NUM_STEPS, 0])


def test_the_job_is_plain_values(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {DAYS[0]: texts_of(ALL, 50)})
    assert dataclasses.is_dataclass(cluster.make_job(config, DAYS[0]))
