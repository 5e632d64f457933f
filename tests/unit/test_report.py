"""Stage `report`: from raw files to one page, made of committed tables only, once for each of their versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.report_facts import parsed
from tests.reported import NIGHTS, files_in, page, posts, report_config, words_of
from theta_ray.clean_up import run as clean_up
from theta_ray.config import Config
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.network import analyze_network
from theta_ray.objects import create
from theta_ray.publication import Publications
from theta_ray.report import report
from theta_ray.report.tables import find_tables
from theta_ray.store import canonical_json

TOPICS = ["running", "bread", "stars", "votes"]


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Any:
    """A configuration with the pages of two nights; half of the first one's posts come on the second."""
    folder = tmp_path_factory.mktemp("nights")
    nights = {NIGHTS[0]: posts(TOPICS, 240, NIGHTS[0]), NIGHTS[1]: posts(TOPICS, 120, NIGHTS[1], seed=1)}
    config = report_config(folder, bert, nights)
    return config, [page(config, night) for night in NIGHTS]


def test_a_page_is_made_from_raw_files_with_all_that_it_needs(two_nights: Any) -> None:
    config, (first, _) = two_nights
    assert parsed(first.encode()).all("h1")
    said = words_of(first)
    assert (
        "1 file held 240 rows: 240 were kept as documents, 0 were turned away. 240 + 0 = 240: nothing was lost" in said
    )
    assert "4 topics of 240 documents" in said
    assert "There is no earlier night to compare with" in said
    assert {"topics.csv", "lorenz.csv", "hours.csv"} <= files_in(first).keys()
    tables = find_tables(config, NIGHTS[0])
    assert all(table.partition.fingerprint in first for table in tables.values())


def test_the_second_night_is_compared_with_the_first(two_nights: Any) -> None:
    _, (_, second) = two_nights
    said = words_of(second)
    assert f"Compared with {NIGHTS[0]}" in said
    assert f"120 rows came in, 240 on {NIGHTS[0]} (\u221250 %)." in said
    assert f"Their numbers go on from {NIGHTS[0]}" in said
    by_night = [row.split(",") for row in files_in(second)["topic-counts.csv"].splitlines()[1:]]
    assert {night for _, night, _ in by_night} == set(NIGHTS)
    assert sum(int(count) for _, night, count in by_night if night == NIGHTS[1]) == 120


def test_its_manifest_names_the_page_and_every_table_that_it_is_of(two_nights: Any) -> None:
    config, _ = two_nights
    manifest = read_manifest(report.partition_of(config, NIGHTS[1]))
    assert manifest is not None
    assert manifest["inputs"] == {name: table.identity for name, table in find_tables(config, NIGHTS[1]).items()}
    assert manifest["before"]["date"] == NIGHTS[0]
    assert manifest["before"]["tables"]["corpus"] == find_tables(config, NIGHTS[0])["corpus"].identity
    (name,) = manifest["files"]
    assert name == f"report-{manifest['sha256'][:16]}.html"


def test_a_second_run_has_nothing_to_do_and_clean_up_leaves_the_page(two_nights: Any) -> None:
    config, (first, _) = two_nights
    assert report.plan(config, NIGHTS[0]).steps[-1].status == "nothing to do: committed"
    before = {path: path.stat().st_mtime_ns for path in Path(config.root).rglob("*")}
    card = report.run(config, NIGHTS[0])
    assert (card.status, card.upstream) == ("nothing to do", [])
    assert {path: path.stat().st_mtime_ns for path in Path(config.root).rglob("*")} == before  # not even a lease
    assert list_versions(report.partition_of(config, NIGHTS[0])) == [1]
    old = config.recipe.clean_up.model_copy(update={"remove": True, "min_age_hours": 0})
    recipe = config.recipe.model_copy(update={"clean_up": old})
    clean_up(config.model_copy(update={"recipe": recipe}), NIGHTS[0])
    assert page(config, NIGHTS[0]) == first


def test_no_author_and_no_text_is_on_a_page_unless_the_recipe_shows_texts(two_nights: Any) -> None:
    config, pages = two_nights
    for each in pages:
        everything = each + "".join(files_in(each).values())
        assert "author-" not in everything
        assert "<blockquote>" not in everything
    section = config.recipe.report.model_copy(update={"show_text": True})
    recipe = config.recipe.model_copy(update={"report": section})
    shown = page(config.model_copy(update={"recipe": recipe}), NIGHTS[0])
    quoted = parsed(shown.encode()).all("blockquote")
    assert len(quoted) == 8
    assert "author-" not in shown


def networks_of(folder: Path, model: Path, num_posts: int, **section: Any) -> Config:
    """A configuration whose networks are committed, and whose page is of no more."""
    nights = {NIGHTS[0]: posts(TOPICS, num_posts, NIGHTS[0])}
    config = report_config(folder, model, nights, {"make_missing": False, **section})
    analyze_network.run(config, NIGHTS[0])
    return config


def test_another_version_of_a_table_makes_another_version_of_the_page(tmp_path: Path, bert: Path) -> None:
    config = networks_of(tmp_path, bert, 30)
    page(config, NIGHTS[0])
    networks_of(tmp_path, bert, 60)
    assert report.committed(config, NIGHTS[0]) is None
    assert report.plan(config, NIGHTS[0]).steps[-1].status == "would run"
    assert "60 rows" in words_of(page(config, NIGHTS[0]))
    assert list_versions(report.partition_of(config, NIGHTS[0])) == [1, 2]


def test_pseudonyms_are_shown_by_their_first_digits(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THETA_RAY_AUTHOR_KEY", "0" * 64)
    nights = {NIGHTS[0]: posts(TOPICS, 60, NIGHTS[0])}
    section = {"min_cell": 1, "make_missing": False}
    config = report_config(tmp_path, bert, nights, section, corpus={"authors": "pseudonym"})
    analyze_network.run(config, NIGHTS[0])
    rows = files_in(page(config, NIGHTS[0]))["hubs-comment_to_parent_author.csv"].splitlines()[1:]
    assert rows
    assert all(len(row.split(",")[0].lstrip("'")) == 12 for row in rows)


def test_only_what_is_committed_is_on_a_page_that_makes_nothing(tmp_path: Path, bert: Path) -> None:
    config = report_config(tmp_path, bert, {NIGHTS[0]: posts(TOPICS, 30, NIGHTS[0])}, {"make_missing": False})
    with pytest.raises(InputError, match="run jobs/prepare.py for 2026-01-30 first"):
        report.run(config, NIGHTS[0])
    analyze_network.run(config, NIGHTS[0])
    said = words_of(page(config, NIGHTS[0]))
    assert "There are no topics of this day. jobs/label_topics.py makes them, where the recipe has a section" in said
    assert "Who answers whom" in said
    assert not find_tables(config, NIGHTS[0]).keys() & {"embeddings", "topics"}


def test_small_groups_are_neither_named_nor_counted_apart(two_nights: Any) -> None:
    config, _ = two_nights
    section = config.recipe.report.model_copy(update={"min_cell": 31})
    recipe = config.recipe.model_copy(update={"report": section})
    shown = page(config.model_copy(update={"recipe": recipe}), NIGHTS[1])
    files = files_in(shown)
    sizes = [int(row.rsplit(",", 6)[1]) for row in files["topics.csv"].splitlines()[1:]]
    assert all(size >= 31 for size in sizes)
    assert f"{4 - len(sizes)} more topic" in words_of(shown)
    assert not [name for name in files if name.startswith(("communities-", "topics-by-community-"))]
    for name in (name for name in files if name.startswith(("hubs-", "authorities-"))):
        assert len(files[name].splitlines()) == 1


def test_a_page_that_is_too_large_is_refused_with_what_to_change(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_BYTES", 10_000)
    config = networks_of(tmp_path, bert, 30)
    with pytest.raises(StageError, match=r"the page would have [\d,]+ bytes.*set a smaller report.num_points"):
        report.run(config, NIGHTS[0])


def test_a_night_is_compared_with_what_was_published(two_nights: Any) -> None:
    config, _ = two_nights
    tables = {name: table.identity for name, table in find_tables(config, NIGHTS[0]).items()}
    publish(config, 1, tables)
    assert report.committed(config, NIGHTS[1]) is not None
    corpus_alone = {"corpus": tables["corpus"]}
    publish(config, 2, corpus_alone)
    assert report.make_job(config, NIGHTS[1]).body["before"] == {"date": NIGHTS[0], "tables": corpus_alone}
    assert report.committed(config, NIGHTS[1]) is None
    publish(config, 3, tables, withdrawn=[2])
    assert report.committed(config, NIGHTS[1]) is not None
    publish(config, 4, corpus_alone, date="2026-01-02", withdrawn=[2])  # late files of an older day
    assert report.committed(config, NIGHTS[1]) is not None


def publish(config: Config, version: int, tables: dict[str, Any], **more: Any) -> None:
    content = {"version": version, "parent": None, "date": NIGHTS[0], "tables": tables, **more}
    create(Publications(config.root, config.recipe.name).path(version), canonical_json(content))
