"""Two nights of the synthetic platform: what was planted in them is in the files, and is found by the stages."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from theta_ray.corpus.sample_nights import BORN, DIED, NIGHTS, write_nights

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
