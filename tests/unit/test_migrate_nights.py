"""Many nights and a new model: which are carried over, which are embedded again, and what a reader of trends sees."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.clustered import rows_of, texts_of, topic_config
from tests.nights import nightly_config, write_night
from tests.two_models import save_plain, save_rotated, topic_of_word, with_model, with_plain_vectors
from theta_ray.config import Config
from theta_ray.encoder.job import make_job as embed_job
from theta_ray.manifest import CARRIED_FROM, read_manifest
from theta_ray.nightly import migrate, refresh
from theta_ray.report.before import nights_before
from theta_ray.report.gather import Nights, topics_of
from theta_ray.report.tables import find_tables
from theta_ray.topics import label_topics
from theta_ray.topics.days import topics_before

NIGHTS = ("2026-01-30", "2026-01-31", "2026-02-01")
OLD, NEW = NIGHTS[:2], NIGHTS[2]
STAGES = ["label_topics"]
GARDEN = ["compost", "heap", "wants", "autumn", "leaves", "worms"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plain(tmp_path_factory.mktemp("plain"))


def _ids(config: Config, night: str) -> dict[str, int]:
    return {name: row["topic_id"] for name, row in topic_of_word(config, night).items()}


def test_a_partial_embedding_after_a_migration_keeps_ids_and_trends_and_says_what_is_mapped(
    tmp_path: Path, plain: Path
) -> None:
    for night in NIGHTS:
        write_night(tmp_path, night, "a", count=120)
    before = with_plain_vectors(nightly_config(tmp_path, plain, stages=STAGES))
    for night in OLD:
        refresh.run(before, night)
    after = with_model(before, save_rotated(tmp_path / "rotated", plain), num_days=1)
    planned = migrate.plan(after, OLD[-1]).steps[0].figures
    assert planned["full_by"] == f"jobs/label_topics.py --date each of {OLD[0]} to {OLD[1]}, the oldest first"
    assert planned["partial_by"] == f"jobs/label_topics.py --date {OLD[1]}"
    named = migrate.plan(after.model_copy(update={"recipe_path": "my recipe.yaml"}), OLD[-1]).steps[0].figures
    assert named["partial_by"] == f"python jobs/label_topics.py --config 'my recipe.yaml' --date {OLD[1]}"
    assert [planned[f"{which}_documents"] for which in ("full", "partial")] == [240, 120]
    card = migrate.run(after, OLD[-1])
    assert card.figures["anchors"] <= planned["anchors_at_most"] == 120
    assert (card.figures["days_mapped"], card.figures["documents_mapped"]) == (2, 240)
    assert card.figures["documents_embedded"] == 0
    for night in OLD:
        old, new = (label_topics.make_job(config, night) for config in (before, after))
        assert rows_of(new.topic_counts) == rows_of(old.topic_counts)
        assert new.topic_counts.fingerprint != old.topic_counts.fingerprint
        known = topics_before(new, 32)
        assert known is not None
        radii = rows_of(old.centroids).to_pylist()  # of the vectors that the documents were assigned by
        assert known.clusters.least_similarity == {row["cluster_id"]: 1 - row["radius"] for row in radii}

    refresh.run(_of_days(after, 2), NEW)  # the night before is the partial range
    again = migrate.run(after, OLD[-1])
    assert again.status == "nothing to do"
    assert [again.figures[f"documents_{how}"] for how in ("embedded", "mapped")] == [120, 120]
    assert (again.figures["partial_days"], again.figures["full_by"]) == (0, f"jobs/label_topics.py --date {OLD[0]}")
    assert "partial_by" not in again.figures
    for night in NIGHTS:
        is_mapped = night == OLD[0]
        centroids = read_manifest(label_topics.make_job(after, night).centroids)
        assert centroids is not None
        assert (CARRIED_FROM in centroids) == is_mapped
        assert (read_manifest(embed_job(after, night).embeddings) is None) == is_mapped
        assert _ids(after, night) == _ids(before, OLD[0])
    _check_trend(after)


def _of_days(config: Config, num_days: int) -> Config:
    settings = config.recipe.refresh.model_copy(update={"num_days": num_days})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"refresh": settings})})


def _check_trend(after: Config) -> None:
    """The page of the new night has a line of all nights for each topic: a quarter of the texts are of each."""
    tables = find_tables(after, NEW)
    found = topics_of(after, Nights(tables, None, tuple(nights_before(tables["topics"]))))
    assert found.buckets == NIGHTS
    assert [topic.counts for topic in found.listed] == [(30, 30, 30)] * 4


def test_nights_of_other_fits_go_on_under_their_own_ids_and_no_id_is_given_twice(tmp_path: Path, plain: Path) -> None:
    rng = random.Random(0)
    garden = [" ".join(rng.choices(GARDEN, k=8)) for _ in range(100)]
    days = {
        OLD[0]: texts_of(["running", "bread", "stars", "votes"], 400),
        OLD[1]: texts_of(["running", "bread", "stars"], 300, 1) + garden,
    }
    before = _by_words(with_model(with_plain_vectors(topic_config(tmp_path, plain, days, mode="fit")), plain))
    for night in days:
        label_topics.run(before, night)
    assert topic_of_word(before, OLD[1])["garden"]["topic_id"] == 4  # votes ended
    after = with_model(before, save_rotated(tmp_path / "rotated", plain))
    migrate.run(after, OLD[1])
    carried = [read_manifest(label_topics.make_job(after, night).topics) for night in days]
    first, newest = (read_manifest(label_topics.make_job(before, night).topics) for night in days)
    assert first is not None
    assert newest is not None
    assert first["next_id"] < newest["next_id"]
    assert [each and each["next_id"] for each in carried] == [newest["next_id"]] * 2
    for night in days:
        was = _ids(before, night)
        assert _ids(after, night) == was
        label_topics.run(after, night)
        assert _ids(after, night) == was
        assert {row["event"] for row in topic_of_word(after, night).values()} == {"kept"}


def _by_words(config: Config) -> Config:
    """Ids go on where topics have the same words."""
    topics = type(config.recipe.topics).model_validate({"identity": {"words_weight": 1.0}})
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"topics": topics})})
