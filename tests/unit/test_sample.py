"""The synthetic platform: the truth that other tests rely on really is in its files."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from theta_ray.corpus.sample import COMMUNITIES, HOURS, NUM_POSTS, planted_damage, write_sample
from theta_ray.corpus.sample_phrases import TOPICS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["doc_id"]: row for row in pq.read_table(folder / "truth.parquet").to_pylist()}


@pytest.fixture(scope="module")
def rows(folder: Path, truth: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Well-formed rows by id, in the order of the files."""
    found = {}
    for line in _lines(folder):
        if line.endswith("}"):
            row = json.loads(line)
            if row["id"] in truth:
                found[row["id"]] = row
    return found


def _lines(folder: Path) -> list[str]:
    files = sorted((folder / "raw").glob("*.jsonl.gz"))
    return [line for file in files for line in gzip.decompress(file.read_bytes()).decode().splitlines()]


def _digests(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    write_sample(tmp_path / "one", seed=5, num_posts=200)
    write_sample(tmp_path / "two", seed=5, num_posts=200)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


def test_writing_again_leaves_nothing_of_the_sample_before(tmp_path: Path) -> None:
    write_sample(tmp_path / "one", seed=5, num_posts=300)
    (tmp_path / "one" / "raw" / "posts-99.jsonl.gz").write_bytes(b"of another version")
    write_sample(tmp_path / "one", seed=5, num_posts=200)
    write_sample(tmp_path / "two", seed=5, num_posts=200)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


def test_another_seed_gives_other_posts(tmp_path: Path) -> None:
    write_sample(tmp_path / "one", seed=5, num_posts=200)
    write_sample(tmp_path / "two", seed=6, num_posts=200)
    assert not set(_lines(tmp_path / "one")) & set(_lines(tmp_path / "two"))


def test_truth_covers_every_well_formed_row_and_no_other(
    rows: dict[str, Any], truth: dict[str, Any], folder: Path
) -> None:
    assert list(rows) == list(truth)
    assert len(truth) == NUM_POSTS
    assert len(_lines(folder)) == NUM_POSTS + sum(planted_damage(NUM_POSTS).values())


def test_damaged_lines_are_there_in_the_planted_number(folder: Path, truth: dict[str, Any]) -> None:
    lines = _lines(folder)
    broken = [line for line in lines if not line.endswith("}")]
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    unknown = [row for row in whole if row["id"] not in truth]
    found = {
        "bad_record": len(broken),
        "missing_text": sum(row["text"] == "" for row in unknown),
        "bad_time": sum(not row["created_at"].startswith("2026-01-") for row in unknown),
        "damaged_id": sum(isinstance(row["id"], float) for row in unknown),
        "too_short": sum(len(row["text"]) == 1 for row in unknown),
        "duplicate_id": len(whole) - len(unknown) - len(truth),
    }
    assert found == planted_damage(NUM_POSTS)
    assert sum(found.values()) < 0.05 * NUM_POSTS


def test_rows_say_that_they_are_synthetic(rows: dict[str, Any], folder: Path) -> None:
    assert all(row["synthetic"] is True for row in rows.values())
    assert (folder / "README.txt").read_text().startswith("SYNTHETIC DATA")


def test_ids_are_digits_that_a_float_cannot_hold(rows: dict[str, Any]) -> None:
    assert all(re.fullmatch(r"\d{19}", doc_id) for doc_id in rows)
    assert min(map(int, rows)) > 2**53


def test_a_duplicate_repeats_the_text_of_the_first_of_its_kind(rows: dict[str, Any], truth: dict[str, Any]) -> None:
    repeats = {doc_id: row["is_duplicate_of"] for doc_id, row in truth.items() if row["is_duplicate_of"]}
    num_distinct = len({row["text"] for row in rows.values()})
    assert len(truth) - len(repeats) == num_distinct
    assert all(rows[later]["text"] == rows[first]["text"] for later, first in repeats.items())
    assert all(int(first) < int(later) for later, first in repeats.items())
    assert len(repeats) >= NUM_POSTS // 25


def test_kinds_and_reposts_are_planted_in_their_numbers(rows: dict[str, Any], truth: dict[str, Any]) -> None:
    counts = Counter(row["kind"] for row in truth.values())
    reposts = [doc_id for doc_id, row in rows.items() if row["text"].startswith("RT @sample_user_")]
    assert counts == {"comment": 1650, "post": 1050, "repost": 300}
    assert {truth[doc_id]["kind"] for doc_id in reposts} == {"repost"}
    assert len(reposts) == 300


def test_replies_stay_inside_their_thread_and_come_later(rows: dict[str, Any]) -> None:
    replies = [row for row in rows.values() if row["parent"]]
    assert len(replies) == 1650
    for reply in replies:
        parent = rows[reply["parent"]]
        assert parent["thread"] == reply["thread"]
        assert parent["community"] == reply["community"]
        assert parent["created_at"] < reply["created_at"]
        assert rows[reply["thread"]]["parent"] is None


def test_people_reply_to_their_own_community_far_above_chance(rows: dict[str, Any], truth: dict[str, Any]) -> None:
    replies = [(truth[row["id"]], truth[row["parent"]]) for row in rows.values() if row["parent"]]
    authors = [one["community"] for one, _ in replies]
    targets = [other["community"] for _, other in replies]
    observed = np.mean([a == b for a, b in zip(authors, targets, strict=True)])
    rng = random.Random(0)
    by_chance = [
        np.mean([a == b for a, b in zip(rng.sample(authors, len(authors)), targets, strict=True)]) for _ in range(20)
    ]
    assert observed > max(by_chance) + 0.3


def test_communities_write_most_about_the_topics_they_prefer(truth: dict[str, Any]) -> None:
    counts = Counter((row["community"], row["topic"]) for row in truth.values())
    for community, favourites in COMMUNITIES.items():
        shares = {topic: counts[community, topic] for topic in TOPICS}
        favourite_share = sum(shares[topic] for topic in favourites) / sum(shares.values())
        assert favourite_share > 1.6 * len(favourites) / len(TOPICS)


def test_activity_is_heavy_tailed(rows: dict[str, Any]) -> None:
    counts = sorted(Counter(row["author"] for row in rows.values()).values(), reverse=True)
    busiest_tenth = sum(counts[: len(counts) // 10])
    assert len(counts) > 150
    assert busiest_tenth > 0.3 * NUM_POSTS


def test_nights_are_quieter_than_evenings(rows: dict[str, Any]) -> None:
    by_hour = Counter(int(row["created_at"][11:13]) for row in rows.values())
    assert sum(by_hour[hour] for hour in (17, 18, 19, 20)) > 4 * sum(by_hour[hour] for hour in (1, 2, 3, 4))
    assert len(HOURS) == 24


def test_most_posts_are_english_and_five_other_languages_occur(truth: dict[str, Any]) -> None:
    counts = Counter(row["lang"] for row in truth.values())
    assert set(counts) == {"en", "es", "de", "fr", "pt", "zh"}
    assert counts["en"] > 0.7 * NUM_POSTS
    assert min(counts.values()) >= 40


def test_topics_are_separable_by_their_words_alone(rows: dict[str, Any], truth: dict[str, Any]) -> None:
    # reposts and copies left out, or the test half would hold texts of the training half
    kept = [doc_id for doc_id, row in truth.items() if row["kind"] != "repost" and not row["is_duplicate_of"]]
    topics = list(TOPICS)
    labels = np.array([topics.index(truth[doc_id]["topic"]) for doc_id in kept])
    vectors = _tfidf([rows[doc_id]["text"] for doc_id in kept])
    is_train = np.arange(len(kept)) % 2 == 0
    centroids = np.stack([vectors[is_train & (labels == k)].mean(axis=0) for k in range(len(topics))])
    nearest = (vectors[~is_train] @ (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).T).argmax(axis=1)
    assert (nearest == labels[~is_train]).mean() > 0.9


def _tfidf(texts: list[str]) -> np.ndarray:
    """Unit rows of term frequency times inverse document frequency; hashtags left out, they name the topic."""
    words = [re.findall(r"\w+", re.sub(r"[#@]\w+", " ", text.lower())) for text in texts]
    frequency = Counter(word for text in words for word in set(text))
    column = {word: number for number, word in enumerate(frequency)}
    vectors = np.zeros((len(texts), len(column)), dtype=np.float32)
    for row, text in enumerate(words):
        for word in text:
            vectors[row, column[word]] += np.log(len(texts) / frequency[word])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def test_every_topic_has_phrases_for_every_part_and_language() -> None:
    for parts in TOPICS.values():
        assert set(parts) == {"tags", "did", "result", "advice", "question", "es", "de", "fr", "pt", "zh"}
        assert all(len(parts[lang]) == 4 for lang in ("es", "de", "fr", "pt", "zh"))


def test_posts_are_short(rows: dict[str, Any]) -> None:
    english = [row["text"] for row in rows.values() if row["text"].isascii()]
    assert max(len(text.split()) for text in english) <= 60
