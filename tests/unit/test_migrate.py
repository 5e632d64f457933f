"""Stage `migrate` in one process: topics outlive a model whose vectors can be mapped, and begin anew under another."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clustered import TOPICS, committed, rows_of
from tests.models import save_bert
from tests.two_models import NIGHTS, save_plain, save_rotated, topic_of_word, two_nights, with_model
from theta_ray.config import Config
from theta_ray.encoder import embed
from theta_ray.errors import ConfigError, CostLimitError, InputError
from theta_ray.manifest import carried_over, read_manifest
from theta_ray.nightly import migrate
from theta_ray.nightly.earlier_embeddings import EarlierDay, below_bound, partial_cost
from theta_ray.objects import list_names
from theta_ray.topics import cluster, label_topics

ALL = list(TOPICS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plain(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def before(tmp_path: Path, plain: Path) -> Config:
    return two_nights(tmp_path, plain)


def test_topics_keep_their_ids_when_the_new_model_is_the_old_one_rotated_and_shifted(
    before: Config, plain: Path, tmp_path: Path
) -> None:
    label_topics.run(before, NIGHTS[0])
    after = with_model(before, save_rotated(tmp_path / "rotated", plain))
    assert migrate.plan(after, NIGHTS[0]).steps[0].status == "would run"
    card = migrate.run(after, NIGHTS[0])
    assert (card.status, card.figures["map"]) == ("committed", "procrustes")
    assert float(card.figures["overlap_by_procrustes"].split()[0]) > 0.99
    assert float(card.figures["overlap_by_identity"].split()[0]) < 0.5
    assert float(card.figures["clusters_agree_ari"].split()[0]) > 0.99
    assert card.figures["topic_ids"] == f"go on: {NIGHTS[0]} and the days before it are carried over"
    assert card.figures["clusters_below_bound"] == "0 of 4"

    again = migrate.run(after, NIGHTS[1])  # a later day: the newest earlier embeddings are those of the first
    assert again.status == "nothing to do"
    assert "staging" not in list_names(card.path)
    assert migrate.plan(after, NIGHTS[0]).steps[0].status == "nothing to do: committed"

    label_topics.run(after, NIGHTS[1])
    centroids, _ = committed(after, NIGHTS[1])
    assert (centroids["mode"], centroids["fitted_on"]) == ("assign", NIGHTS[0])
    old, new = topic_of_word(before, NIGHTS[0]), topic_of_word(after, NIGHTS[1])
    assert old.keys() == new.keys() == set(ALL)
    assert all(new[name]["topic_id"] == old[name]["topic_id"] for name in ALL)
    assert {row["event"] for row in new.values()} == {"kept"}


def test_the_same_day_embedded_again_goes_on_from_what_was_carried_over(
    before: Config, plain: Path, tmp_path: Path
) -> None:
    label_topics.run(before, NIGHTS[0])
    after = with_model(before, save_rotated(tmp_path / "rotated", plain))
    migrate.run(after, NIGHTS[0])
    job = label_topics.make_job(after, NIGHTS[0])
    carried = carried_over(job.topics)
    assert carried is not None
    assert all(
        row["representative_ids"] == row["borderline_ids"] == row["templates"] == []
        for row in rows_of(job.topics).to_pylist()
    )
    label_topics.run(after, NIGHTS[0])
    centroids, assignments = committed(after, NIGHTS[0])
    assert (centroids["version"], centroids["mode"]) == (2, "assign")
    assert assignments["num_rows"] == 400
    old, new = topic_of_word(before, NIGHTS[0]), topic_of_word(after, NIGHTS[0])
    assert {name: row["topic_id"] for name, row in new.items()} == {name: row["topic_id"] for name, row in old.items()}
    assert migrate.run(after, NIGHTS[0]).status == "nothing to do"


def test_an_unrelated_model_begins_anew_and_the_page_says_so(before: Config, plain: Path, tmp_path: Path) -> None:
    label_topics.run(before, NIGHTS[0])
    after = with_model(before, save_bert(tmp_path / "other", seed=9, hidden_size=64), min_overlap=0.95)
    priced = after.model_copy(update={"resources": after.resources.model_copy(update={"price_per_device_hour": 2.0})})
    card = migrate.run(priced, NIGHTS[0])
    assert card.figures["topic_ids"].startswith("begin anew: the best map finds 0.")
    assert "overlap_by_identity" not in card.figures  # widths differ
    assert card.figures["clusters_below_bound"] == "4 of 4"
    assert card.figures["partial_documents"] == card.figures["full_documents"] == 400
    assert card.figures["full_cost"] >= 0
    job = label_topics.make_job(after, NIGHTS[0])
    assert read_manifest(job.centroids) is None
    assert read_manifest(job.topics) is None
    label_topics.run(after, NIGHTS[1])
    assert {row["event"] for row in rows_of(label_topics.make_job(after, NIGHTS[1]).topics).to_pylist()} == {"first"}


def test_clusters_that_the_new_fingerprint_has_made_by_itself_are_left_alone(
    before: Config, plain: Path, tmp_path: Path
) -> None:
    cluster.run(before, NIGHTS[0])
    after = with_model(before, save_rotated(tmp_path / "rotated", plain))
    cluster.run(after, NIGHTS[1])
    card = migrate.run(after, NIGHTS[0])
    assert card.figures["topic_ids"] == f"begin anew: cluster has made centroids of its own for {NIGHTS[1]}"
    assert carried_over(cluster.make_job(after, NIGHTS[0]).centroids) is None


def test_an_interrupted_run_goes_on_to_the_same_maps(
    before: Config, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_topics.run(before, NIGHTS[0])
    after = with_model(before, save_rotated(tmp_path / "rotated", plain))
    undisturbed = after.model_copy(update={"root": str(tmp_path / "copy")})
    shutil.copytree(tmp_path / "root", tmp_path / "copy")
    migrate.run(undisturbed, NIGHTS[0])
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "carry_days", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            migrate.run(after, NIGHTS[0])
    migrate.run(after, NIGHTS[0])
    for config in (after, undisturbed):
        assert carried_over(label_topics.make_job(config, NIGHTS[0]).topics) is not None
    found = migrate.make_migration(after, NIGHTS[0]).job.maps
    assert read_manifest(found) == read_manifest(replace(found, root=undisturbed.root))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_cannot_be_come_from_is_told_in_one_line(before: Config, plain: Path, tmp_path: Path) -> None:
    rotated = save_rotated(tmp_path / "rotated", plain)
    with pytest.raises(InputError, match=r"no other embeddings of corpus [0-9a-f]{12} up to 2026-01-01 are committed"):
        migrate.run(with_model(before, rotated), NIGHTS[0])
    cluster.run(before, NIGHTS[0])
    mine = cluster.make_job(before, NIGHTS[0]).embeddings.fingerprint
    with pytest.raises(ConfigError, match=f"migrate.previous {mine}: are the embeddings of this recipe itself"):
        migrate.run(with_model(before, plain, previous=mine), NIGHTS[0])
    with pytest.raises(InputError, match=r"embeddings/0123456789ab: no other embeddings"):
        migrate.run(with_model(before, rotated, previous="0123456789ab"), NIGHTS[0])
    corpus = before.recipe.corpus.model_copy(update={"min_chars": 2})
    other = before.model_copy(update={"recipe": before.recipe.model_copy(update={"corpus": corpus})})
    with pytest.raises(ConfigError, match=rf"migrate.previous {mine}: are embeddings of corpus .* this recipe's is"):
        migrate.run(with_model(other, rotated, previous=mine), NIGHTS[0])
    with pytest.raises(InputError, match=r"and 1000 are needed for 100 neighbours; take a day with more documents"):
        migrate.run(with_model(before, rotated, num_neighbours=100), NIGHTS[0])
    cluster.run(with_model(before, rotated), NIGHTS[0])
    third = save_bert(tmp_path / "third", seed=3)
    with pytest.raises(ConfigError, match=r"embeddings of 2026-01-01 are there under .*, .*; name one of them"):
        migrate.run(with_model(before, third), NIGHTS[0])


def test_a_partial_embedding_is_of_the_newest_days_that_are_left() -> None:
    days = [
        EarlierDay("2026-01-04", 300, is_embedded=False, is_mapped=True),
        EarlierDay("2026-01-03", 200, is_embedded=True, is_mapped=False),
        EarlierDay("2026-01-02", 100, is_embedded=False, is_mapped=True),
        EarlierDay("2026-01-01", 800, is_embedded=False, is_mapped=True),
    ]
    full = {"days": 3, "documents": 1200, "tokens": 24_000, "hours": 6.0, "cost": 12.0}
    assert partial_cost(full, days, 2) == {"days": 1, "documents": 300, "tokens": 6000, "hours": 1.5, "cost": 3.0}
    assert partial_cost(full, days, 9) == full
    assert partial_cost({**full, "documents": 0, "days": 0}, days[1:2], 1)["tokens"] == 0


def test_clusters_below_the_bound_are_told_the_worst_first() -> None:
    clusters = [{"cluster_id": number, "overlap": overlap} for number, overlap in enumerate([0.7, 0.9, 0.2, 0.8])]
    assert [each["cluster_id"] for each in below_bound(clusters, 0.8)] == [2, 0]


def test_anchors_are_embedded_within_the_gpu_hours_of_a_job(
    before: Config, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed.run(before, NIGHTS[0])
    after = with_model(before, save_rotated(tmp_path / "rotated", plain))
    limited = after.model_copy(update={"resources": after.resources.model_copy(update={"max_gpu_hours": 1e-9})})
    monkeypatch.setattr(migrate, "num_gpus", lambda *_: 1.0)
    with pytest.raises(CostLimitError, match="rerun to go on"):
        migrate.run(limited, NIGHTS[0])
    assert migrate.run(after, NIGHTS[0]).status == "committed"
