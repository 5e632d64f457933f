"""Whom a document answers, repeats and mentions, and what it links to: from each format, under each rule on authors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import config_of, corpus_of, documents, jsonl_input, quarantine_rows, read, write_jsonl
from theta_ray.config import Columns, Corpus, Input
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import pseudonym
from theta_ray.corpus.document import Document
from theta_ray.corpus.rows import MAX_MENTIONS, RowBuilder
from theta_ray.schemas import CORPUS

URL = {"url": "https://t.co/x", "expanded_url": "https://News.example/a/?utm_source=t", "display_url": "news.example/a"}
PICTURE = {"expanded_url": "https://twitter.com/u/status/1/photo/1", "display_url": "pic.twitter.com/p"}


def tweet_v1(tweet_id: int, user: int, mentions: tuple[int, ...] = (), **values: Any) -> dict[str, Any]:
    entities = {
        "user_mentions": [{"id": one, "id_str": str(one)} for one in mentions],
        "urls": [URL],
        "media": [PICTURE],
    }
    return {"id_str": str(tweet_id), "text": "hi", "user": {"id_str": str(user)}, "entities": entities, **values}


def tweet_v2(tweet_id: int, user: int, mentions: tuple[int, ...] = (), **values: Any) -> dict[str, Any]:
    entities = {"mentions": [{"id": str(one), "username": f"u{one}"} for one in mentions], "urls": [URL, PICTURE]}
    return {"id": str(tweet_id), "text": "hi", "author_id": str(user), "entities": entities, **values}


def referring(kind: str, tweet_id: int, **values: Any) -> dict[str, Any]:
    return {"referenced_tweets": [{"type": kind, "id": str(tweet_id), **values}]}


def targets(rows: list[Any]) -> list[tuple[Any, ...]]:
    """Parent's author, mentions and links of each document, as the corpus has them."""
    builder = RowBuilder(Corpus(inputs=(Input(reader="text", path="x"),), authors="raw", language="none"), None)
    names = ("parent_author_id", "mention_ids", "links")
    built = [dict(zip(CORPUS.names, builder.build(row, "s"), strict=True)) for row in documents(rows)]
    return [tuple(row[name] for name in names) for row in built]


def test_tweets_of_v1_name_whom_they_answer_repeat_and_mention(tmp_path: Path) -> None:
    answer = {"in_reply_to_status_id_str": "1", "in_reply_to_user_id_str": "7"}
    original = tweet_v1(1, 7, (9,))
    tweets = [
        original,
        tweet_v1(2, 8, (7, 9, 9), **answer),
        tweet_v1(3, 8, (7, 9), text="RT @x: hi", retweeted_status=original),
        tweet_v1(4, 8, (7,), in_reply_to_user_id_str="7"),
    ]
    link = ["https://news.example/a"]
    found = targets(read(write_jsonl(tmp_path / "a.json", tweets), "twitter_v1"))
    assert found == [(None, ["9"], link), ("7", ["9"], link), ("7", ["9"], link), (None, ["7"], link)]


def test_long_tweets_of_v1_have_the_entities_of_their_whole_text(tmp_path: Path) -> None:
    whole = {"full_text": "whole", "entities": tweet_v1(0, 0, (5, 6))["entities"]}
    (found,) = targets(
        read(write_jsonl(tmp_path / "a.json", [tweet_v1(1, 7, (5,), extended_tweet=whole)]), "twitter_v1")
    )
    assert found == (None, ["5", "6"], ["https://news.example/a"])


def test_tweets_of_v2_name_whom_they_answer_repeat_and_mention(tmp_path: Path) -> None:
    original = tweet_v2(1, 7, (9,))
    page = {
        "data": [
            tweet_v2(2, 8, (7, 9), in_reply_to_user_id="7", **referring("replied_to", 1)),
            tweet_v2(3, 8, (7,), text="RT @u7: cut", **referring("retweeted", 1)),
            tweet_v2(4, 8, (7,), **referring("replied_to", 1)),
            tweet_v2(5, 8, (7,), **referring("quoted", 1)),
        ],
        "includes": {"tweets": [original]},
    }
    link = ["https://news.example/a"]
    found = targets(read(write_jsonl(tmp_path / "a.jsonl", [page]), "twitter_v2"))
    assert found == [("7", ["9"], link), ("7", ["9"], link), ("7", [], link), (None, ["7"], link)]


def test_retweets_of_v2_without_their_original_name_its_author_by_the_mention_in_front(tmp_path: Path) -> None:
    tweets = [
        tweet_v2(3, 8, (9, 7), text="RT @U7: with @u9", **referring("retweeted", 1)),
        tweet_v2(4, 8, (9,), text="RT with @u9", **referring("retweeted", 1)),
        tweet_v2(5, 8, text="RT @u7: hi", **referring("retweeted", 1, author_id="7", text="hi")),
    ]
    found = targets(read(write_jsonl(tmp_path / "a.jsonl", tweets), "twitter_v2"))
    assert [(author, mentions) for author, mentions, _ in found] == [("7", ["9"]), (None, ["9"]), ("7", [])]


def test_notes_of_v2_have_mentions_and_links_of_their_own(tmp_path: Path) -> None:
    note = {"text": "long", "entities": {"mentions": [{"id": "5", "username": "e"}], "urls": {}}}
    (found,) = targets(read(write_jsonl(tmp_path / "a.jsonl", [tweet_v2(1, 7, (9,), note_tweet=note)]), "twitter_v2"))
    assert found == (None, ["9", "5"], ["https://news.example/a"])


@pytest.mark.parametrize("reader", ["twitter_v1", "twitter_v2"])
@pytest.mark.parametrize(
    "entities", [None, [], "x", {"mentions": 5, "user_mentions": {}, "urls": [1, {"url": []}, None]}]
)
def test_broken_entities_are_none(tmp_path: Path, reader: str, entities: Any) -> None:
    tweet = {"id": "1", "text": "see https://a.org/b", "author_id": "7", "entities": entities}
    (found,) = targets(read(write_jsonl(tmp_path / "a.jsonl", [tweet]), reader))
    assert found == (None, [], [] if isinstance(entities, dict) else ["https://a.org/b"])


def test_comments_of_a_thread_name_the_author_of_what_they_answer(tmp_path: Path) -> None:
    deep = {
        "id": "c2",
        "content": "b",
        "author": {"id": "u3"},
        "replies": [{"id": "c3", "content": "c", "author": None}],
    }
    late = {"id": "c0", "content": "z", "parent_id": "c2", "author": {"id": "u4"}}
    orphan = {"id": "c9", "content": "y", "parent_id": "gone", "author": {"id": "u5"}}
    answer = {"id": "c4", "content": "d", "parent_id": "c3"}
    comments = [late, {"id": "c1", "content": "a", "author": {"id": "u2"}, "replies": [deep]}, orphan, answer]
    thread = {"post": {"id": "p", "title": "https://a.org", "author": {"id": "u1"}}, "comments": comments}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(thread))
    rows = documents(read(path, "thread_json"))
    found = {row.doc_id: row.parent_author for row in rows}
    assert found == {"p": None, "c0": "u3", "c1": "u1", "c2": "u2", "c3": "u3", "c9": None, "c4": None}
    assert targets(rows)[0] == (None, [], ["https://a.org"])


def test_submissions_of_reddit_link_what_they_are_of_and_deleted_authors_are_null(tmp_path: Path) -> None:
    records = [
        {"id": "a", "title": "T", "url": "https://News.example/a/", "author": "[deleted]"},
        {"id": "b", "title": "T", "url": "https://reddit.com/r/b", "is_self": True, "selftext": "at https://b.org."},
        {"id": "c", "body": "[x](https://c.org)", "author": "[removed]", "parent_id": "t1_z", "link_id": "t3_a"},
    ]
    rows = documents(read(write_jsonl(tmp_path / "a.ndjson", records), "reddit"))
    assert [row.author for row in rows] == [None, None, None]
    links = ["https://news.example/a"], ["https://b.org"], ["https://c.org"]
    assert targets(rows) == [(None, [], found) for found in links]


@pytest.mark.parametrize("reader", ["csv", "jsonl", "parquet"])
def test_columns_of_a_table_name_targets_mentions_and_links(tmp_path: Path, reader: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = Columns(text="text", doc_id="id", parent_author_id="to", mention_ids="who", links="urls")
    record = {"id": "1", "text": "no https://t.co/x", "to": 7, "who": [7, 2**53 + 1], "urls": ["https://A.org/x,y/"]}
    path = tmp_path / f"a.{reader}"
    if reader == "parquet":
        pq.write_table(pa.Table.from_pylist([record]), path)
    elif reader == "jsonl":
        write_jsonl(path, [record])
    else:
        path.write_text(f'id,text,to,who,urls\n1,no https://t.co/x,7,"7,{2**53 + 1}","https://A.org/x,y/"\n')
    assert targets(read(path, reader, columns)) == [("7", [str(2**53 + 1)], ["https://a.org/x,y"])]


def test_a_table_without_a_column_of_links_has_those_of_its_text_and_one_with_it_only_those(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "text": "see https://a.org", "urls": None}])
    assert targets(read(path, "jsonl", Columns(text="text")))[0][2] == ["https://a.org"]
    assert targets(read(path, "jsonl", Columns(text="text", links="urls")))[0][2] == []


@pytest.mark.parametrize("authors", ["raw", "pseudonym", "drop"])
def test_targets_and_mentions_are_pseudonyms_of_the_same_key_as_authors(authors: str) -> None:
    key = b"k" * 32 if authors == "pseudonym" else None
    corpus = Corpus(inputs=(Input(reader="reddit", path="x"),), authors=authors, language="none")  # type: ignore[arg-type]
    document = Document("1", "text", 0, "post", author="a", parent_author="b", mention_ids=("a", "b", "c", "a"))
    row = dict(zip(CORPUS.names, RowBuilder(corpus, key).build(document, "s"), strict=True))
    made = {"raw": str, "drop": lambda author: None, "pseudonym": lambda author: pseudonym(key or b"", author)}[authors]
    assert (row["author_id"], row["parent_author_id"]) == (made("a"), made("b"))
    assert row["mention_ids"] == ([] if authors == "drop" else [made("a"), made("c")])


def test_hostile_lists_are_stored_bounded_or_turned_away(tmp_path: Path) -> None:
    records = [
        {
            "id": "many",
            "text": "text",
            "who": list(range(10_000)),
            "urls": [f"https://a.org/{i}" for i in range(10_000)],
        },
        {"id": "nested", "text": "text", "who": [["a"]], "urls": []},
        {"id": "control", "text": "text", "who": ["a\u0000\u001b[31m", "\ud800"], "urls": ["https://a.org/\u0007"]},
        {"id": "float", "text": "text", "who": [1.5]},
        {"id": "object", "text": "text", "who": {"a": 1}},
    ]
    source = jsonl_input(write_jsonl(tmp_path / "a.jsonl", records), mention_ids="who", links="urls")
    config = config_of(tmp_path, source, max_damaged_share=1.0)
    prepare.run(config, "2026-01-31")
    rows = {row["doc_id"]: row for row in corpus_of(config).to_pylist()}
    assert rows["many"]["mention_ids"] == [str(i) for i in range(MAX_MENTIONS)]
    assert len(rows["many"]["links"]) == 100
    assert (rows["control"]["mention_ids"], rows["control"]["links"]) == (["a\0\x1b[31m", "\ufffd"], [])
    assert sorted(reason for reason, _ in quarantine_rows(config)) == ["bad_record", "bad_record", "damaged_id"]
