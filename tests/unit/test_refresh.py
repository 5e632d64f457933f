"""A refresh brings all tables of a night up to date, publishes them together, and does nothing where nothing is new."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest

from tests.nights import NIGHTS, nightly_config, objects_of, write_night
from theta_ray.config import Config
from theta_ray.errors import ConfigError, MissingInputError
from theta_ray.manifest import identity_of, read_manifest
from theta_ray.nightly import refresh
from theta_ray.nightly.refresh_stages import find_tables, stages_of
from theta_ray.publication import Publications
from theta_ray.runcard import RunCard
from theta_ray.schemas_network import NETWORK_TABLES
from theta_ray.topics import label_topics

ONE, TWO, THREE = NIGHTS
NETWORK = set(NETWORK_TABLES)
ALL = {"corpus", "embeddings", "centroids", "assignments", "topics", "topic_counts", "report", *NETWORK}


def with_refresh(config: Config, **values: Any) -> Config:
    """The same with other values in section `refresh`."""
    section = config.recipe.refresh.model_copy(update=values)
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"refresh": section})})


def published(config: Config) -> list[tuple[str, int]]:
    """Date, and the version that counts, of each publication."""
    publications = Publications(config.root, config.recipe.name)
    found = [publications.read(version) for version in publications.versions()]
    return [(each["date"], each["current"]) for each in found if each is not None]


@pytest.fixture
def config(tmp_path: Path, bert: Path) -> Config:
    """Up to the embeddings: the rest takes seconds."""
    write_night(tmp_path, TWO, "a", "b")
    return nightly_config(tmp_path, bert, stages=["embed"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> tuple[Config, RunCard]:
    """All stages, run once."""
    folder = tmp_path_factory.mktemp("whole")
    write_night(folder, TWO, "a", "b")
    config = nightly_config(folder, bert)
    return config, refresh.run(config, TWO)


def test_a_night_makes_all_tables_and_publishes_them_together(whole: tuple[Config, RunCard]) -> None:
    config, card = whole
    publication = Publications(config.root, "small").read()
    assert publication is not None
    assert (publication["date"], publication["version"], publication["missing"]) == (TWO, 1, [])
    assert publication["tables"].keys() == ALL
    for table, found in find_tables(stages_of(config), config, TWO).items():
        assert publication["tables"][table] == identity_of(found.manifest)
    assert card.status == "committed"
    stages = ["prepare", "embed", "cluster", "label_topics", "analyze_network", "report"]
    assert [each.stage for each in card.upstream] == stages
    assert [card.figures[stage] for stage in stages] == [card.figures["prepare"], *["nothing was committed"] * 5]


def test_a_second_run_starts_nothing_and_changes_no_object(
    whole: tuple[Config, RunCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = whole
    before = {path: path.stat().st_mtime_ns for path in Path(config.root).rglob("*")}

    def never(*_: object) -> None:
        raise AssertionError("nothing is to be run")

    monkeypatch.setattr(refresh, "cluster", never)
    monkeypatch.setattr("theta_ray.encoder.embed.map_shards", never)
    started = time.perf_counter()
    card = refresh.run(config, TWO)
    assert time.perf_counter() - started < 5
    assert card.status == "nothing to do"
    assert card.figures[f"day_{TWO}"] == "is version 1, all current"
    assert card.upstream == []
    assert {path: path.stat().st_mtime_ns for path in Path(config.root).rglob("*")} == before


def test_a_late_file_changes_its_shards_and_makes_the_next_publication(config: Config, tmp_path: Path) -> None:
    refresh.run(config, TWO)
    before = objects_of(config)
    write_night(tmp_path, TWO, "c")
    card = refresh.run(config, TWO)
    assert published(config) == [(TWO, 1), (TWO, 2)]
    assert card.figures["embed"] == "another version of corpus"
    new = objects_of(config).keys() - before.keys()
    for table in ("corpus", "embeddings"):
        assert len([name for name in new if name.startswith(f"{table}/") and name.endswith(".parquet")]) == 1, table
    assert {name: objects_of(config)[name] for name in before} == before
    assert card.upstream[1].figures["shards_made_by_this_run"] == 1
    assert card.figures["documents"] == "120, 80 before"


def test_missed_nights_and_late_files_are_made_up_for_and_the_last_day_stays_what_counts(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = with_refresh(config, num_days=3)
    caplog.set_level(logging.INFO)
    write_night(tmp_path, THREE, "a")
    refresh.run(config, THREE)
    assert published(config) == [(TWO, 1), (THREE, 2)]
    (told,) = [record.message for record in caplog.records if "passed over" in record.message]
    assert told.startswith(f"refresh: {ONE} is passed over: {tmp_path}/raw/{ONE}/*.jsonl: no file there")
    write_night(tmp_path, TWO, "late")
    refresh.run(config, THREE)
    dates = published(config)
    assert dates[2] == (TWO, 2)  # yesterday's next version, while the night before stays what readers see
    current = Publications(config.root, "small").read()
    assert current is not None
    assert current["date"] == THREE
    assert refresh.run(config, THREE).status == "nothing to do"


def test_a_night_that_was_missed_is_told_in_the_publication(config: Config, tmp_path: Path) -> None:
    config = with_refresh(config, num_days=2)
    refresh.run(config, TWO)
    later = "2026-02-02"
    write_night(tmp_path, later, "a")
    card = refresh.run(config, later)
    publication = Publications(config.root, "small").read()
    assert publication is not None
    assert publication["missing"] == [THREE]
    assert publication["tables"].keys() == {"corpus", "embeddings"}
    assert card.figures["missing_days"] == THREE


def test_the_day_asked_for_needs_files_and_several_days_need_a_date_in_the_paths(config: Config) -> None:
    with pytest.raises(MissingInputError, match=f"no file there for {ONE}"):
        refresh.run(with_refresh(config, num_days=2), ONE)
    spec = config.recipe.corpus.inputs[0].model_copy(update={"path": "/data/all.jsonl"})
    corpus = config.recipe.corpus.model_copy(update={"inputs": (spec,)})
    dateless = config.model_copy(update={"recipe": config.recipe.model_copy(update={"corpus": corpus})})
    with pytest.raises(ConfigError, match=r"refresh.num_days 2: corpus.inputs.0.path has no \{date\}"):
        refresh.run(with_refresh(dateless, num_days=2), ONE)
    recipe = with_refresh(config, stages=("label_topics",)).recipe.model_copy(update={"cluster": None})
    with pytest.raises(ConfigError, match="label_topics needs a section cluster"):
        stages_of(config.model_copy(update={"recipe": recipe}))


def test_other_topics_alone_make_the_network_and_the_page_again(whole: tuple[Config, RunCard]) -> None:
    config, _ = whole
    settings = config.recipe.cluster
    assert settings is not None
    recipe = config.recipe.model_copy(update={"cluster": settings.model_copy(update={"mode": "fit"})})
    card = refresh.run(config.model_copy(update={"recipe": recipe}), TWO)
    assert card.figures["embed"] == "current"
    assert [each.stage for each in card.upstream] == ["cluster", "label_topics", "analyze_network", "report"]
    topics = read_manifest(label_topics.make_job(config, TWO).topics)
    assert topics is not None
    publication = Publications(config.root, "small").read()
    assert publication is not None
    assert publication["tables"]["topics"] == identity_of(topics)


def test_a_plan_says_what_would_run_and_why_and_leaves_nothing(config: Config, tmp_path: Path) -> None:
    plan = refresh.plan(config, TWO)
    assert not Path(config.root).exists()
    statuses = {step.stage: step.status for step in plan.steps}
    assert statuses["prepare"] == "would run"
    assert statuses["embed"] == "would run after prepare"
    assert statuses["refresh"] == "would publish"
    refresh.run(config, TWO)
    assert {step.status for step in refresh.plan(config, TWO).steps} == {
        "nothing to do: committed",
        "nothing to do: published as version 1",
    }
    write_night(tmp_path, TWO, "late")
    page = refresh.plan(config, TWO).page()
    assert f"1 input file new: {tmp_path}/raw/{TWO}/late.jsonl" in page
    assert json.loads(refresh.run(config, TWO).json_line())["status"] == "committed"
