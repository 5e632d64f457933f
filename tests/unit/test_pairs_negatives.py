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
from theta_ray.corpus import prepare
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


def config_of_labels(folder: Path, bert: Path, **negatives: Any) -> Config:
    """60 short texts of three labels, and a tiny encoder."""
    records = [
        {"id": f"d{n}", "text": f"{WORDS[n % 10]} {WORDS[n * 3 % 7]} {n}", "label": f"label{n % 3}"} for n in range(60)
    ]
    raw = write_jsonl(folder / "raw.jsonl", records)
    config = make_config(raw, str(folder / "results"), bert)
    corpus = config.recipe.corpus.model_copy(update={"inputs": (jsonl_input(raw, label="label"),)})
    section = {**SECTION, "negatives": {**SECTION["negatives"], **negatives}}
    recipe = config.recipe.model_copy(update={"corpus": corpus, "pairs": Pairs.model_validate(section)})
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


def test_embeddings_that_are_missing_are_made_first_and_the_plan_says_so(tmp_path: Path, bert: Path) -> None:
    config = config_of_labels(tmp_path, bert)
    steps = mine_pairs.plan(config, DAY).steps
    assert [step.stage for step in steps] == ["prepare", "embed", "mine_pairs"]
    assert steps[-1].status == "would run after embed"
    assert "negatives_from" in steps[-1].figures
    prepare.run(config, DAY)
    after = mine_pairs.plan(config, DAY).steps[-1]
    assert (after.status, after.reasons) == (
        "would run after embed",
        ["the embeddings are not committed in this version"],
    )

    card, pairs = mine(config)
    assert [upstream.stage for upstream in card.upstream] == ["embed"]
    assert sum(len(pair["negative_ids"]) for pair in pairs) > 0
    done = [step.status for step in mine_pairs.plan(config, DAY).steps]
    assert done == ["nothing to do: committed"] * 3
    assert mine(config)[0].upstream == []


def test_a_plan_says_which_input_of_the_pairs_is_new(tmp_path: Path, bert: Path) -> None:
    config = config_of_labels(tmp_path, bert)
    mine(config)
    raw = Path(config.recipe.corpus.inputs[0].path)
    raw.write_text(raw.read_text() + '{"id": "more", "text": "one more road", "label": "label0"}\n')
    embed.run(config, DAY)
    step = mine_pairs.plan(config, DAY).steps[-1]
    assert (step.status, step.reasons) == ("would run", ["version 1 is of corpus version 1, embeddings version 1"])
    assert mine(config)[0].status == "committed"


def test_embeddings_that_a_recipe_names_are_not_made(tmp_path: Path, bert: Path) -> None:
    config = config_of_labels(tmp_path, bert, embeddings="0123456789ab")
    steps = [step.stage for step in mine_pairs.plan(config, DAY).steps]
    assert steps == ["prepare", "mine_pairs"]
    with pytest.raises(InputError, match="0123456789ab/dt=2026-01-31: not committed; run jobs/embed.py for 2026-01-31"):
        mine_pairs.run(config, DAY)
