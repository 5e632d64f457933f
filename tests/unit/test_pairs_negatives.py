"""Pairs with hard negatives, from the corpus to the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY, jsonl_input, write_jsonl
from tests.mined import mine
from tests.small_jobs import WORDS, make_config
from theta_ray.config import Config
from theta_ray.config_pairs import Pairs
from theta_ray.encoder import embed
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.training import mine_pairs
from theta_ray.training.mine_pairs import make_job

SECTION: dict[str, Any] = {
    "kind": "label",
    "max_pairs_per_group": 12,
    "shard_candidates": 20,
    "negatives": {"count": 2, "first_rank": 1, "last_rank": 20, "relative_margin": 0},
    "split": {"test_share": 0.2},
}


def config_of_labels(folder: Path, bert: Path) -> Config:
    """60 short texts of three labels, and a tiny encoder."""
    records = [
        {"id": f"d{n}", "text": f"{WORDS[n % 10]} {WORDS[n * 3 % 7]} {n}", "label": f"label{n % 3}"} for n in range(60)
    ]
    raw = write_jsonl(folder / "raw.jsonl", records)
    config = make_config(raw, str(folder / "results"), bert)
    corpus = config.recipe.corpus.model_copy(update={"inputs": (jsonl_input(raw, label="label"),)})
    recipe = config.recipe.model_copy(update={"corpus": corpus, "pairs": Pairs.model_validate(SECTION)})
    return config.model_copy(update={"recipe": recipe})


def test_negatives_are_of_another_label_and_the_manifest_says_where_they_are_from(tmp_path: Path, bert: Path) -> None:
    config = config_of_labels(tmp_path, bert)
    embeddings = embed.run(config, DAY)
    card, pairs = mine(config)
    assert card.figures["negatives"] == sum(len(pair["negative_ids"]) for pair in pairs) > 0
    for pair in pairs:
        assert len(set(pair["negative_ids"])) == len(pair["negative_ids"]) <= 2
        assert all(f"label{int(name[1:]) % 3}" != pair["group"] for name in pair["negative_ids"])
    manifest = read_manifest(make_job(config, DAY).partition)
    assert manifest is not None
    assert manifest["inputs"]["embeddings"]["fingerprint"] == embeddings.fingerprint
    assert mine_pairs.run(config, DAY).status == "nothing to do"


def test_negatives_need_embeddings_and_the_message_says_so(tmp_path: Path, bert: Path) -> None:
    config = config_of_labels(tmp_path, bert)
    assert "negatives_from" in mine_pairs.plan(config, DAY).steps[-1].figures
    with pytest.raises(InputError, match="not committed; run jobs/embed.py for 2026-01-31 first"):
        mine_pairs.run(config, DAY)
