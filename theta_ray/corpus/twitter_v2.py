"""Twitter API v2: pages, streams, flattened tweets and academictwitteR's page files become documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from theta_ray.config import Input
from theta_ray.corpus import entities
from theta_ray.corpus.document import Damaged, Document, Rejected, Row, Unit
from theta_ray.corpus.files import parse_json, read_json_values, read_whole
from theta_ray.corpus.values import to_id, to_name, to_score, to_time
from theta_ray.objects import exists

INCLUDES = {"users", "tweets", "places", "media", "polls", "topics"}
Tweets = dict[str, dict[str, Any]]
NOTICES = ("errors", "meta", "title", "detail", "type", "connection_issue", "operational-disconnect")


def read_twitter_v2(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of a v2 file: one page, stream object or flattened tweet a line, or one JSON value.

    A retweet has kind `repost` and the original's text where `includes` has it. A file
    `data_X.json` takes its includes from `users_X.json` beside it; that file has no documents.
    """
    sibling: Tweets | None = None
    for row in read_json_values(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        if isinstance(value, list) and sibling is None:
            sibling = _included(_read_sibling(unit))
        tweets, included = _page(value)
        if isinstance(tweets, Rejected):
            yield tweets._replace(place=place)
            continue
        for tweet in tweets:
            try:
                yield _document(tweet, included or sibling or {}, place)
            except Damaged as error:
                yield Rejected(error.reason, error.detail, place)


def _page(value: Any) -> tuple[list[Any] | Rejected, Tweets]:
    """The tweets of one JSON value, and the tweets by id in its includes."""
    if isinstance(value, list):
        return value, {}
    if not isinstance(value, dict):
        return Rejected("bad_record", f"a JSON {type(value).__name__} is no tweet", 0), {}
    included = _included(value.get("includes"))
    data = value.get("data")
    if isinstance(data, list):
        return data, included
    if isinstance(data, dict):
        return [data] if data else [], included
    if "id" in value and "text" in value:
        return [value], included
    if value and value.keys() <= INCLUDES:
        return [], {}
    notice = next((key for key in NOTICES if key in value), None)
    if notice:
        return Rejected("control_message", notice, 0), {}
    return Rejected("bad_record", "a JSON object without data", 0), {}


def _read_sibling(unit: Unit) -> Any:
    """Includes of an academictwitteR page file, or None."""
    folder, slash, name = unit.uri.rpartition("/")
    uri = f"{folder}{slash}users_{name.removeprefix('data_')}"
    if not name.startswith("data_") or not exists(uri):
        return None
    whole = read_whole(replace(unit, uri=uri, start=0, stop=None))
    parsed = whole if isinstance(whole, Rejected) else parse_json(whole)
    return None if isinstance(parsed, Rejected) else parsed[1]


def _included(includes: Any) -> Tweets:
    tweets = includes.get("tweets") if isinstance(includes, dict) else None
    if not isinstance(tweets, list):
        return {}
    return {str(tweet.get("id")): tweet for tweet in tweets if isinstance(tweet, dict)}


def _document(tweet: Any, included: Tweets, place: int) -> Row:
    if not isinstance(tweet, dict) or ("text" not in tweet and "note_tweet" not in tweet):
        raise Damaged("bad_record", "a tweet without text")
    doc_id = to_id(tweet.get("id"))
    if doc_id is None:
        return Rejected("missing_id", "", place)
    kind, reference = _parent(tweet)
    parent_id = to_id(reference.get("id"))
    parent = included.get(parent_id or "", reference)
    parent_author = to_id(parent.get("author_id"))
    shown = tweet
    if kind == "repost":
        shown = next((found for found in (parent, reference) if full_text(found)), tweet)
        parent_author = parent_author or entities.reposted_id(tweet)
    elif kind == "comment":
        parent_author = to_id(tweet.get("in_reply_to_user_id")) or parent_author
    parts = [shown, shown["note_tweet"]] if isinstance(shown.get("note_tweet"), dict) else [shown]
    metrics = tweet.get("public_metrics")
    return Document(
        doc_id,
        full_text(shown),
        place,
        kind,
        author=to_id(tweet.get("author_id")),
        context_id=to_id(tweet.get("conversation_id")) or (None if kind == "comment" else doc_id),
        parent_id=parent_id,
        parent_author=parent_author,
        created_at=to_time(tweet.get("created_at")),
        lang=to_name(tweet.get("lang")),
        score=to_score(metrics.get("like_count")) if isinstance(metrics, dict) else None,
        mention_ids=entities.mention_ids(parts),
        links=entities.links(parts),
    )


def _parent(tweet: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a tweet is, and the reference to what it repeats or answers: empty for a post."""
    references = _references(tweet)
    if "retweeted" in references:
        return "repost", references["retweeted"]
    return ("comment", references["replied_to"]) if "replied_to" in references else ("post", {})


def _references(tweet: dict[str, Any]) -> Tweets:
    """Referenced tweets by type; an empty list may have been written as `{}`."""
    references = tweet.get("referenced_tweets")
    if not isinstance(references, list):
        return {}
    return {str(reference.get("type")): reference for reference in references if isinstance(reference, dict)}


def full_text(tweet: dict[str, Any]) -> str:
    """The whole text of a tweet: the note where it has more than 280 characters."""
    note = tweet.get("note_tweet")
    text = note.get("text") if isinstance(note, dict) else None
    text = text if isinstance(text, str) else tweet.get("text")
    return text if isinstance(text, str) else ""
