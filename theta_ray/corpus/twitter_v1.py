"""Twitter API v1.1 objects: archived streams (one a line) and search responses become documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from theta_ray.config import Input
from theta_ray.corpus import entities
from theta_ray.corpus.document import Damaged, Document, Rejected, Row, Unit
from theta_ray.corpus.files import read_json_values
from theta_ray.corpus.values import to_id, to_name, to_score, to_time

NOTICES = (
    "control",
    "delete",
    "disconnect",
    "errors",
    "event",
    "friends",
    "friends_str",
    "limit",
    "scrub_geo",
    "sitewithheld",
    "status_withheld",
    "user_delete",
    "user_undelete",
    "user_withheld",
    "warning",
)


def read_twitter_v1(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of a v1.1 file: a tweet or notice a line, a search response, or an array of tweets.

    A retweet has kind `repost` and the original's full text, so that it repeats its original; a
    reply has kind `comment` and no context, because v1.1 does not name the root of a conversation.
    Mentions and addresses are those of what the text is of; a tweet to somebody that answers nothing mentions them.
    """
    for row in read_json_values(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, value = row
        for tweet in _tweets(value):
            try:
                yield _document(tweet, place)
            except Damaged as error:
                yield Rejected(error.reason, error.detail, place)


def _tweets(value: Any) -> list[Any]:
    if isinstance(value, dict) and isinstance(value.get("statuses"), list):
        return list(value["statuses"])
    return value if isinstance(value, list) else [value]


def _document(tweet: Any, place: int) -> Row:
    if not isinstance(tweet, dict):
        raise Damaged("bad_record", f"a JSON {type(tweet).__name__} is no tweet")
    if "text" not in tweet and "full_text" not in tweet:
        notice = next((key for key in NOTICES if key in tweet), None)
        if notice:
            return Rejected("control_message", notice, place)
        raise Damaged("bad_record", "a JSON object without text")
    doc_id = id_of(tweet)
    if doc_id is None:
        return Rejected("missing_id", "", place)
    original = tweet.get("retweeted_status")
    replied_to = to_id(tweet.get("in_reply_to_status_id_str") or tweet.get("in_reply_to_status_id"))
    kind, parent_id, parent_author, shown = "post", None, None, tweet
    if isinstance(original, dict):
        kind, parent_id, parent_author, shown = "repost", id_of(original), _user_id(original), original
    elif replied_to is not None:
        kind, parent_id = "comment", replied_to
        parent_author = to_id(tweet.get("in_reply_to_user_id_str") or tweet.get("in_reply_to_user_id"))
    parts = _parts(shown)
    return Document(
        doc_id,
        full_text(shown),
        place,
        kind,
        author=_user_id(tweet),
        context_id=None if kind == "comment" else doc_id,
        parent_id=parent_id,
        parent_author=parent_author,
        created_at=to_time(tweet.get("created_at")),
        lang=to_name(tweet.get("lang")),
        score=to_score(tweet.get("favorite_count")),
        mention_ids=entities.mention_ids(parts),
        links=entities.links(parts),
    )


def _user_id(tweet: dict[str, Any]) -> str | None:
    user = tweet.get("user")
    return id_of(user) if isinstance(user, dict) else None


def _parts(tweet: dict[str, Any]) -> list[dict[str, Any]]:
    """Where a tweet's entities are: those of the whole text where it has more than 140 characters."""
    extended = tweet.get("extended_tweet")
    return [extended] if isinstance(extended, dict) and isinstance(extended.get("entities"), dict) else [tweet]


def id_of(record: dict[str, Any]) -> str | None:
    """`id_str`, else `id`."""
    return to_id(record.get("id_str") or record.get("id"))


def full_text(tweet: dict[str, Any]) -> str:
    """The whole text of a tweet: extended where it has more than 140 characters."""
    extended = tweet.get("extended_tweet")
    candidates = [extended.get("full_text")] if isinstance(extended, dict) else []
    candidates += [tweet.get("full_text"), tweet.get("text")]
    return next((text for text in candidates if isinstance(text, str)), "")
