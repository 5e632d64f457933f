"""A refresh as its users meet it: without a date, beside another one, and after a night was taken back."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.nights import NIGHTS, save_nightly, write_night
from theta_ray import runtime
from theta_ray.clean_up import plan as plan_of_clean_up
from theta_ray.clean_up import run as clean_up
from theta_ray.config import CleanUp, Config, Recipe
from theta_ray.nightly import refresh
from theta_ray.publication import Publications
from theta_ray.recipe_files import load_config

ONE, TWO, THREE = NIGHTS


def job(capsys: pytest.CaptureFixture[str], options: list[str], *more: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the line for scripts, and what was said."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        runtime.main(refresh, [*options, *more])
    said = capsys.readouterr()
    return int(str(left.value.code)), json.loads(said.out or "{}"), said.err


def published(tmp_path: Path) -> list[dict[str, Any]]:
    publications = Publications(str(tmp_path / "root"), "small")
    found = [publications.read(version) for version in publications.versions()]
    return [each for each in found if each is not None]


@pytest.fixture
def options(tmp_path: Path, bert: Path) -> list[str]:
    """Two nights of two files; tables up to the embeddings."""
    for night in (ONE, TWO):
        write_night(tmp_path, night, "a", "b")
    return save_nightly(tmp_path, bert, stages=["embed"])


def test_without_a_date_it_is_the_store_s_yesterday_whatever_this_machine_s_clock_says(
    tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, found = datetime(2026, 1, 31, 23, 30, tzinfo=UTC), set()
    monkeypatch.setattr(refresh, "store_now", lambda folder: now)
    clock = time.time
    for hours in (0, 1 / 6, -1 / 6, 24, -24):
        folder = tmp_path / f"shift{hours:.1f}"
        write_night(tmp_path, TWO, "a")
        folder.mkdir()
        monkeypatch.setattr(time, "time", lambda hours=hours: clock() + 3600 * hours)
        monkeypatch.setattr(runtime, "datetime", _shifted(timedelta(hours=hours)))
        options = save_nightly(tmp_path, bert, stages=["embed"], time_zone="Europe/Berlin")
        code, line, _ = job(capsys, [*options[:-1], str(folder / "root")])
        assert (code, line["date"]) == (0, TWO)
        found.add(Path(Publications(str(folder / "root"), "small").path(1)).read_bytes())
    assert len(found) == 1


def test_a_plan_without_a_date_writes_nothing_and_says_whose_clock_it_goes_by(
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(folder: str) -> datetime:
        raise AssertionError("this writes an object")

    class Fixed(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 31, 23, 30, tzinfo=tz)

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(refresh, "store_now", never)
    monkeypatch.setattr(refresh, "datetime", Fixed)
    with pytest.raises(SystemExit) as left:
        runtime.main(refresh, [*options, "--plan", "--set", "refresh.time_zone=Europe/Berlin"])
    assert left.value.code == 0
    assert f"dt={TWO}" in capsys.readouterr().out  # in Berlin it is February already
    assert f"the plan is of {TWO}, yesterday by this machine's clock; a run goes by the store's" in caplog.text
    assert not (tmp_path / "root").exists()


def _shifted(by: timedelta) -> type[datetime]:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + by

    return Wrong


def test_a_time_zone_that_is_none_is_told_in_one_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = job(capsys, options, "--set", "refresh.time_zone=Europe/Berlim")
    assert code == 2
    assert "refresh.time_zone: 'Europe/Berlim' is no known time zone; write it like Europe/Berlin" in said


@pytest.mark.parametrize(("meanwhile", "dates"), [(ONE, [ONE]), (TWO, [TWO, ONE])])
def test_a_refresh_that_publishes_meanwhile_is_built_on(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str, dates: list[str]
) -> None:
    config = load_config(options[1], resources_path=options[3], root=options[5])
    publish = Publications.publish

    def second(self: Publications, *values: Any) -> dict[str, Any]:
        """Another refresh runs whole when this one is about to publish."""
        monkeypatch.setattr(Publications, "publish", publish)
        refresh.run(config, meanwhile)
        return publish(self, *values)

    monkeypatch.setattr(Publications, "publish", second)
    assert refresh.run(config, ONE).status == "committed"
    assert [each["date"] for each in published(tmp_path)] == dates
    current = Publications(config.root, "small").read()
    assert current is not None
    assert current["date"] == max(dates)
    assert refresh.run(config, ONE).status == "nothing to do"


def test_a_night_that_was_taken_back_stays_back_until_something_is_new(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for night in (ONE, TWO):
        assert job(capsys, options, "--date", night)[0] == 0
    code, line, _ = job(capsys, options, "--set", "refresh.publish_version=1")
    assert (code, line["date"], line["publication"], line["withdrawn"]) == (0, ONE, 3, "2")
    assert job(capsys, options, "--set", "refresh.publish_version=1")[1]["status"] == "nothing to do"
    code, line, said = job(capsys, options, "--date", TWO)
    assert (code, line["status"]) == (0, "nothing to do")
    told = "version 2 held the same and was withdrawn; --set refresh.publish_version=2 publishes it anyway"
    assert told in said
    config = load_config(options[1], resources_path=options[3], root=options[5])
    assert told in refresh.plan(config, TWO).page()
    assert [each["date"] for each in published(tmp_path)] == [ONE, TWO, ONE]
    write_night(tmp_path, TWO, "late")
    assert job(capsys, options, "--date", TWO)[1]["status"] == "committed"
    current = Publications(str(tmp_path / "root"), "small").read()
    assert current is not None
    assert (current["date"], current["version"], current["withdrawn"]) == (TWO, 4, [2])
    assert job(capsys, options, "--set", "refresh.publish_version=2")[1]["withdrawn"] == "none"


def test_a_page_that_is_made_anew_does_not_bring_back_a_night_that_was_taken_back(
    tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for night in NIGHTS:
        write_night(tmp_path, night, "a")
    options = save_nightly(tmp_path, bert, stages=["embed", "report"])
    for night in NIGHTS:
        assert job(capsys, options, "--date", night)[0] == 0
    assert job(capsys, options, "--set", "refresh.publish_version=1")[1]["withdrawn"] == "2, 3"
    config = load_config(options[1], resources_path=options[3], root=options[5])
    told = "version 3 held the same and was withdrawn; --set refresh.publish_version=3 publishes it anyway"
    planned = refresh.plan(config, THREE).page()
    assert "report  would run" in planned  # the night before it is another now
    assert told in planned
    reasons = []
    for _ in range(2):
        code, line, said = job(capsys, options, "--date", THREE)
        assert code == 0
        assert told in said
        reasons.append(line.get("report"))
    assert [each["date"] for each in published(tmp_path)] == [*NIGHTS, ONE]
    others = "its section of the recipe, what it is made with, or the nights that it compares with, are others"
    assert reasons == [others, None]  # the second time there is nothing to do
    assert "would publish" in refresh.plan(config.model_copy(update={"recipe": _other_page(config)}), THREE).page()
    assert job(capsys, options, "--date", THREE, "--set", "report.show_text=true")[1]["status"] == "committed"
    current = Publications(str(tmp_path / "root"), "small").read()
    assert current is not None
    assert (current["date"], current["version"]) == (THREE, 5)


def _other_page(config: Config) -> Recipe:
    return config.recipe.model_copy(update={"report": config.recipe.report.model_copy(update={"show_text": True})})


def test_a_publication_that_is_not_whole_is_not_published_again(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for night in (ONE, TWO):
        job(capsys, options, "--date", night)
    shard = next((tmp_path / "root" / "embeddings").rglob(f"dt={ONE}/*.parquet"))
    shard.unlink()
    code, _, said = job(capsys, options, "--set", "refresh.publish_version=1")
    assert code == 3
    assert f"publication 1 is not whole: {shard}: is gone; publish another version, or refresh {ONE} again\n" in said
    assert job(capsys, options, "--set", "refresh.publish_version=9")[0] == 3
    assert len(published(tmp_path)) == 2


def test_clean_up_leaves_what_the_newest_publications_name(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for late in (["a"], ["late"], ["later"]):
        write_night(tmp_path, TWO, *late)
        job(capsys, options, "--date", TWO)
    job(capsys, options, "--set", "refresh.publish_version=1")
    config = load_config(options[1], resources_path=options[3], root=options[5])
    settings = CleanUp(remove=True, min_age_hours=0, keep_versions=1)
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"clean_up": settings})})
    time.sleep(0.05)
    assert "manifests" in plan_of_clean_up(config, TWO).page()
    clean_up(config, TWO)
    assert job(capsys, options, "--set", "refresh.publish_version=1")[1]["status"] == "nothing to do"
    assert job(capsys, options, "--set", "refresh.publish_version=3")[0] == 0  # the newest version of each table
    code, _, said = job(capsys, options, "--set", "refresh.publish_version=2")
    assert code == 3
    assert "no version 2" in said
