"""Deleted documents: they leave the tables with the next run, and no late file or backup brings them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small_jobs import DAY, find_partition, make_config, read_table, write_jsonl
from theta_ray import clean_up
from theta_ray.config import CleanUp, Config
from theta_ray.corpus import prepare
from theta_ray.encoder import embed
from theta_ray.manifest import list_versions, read_manifest

TEXTS = [f"text of person number {i}" for i in range(30)]
SECRET_TEXT, SECRET_ID = "text of person number 7", "d7"


@pytest.fixture
def config(tmp_path: Path, bert: Path) -> Config:
    write_jsonl(tmp_path / "raw" / "a.jsonl", TEXTS)
    return make_config(tmp_path / "raw", str(tmp_path / "root"), bert, corpus={"shard_bytes": 400})


def delete(config: Config, *ids: str, name: str = "a.txt") -> None:
    folder = Path(config.root, "tombstones")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(f"{each}\n" for each in ids))


def ids(config: Config, table: str) -> list[str]:
    return list(read_table(config.root, table)["doc_id"].to_pylist())


def holding_bytes(config: Config, text: str) -> list[str]:
    """Files below the root, but for the list of deleted ids itself, that hold a text."""
    found = (path for path in Path(config.root).rglob("*") if path.is_file() and "tombstones" not in path.parts)
    return [path.name for path in found if text.encode() in path.read_bytes()]


def test_a_deleted_id_is_never_let_in(config: Config) -> None:
    delete(config, SECRET_ID)
    card = embed.run(config, DAY)
    assert SECRET_ID not in ids(config, "corpus")
    assert len(ids(config, "corpus")) == card.figures["embedded"] == 29
    (row,) = read_table(config.root, "quarantine").to_pylist()
    assert (row["reason"], row["detail"]) == ("deleted_id", "")
    assert SECRET_ID not in row["source_ref"]


def test_an_id_that_was_deleted_after_the_commit_leaves_with_the_next_run(config: Config) -> None:
    first = embed.run(config, DAY)
    before = read_manifest(find_partition(config.root, "embeddings"))
    delete(config, SECRET_ID)
    assert prepare.plan(config, DAY).steps[0].reasons == ["version 1 holds ids that were deleted since"]
    card = embed.run(config, DAY)
    after = read_manifest(find_partition(config.root, "embeddings"))
    assert before is not None
    assert after is not None
    assert SECRET_ID not in ids(config, "corpus") + ids(config, "embeddings")
    assert (first.figures["embedded"], card.figures["embedded"]) == (30, 29)
    assert card.figures["shards_made_by_this_run"] == 1
    kept = {shard["shard"] for shard in before["shards"]} & {shard["shard"] for shard in after["shards"]}
    assert len(kept) == len(after["shards"]) - 1
    assert embed.run(config, DAY).status == "nothing to do"


def test_a_backup_or_late_file_does_not_bring_it_back(config: Config, tmp_path: Path) -> None:
    delete(config, SECRET_ID)
    embed.run(config, DAY)
    write_jsonl(tmp_path / "raw" / "z-backup.jsonl", TEXTS[:10])
    embed.run(config, DAY)
    assert sorted(ids(config, "corpus")) == sorted({f"d{i}" for i in range(30)} - {SECRET_ID})
    manifest = read_manifest(find_partition(config.root, "corpus"))
    assert manifest is not None
    assert manifest["quarantined"] == {"deleted_id": 2, "duplicate_id": 9}


def test_a_list_that_names_nobody_here_makes_no_version(config: Config) -> None:
    embed.run(config, DAY)
    delete(config, "somebody-else")
    assert embed.run(config, DAY).status == "nothing to do"
    assert list_versions(find_partition(config.root, "corpus")) == [1]


def test_a_list_that_was_taken_away_brings_nobody_back_by_itself(config: Config) -> None:
    delete(config, SECRET_ID)
    embed.run(config, DAY)
    Path(config.root, "tombstones", "a.txt").unlink()
    assert embed.run(config, DAY).status == "nothing to do"
    assert SECRET_ID not in ids(config, "corpus")


def test_after_a_clean_up_no_byte_of_the_text_is_left(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    # stored as written, so that a search for its bytes means something
    plain: Callable[..., object] = __import__("pyarrow.parquet").parquet.ParquetWriter
    options = {"compression": "none", "use_dictionary": False}
    monkeypatch.setattr("theta_ray.store.pq.ParquetWriter", lambda *a, **k: plain(*a, **{**k, **options}))
    embed.run(config, DAY)
    assert holding_bytes(config, SECRET_TEXT)
    delete(config, SECRET_ID)
    embed.run(config, DAY)
    assert holding_bytes(config, SECRET_TEXT)
    settings = CleanUp(remove=True, keep_versions=1, min_age_hours=0)
    recipe = config.recipe.model_copy(update={"clean_up": settings})
    clean_up.run(config.model_copy(update={"recipe": recipe}), DAY)
    assert holding_bytes(config, SECRET_TEXT) == []
    assert holding_bytes(config, TEXTS[8])
