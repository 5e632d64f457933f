"""Real dumps, where the folder of real data is: every row is a document or in quarantine."""

import gzip
import json
from collections import Counter

import pyarrow.compute as pc
import pytest

from tests.corpora import DAY, config_of, corpus_of, documents, read, reasons
from theta_ray.config import Columns, Input
from theta_ray.corpus import prepare


@pytest.fixture(scope="module")
def run(tmp_path_factory, shared_data):
    """Runs `prepare` over one input; returns its run card and corpus."""

    def run_one(reader, path, columns=None, kind="document", **corpus):
        source = Input(reader=reader, path=str(shared_data / path), columns=columns, kind=kind)
        config = config_of(tmp_path_factory.mktemp("real"), source, **corpus)
        card = prepare.run(config, DAY)
        figures = card.figures
        assert figures["documents_in"] == figures["documents_kept"] + sum(card.quarantined.values())
        return card, corpus_of(config)

    return run_one


def test_archived_stream_of_v1(run):
    card, corpus = run("twitter_v1", "raw/twitter_v1_stream")
    assert (card.inputs["files"], card.figures["documents_in"]) == (32, 1521)
    assert card.quarantined == {}
    kinds = Counter(corpus["kind"].to_pylist())
    assert kinds == {"post": 1509, "comment": 12}
    assert pc.min(corpus["created_at"]).as_py().year == 2012
    assert corpus["author_id"].null_count == 0
    assert len(corpus["author_id"].unique()) == 1416


def test_search_response_of_v1(run):
    card, corpus = run("twitter_v1", "raw/twitter_v1_search")
    assert card.figures["documents_kept"] == 100
    kinds = Counter(corpus["kind"].to_pylist())
    assert kinds["repost"] > 0
    # Retweets have the text of their original, so they repeat it.
    assert card.figures["duplicate_texts"] > 0
    assert not any(
        text.startswith("RT @") for text in corpus.filter(pc.equal(corpus["kind"], "repost"))["text"].to_pylist()
    )


def test_pages_and_streams_of_v2(run):
    card, corpus = run("twitter_v2", "raw/twitter_v2/*.jsonl.gz", max_damaged_share=0.01)
    assert card.quarantined["bad_record"] == 1
    assert set(card.quarantined) <= {"bad_record", "duplicate_id", "control_message"}
    reposts = corpus.filter(pc.equal(corpus["kind"], "repost"))
    assert reposts.num_rows > 0
    assert reposts["parent_id"].null_count == 0
    assert corpus["context_id"].null_count == 0


def test_interrupted_stream_of_v2(shared_data):
    rows = read(shared_data / "raw/twitter_v2/streaming_output_with_error.jsonl.gz", "twitter_v2")
    assert reasons(rows) == ["bad_record"]
    with gzip.open(shared_data / "raw/twitter_v2/streaming_output_with_error.jsonl.gz") as file:
        whole = [json.loads(line) for line in file.read().splitlines()[:-1] if line]
    assert [row.doc_id for row in documents(rows)] == [value["data"]["id"] for value in whole]


def test_page_files_of_academictwitter(run):
    card, corpus = run("twitter_v2", "raw/twitter_v2_pages")
    assert card.figures["documents_kept"] == 5
    assert not any(text.endswith("\u2026") for text in corpus["text"].to_pylist())


@pytest.mark.parametrize(("name", "rows", "kind"), [("RC", 3014, "comment"), ("RS", 1890, "post")])
def test_monthly_dumps_of_reddit(run, name, rows, kind):
    card, corpus = run("reddit", f"forum_reddit/{name}_sample.ndjson.zst")
    assert card.figures["documents_in"] == rows
    assert set(card.quarantined) <= {"deleted_text", "missing_text"}
    assert set(corpus["kind"].to_pylist()) == {kind}
    assert not set(corpus["author_id"].to_pylist()) & {"[deleted]", "[removed]"}
    assert corpus["context_id"].null_count == corpus["created_at"].null_count == 0


def test_stack_exchange_tables(run):
    columns = Columns(
        text=("title", "text"),
        doc_id="post_id",
        author_id="author_id",
        parent_id="parent_id",
        created_at="created_at",
        tags="tags",
        score="score",
        label="post_type",
    )
    card, corpus = run("parquet", "forum_se_coffee/posts.parquet", columns, kind="post", max_damaged_share=0.5)
    assert card.figures["documents_in"] == 592
    assert set(card.quarantined) <= {"missing_text"}
    first = corpus.slice(0, 1).to_pylist()[0]
    assert (first["doc_id"], first["parent_id"], first["score"], first["tags"]) == (
        "1",
        None,
        20,
        ["storage", "whole-bean"],
    )
    assert first["text"].startswith("How should I store whole bean coffee?\n\nI just got a pound")


def test_moltbook_tables(run):
    posts = Columns(
        text=("title", "content"), doc_id="post_id", author_id="author", container="submolt", score="upvotes"
    )
    card, _ = run("parquet", "forum_moltbook/posts.parquet", posts, kind="post")
    assert card.figures["documents_in"] == 5105
    comments = Columns(text="content", doc_id="comment_id", author_id="author", context_id="post_id")
    card, corpus = run("parquet", "forum_moltbook/comments.parquet", comments, kind="comment")
    assert card.figures["documents_in"] == 578
    assert corpus["author_id"].null_count == 60


def test_news_with_133_repeats(run):
    columns = Columns(text="text", doc_id="doc_id", label="label")
    card, corpus = run("parquet", "docs_bbc/docs.parquet", columns, duplicates="drop")
    assert card.figures["documents_in"] == 2225
    assert card.quarantined == {"duplicate_text": card.figures["duplicate_texts"]}
    assert card.figures["duplicate_texts"] >= 133
    assert Counter(corpus["label"].to_pylist()).keys() == {"business", "entertainment", "politics", "sport", "tech"}


def test_chinese_headlines(run):
    columns = Columns(text="text", doc_id="doc_id", label="label")
    card, corpus = run("parquet", "docs_thucnews_zh/docs.parquet", columns, language="identify")
    assert card.figures["documents_kept"] == 9991
    languages = Counter(corpus["lang"].to_pylist())
    assert languages["zh"] > 0.99 * corpus.num_rows
    assert set(corpus["label"].to_pylist()) == {str(i) for i in range(10)}
