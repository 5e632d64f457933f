"""The sample through the real stages: what was planted is found, and embeddings know the topics."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.conftest import REPOSITORY
from tests.small_jobs import find_partition, read_table
from theta_ray.config import Config, Resources
from theta_ray.corpus import prepare
from theta_ray.corpus.sample import planted_damage, write_sample
from theta_ray.encoder import embed
from theta_ray.manifest import read_manifest
from theta_ray.recipe_files import load_config

DAY = "2026-01-31"
NUM_POSTS = 400


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The shipped recipe over a smaller sample, in this process."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder / "sample", num_posts=NUM_POSTS)
    overrides = (f"corpus.inputs.0.path={folder}/sample/raw/*.jsonl.gz",)
    config = load_config(str(REPOSITORY / "recipes/sample.yaml"), root=str(folder / "root"), overrides=overrides)
    return config.model_copy(update={"resources": Resources(executor="local")})


@pytest.fixture(scope="module")
def truth(config: Config) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(Path(config.root).parent / "sample" / "truth.parquet").to_pylist()
    return {row["doc_id"]: row for row in rows}


@pytest.fixture(scope="module")
def corpus(config: Config) -> dict[str, dict[str, Any]]:
    prepare.run(config, DAY)
    return {row["doc_id"]: row for row in read_table(config.root, "corpus").to_pylist()}


def test_the_corpus_holds_every_well_formed_post_and_no_other(corpus: dict[str, Any], truth: dict[str, Any]) -> None:
    assert corpus.keys() == truth.keys()


@pytest.mark.usefixtures("corpus")
def test_every_damaged_line_is_in_quarantine_for_its_planted_reason(config: Config) -> None:
    manifest = read_manifest(find_partition(config.root, "corpus"))
    assert manifest is not None
    found = sum((Counter(shard["quarantined"]) for shard in manifest["shards"]), Counter[str]())
    assert found == Counter(planted_damage(NUM_POSTS))


def test_planted_languages_are_identified(corpus: dict[str, Any], truth: dict[str, Any]) -> None:
    right = [corpus[doc_id]["lang"] == row["lang"] for doc_id, row in truth.items()]
    assert np.mean(right) > 0.98


def test_planted_duplicates_have_the_hash_of_their_first_text(corpus: dict[str, Any], truth: dict[str, Any]) -> None:
    hashes = {doc_id: row["text_hash"] for doc_id, row in corpus.items()}
    repeats = {doc_id: row["is_duplicate_of"] for doc_id, row in truth.items() if row["is_duplicate_of"]}
    assert all(hashes[later] == hashes[first] for later, first in repeats.items())
    assert len(set(hashes.values())) == NUM_POSTS - len(repeats)


def test_threads_and_times_survive(corpus: dict[str, Any], truth: dict[str, Any]) -> None:
    comments = [corpus[doc_id] for doc_id, row in truth.items() if row["kind"] == "comment"]
    assert all(corpus[row["parent_id"]]["context_id"] == row["context_id"] for row in comments)
    assert all(corpus[row["parent_id"]]["created_at"] < row["created_at"] for row in comments)


@pytest.mark.usefixtures("minilm", "corpus")
def test_the_nearest_neighbour_of_a_text_is_of_its_topic(config: Config, truth: dict[str, Any]) -> None:
    embed.run(config, DAY)
    table = read_table(config.root, "embeddings")
    vectors = np.array(table.column("embedding").to_pylist(), dtype=np.float32)
    rows = [truth[doc_id] for doc_id in table.column("doc_id").to_pylist()]
    is_english = np.array([row["lang"] == "en" for row in rows])  # the model of the sample knows English only
    similarity = vectors @ vectors.T
    similarity[similarity > 0.999] = -1  # the text itself and its copies
    nearest = similarity.argmax(axis=1)
    agrees = np.array([rows[i]["topic"] == rows[nearest[i]]["topic"] for i in range(len(rows))])
    assert agrees[is_english].mean() > 0.95
