"""The planted topics of the sample are found again, from its raw files to clusters, and the communities they are of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.clustered import rows_of
from tests.conftest import REPOSITORY
from tests.corpora import corpus_of
from tests.networks import QUICK
from theta_ray.config import Config, Resources
from theta_ray.corpus.sample import COMMUNITIES, write_sample
from theta_ray.network import analyze_network
from theta_ray.recipe_files import load_config
from theta_ray.topics import cluster, label_topics
from theta_ray.training.metrics import normalized_mutual_information

DAY = "2026-01-31"


def config_of_sample(folder: Path, num_posts: int, *overrides: str) -> Config:
    """recipes/topics.yaml over a sample, in this process."""
    write_sample(folder / "sample", num_posts=num_posts)
    overrides = (f"corpus.inputs.0.path={folder}/sample/raw/*.jsonl.gz", *overrides)
    config = load_config(str(REPOSITORY / "recipes/topics.yaml"), root=str(folder / "root"), overrides=overrides)
    return config.model_copy(update={"resources": Resources(executor="local")})


def test_the_planted_topics_of_the_sample_are_found(tmp_path: Path, minilm: Path) -> None:
    del minilm  # the recipe names its package
    config = config_of_sample(tmp_path, 800)
    cluster.run(config, DAY)
    rows = rows_of(cluster.make_job(config, DAY).assignments)
    truth = pq.read_table(tmp_path / "sample" / "truth.parquet")
    topic_of = dict(zip(truth["doc_id"].to_pylist(), truth["topic"].to_pylist(), strict=True))
    topics = np.array([topic_of[doc_id] for doc_id in rows["doc_id"].to_pylist()])
    found = rows["cluster_id"].to_numpy()
    assert len(found) > 500
    assert normalized_mutual_information(np.ones((1, len(found))), topics, found)[0] >= 0.95


def test_communities_write_about_the_topics_that_were_planted_in_them(tmp_path: Path, minilm: Path) -> None:
    del minilm
    section = {**QUICK, "graphs": ["comment_to_parent_author"], "num_nulls": 0, "num_permutations": 199}
    config = config_of_sample(tmp_path, 1500, f"network={json.dumps(section)}")
    label_topics.run(config, DAY)
    assert analyze_network.run(config, DAY).figures["topics_by_community"] == "yes"
    truth = {row["doc_id"]: row for row in pq.read_table(tmp_path / "sample" / "truth.parquet").to_pylist()}
    job, topics = analyze_network.make_job(config, DAY), label_topics.make_job(config, DAY)
    cluster_of = {row["doc_id"]: row["cluster_id"] for row in rows_of(topics.assignments).to_pylist()}
    topic_of = {row["cluster_id"]: row["topic_id"] for row in rows_of(topics.topics).to_pylist()}
    group_of = {row["author_id"]: row["community_id"] for row in rows_of(job.tables["nodes"]).to_pylist()}
    documents = [row for row in corpus_of(config).to_pylist() if row["doc_id"] in cluster_of]
    topic = majority((topic_of[cluster_of[row["doc_id"]]], truth[row["doc_id"]]["topic"]) for row in documents)
    group = majority((group_of.get(row["author_id"]), truth[row["doc_id"]]["community"]) for row in documents)
    cells = [row for row in rows_of(job.tables["topic_communities"]).to_pylist() if row["q_value"] < 0.05]
    more = [(topic[row["topic_id"]], group[row["community_id"]]) for row in cells if row["log2_ratio"] > 0.5]
    assert len(more) >= 6
    planted = [theme in COMMUNITIES[community] for theme, community in more]
    assert sum(planted) >= 0.9 * len(more)
    counted = Counter((topic_of[cluster_of[row["doc_id"]]], group_of.get(row["author_id"])) for row in documents)
    for row in cells:
        assert row["num_documents"] == counted[row["topic_id"], row["community_id"]]


def majority(pairs: Iterable[tuple[object, str]]) -> dict[object, str]:
    """For each key, its commonest value."""
    counts: dict[object, Counter[str]] = {}
    for key, value in pairs:
        counts.setdefault(key, Counter())[value] += 1
    return {key: each.most_common(1)[0][0] for key, each in counts.items()}
