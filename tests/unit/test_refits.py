"""Further fits with other seeds: the same figures where clusters are plain, a spread where they are not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clustered import TOPICS, rows_of, texts_of, topic_config
from tests.small_jobs import DAY
from tests.topic_tables import commit_clusters, topics_config
from tests.unit.test_evaluate_topics import cluster_of, make_records
from theta_ray.config import Config
from theta_ray.manifest import read_manifest
from theta_ray.runcard import RunCard
from theta_ray.store import Partition
from theta_ray.topics import evaluate_topics, refits
from theta_ray.topics.label_topics import label

FIGURES = ("npmi", "c_v", "u_mass", "diversity", "irbo", "exclusivity", "frex")


def with_settings(config: Config, **settings: Any) -> Config:
    """The configuration with an `evaluate` section of these settings, quick where they say nothing."""
    evaluate = config.recipe.evaluate.model_copy(update={"num_resamples": 100, "items_per_topic": 0, **settings})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"evaluate": evaluate})})


def figures_of(quality: Partition) -> dict[str, dict[str, Any]]:
    """What is committed of all topics."""
    return {row["metric"]: row for row in rows_of(quality).to_pylist() if row["topic_id"] is None}


def judged(config: Config) -> tuple[RunCard, dict[str, dict[str, Any]]]:
    """The card of a whole run, and its figures of all topics."""
    card = evaluate_topics.run(config, DAY)
    return card, figures_of(evaluate_topics.make_job(config, DAY).quality)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, minilm: Path) -> Config:
    """Four topics that a real model tells apart."""
    return topic_config(tmp_path_factory.mktemp("plain"), minilm, {DAY: texts_of(list(TOPICS), 240)})


def test_clusters_that_any_seed_finds_have_the_same_figures_for_all(plain: Config) -> None:
    card, found = judged(with_settings(plain))
    assert (found["refit_ari_of_pairs"]["value"], found["refit_ari_of_pairs"]["num_values"]) == (1, 6)
    assert (found["refit_ari_with_committed"]["low"], found["refit_ari_with_committed"]["num_values"]) == (1, 4)
    for metric in (*FIGURES, "perplexity"):
        refit, committed = found[f"refit_{metric}"], found[metric]
        assert refit["value"] == pytest.approx(committed["value"], rel=1e-9), metric
        assert refit["low"] == pytest.approx(refit["high"], rel=1e-9), metric
        assert found[f"refit_{metric}_sd"]["value"] == pytest.approx(0, abs=1e-9), metric
    assert card.seeds == {"evaluate": 0, "refit_1": 1, "refit_2": 2, "refit_3": 3, "refit_4": 4}
    assert card.figures["refit_ari_of_pairs"] == "1 [1, 1]"
    assert found["perplexity"]["low"] <= found["perplexity"]["value"] <= found["perplexity"]["high"]
    assert found["perplexity"]["value"] < 0.5 * found["perplexity_one_topic"]["value"]


def test_clusters_of_one_cloud_depend_on_the_seed_and_that_is_told(tmp_path: Path, minilm: Path) -> None:
    texts = [f"{text} {number}" for number, text in enumerate(texts_of(["bread"], 240))]
    config = topic_config(tmp_path, minilm, {DAY: texts}, num_clusters=16)
    _, found = judged(with_settings(config, num_refits=3))
    assert found["refit_ari_of_pairs"]["low"] < 0.9
    assert found["refit_npmi"]["low"] < found["refit_npmi"]["value"] < found["refit_npmi"]["high"]
    assert found["refit_npmi_sd"]["value"] > 0
    assert found["refit_npmi"]["num_values"] == 3


def test_a_sample_of_all_documents_has_the_figures_of_the_committed_topics(tmp_path: Path) -> None:
    # the terms of a fit are made as those of the table, with the diverse choice among them
    config = topics_config(tmp_path, {DAY: make_records()}, {"diversity": 0.3})
    job = commit_clusters(config, cluster_of)
    label(config, job)
    config = with_settings(config)
    judge = evaluate_topics.job_of(config, job)
    evaluate_topics.evaluate(config, judge)
    found = figures_of(judge.quality)
    for metric in (*FIGURES, "nmi", "ari", "ami", "homogeneity", "completeness"):
        assert found[f"sample_{metric}"]["value"] == pytest.approx(found[metric]["value"], rel=1e-12), metric
        assert f"refit_{metric}" not in found  # the recipe has no section `cluster` to fit by


def test_a_sample_is_drawn_by_texts_and_recorded(plain: Config) -> None:
    config = with_settings(plain, sample_rows=120, num_refits=2)
    _, found = judged(config)
    manifest = read_manifest(evaluate_topics.make_job(config, DAY).quality)
    assert manifest is not None
    assert 80 < manifest["counts"]["num_sampled"] < 160
    assert manifest["counts"]["refits"]["seeds"] == [1, 2]
    assert found["sample_npmi"]["value"] != found["npmi"]["value"]


def test_too_few_documents_for_fits_are_told(plain: Config, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "theta_ray.topics.refits"):
        _, found = judged(with_settings(plain, sample_rows=30))
    assert "30 documents are too few for further fits of 4 clusters; set evaluate.sample_rows to 40" in caplog.text
    assert not any(metric.startswith("refit_") for metric in found)
    assert "perplexity" in found


def test_a_run_killed_between_fits_goes_on_to_the_same_figures(
    plain: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_settings(plain)
    _, expected = judged(config)
    fresh = config.model_copy(update={"root": str(tmp_path / "root")})
    fitted, whole = [], refits.refit

    def killed(task: refits.RefitTask) -> dict[str, Any]:
        if len(fitted) == 2:
            raise KeyboardInterrupt
        fitted.append(task.number)
        return whole(task)

    with monkeypatch.context() as patch:
        patch.setattr(refits, "refit", killed)
        with pytest.raises(KeyboardInterrupt):
            judged(fresh)
    assert judged(fresh)[1] == expected


def test_refit_rows_are_mean_range_and_deviation_over_the_fits() -> None:
    fits = [
        {"rows": [{"topic_id": None, "metric": "npmi", "value": value, "low": None, "high": None, "num_values": 2}]}
        for value in (0.5, 0.1, 0.2, 0.6)
    ]
    clusters = [np.array(labels, np.int32) for labels in ([0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1])]
    rows = {row["metric"]: row for row in refits.refit_rows(fits, clusters)}
    assert rows["sample_npmi"]["value"] == 0.5
    npmi = rows["refit_npmi"]
    assert [npmi[name] for name in ("value", "low", "high", "num_values")] == [pytest.approx(0.3), 0.1, 0.6, 3]
    assert rows["refit_npmi_sd"]["value"] == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1))
    assert rows["refit_ari_with_committed"]["value"] == pytest.approx((1 + 1 - 0.5) / 3)
    assert [rows["refit_ari_of_pairs"][name] for name in ("value", "low", "high")] == pytest.approx([0, -0.5, 1])
