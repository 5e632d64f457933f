"""The planted communities of the sample are found again, from its raw files to the communities of who answers whom."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tests.conftest import REPOSITORY
from tests.corpora import corpus_of
from tests.networks import QUICK, Tables, tables_of
from theta_ray.config import Resources
from theta_ray.corpus.sample import write_sample
from theta_ray.recipe_files import load_config
from theta_ray.training.metrics import normalized_mutual_information

GRAPH = "comment_to_parent_author"


def analysed(folder: Path, num_posts: int) -> tuple[Tables, dict[str, str]]:
    """Tables of a sample's reply graph, and the planted community of each author."""
    write_sample(folder / "sample", num_posts=num_posts)
    overrides = (
        f"corpus.inputs.0.path={folder}/sample/raw/*.jsonl.gz",
        "corpus.language=none",
        f"network={json.dumps({**QUICK, 'graphs': [GRAPH], 'num_nulls': 0, 'communities': {'num_seeds': 10}})}",
    )
    config = load_config(str(REPOSITORY / "recipes/sample.yaml"), root=str(folder / "root"), overrides=overrides)
    config = config.model_copy(update={"resources": Resources(executor="local")})
    tables = tables_of(config)
    truth = pq.read_table(folder / "sample" / "truth.parquet")
    planted = dict(zip(truth["doc_id"].to_pylist(), truth["community"].to_pylist(), strict=True))
    return tables, {row["author_id"]: planted[row["doc_id"]] for row in corpus_of(config).to_pylist()}


def agreement(tables: Tables, planted: dict[str, str], min_degree: int) -> float:
    """NMI of found and planted communities over authors with so many ties."""
    nodes = [node for node in tables["nodes"].to_pylist() if node["degree"] >= min_degree]
    found = np.array([-1 if node["community_id"] is None else node["community_id"] for node in nodes])
    truth = np.array([planted[node["author_id"]] for node in nodes])
    return float(normalized_mutual_information(np.ones((1, len(nodes))), truth, found)[0])


def test_authors_with_some_ties_are_in_their_planted_communities(tmp_path: Path) -> None:
    # a third of the replies are planted across communities: one reply tells little of its author
    assert agreement(*analysed(tmp_path, 3000), min_degree=5) >= 0.95


def test_all_authors_are_in_their_planted_communities_where_all_reply_often(tmp_path: Path) -> None:
    tables, planted = analysed(tmp_path, 12_000)
    assert tables["nodes"].num_rows == len(planted) == 240
    assert agreement(tables, planted, min_degree=0) >= 0.95
