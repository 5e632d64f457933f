"""Deletions run after run: killed, with other recipes and without raw files, published, and with adapters trained."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clustered import TOPICS
from tests.forgotten import DAYS, holding, id_of, records_of, rows_of, small_config, write_days
from theta_ray.config import Config
from theta_ray.config_pairs import Pairs
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE
from theta_ray.corpus.survey import partition_of
from theta_ray.encoder.adapter_files import num_deleted
from theta_ray.errors import InputError
from theta_ray.manifest import identity_of, list_versions, manifest_path, read_manifest
from theta_ray.network import analyze_network
from theta_ray.nightly import forget
from theta_ray.nightly.rollback import roll_back
from theta_ray.publication import Publications
from theta_ray.steps import FOLDER_VARIABLE
from theta_ray.store import Partition, canonical_json, create_same
from theta_ray.training import mine_pairs

GONE = {id_of(0, 0), id_of(0, 9)}
PROGRAM = """
import sys
from pathlib import Path
from tests.forgotten import small_config
from theta_ray.nightly import forget
forget.run(small_config(Path(sys.argv[1]), ids=sys.argv[2]), "2026-01-01")
"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Raw files, and a root with a corpus and its networks on one day."""
    write_days(tmp_path, [records_of(0, 64)])
    (tmp_path / "ids.txt").write_text("".join(f"{doc_id}\n" for doc_id in sorted(GONE)))
    analyze_network.run(small_config(tmp_path), DAYS[0])
    return tmp_path


def asking(folder: Path, **settings: Any) -> Config:
    """To forget them."""
    return small_config(folder, ids=str(folder / "ids.txt"), **settings)


def reports(folder: Path) -> list[dict[str, Any]]:
    """All of them, the first one first."""
    found = sorted(path for path in folder.glob("root/deletions/*/*.json") if ".found" not in path.name)
    return [json.loads(path.read_bytes()) for path in found]


@pytest.mark.parametrize(
    "step", ["prepare:tables_made_again", "network_stats:objects_removed", "corpus:objects_removed"]
)
def test_a_killed_run_is_ended_by_the_next_one(folder: Path, step: str) -> None:
    listed = folder / "root" / "compliance" / "0123456789ab" / "ids-00000.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("\n".join(sorted(GONE)))
    (folder / "steps").mkdir()
    (folder / "steps" / "kill").write_text(f"{step} 1")
    environment = {**os.environ, FOLDER_VARIABLE: str(folder / "steps"), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", PROGRAM, str(folder), str(folder / "ids.txt")]
    killed = subprocess.run(command, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert holding(folder / "root", GONE)
    assert forget.run(asking(folder), DAYS[0]).status == "committed"
    assert holding(folder / "root", GONE) == []
    (report,) = reports(folder)
    assert (report["num_found"], report["rows"]["corpus"]) == (2, 2)
    assert forget.run(asking(folder), DAYS[0]).status == "nothing to do"


def test_threads_stay_together_without_the_id_of_their_first_post(folder: Path) -> None:
    place = partition_of(small_config(folder), DAYS[0])
    before = {row["doc_id"]: row for row in rows_of(place).to_pylist()}
    forget.run(asking(folder), DAYS[0])
    after = {row["doc_id"]: row for row in rows_of(place).to_pylist()}
    answers = [id_of(0, number) for number in range(1, 8)]
    assert len({after[answer]["context_id"] for answer in answers}) == 1
    assert after[answers[0]]["context_id"] not in GONE | {None}
    assert [after[id_of(0, number)]["parent_id"] for number in (1, 10)] == [None, None]
    assert (before[id_of(0, 5)]["links"], after[id_of(0, 5)]["links"]) != ([], [])
    assert after[id_of(0, 5)]["links"] == []
    others = [doc_id for doc_id in after if doc_id not in {*answers, id_of(0, 10)}]
    assert [after[doc_id] for doc_id in others] == [before[doc_id] for doc_id in others]


def test_tables_of_another_recipe_are_told_and_go_where_that_is_asked(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = partition_of(small_config(folder, max_chars=500), DAYS[0])
    prepare.run(small_config(folder, max_chars=500), DAYS[0])
    with pytest.raises(InputError, match=r"2 partitions .* forget.other_recipes=remove"):
        forget.run(asking(folder), DAYS[0])
    assert other.path in caplog.text
    assert {name.split("/")[1] for name in holding(folder / "root", GONE)} == {other.fingerprint}
    assert forget.run(asking(folder, other_recipes="remove"), DAYS[0]).status == "committed"
    assert holding(folder / "root", GONE) == []
    assert list_versions(other) == []


def test_each_recipe_can_forget_its_own_where_two_share_a_root(folder: Path) -> None:
    second = small_config(folder, max_chars=500, ids=str(folder / "ids.txt"))
    prepare.run(second, DAYS[0])
    with pytest.raises(InputError):
        forget.run(asking(folder), DAYS[0])
    assert forget.run(second, DAYS[0]).status == "committed"
    assert holding(folder / "root", GONE) == []
    assert rows_of(partition_of(second, DAYS[0])).num_rows == 62


def test_a_day_without_its_raw_files_is_told_and_not_lost_unasked(folder: Path) -> None:
    (folder / f"raw-{DAYS[0]}.jsonl").unlink()
    with pytest.raises(InputError, match="whose inputs are gone"):
        forget.run(asking(folder), DAYS[0])
    assert rows_of(partition_of(asking(folder), DAYS[0])).num_rows == 64
    forget.run(asking(folder, other_recipes="remove"), DAYS[0])
    assert holding(folder / "root", GONE) == []


def test_what_is_published_has_no_deleted_document_and_no_way_back(folder: Path) -> None:
    config, place = asking(folder), partition_of(asking(folder), DAYS[0])
    manifest = read_manifest(place)
    assert manifest is not None
    publications = Publications(config.root, config.recipe.name)
    publications.publish({"date": DAYS[0], "tables": {"corpus": identity_of(manifest)}}, None)
    forget.run(config, DAYS[0])
    newest, manifest = publications.read(), read_manifest(place)
    assert newest is not None
    assert manifest is not None
    assert (newest["version"], newest["tables"]["corpus"]) == (2, identity_of(manifest))
    with pytest.raises(InputError, match="no version 1"):
        roll_back(config, 1)


def test_an_adapter_that_was_trained_on_them_is_marked_and_its_use_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = asking(folder)
    corpus, adapter = partition_of(config, DAYS[0]), Partition(config.root, "adapter", "0123456789ab", DAYS[0])
    manifest = read_manifest(corpus)
    assert manifest is not None
    body = {"version": 1, "shards": [], "files": {}, "inputs": {"pairs": {**identity_of(manifest)}}}
    create_same(manifest_path(adapter, 1), canonical_json(body))
    assert forget.run(config, DAYS[0]).figures["adapters_marked"] == 1
    assert list_versions(adapter) == [1]
    with caplog.at_level(logging.WARNING):
        assert num_deleted(adapter.path) == 2
    assert "was trained on 2 documents deleted since" in caplog.text
    assert holding(folder / "root", GONE) == []


def test_a_plan_says_what_would_go_and_touches_nothing(folder: Path) -> None:
    known = {path for path in folder.rglob("*") if path.is_file()}
    page = forget.plan(asking(folder), DAYS[0]).page()
    assert f"would run for {DAYS[0]}" in page
    assert {path for path in folder.rglob("*") if path.is_file()} == known


def test_maps_between_models_stay_though_what_they_were_fitted_on_is_gone(folder: Path) -> None:
    config = asking(folder)
    maps = Partition(config.root, "embedding_maps", "0123456789ab", DAYS[0])
    manifest = read_manifest(partition_of(config, DAYS[0]))
    assert manifest is not None
    body = {"version": 1, "shards": [], "inputs": {"embeddings": identity_of(manifest)}}
    create_same(manifest_path(maps, 1), canonical_json(body))
    assert forget.run(config, DAYS[0]).status == "committed"
    assert list_versions(maps) == [1]
    assert forget.run(config, DAYS[0]).status == "nothing to do"


def test_pairs_that_cannot_be_made_of_what_is_left_are_told_and_go_once_no_recipe_has_them(folder: Path) -> None:
    (folder / "ids.txt").write_text("".join(f"{id_of(0, number)}\n" for number in range(64) if number % len(TOPICS)))
    gone, without = set((folder / "ids.txt").read_text().split()), asking(folder, other_recipes="remove")
    with_pairs = without.model_copy(update={"recipe": without.recipe.model_copy(update={"pairs": Pairs(kind="label")})})
    mine_pairs.run(with_pairs, DAYS[0])
    with pytest.raises(InputError, match=r"1 partitions .* cannot be made again"):
        forget.run(with_pairs, DAYS[0])
    assert {name.split("/")[0] for name in holding(folder / "root", gone)} == {"pairs"}
    assert forget.run(without, DAYS[0]).status == "committed"
    assert holding(folder / "root", gone) == []
