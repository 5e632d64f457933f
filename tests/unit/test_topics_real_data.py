"""Terms of real classes, in two languages: words that a reader would expect."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.corpora import DAY
from tests.topic_tables import commit_clusters, topics_config, topics_of


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        (
            "docs_bbc",
            "label",
            {
                "business": {"market", "company", "economy", "bank"},
                "entertainment": {"film", "music", "awards", "actor"},
                "politics": {"labour", "government", "election", "party"},
                "sport": {"england", "game", "team", "players"},
                "tech": {"technology", "mobile", "software", "digital"},
            },
        ),
        (
            "docs_thucnews_zh",
            "label_name",
            {
                "education": {"高考", "考研", "招生"},
                "finance": {"基金", "期货", "市场"},
                "game": {"游戏", "网游", "玩家"},
                "sports": {"火箭", "皇马", "姚明"},
                "stocks": {"证券", "大盘", "反弹"},
            },
        ),
    ],
)
def test_the_first_ten_terms_make_sense(
    name: str, column: str, expected: dict[str, set[str]], shared_data: Path, tmp_path: Path
) -> None:
    rows = pq.read_table(shared_data / name / "docs.parquet", columns=["text", column]).to_pylist()
    classes = sorted({row[column] for row in rows})
    records = [{"id": str(i), "text": row["text"], "label": row[column]} for i, row in enumerate(rows)]
    config = topics_config(tmp_path, {DAY: records}, shard_bytes=2**24)
    topics, _ = topics_of(config, commit_clusters(config, lambda row: classes.index(row["label"])))
    found = {classes[topic["cluster_id"]]: {term["term"] for term in topic["terms"]} for topic in topics}
    assert {label: words - found[label] for label, words in expected.items()} == {label: set() for label in expected}
