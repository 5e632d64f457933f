"""A post of the synthetic platform, as its dump would have it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MENTION = re.compile(r"@(sample_user_\d{3})")
REPOST = re.compile(r"^RT @sample_user_\d{3}: ")


@dataclass(frozen=True)
class Author:
    """A member of the platform; posts more often the larger `activity`."""

    handle: str
    community: str
    lang: str
    activity: float


@dataclass(eq=False)
class Post:
    """A post, comment or repost; `ms` counts from 1970."""

    author: Author
    text: str
    topic: str
    lang: str
    kind: str
    container: str
    ms: int
    parent: Post | None = None
    thread: Post | None = None
    replies: list[Post] = field(default_factory=list)
    likes: int = 0
    doc_id: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether the post has an address beside its text: one in three that open a thread, repeat or copy it."""
        return self.kind != "comment" and _number(self.text) % 3 == 0

    def row(self) -> dict[str, Any]:
        """The post as the platform would dump it."""
        return {
            "id": self.doc_id,
            "author": self.author.handle,
            "text": self.text,
            "thread": (self.thread or self).doc_id,
            "parent": self.parent.doc_id if self.parent else None,
            "parent_author": self.parent.author.handle if self.parent else None,
            "community": self.container,
            "created_at": _iso(self.ms),
            "likes": self.likes,
            "mentions": MENTION.findall(self.text),
            "links": [_link(self)] if self.is_shared else [],
            "synthetic": True,
        }


def _number(text: str) -> int:
    """A number of a text's own that reposts and copies of it share."""
    return zlib.crc32(REPOST.sub("", text).encode())


def _link(post: Post) -> str:
    """One of twelve invented pages of the post's topic."""
    return f"https://{post.topic.replace('_', '-')}.example/page-{_number(post.text) // 3 % 12}"


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
