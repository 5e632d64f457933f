"""Documents that two nights have in common: they keep ids where centroids moved, and outliers give none to a birth."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.corpora import DAY
from tests.topic_tables import commit_clusters, topics_config, topics_of
from tests.unit.test_label_topics import NAMES, NEXT_DAY, by_label, posts
from theta_ray.config import Config
from theta_ray.manifest import read_manifest
from theta_ray.topics.label_topics import label
from theta_ray.topics.shared_documents import IDS, hash_documents, shared_of
from theta_ray.topics.topic_tasks import TopicsJob

Row = dict[str, Any]
BY_CENTROIDS = {"identity": {"words_weight": 0}}  # so that words keep no id
TURNED = (7, 8, 9)


def events_of(config: Config, job: TopicsJob) -> dict[str, tuple[str, int]]:
    topics, _ = topics_of(config, job)
    return {NAMES[topic["cluster_id"]]: (topic["event"], topic["topic_id"]) for topic in topics}


def num_shared(job: TopicsJob) -> int:
    manifest = read_manifest(job.topics)
    assert manifest is not None
    return int(manifest["counts"]["num_shared"])


def overlapping(share: int) -> dict[str, list[Row]]:
    """Two nights of 240 posts, of which so many are in both, in another order and in other shards."""
    first, new = posts(240), posts(240 - share, 1)
    return {DAY: first, NEXT_DAY: [*reversed(first[:share]), *new]}


def test_ids_stay_with_the_documents_though_all_centroids_have_turned(tmp_path: Path) -> None:
    config = topics_config(tmp_path, overlapping(150), BY_CENTROIDS)
    before = events_of(config, commit_clusters(config, by_label))
    job = commit_clusters(config, by_label, NEXT_DAY, TURNED)
    after = events_of(config, job)
    assert after == {name: ("kept", topic_id) for name, (_, topic_id) in before.items()}
    assert num_shared(job) == 150


def test_without_common_documents_turned_centroids_are_other_topics(tmp_path: Path) -> None:
    config = topics_config(tmp_path, overlapping(0), BY_CENTROIDS)
    label(config, commit_clusters(config, by_label))
    job = commit_clusters(config, by_label, NEXT_DAY, TURNED)
    assert {event for event, _ in events_of(config, job).values()} == {"born"}
    assert num_shared(job) == 0


def test_the_same_ids_with_other_texts_are_other_documents(tmp_path: Path) -> None:
    days = {DAY: posts(240), NEXT_DAY: [{**row, "text": f"{row['text']} again"} for row in posts(240)]}
    config = topics_config(tmp_path, days, BY_CENTROIDS)
    label(config, commit_clusters(config, by_label))
    job = commit_clusters(config, by_label, NEXT_DAY, TURNED)
    assert {event for event, _ in events_of(config, job).values()} == {"born"}
    assert num_shared(job) == 0


@pytest.mark.parametrize(("similarity", "event"), [(-0.1, "born"), (0.1, "split")])
def test_documents_beyond_the_radius_of_their_cluster_give_a_birth_no_origin(
    tmp_path: Path, similarity: float, event: str
) -> None:
    # yesterday the first 20 of the votes lay nearest the bread, and within its radius or not
    early = posts(60, 0, NAMES[2:])[:20]
    days = {
        DAY: [*posts(200, 1, NAMES[:2]), *early],
        NEXT_DAY: [*posts(200, 2, NAMES[:2]), *early, *posts(40, 3, NAMES[2:])],
    }
    config = topics_config(tmp_path, days)

    def yesterday(row: Row) -> int:
        return min(by_label(row), 1) if by_label(row) < 2 else 0

    first = commit_clusters(config, yesterday, similarity_of=lambda row: similarity if by_label(row) == 2 else 0.9)
    label(config, first)
    job = commit_clusters(config, by_label, NEXT_DAY)
    found = events_of(config, job)
    assert found["votes"][0] == event
    assert found["stars"][0] == "kept"
    assert num_shared(job) == (20 if event == "split" else 0)


def test_an_earlier_day_that_was_cleaned_up_leaves_the_ids_to_likeness(tmp_path: Path) -> None:
    config = topics_config(tmp_path, overlapping(150))
    first = commit_clusters(config, by_label)
    before = events_of(config, first)
    shutil.rmtree(first.assignments.path)
    job = commit_clusters(config, by_label, NEXT_DAY)
    assert events_of(config, job) == {name: ("kept", topic_id) for name, (_, topic_id) in before.items()}
    assert num_shared(job) == 0


def test_the_join_counts_pairs_of_clusters_of_common_documents() -> None:
    generator = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        numbers = generator.choice(3000, 2000, replace=False)
        clusters = generator.integers(0, 5, 2000).astype(np.int32)
        hashes = hash_documents([f"d{number}" for number in numbers], [b"text"] * 2000)
        sides.append(
            (dict(zip(hashes.tolist(), clusters.tolist(), strict=True)), pa.table([hashes, clusters], schema=IDS))
        )
    (before, left), (now, right) = sides
    expected = Counter((before[key], now[key]) for key in before.keys() & now.keys())
    found = {(row["before"], row["now"]): row["documents"] for row in shared_of(left, right).to_pylist()}
    assert found == expected
    assert shared_of(left, IDS.empty_table()).num_rows == 0
