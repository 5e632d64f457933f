"""A night without documents is published as such; one of a few keeps its topics; one that lost all its rows is loud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clustered import rows_of
from tests.nights import NIGHTS, nightly_config, write_night
from theta_ray.config import Config
from theta_ray.errors import StageError
from theta_ray.manifest import read_manifest
from theta_ray.nightly import refresh
from theta_ray.nightly.forget_places import inputs_of
from theta_ray.nightly.refresh_stages import all_turned_away
from theta_ray.publication import Publications
from theta_ray.topics import cluster, label_topics

ONE, TWO, THREE = NIGHTS


def write_rows(folder: Path, night: str, text: str) -> None:
    place = folder / "raw" / night
    place.mkdir(parents=True, exist_ok=True)
    (place / "a.jsonl").write_text(text)


def topics_of(config: Config, night: str) -> list[dict[str, Any]]:
    names = ("topic_id", "label", "terms", "size", "event")
    rows = rows_of(label_topics.make_job(config, night).topics).to_pylist()
    return [{name: row[name] for name in names} for row in rows]


def manifest_of(config: Config, night: str, table: str) -> dict[str, Any]:
    manifest = read_manifest(getattr(cluster.make_job(config, night), table))
    assert manifest is not None
    return manifest


def test_topics_go_on_over_a_night_without_documents_and_over_one_of_a_few(tmp_path: Path, bert: Path) -> None:
    config = nightly_config(tmp_path, bert, stages=["label_topics", "report"])
    write_night(tmp_path, ONE, "a")
    write_rows(tmp_path, TWO, "")
    write_night(tmp_path, THREE, "a", count=3)
    refresh.run(config, ONE)
    card = refresh.run(config, TWO)
    assert card.figures[f"day_{TWO}"].startswith("published as version 2 of no documents, ")
    assert card.figures["topics"] == "kept 4"
    first, quiet = topics_of(config, ONE), topics_of(config, TWO)
    assert all(topic["label"] != "no words" for topic in first)
    assert quiet == [{**topic, "size": 0, "event": "kept"} for topic in first]
    assert manifest_of(config, TWO, "centroids")["reason"] == "the day has no documents"
    assert manifest_of(config, TWO, "assignments")["num_rows"] == 0
    place = label_topics.make_job(config, TWO).topics
    made_from = {source for source, _ in inputs_of(place, read_manifest(place))}
    assert label_topics.make_job(config, ONE).topics in made_from  # so that a deletion there reaches its words here
    again = refresh.run(config, TWO)
    assert (again.status, again.figures[f"day_{TWO}"]) == ("nothing to do", "is version 2 of no documents, all current")
    refresh.run(config, THREE)
    few = topics_of(config, THREE)
    assert manifest_of(config, THREE, "centroids")["mode"] == "assign"
    assert [topic["topic_id"] for topic in few] == [topic["topic_id"] for topic in first]
    assert sum(topic["size"] for topic in few) == 3
    unused = {topic["topic_id"] for topic in few if not topic["size"]}
    assert unused
    assert [t for t in few if t["topic_id"] in unused] == [t for t in quiet if t["topic_id"] in unused]


def test_a_night_without_documents_follows_late_files_of_the_night_before(tmp_path: Path, bert: Path) -> None:
    config = nightly_config(tmp_path, bert, stages=["label_topics"])
    write_night(tmp_path, ONE, "a")
    write_rows(tmp_path, TWO, "")
    refresh.run(config, ONE)
    refresh.run(config, TWO)
    write_night(tmp_path, ONE, "late")
    refresh.run(config, ONE)
    refresh.run(config, TWO)
    assert [t["terms"] for t in topics_of(config, TWO)] == [t["terms"] for t in topics_of(config, ONE)]


def test_a_first_night_without_documents_has_no_topics_and_the_next_has_its_own(tmp_path: Path, bert: Path) -> None:
    config = nightly_config(tmp_path, bert, stages=["label_topics", "analyze_network", "report"])
    write_rows(tmp_path, ONE, "")
    write_night(tmp_path, TWO, "a")
    assert refresh.run(config, ONE).status == "committed"
    assert topics_of(config, ONE) == []
    assert refresh.run(config, ONE).status == "nothing to do"
    refresh.run(config, TWO)
    assert manifest_of(config, TWO, "centroids")["mode"] == "fit"
    assert len(topics_of(config, TWO)) == 4


def test_a_night_whose_rows_are_all_turned_away_is_an_error_and_not_published(tmp_path: Path, bert: Path) -> None:
    config = nightly_config(tmp_path, bert, stages=["embed"], num_days=2)
    write_rows(tmp_path, TWO, "".join(json.dumps({"id": f"d{i}", "text": f"number {i}"}) + "\n" for i in range(5)))
    corpus = config.recipe.corpus.model_copy(update={"min_chars": 60})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"corpus": corpus})})
    for _ in range(2):  # the second time nothing is left to be made, and it is as loud
        with pytest.raises(
            StageError, match=r"corpus/.*: all 5 rows were turned away \(too_short 5\); nothing of it is"
        ):
            refresh.run(config, TWO)
    assert refresh.plan(config, TWO).steps[-1].status == "would not publish: all 5 rows were turned away (too_short 5)"
    assert Publications(config.root, "small").read() is None
    (tmp_path / "raw" / THREE).mkdir()
    long = [{"id": f"e{i}", "text": f"number {i} " * 20} for i in range(5)]
    write_rows(tmp_path, THREE, "".join(json.dumps(row) + "\n" for row in long))
    card = refresh.run(config, THREE)  # a bad yesterday does not hold up today
    assert card.figures[f"day_{TWO}"] == "not published: all 5 rows were turned away (too_short 5), all current"
    assert card.figures[f"day_{THREE}"].startswith("published as version 1, ")


def test_rows_that_no_recipe_could_have_kept_are_no_loss() -> None:
    def corpus(num_rows: int, skipped: dict[str, int] | None = None, **quarantined: int) -> dict[str, Any]:
        counts = {"num_rows_in": num_rows + sum(quarantined.values()) + sum((skipped or {}).values())}
        return {"num_rows": num_rows, "quarantined": quarantined, "skipped": skipped or {}, "counts": counts}

    assert all_turned_away(corpus(0)) is None
    assert all_turned_away(corpus(0, deleted_id=3, control_message=2)) is None
    assert all_turned_away(corpus(1, too_short=9)) is None
    assert all_turned_away(corpus(0, too_short=9, deleted_id=1)) == "all 10 rows were turned away (too_short 9)"
    assert all_turned_away(corpus(0, {"bad_record": 2})) == "all 2 rows were turned away (bad_record 2)"
