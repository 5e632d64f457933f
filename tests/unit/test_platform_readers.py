"""Twitter, Reddit and thread files: which field of the platform becomes which field of a document."""

import json

import pytest

from tests.corpora import documents, read, reasons, write_jsonl

CREATED = "Wed Aug 27 13:08:45 +0000 2008"


def tweet_v1(tweet_id, text="hello", **values):
    user = {"id": 7, "id_str": "7"}
    return {"id": tweet_id, "id_str": str(tweet_id), "text": text, "user": user, "created_at": CREATED, **values}


def tweet_v2(tweet_id, text="hello", **values):
    return {"id": str(tweet_id), "text": text, "author_id": "7", "conversation_id": str(tweet_id), **values}


def test_v1_posts_replies_and_retweets(tmp_path):
    original = tweet_v1(1, "cut off\u2026", extended_tweet={"full_text": "the whole text"})
    tweets = [
        {**original, "lang": "en", "favorite_count": 3},
        tweet_v1(2, "@x yes", in_reply_to_status_id=1, in_reply_to_status_id_str="1"),
        tweet_v1(3, "RT @x: cut\u2026", retweeted_status=original),
        tweet_v1(4, "look", quoted_status=original, full_text="look here"),
    ]
    post, reply, repost, quote = read(write_jsonl(tmp_path / "a.json", tweets), "twitter_v1")
    assert (post.kind, post.text, post.author, post.context_id, post.parent_id) == (
        "post",
        "the whole text",
        "7",
        "1",
        None,
    )
    assert (post.created_at, post.lang, post.score) == (1219842525 * 10**6, "en", 3)
    assert (reply.kind, reply.parent_id, reply.context_id) == ("comment", "1", None)
    assert (repost.kind, repost.parent_id, repost.text) == ("repost", "1", "the whole text")
    assert (quote.kind, quote.text, quote.parent_id) == ("post", "look here", None)


def test_v1_notices_are_turned_away_and_damage_is_told(tmp_path):
    lines = [
        {"delete": {"status": {"id": 1}}},
        {"limit": {"track": 5}},
        {"foo": 1},
        [3],
        tweet_v1(1),
        {"text": "no id"},
    ]
    rows = read(write_jsonl(tmp_path / "a.json", lines), "twitter_v1")
    assert reasons(rows) == ["control_message", "control_message", "bad_record", "bad_record", "missing_id"]


def test_v1_search_responses_are_read_whole(tmp_path):
    path = tmp_path / "a.json"
    for indent in (None, 2):
        path.write_text(json.dumps({"statuses": [tweet_v1(1), tweet_v1(2)], "search_metadata": {}}, indent=indent))
        assert [row.doc_id for row in read(path, "twitter_v1")] == ["1", "2"]


def test_v2_pages_streams_and_flat_tweets(tmp_path):
    whole = tweet_v2(9, "the whole text", note_tweet={"text": "the whole long text"})
    repost = tweet_v2(3, "RT @x: the wh\u2026", referenced_tweets=[{"type": "retweeted", "id": "9"}])
    reply = tweet_v2(
        4, conversation_id="1", referenced_tweets=[{"type": "replied_to", "id": "2"}, {"type": "quoted", "id": "9"}]
    )
    quote = tweet_v2(5, referenced_tweets=[{"type": "quoted", "id": "9"}])
    lines = [
        {"data": [tweet_v2(1, public_metrics={"like_count": 4}, lang="en"), repost], "includes": {"tweets": [whole]}},
        {"data": reply, "matching_rules": []},
        quote,
        {"data": {}, "includes": {}},
    ]
    post, repost, reply, quote = read(write_jsonl(tmp_path / "a.jsonl", lines), "twitter_v2")
    assert (post.kind, post.author, post.context_id, post.score, post.lang) == ("post", "7", "1", 4, "en")
    assert (repost.kind, repost.parent_id, repost.text) == ("repost", "9", "the whole long text")
    assert (reply.kind, reply.parent_id, reply.context_id) == ("comment", "2", "1")
    assert (quote.kind, quote.parent_id) == ("post", None)


def test_v2_errors_and_empty_pages_are_notices(tmp_path):
    lines = [{"errors": [{"title": "x"}]}, {"meta": {"result_count": 0}}, {"x": 1}, 5, {"data": [{"id": "1"}, "x"]}]
    rows = read(write_jsonl(tmp_path / "a.jsonl", lines), "twitter_v2")
    assert reasons(rows) == [
        "control_message",
        "control_message",
        "bad_record",
        "bad_record",
        "bad_record",
        "bad_record",
    ]


def test_v2_page_files_take_includes_from_their_sibling(tmp_path):
    retweet = tweet_v2(3, "RT @x: the wh\u2026", referenced_tweets=[{"type": "retweeted", "id": "9"}])
    empty = tweet_v2(4, referenced_tweets={}, entities={"hashtags": {}})
    (tmp_path / "data_1.json").write_text(json.dumps([retweet, empty]))
    (tmp_path / "users_1.json").write_text(json.dumps({"users": [], "tweets": [tweet_v2(9, "the whole text")]}))
    repost, post = read(tmp_path / "data_1.json", "twitter_v2")
    assert (repost.text, post.kind) == ("the whole text", "post")
    assert read(tmp_path / "users_1.json", "twitter_v2") == []


def test_v2_page_files_without_their_sibling_keep_the_short_text(tmp_path):
    retweet = tweet_v2(3, "RT @x: the wh\u2026", referenced_tweets=[{"type": "retweeted", "id": "9"}])
    (tmp_path / "data_1.json").write_text(json.dumps([retweet]))
    assert [row.text for row in read(tmp_path / "data_1.json", "twitter_v2")] == ["RT @x: the wh\u2026"]


def reddit(**values):
    return {"id": "a", "author": "someone", "created_utc": "1219842525", "subreddit": "pics", "score": 2, **values}


def test_reddit_comments_and_submissions(tmp_path):
    lines = [
        reddit(body="me &amp; you", link_id="t3_x", parent_id="t1_b"),
        reddit(name="t3_a", title="Title", selftext="Body", created_utc=1219842525.0),
        reddit(title="Title", selftext="[removed]", author="[deleted]"),
        reddit(title="Link", selftext=""),
    ]
    comment, post, removed, link = read(write_jsonl(tmp_path / "a.ndjson", lines), "reddit")
    assert (comment.doc_id, comment.kind, comment.text) == ("t1_a", "comment", "me &amp; you")
    assert (comment.context_id, comment.parent_id, comment.container, comment.author) == (
        "t3_x",
        "t1_b",
        "pics",
        "someone",
    )
    assert (post.doc_id, post.kind, post.text, post.context_id) == ("t3_a", "post", "Title\n\nBody", "t3_a")
    assert comment.created_at == post.created_at == 1219842525 * 10**6
    assert (removed.text, removed.author) == ("Title", None)
    assert link.text == "Link"


def test_reddit_texts_that_are_gone_are_turned_away(tmp_path):
    lines = [
        reddit(body="[deleted]"),
        reddit(title="[deleted by user]", selftext=""),
        reddit(),
        reddit(body=5),
        {"body": "x"},
    ]
    rows = read(write_jsonl(tmp_path / "a.ndjson", lines), "reddit")
    assert reasons(rows) == ["deleted_text", "deleted_text", "bad_record", "bad_record", "missing_id"]


def thread():
    leaf = {"id": "c3", "content": "deep", "author": {"name": "named"}, "upvotes": 1, "replies": []}
    first = {"id": "c1", "content": "yes", "author": None, "upvotes": 5, "downvotes": 2, "replies": [leaf]}
    post = {
        "id": "p1",
        "title": "Title",
        "content": "Body",
        "author": {"id": "u1", "name": "bot", "owner": {"x_name": "A Real Person"}},
        "submolt": {"name": "general"},
        "created_at": "2026-01-31T00:00:00Z",
    }
    return {"success": True, "post": post, "comments": [first, {"id": "c2", "content": "no", "parent_id": "c1"}]}


def test_threads_are_read_in_order_with_their_parents(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(thread(), indent=2))
    rows = read(path, "thread_json")
    assert [(row.doc_id, row.parent_id, row.kind) for row in rows] == [
        ("p1", None, "post"),
        ("c1", "p1", "comment"),
        ("c3", "c1", "comment"),
        ("c2", "c1", "comment"),
    ]
    assert {(row.context_id, row.container) for row in rows} == {("p1", "general")}
    assert [row.author for row in rows] == ["u1", None, "named", None]
    assert [row.score for row in rows] == [None, 3, 1, None]
    assert rows[0].text == "Title\n\nBody"
    assert "Real Person" not in repr(rows)


def test_a_thread_deeper_than_the_recursion_limit_of_python_is_read(tmp_path):
    comment = '{"id":"c","content":"x","replies":[]}'
    for depth in range(900):
        comment = f'{{"id":"c{depth}","content":"x","replies":[{comment}]}}'
    path = tmp_path / "a.json"
    path.write_text(f'{{"post":{{"id":"p","content":"x"}},"comments":[{comment}]}}')
    assert len(documents(read(path, "thread_json"))) in (0, 902)
    assert set(reasons(read(path, "thread_json"))) <= {"bad_record"}


@pytest.mark.parametrize("value", [{"comments": []}, 5, {"post": None}])
def test_json_without_a_post_is_a_bad_record(tmp_path, value):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    assert reasons(read(path, "thread_json")) == ["bad_record"]


def test_damaged_parts_of_a_thread_are_told_and_the_rest_is_read(tmp_path):
    value = thread()
    value["comments"] += ["text", {"content": "no id"}, {"id": "c9", "content": "x", "created_at": "yesterday"}]
    value["post"]["id"] = 1.5
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    rows = read(path, "thread_json")
    assert reasons(rows) == ["damaged_id", "bad_record", "missing_id", "bad_time"]
    assert [row.doc_id for row in documents(rows)] == ["c1", "c3", "c2"]
