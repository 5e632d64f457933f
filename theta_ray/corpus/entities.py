"""Entities of tweets, v1.1 and v2: whom a tweet mentions, by user id, and which addresses it shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from theta_ray.corpus.values import to_id

PICTURES = ("pic.twitter.com/", "pic.x.com/")
Record = Mapping[str, Any]


def mention_ids(tweets: Sequence[Record]) -> tuple[str, ...]:
    """User ids in `user_mentions` (v1.1) or `mentions` (v2) of some tweets or parts of one.

    Raises:
        Damaged: an id is none.
    """
    found = [
        _id(mention) for tweet in tweets for mention in (*_list(tweet, "user_mentions"), *_list(tweet, "mentions"))
    ]
    return tuple(user_id for user_id in found if user_id is not None)


def links(tweets: Sequence[Record]) -> tuple[str, ...] | None:
    """Expanded addresses of some tweets or parts of one; None where none has entities.

    A tweet's own pictures are no addresses: v1.1 lists them elsewhere, v2 among them.
    """
    if not any(isinstance(tweet.get("entities"), dict) for tweet in tweets):
        return None
    urls = [url for tweet in tweets for url in _list(tweet, "urls")]
    found = [url.get("expanded_url") or url.get("url") for url in urls if not _is_picture(url)]
    return tuple(url for url in found if isinstance(url, str))


def _is_picture(url: Record) -> bool:
    return str(url.get("display_url")).startswith(PICTURES)


def reposted_id(tweet: Record) -> str | None:
    """User id of whom a tweet `RT @name: ...` repeats, from its own mentions (v2)."""
    text = tweet.get("text")
    for mention in _list(tweet, "mentions"):
        name = mention.get("username")
        if isinstance(text, str) and isinstance(name, str) and text.lower().startswith(f"rt @{name}:".lower()):
            return _id(mention)
    return None


def _list(tweet: Record, name: str) -> Iterator[Record]:
    """Entities of one kind; an empty list may have been written as `{}`."""
    entities = tweet.get("entities")
    values = entities.get(name) if isinstance(entities, dict) else None
    return (value for value in values if isinstance(value, dict)) if isinstance(values, list) else iter(())


def _id(mention: Record) -> str | None:
    return to_id(mention.get("id_str") or mention.get("id"))
