"""Two nights of the synthetic platform: what was planted in them is in the files, and is found by the stages."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.clustered import rows_of
from tests.conftest import REPOSITORY
from theta_ray.config import Config, Resources
from theta_ray.corpus.sample_nights import BORN, DIED, NIGHTS, write_nights
from theta_ray.manifest import read_manifest
from theta_ray.recipe_files import load_config
from theta_ray.topics import label_topics

NUM_POSTS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_nights(folder, num_posts=NUM_POSTS)
    return folder / "nights"


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["doc_id"]: row for row in pq.read_table(folder / "truth.parquet").to_pylist()}


def texts_of(folder: Path, night: str, truth: dict[str, Any]) -> dict[str, str]:
    """Text by id of a night's well-formed posts."""
    files = sorted((folder / night).glob("*.jsonl.gz"))
    lines = [line for file in files for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {row["id"]: row["text"] for row in rows if row["id"] in truth}


def test_the_same_seed_gives_the_same_nights(folder: Path, tmp_path: Path) -> None:
    write_nights(tmp_path, num_posts=NUM_POSTS)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "nights" / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_each_night_has_posts_of_its_day_and_its_topics_only(folder: Path, truth: dict[str, Any]) -> None:
    counts = Counter((row["date"], row["topic"]) for row in truth.values())
    one, two = ({topic for night, topic in counts if night == each} for each in NIGHTS)
    planted = json.loads((folder / "topics.json").read_text())[NIGHTS[1]]
    assert (one - two, two - one) == ({DIED}, {BORN}) == (set(planted["died"]), set(planted["born"]))
    assert one & two == set(planted["kept"])
    assert min(counts.values()) >= 20
    for night in NIGHTS:
        found = texts_of(folder, night, truth)
        assert {truth[doc_id]["date"] for doc_id in found} == {night}
        assert len(found) == NUM_POSTS


def test_texts_of_the_first_night_come_again_on_the_second(folder: Path, truth: dict[str, Any]) -> None:
    before, after = (texts_of(folder, night, truth) for night in NIGHTS)
    again = {doc_id for doc_id, text in after.items() if text in set(before.values())}
    assert again == {doc_id for doc_id in after if truth[doc_id]["is_duplicate_of"] in before}
    assert len(again) >= NUM_POSTS // 10


def test_deleted_are_all_posts_of_one_author_and_some_others(folder: Path, truth: dict[str, Any]) -> None:
    deleted = (folder / f"deleted-{NIGHTS[1]}.txt").read_text().splitlines()
    assert {doc_id for doc_id, row in truth.items() if row["is_deleted"]} == set(deleted)
    assert Counter(truth[doc_id]["date"] for doc_id in deleted)[NIGHTS[0]] > 30
    assert Counter(truth[doc_id]["date"] for doc_id in deleted)[NIGHTS[1]] > 0
    assert len(deleted) < 0.15 * len(truth)


def config_of_nights(folder: Path, root: Path) -> Config:
    """recipes/nightly.yaml over these nights, in this process."""
    overrides = (f"corpus.inputs.0.path={folder}/{{date}}/*.jsonl.gz",)
    config = load_config(str(REPOSITORY / "recipes/nightly.yaml"), root=str(root), overrides=overrides)
    return config.model_copy(update={"resources": Resources(executor="local")})


def test_the_planted_birth_and_death_are_found(
    folder: Path, truth: dict[str, Any], tmp_path: Path, minilm: Path
) -> None:
    del minilm  # the recipe names its package
    config = config_of_nights(folder, tmp_path / "root")
    for night in NIGHTS:
        label_topics.run(config, night)
    planted = [_planted(config, night, truth) for night in NIGHTS]
    events = {planted[1][row["topic_id"]]: row["event"] for row in _topics(config, NIGHTS[1])}
    assert events == {topic: "born" if topic == BORN else "kept" for topic in planted[1].values()}
    assert len(events) == len(planted[1]) == len(planted[0]) == 7
    manifest = read_manifest(label_topics.make_job(config, NIGHTS[1]).topics)
    assert manifest is not None
    ended = {planted[0][topic["topic_id"]]: topic["event"] for topic in manifest["ended"]}
    assert ended == {DIED: "died"}
    assert dict(planted[0].items() & planted[1].items()) == {
        topic_id: topic for topic_id, topic in planted[0].items() if topic != DIED
    }


def _topics(config: Config, night: str) -> list[dict[str, Any]]:
    return rows_of(label_topics.make_job(config, night).topics).to_pylist()


def _planted(config: Config, night: str, truth: dict[str, Any]) -> dict[int, str]:
    """Topic id -> the planted topic that most of its documents have; nine in ten of them."""
    job = label_topics.make_job(config, night)
    topic_of = {row["cluster_id"]: row["topic_id"] for row in _topics(config, night)}
    counts: dict[int, Counter[str]] = {}
    for row in rows_of(job.assignments).to_pylist():
        if row["cluster_id"] is not None:
            counts.setdefault(topic_of[row["cluster_id"]], Counter())[truth[row["doc_id"]]["topic"]] += 1
    assert all(each.most_common(1)[0][1] >= 0.9 * each.total() for each in counts.values())
    return {topic_id: each.most_common(1)[0][0] for topic_id, each in counts.items()}
