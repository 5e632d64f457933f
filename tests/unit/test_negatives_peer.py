"""Hard negatives beside those of sentence-transformers, where both define the same."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from sentence_transformers.util import hard_negatives

from tests.corpora import DAY, corpus_of
from tests.small_jobs import WORDS, make_config, read_table, write_jsonl
from theta_ray.config import Config, Resources
from theta_ray.config_negatives import Negatives
from theta_ray.encoder import embed
from theta_ray.encoder.stored import read_vectors
from theta_ray.schemas import PAIRS
from theta_ray.tasks import Executor
from theta_ray.training.negative_files import unit
from theta_ray.training.negatives import make_negatives_job, mine_negatives, read_negatives

NUM_DOCUMENTS, NUM_PAIRS = 200, 60
NO_RULE = {"first_rank": 1, "last_rank": 190, "relative_margin": None}
NO_RULE_THERE: dict[str, Any] = {"range_max": 190}


class Rows:
    """What the miner uses of `datasets.Dataset`."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns, self.column_names = columns, list(columns)

    def __len__(self) -> int:
        return len(self.columns[self.column_names[0]])

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame(self.columns)

    @classmethod
    def from_dict(cls, columns: dict[str, list[Any]]) -> Rows:
        return cls(columns)


class Stored:
    """A model whose vectors are there already."""

    device = "cpu"

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self._vectors = vectors

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.stack([self._vectors[text] for text in texts])

    encode_document = encode_query = encode

    def similarity(self, left: Any, right: Any) -> torch.Tensor:
        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left: Any, right: Any) -> torch.Tensor:
        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(1)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Config:
    folder = tmp_path_factory.mktemp("peer")
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(WORDS, generator.integers(5, 12))) for _ in range(NUM_DOCUMENTS)]
    raw = write_jsonl(folder / "raw.jsonl", texts)
    config = make_config(raw, str(folder / "root"), bert, embed={"shard_tokens": 300})
    embed.run(config, DAY)
    return config


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("datasets")
    module.Dataset = Rows  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.setattr(hard_negatives, "is_datasets_available", lambda: True)
    return


def _pairs() -> list[tuple[str, str]]:
    drawn = np.random.default_rng(3).permutation(NUM_DOCUMENTS)[: 2 * NUM_PAIRS].reshape(-1, 2)
    return [(f"d{anchor}", f"d{positive}") for anchor, positive in drawn]


def _ours(config: Config, folder: Path, rules: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    same = {"more_anchor_ids": [], "negative_ids": [], "group": None, "kind": "self", "weight": 1.0, "split": "train"}
    rows = [{"anchor_id": anchor, "positive_id": positive, **same} for anchor, positive in _pairs()]
    file = str(folder / "pairs.parquet")
    pq.write_table(PAIRS.empty_table().from_pylist(rows, schema=PAIRS), file)
    job = make_negatives_job(config, DAY, Negatives(choose="hardest", **rules))
    job = replace(job, staging=str(folder / "staging"))
    mine_negatives(job, [file], Executor("test", Resources(executor="local"), lambda: None))
    return dict(zip(_pairs(), map(set, read_negatives(job, file).to_pylist()), strict=True))


def _theirs(config: Config, rules: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """By sentence-transformers, to which the anchor is a second positive: it is in the corpus as well."""
    text = {row["doc_id"]: row["text"] for row in corpus_of(config).to_pylist()}
    name = {value: key for key, value in text.items()}
    table = read_table(config.root, "embeddings")
    vectors = dict(zip([text[key] for key in table["doc_id"].to_pylist()], unit(read_vectors(table)), strict=True))
    rows = [(text[anchor], text[other]) for anchor, positive in _pairs() for other in (positive, anchor)]
    anchors, positives = (list(column) for column in zip(*rows, strict=True))
    found = hard_negatives.mine_hard_negatives(
        Rows({"anchor": anchors, "positive": positives}),
        Stored(vectors),
        corpus=list(text.values()),
        sampling_strategy="top",
        output_format="triplet",
        verbose=False,
        **rules,
    )
    mined: dict[tuple[str, str], set[str]] = {pair: set() for pair in _pairs()}
    for anchor, positive, negative in zip(*found.columns.values(), strict=True):
        if anchor != positive:
            mined[name[anchor], name[positive]].add(name[negative])
    return mined


@pytest.mark.usefixtures("datasets")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"first_rank": 6}, {"range_min": 5}),
        ({"relative_margin": 0.02}, {"relative_margin": 0.02}),
        ({"margin": 0.02}, {"absolute_margin": 0.02}),
        ({"max_similarity": 0.9}, {"max_score": 0.9}),
        (
            {"relative_margin": 0.01, "margin": 0.015, "max_similarity": 0.95},
            {"relative_margin": 0.01, "absolute_margin": 0.015, "max_score": 0.95},
        ),
    ],
    ids=["window", "relative margin", "absolute margin", "maximum", "all bounds"],
)
def test_negatives_are_those_of_sentence_transformers(
    config: Config, tmp_path: Path, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    found = _ours(config, tmp_path, {**NO_RULE, "count": 5, **ours})
    assert found == _theirs(config, {**NO_RULE_THERE, "num_negatives": 5, **theirs})
    assert found != _theirs(config, {**NO_RULE_THERE, "num_negatives": 5})  # the rule changes something
    assert sum(map(len, found.values())) > NUM_PAIRS
