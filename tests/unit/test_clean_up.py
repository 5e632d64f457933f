"""Clean-up: what no retained version names goes, once it is old; all else stays, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.adapters import partition as adapter_partition
from tests.adapters import train
from tests.small_jobs import DAY, find_partition, make_texts, write_jsonl
from theta_ray import clean_up
from theta_ray.config import CleanUp, Config
from theta_ray.encoder import embed
from theta_ray.lease import holding, is_held
from theta_ray.manifest import list_versions
from theta_ray.store import Partition
from theta_ray.table import list_files, open_table
from theta_ray.training.adapter import commit_adapter


def cleaning(config: Config, **settings: Any) -> Config:
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"clean_up": CleanUp(**settings)})})


@pytest.fixture
def age(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many hours go by, for the store's clock."""
    now = clean_up.store_now

    def later(hours: float) -> None:
        monkeypatch.setattr(clean_up, "store_now", lambda folder: now(folder) + timedelta(hours=hours))

    return later


def files(config: Config) -> set[str]:
    """Everything below the root but leases, which tests take themselves."""
    found = (path.relative_to(config.root).as_posix() for path in Path(config.root).rglob("*") if path.is_file())
    return {name for name in found if "/lease/" not in name}


def plant(partition: Partition, *names: str) -> set[str]:
    for name in names:
        path = Path(partition.at(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left behind")
    return {Path(partition.at(name)).relative_to(partition.root).as_posix() for name in names}


def test_it_only_lists_until_it_is_told_to_remove(config: Config, age: Callable[[float], None]) -> None:
    embed.run(config, DAY)
    plant(find_partition(config.root, "embeddings"), "part-00009-0123456789abcdef-00000.parquet")
    before = files(config)
    age(100)
    report = clean_up.run(config, DAY)
    assert files(config) == before
    assert report.figures()["shards"] == 1
    assert "would be removed: set clean_up.remove=true" in report.page()
    assert json.loads(report.json_line())["removed"] is False
    assert "part-00009-0123456789abcdef-00000.parquet" in clean_up.plan(config, DAY).page()


def test_it_removes_exactly_what_no_version_names(config: Config, age: Callable[[float], None]) -> None:
    embed.run(config, DAY)
    shared = {name for name in files(config) if "/shared/" in name}
    kept = {name for name in files(config) if "/plans/" not in name} - shared
    partition = find_partition(config.root, "embeddings")
    assert shared
    assert not [name for name in list_files(partition.path) if "/shared/" in name]
    table = open_table(partition.path).to_table()
    names = ("part-9.parquet", "records/part-9.json", ".tmp-abc", "staging/0123/rows/part-00000.parquet")
    planted = plant(find_partition(config.root, "corpus"), *names)
    dead = Partition(config.root, "embeddings", "dead00000000", DAY)
    planted |= plant(dead, "part-1.parquet", "records/part-1.json")
    age(100)
    report = clean_up.run(cleaning(config, remove=True), DAY)
    assert files(config) == kept
    gone = {
        Path(path, each.name).relative_to(config.root) for path, objects in report.objects.items() for each in objects
    }
    assert planted | shared <= {path.as_posix() for path in gone}
    assert report.figures()["shared"] == len(shared)
    assert open_table(partition.path).to_table().equals(table)
    assert embed.run(config, DAY).status == "nothing to do"


def test_what_is_young_stays(config: Config, age: Callable[[float], None]) -> None:
    embed.run(config, DAY)
    plant(find_partition(config.root, "corpus"), "part-9.parquet")
    before = files(config)
    age(71)
    assert clean_up.run(cleaning(config, remove=True), DAY).figures()["objects"] == 0
    assert files(config) == before


def test_old_versions_go_and_what_the_kept_ones_were_made_from_stays(
    config: Config, age: Callable[[float], None], tmp_path: Path
) -> None:
    for count in (60, 64, 68):
        write_jsonl(tmp_path / "raw" / "a.jsonl", make_texts(count))
        embed.run(config, DAY)
    corpus, embeddings = (find_partition(config.root, table) for table in ("corpus", "embeddings"))
    os.unlink(embeddings.at("manifests", "00000003.json"))  # as if killed between the two commits
    age(100)
    clean_up.run(cleaning(config, remove=True, keep_versions=1), DAY)
    assert list_versions(corpus) == [2, 3]
    assert list_versions(embeddings) == [2]
    assert open_table(embeddings.path).count_rows() == open_table(corpus.path, 2).count_rows() == 64
    assert open_table(corpus.path).count_rows() == 68
    assert embed.run(config, DAY).figures["embedded"] == 68


def test_a_partition_that_a_run_holds_is_left_alone(config: Config, age: Callable[[float], None]) -> None:
    embed.run(config, DAY)
    corpus = find_partition(config.root, "corpus")
    rejects = Partition(config.root, "quarantine", corpus.fingerprint, DAY)
    plant(corpus, "part-9.parquet")
    plant(rejects, "part-9.parquet")
    before = files(config)
    age(100)
    with holding(corpus, config.resources):
        report = clean_up.run(cleaning(config, remove=True), DAY)
    assert set(report.held) == {corpus.path, rejects.path}
    assert {name for name in before - files(config) if not name.startswith("embeddings/")} == set()


def test_a_run_that_starts_meanwhile_waits_for_the_clean_up(
    config: Config, age: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    embed.run(config, DAY)
    corpus = find_partition(config.root, "corpus")
    plant(corpus, "part-9.parquet")
    age(100)
    held = []
    remove = clean_up.remove

    def watched(uri: str) -> None:
        if uri.startswith(corpus.path):
            held.append(is_held(corpus))
        remove(uri)

    monkeypatch.setattr(clean_up, "remove", watched)
    clean_up.run(cleaning(config, remove=True), DAY)
    assert held
    assert all(held)
    assert not is_held(corpus)


def test_an_empty_root_has_nothing_to_clean(config: Config) -> None:
    assert clean_up.run(cleaning(config, remove=True), DAY).figures()["objects"] == 0


def test_a_committed_adapter_stays_whole_and_what_its_training_left_goes(
    config: Config, bert: Path, age: Callable[[float], None]
) -> None:
    place = adapter_partition(config.root)
    commit_adapter(place, train(bert, projection=8), merged=True)
    before = files(config)
    left = plant(place, "checkpoints/00000100.safetensors", "merged/old.json")
    age(100)
    clean_up.run(cleaning(config, remove=True), DAY)
    assert files(config) == before
    assert not files(config) & left
