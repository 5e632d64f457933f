"""The planted topics of the sample are found again, from its raw files to clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.clustered import rows_of
from tests.conftest import REPOSITORY
from theta_ray.config import Resources
from theta_ray.corpus.sample import write_sample
from theta_ray.recipe_files import load_config
from theta_ray.topics import cluster
from theta_ray.training.metrics import normalized_mutual_information

DAY = "2026-01-31"


def test_the_planted_topics_of_the_sample_are_found(tmp_path: Path, minilm: Path) -> None:
    del minilm  # the recipe names its package
    write_sample(tmp_path / "sample", num_posts=800)
    overrides = (f"corpus.inputs.0.path={tmp_path}/sample/raw/*.jsonl.gz",)
    config = load_config(str(REPOSITORY / "recipes/topics.yaml"), root=str(tmp_path / "root"), overrides=overrides)
    resources = Resources(executor="local")
    config = config.model_copy(update={"resources": resources})
    cluster.run(config, DAY)
    rows = rows_of(cluster.make_job(config, DAY).assignments)
    truth = pq.read_table(tmp_path / "sample" / "truth.parquet")
    topic_of = dict(zip(truth["doc_id"].to_pylist(), truth["topic"].to_pylist(), strict=True))
    topics = np.array([topic_of[doc_id] for doc_id in rows["doc_id"].to_pylist()])
    found = rows["cluster_id"].to_numpy()
    assert len(found) > 500
    assert normalized_mutual_information(np.ones((1, len(found))), topics, found)[0] >= 0.95
