"""Pairs of real tweets, forums and a dictionary, where the folder of real data is: counts add up, nothing leaks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.corpora import config_of, corpus_of
from tests.mined import dropped, mine, with_pairs
from tests.unit.test_pairs_splits import sides_of
from theta_ray.config import Columns, Input
from theta_ray.runcard import RunCard
from theta_ray.training.candidates import words_of

Mine = Callable[..., tuple[RunCard, list[dict[str, Any]], dict[str, dict[str, Any]]]]


@pytest.fixture
def mine_real(tmp_path: Path, shared_data: Path) -> Mine:
    """Mines pairs from files of the folder; the card, the pairs and the documents by id."""

    def mine_one(reader: str, path: str, columns: dict[str, Any] | None, section: dict[str, Any], **corpus: Any) -> Any:
        source = Input.model_validate(
            {"reader": reader, "path": str(shared_data / path), "columns": columns and Columns(**columns)}
        )
        inputs = corpus.pop("more_inputs", [])
        config = with_pairs(config_of(tmp_path, source, *inputs, **corpus), section)
        card, pairs = mine(config)
        return card, pairs, {row["doc_id"]: row for row in corpus_of(config).to_pylist()}

    return mine_one


def split_of(pairs: list[dict[str, Any]]) -> Counter[str]:
    return Counter(pair["split"] for pair in pairs)


def test_hashtags_of_tweets_are_held_out_with_every_tweet_that_has_them(mine_real: Mine) -> None:
    section = {"kind": "hashtag", "hashtag": {"min_tag_count": 20}, "split": {"test_share": 0.2}, "seed": 1}
    columns = {"doc_id": "tweet_id", "author_id": "author", "created_at": "created_at", "text": "text"}
    path = "tweets_health/tweets.parquet"
    card, pairs, documents = mine_real("parquet", path, columns, section, hashtags="unicode")
    tags = [{pair["group"] for pair in pairs if pair["split"] == split} for split in ("train", "test")]
    train, test = sides_of(pairs)
    assert not train & test
    assert not tags[0] & tags[1]
    words = [{words_of(documents[name]["text"]) for name in side} for side in (train, test)]
    assert not words[0] & words[1]  # three texts were, tagged otherwise, before copies were found over all tags
    assert not [name for name in train for tag in documents[name]["tags"] if tag.lower() in tags[1]]
    assert not [pair for pair in pairs if documents[pair["anchor_id"]]["text"].startswith("RT @")]
    assert card.figures["documents"] == 40158
    assert split_of(pairs) == {"train": 6762, "test": 2481}
    assert dropped(card)["repost"] == 2107


def test_replies_and_threads_of_a_forum(mine_real: Mine) -> None:
    card, pairs, documents = mine_real("reddit", "forum_reddit/*.zst", None, {"kind": "reply"})
    assert all(documents[pair["positive_id"]]["parent_id"] == pair["anchor_id"] for pair in pairs)
    assert not set.intersection(
        *(
            {documents[p["positive_id"]]["context_id"] for p in pairs if p["split"] == side}
            for side in ("train", "test")
        )
    )
    dropped(card)


def test_threads_of_a_forum(mine_real: Mine) -> None:
    card, pairs, documents = mine_real("reddit", "forum_reddit/*.zst", None, {"kind": "thread"})
    for pair in pairs:
        first, second = (documents[pair[name]] for name in ("anchor_id", "positive_id"))
        assert first["context_id"] == second["context_id"] == pair["group"]
        assert first["created_at"] <= second["created_at"]
    dropped(card)


def test_answers_of_a_site_without_thread_ids(mine_real: Mine) -> None:
    columns = {"doc_id": "post_id", "parent_id": "parent_id", "author_id": "author_id", "text": ["title", "text"]}
    card, pairs, documents = mine_real(
        "parquet", "forum_se_matheducators/posts.parquet", columns, {"kind": "reply"}, max_damaged_share=0.05
    )
    assert all(documents[pair["positive_id"]]["parent_id"] == pair["anchor_id"] for pair in pairs)
    dropped(card)


def test_labels_of_news_by_text(mine_real: Mine) -> None:
    columns = {"doc_id": "doc_id", "label": "label", "text": ["title", "text"]}
    section = {"kind": "label", "max_pairs_per_group": 1000}
    card, pairs, documents = mine_real("parquet", "docs_bbc/docs.parquet", columns, section)
    assert {pair["group"] for pair in pairs} == {"business", "entertainment", "politics", "sport", "tech"}
    train, test = sides_of(pairs)
    assert not {documents[name]["text_hash"] for name in train} & {documents[name]["text_hash"] for name in test}
    dropped(card)


def test_a_dictionary_finds_the_forms_of_its_terms_among_mentions(
    mine_real: Mine, tmp_path: Path, shared_data: Path
) -> None:
    mentions = pq.read_table(shared_data / "social_groups/manifestos_uk_labelled.parquet", columns=["mention_texts"])
    distinct = sorted({mention.lower() for found in mentions["mention_texts"].to_pylist() for mention in found})
    (tmp_path / "mentions.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in distinct))
    source = Input(reader="jsonl", path=str(tmp_path / "mentions.jsonl"), columns=Columns(text="text"))
    columns = {"label": "category", "text": "pattern"}
    section = {"kind": "dictionary", "expand": True, "split": {"by": "text", "test_share": 0.2}}
    path = "social_groups/dictionary.parquet"
    card, pairs, documents = mine_real("parquet", path, columns, section, more_inputs=[source])
    used = {documents[pair[name]]["text"] for pair in pairs for name in ("anchor_id", "positive_id")}
    assert {"migrants", "refugees", "*migrant*"} <= used
    assert len({pair["group"] for pair in pairs}) > 30
    dropped(card)
