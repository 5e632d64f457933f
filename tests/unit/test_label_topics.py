"""Stage `label_topics` on clusters that a test decides: what is in the topics, and what a rerun does."""

from __future__ import annotations

import logging
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY, corpus_of
from tests.topic_tables import commit_clusters, topics_config, topics_of
from theta_ray.config import Config
from theta_ray.config_topics import Topics
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import list_names
from theta_ray.store import Partition
from theta_ray.topics import label_topics
from theta_ray.topics.label_topics import label
from theta_ray.topics.topic_tasks import TopicsJob

NAMES = ("bread", "stars", "votes")
VOCABULARY = {
    "bread": "sourdough starter oven flour crust",
    "stars": "telescope galaxy nebula planet orbit",
    "votes": "ballot turnout poll mayor debate",
}
NEXT_DAY = "2026-02-01"
Row = dict[str, Any]


def posts(count: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> list[Row]:
    """Posts of each name's own words and common ones; the last tenth has no time."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        name = names[number % len(names)]
        words = [*generator.choices(VOCABULARY[name].split(), k=5), *generator.choices(["today", "the", "city"], k=2)]
        row = {"id": f"{seed}-{number:04d}", "text": " ".join(words), "label": name, "lang": "en"}
        rows.append(row | ({"time": f"2026-01-{1 + number % 7:02d}"} if number < 0.9 * count else {}))
    return rows


def by_label(row: Row) -> int:
    return NAMES.index(row["label"])


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return topics_config(tmp_path, {DAY: posts(300)})


def test_topics_have_the_words_documents_and_sizes_of_their_clusters(config: Config) -> None:
    topics, counts = topics_of(config, commit_clusters(config, by_label))
    label_of = {row["doc_id"]: row["label"] for row in corpus_of(config).to_pylist()}
    assert len({shard["details"]["units"] for shard in _corpus(config)["shards"]}) > 2
    for topic in topics:
        name = NAMES[topic["cluster_id"]]
        terms = [term["term"] for term in topic["terms"]]
        assert set(terms[:3]) <= set(VOCABULARY[name].split())
        assert [term["score"] for term in topic["terms"]] == sorted((t["score"] for t in topic["terms"]), reverse=True)
        assert topic["label"] == ", ".join(terms[:4])
        assert topic["size"] == 100
        assert (topic["event"], topic["previous_ids"]) == ("first", [])
        shown = topic["representative_ids"] + topic["borderline_ids"]
        assert len(topic["representative_ids"]) == len(topic["borderline_ids"]) == 5
        assert {label_of[doc_id] for doc_id in shown} == {name}
        assert topic["languages"] == [{"lang": "en", "documents": 100}]
        assert topic["coherence"] > 0
    assert sum(row["count"] for row in counts) == 300
    assert {row["bucket"] is None for row in counts} == {True, False}
    assert Counter(row["topic_id"] for row in counts) == {topic["topic_id"]: 8 for topic in topics}
    assert all(len(row["terms"]) == 5 for row in counts)


def _corpus(config: Config) -> dict[str, Any]:
    manifest = read_manifest(label_topics.partition_of(config, DAY))
    assert manifest is not None
    return manifest


def test_documents_in_no_cluster_or_without_a_vector_are_not_counted(config: Config) -> None:
    def cluster_of(row: Row) -> int:
        number = int(row["doc_id"].split("-")[1])
        return -1 if number % 10 == 3 else -2 if number % 10 == 4 else by_label(row)

    job = commit_clusters(config, cluster_of)
    topics, counts = topics_of(config, job)
    assert sum(topic["size"] for topic in topics) == sum(row["count"] for row in counts) == 240


def test_a_rerun_does_nothing_and_other_shards_give_the_same_rows(config: Config, tmp_path: Path) -> None:
    job = commit_clusters(config, by_label)
    first = topics_of(config, job)
    assert label(config, job).status == "nothing to do"
    assert list_names(job.topics.at("staging")) == []
    other = topics_config(tmp_path / "other", {DAY: posts(300)}, shard_bytes=10**6)
    again = topics_of(other, commit_clusters(other, by_label))
    for rows, same in zip(first, again, strict=True):
        for row, twin in zip(rows, same, strict=True):
            # which of equal documents are shown depends on numbers that the test draws
            assert {k: v for k, v in row.items() if "_ids" not in k} == {
                k: v for k, v in twin.items() if "_ids" not in k
            }


def test_near_duplicates_are_counted_and_shown_once(tmp_path: Path) -> None:
    spam = [
        {"id": f"spam{i}", "text": f"@user{i} buy flour {i} times https://t.co/{i}", "label": "bread"}
        for i in range(20)
    ]
    config = topics_config(tmp_path, {DAY: posts(60) + spam}, {"num_representatives": 50})
    topics, _ = topics_of(config, commit_clusters(config, by_label))
    (bread,) = (topic for topic in topics if topic["cluster_id"] == 0)
    assert bread["templates"][0]["documents"] == 20
    assert bread["templates"][0]["doc_id"] == "spam0"
    assert sum(doc_id.startswith("spam") for doc_id in bread["representative_ids"]) == 1
    assert bread["duplicate_share"] >= 19 / 40
    assert all(topic["duplicate_share"] < 0.3 for topic in topics if topic is not bread)


def test_topics_keep_their_ids_the_next_day_and_new_ones_get_new_ids(tmp_path: Path) -> None:
    days = {DAY: posts(200, 0, NAMES[:2]), NEXT_DAY: posts(300, 1)}
    config = topics_config(tmp_path, days)
    first, _ = topics_of(config, commit_clusters(config, by_label))
    # tomorrow's clusters have other numbers
    job = commit_clusters(config, lambda row: 2 - by_label(row), NEXT_DAY, (2, 1, 0))
    second, _ = topics_of(config, job)
    names = {topic["topic_id"]: NAMES[topic["cluster_id"]] for topic in first}
    events = {NAMES[2 - topic["cluster_id"]]: (topic["event"], topic["topic_id"]) for topic in second}
    assert {name: event for name, (event, _) in events.items()} == {"bread": "kept", "stars": "kept", "votes": "born"}
    assert {names[topic_id] for event, topic_id in events.values() if event == "kept"} == {"bread", "stars"}
    assert events["votes"][1] == 2
    manifest = read_manifest(job.topics)
    assert manifest is not None
    assert manifest["before"]["date"] == DAY
    assert (manifest["next_id"], manifest["ended"]) == (3, [])


def test_a_change_of_a_share_is_in_the_topic(tmp_path: Path) -> None:
    rows = posts(900)
    for number, row in enumerate(rows):
        row["time"] = f"2026-01-{1 + number % 20:02d}"
        if number % 20 >= 12 and number % 3 == 1:  # the second half is about bread
            row |= {"label": "bread", "text": row["text"].replace("telescope", "oven")}
    config = topics_config(tmp_path, {DAY: rows}, shard_bytes=10**6)
    topics, _ = topics_of(config, commit_clusters(config, by_label))
    changes = {NAMES[topic["cluster_id"]]: topic["changes"] for topic in topics}
    (change,) = changes["bread"]
    assert change["bucket"].day == 13
    assert change["before"] == pytest.approx(1 / 3)
    assert change["after"] == pytest.approx(2 / 3)
    assert [each["bucket"].day for each in changes["stars"]] == [13]
    assert changes["votes"] == []


@pytest.mark.parametrize(
    ("cluster_of", "sizes"),
    [
        (lambda row: 0, [300]),
        (lambda row: 2 * by_label(row), [100, 0, 100, 0, 100]),
        (lambda row: by_label(row) if row["doc_id"] != "0-0000" else 3, [99, 100, 100, 1]),
    ],
    ids=["one cluster", "empty clusters", "a cluster of one"],
)
def test_clusters_of_any_size_become_topics(config: Config, cluster_of: Any, sizes: list[int]) -> None:
    topics, _ = topics_of(config, commit_clusters(config, cluster_of))
    by_cluster = sorted(topics, key=lambda topic: topic["cluster_id"])
    assert [topic["size"] for topic in by_cluster] == sizes
    for topic in topics:
        assert (topic["label"] == "no words") == (not topic["terms"]) == (topic["size"] == 0)


def test_texts_without_words_have_a_topic_without_words(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": text, "label": "bread"} for i, text in enumerate(["\U0001f600", "42", "@x", "..."])]
    config = topics_config(tmp_path, {DAY: rows})
    ((topic,), counts) = topics_of(config, commit_clusters(config, by_label))
    assert (topic["terms"], topic["label"], topic["coherence"], topic["size"]) == ([], "no words", None, 4)
    assert [row["count"] for row in counts] == [4]


def test_texts_in_a_script_without_a_tokenizer_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    rows = [{"id": str(i), "text": "\ua9b2\ua98f\ua9ab\ua997", "label": "bread"} for i in range(3)]
    config = topics_config(tmp_path, {DAY: rows + posts(30)})
    job = commit_clusters(config, by_label)
    assert label(config, job).figures["documents_without_tokenizer"] == 3
    assert [record.getMessage() for record in caplog.records if "tokenizer" in record.getMessage()] == [
        "label_topics: 3 documents are in scripts without a tokenizer; terms are pairs of characters"
    ]


def test_another_endpoint_asks_for_the_same_table(config: Config) -> None:
    def fingerprint(**labels: Any) -> str:
        settings = Topics.model_validate({"labels": {"endpoint": "http://a/v1", "model": "m", **labels}})
        recipe = config.recipe.model_copy(update={"topics": settings})
        other = config.model_copy(update={"recipe": recipe})
        tables = [Partition(config.root, name, "0" * 12, DAY) for name in ("corpus", "centroids", "assignments")]
        return label_topics.job_of(other, *tables).topics.fingerprint

    assert fingerprint() == fingerprint(endpoint="http://b/v1", seconds=5)
    assert fingerprint() != fingerprint(model="other")


def test_diversity_leaves_out_terms_of_the_same_documents(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": "prime minister " + text, "label": "votes"} for i, text in enumerate(["poll"] * 9)]
    rows += [{"id": f"o{i}", "text": f"oven flour {i}", "label": "bread"} for i in range(9)]
    rows += [{"id": f"b{i}", "text": "ballot", "label": "votes"} for i in range(3)]
    found = {}
    for diversity in (0.0, 0.7):
        config = topics_config(tmp_path / str(diversity), {DAY: rows}, {"num_terms": 2, "diversity": diversity})
        topics, _ = topics_of(config, commit_clusters(config, by_label))
        (found[diversity],) = ([t["term"] for t in topic["terms"]] for topic in topics if topic["cluster_id"] == 2)
    assert "ballot" not in found[0.0]
    assert found[0.7][1] == "ballot"


def test_clusters_of_another_version_of_the_corpus_are_refused(config: Config, tmp_path: Path) -> None:
    job = commit_clusters(config, by_label)
    other = topics_config(tmp_path / "other", {DAY: posts(300, 5)})
    stranger = commit_clusters(other, by_label)
    mixed = TopicsJob(stranger.corpus, job.centroids, job.assignments, job.topics, job.topic_counts, job.settings)
    with pytest.raises(InputError, match="of another version of the corpus"):
        label(config, mixed)


def test_clusters_that_are_not_committed_are_asked_for(config: Config) -> None:
    job = commit_clusters(config, by_label)
    missing = TopicsJob(job.corpus, job.centroids, job.topics, job.topics, job.topic_counts, job.settings)
    with pytest.raises(InputError, match="not committed; run jobs/cluster.py for"):
        label(config, missing)
