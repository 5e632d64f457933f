"""Held-out texts: what a test split is asked, and that workers who share the scoring get what one gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corpora import DAY
from tests.lockstep import Lockstep
from tests.tuned import tuning_config
from theta_ray.config_evaluation import Evaluation
from theta_ray.training import finetune, loop
from theta_ray.training.evaluation import HeldOut, compare, per_query
from theta_ray.training.held_out import score
from theta_ray.training.step import Alone

SETTINGS = Evaluation(num_resamples=100, batch_size=8)


def many_texts() -> HeldOut:
    """Queries of every kind, of numbers that no number of workers divides."""
    words = [f"text {number}" for number in range(120)]
    pairs = [(words[n], words[n + 1], f"group {n % 9}" if n % 3 else None) for n in range(0, 106, 2)]
    scored = [(words[n], words[-n], n % 7) for n in range(1, 48)]
    labelled = [(word, f"label {number % 4}") for number, word in enumerate(words[:61])]
    return HeldOut.of(pairs, scored, labelled, list(zip(words, words[3:], words[6:41], strict=False)))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_workers_who_share_the_queries_have_the_values_of_one(size: int) -> None:
    texts = many_texts()
    vectors = np.random.default_rng(0).normal(size=(len(texts.texts), 16)).astype(np.float32)
    whole = per_query(vectors, texts, SETTINGS)
    assert {"rank", "cosine", "triplet", "knn", "cluster"} <= whole.columns.keys()
    for found in Lockstep(size).run(lambda rank: score(vectors, texts, SETTINGS, rank, "cpu")):
        assert found.columns.keys() == whole.columns.keys()
        assert found.spread == whole.spread
        for name, column in whole.columns.items():
            assert found.columns[name].dtype == column.dtype
            assert found.columns[name].tolist() == column.tolist(), name
        assert compare(found, found, SETTINGS) == compare(whole, whole, SETTINGS)


def test_more_workers_than_queries_have_the_values_of_one() -> None:
    texts = HeldOut.of([("a", "b", None), ("c", "d", None)])
    vectors = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    whole = per_query(vectors, texts, SETTINGS)
    for found in Lockstep(3).run(lambda rank: score(vectors, texts, SETTINGS, rank, "cpu")):
        assert {name: column.tolist() for name, column in found.columns.items()} == {
            name: column.tolist() for name, column in whole.columns.items()
        }


def test_negatives_of_test_pairs_are_triplets(bert: Path, tmp_path: Path) -> None:
    negatives: dict[str, Any] = {"count": 2, "first_rank": 1, "last_rank": 40, "relative_margin": None}
    config = tuning_config(tmp_path, bert, pairs={"negatives": negatives})
    finetune.mine_pairs.run(config, DAY)
    learner = loop.Learner(finetune.make_job(config, DAY).job, Alone())
    texts = learner.held_out
    assert len(texts.triplets) > len(texts.pairs.anchor)
    of_pairs = set(zip(texts.pairs.anchor.tolist(), texts.pairs.positive.tolist(), strict=True))
    assert {(anchor, positive) for anchor, positive, _ in texts.triplets.tolist()} <= of_pairs
    label_of = dict(zip(*(values.tolist() for values in texts.labelled), strict=True))
    known = [row for row in texts.triplets.tolist() if row[2] in label_of]
    assert known
    assert all(label_of[negative] != label_of[anchor] for anchor, _, negative in known)
    assert learner.evaluate()["triplet_accuracy"]["tuned"]["num_queries"] == len(texts.triplets)
