"""Nested JSON, one post with its tree of comments a file, becomes documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from theta_ray.config import Input
from theta_ray.corpus.document import Damaged, Document, Rejected, Row, Unit
from theta_ray.corpus.files import read_json_values
from theta_ray.corpus.values import to_author, to_id, to_name, to_score, to_time


def read_threads(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of a thread: the post, then its comments in reading order.

    Only the author's id (else the name) is read, never `owner`: names of real people.
    """
    for row in read_json_values(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, values = row
        for value in values if isinstance(values, list) else [values]:
            yield from _thread(value, place)


def _thread(value: Any, place: int) -> Iterator[Row]:
    post = value.get("post") if isinstance(value, dict) else None
    if not isinstance(post, dict):
        yield Rejected("bad_record", "no post in the JSON value", place)
        return
    submolt = post.get("submolt")
    container = submolt.get("name") if isinstance(submolt, dict) else submolt
    try:
        post_id = to_id(post.get("id"))
    except Damaged:
        post_id = None
    yield _row(post, _Context("post", post_id, None, container, {}), place)
    comments = list(_comments(value.get("comments"), post_id))
    authors = dict(_authors([post, *(comment for comment, _ in comments)]))
    for comment, parent_id in comments:
        if isinstance(comment, dict):
            yield _row(comment, _Context("comment", post_id, parent_id, container, authors), place)
        else:
            yield Rejected("bad_record", f"a JSON {type(comment).__name__} is no comment", place)


class _Context(NamedTuple):
    """Where a record stands: the post's id, the id of what encloses it, the submolt, and authors by id."""

    kind: str
    post_id: str | None
    enclosing_id: Any
    container: Any
    authors: dict[str, str | None]


def _comments(found: Any, post_id: str | None) -> Iterator[tuple[Any, Any]]:
    """Comments of a tree in reading order, each with the id of what encloses it."""
    # A stack, not recursion: a tree of replies may be deeper than Python's limit.
    stack: list[tuple[Any, Any]] = [(comment, post_id) for comment in reversed(_list(found))]
    while stack:
        comment, parent_id = stack.pop()
        yield comment, parent_id
        if isinstance(comment, dict):
            own_id = comment.get("id") or parent_id
            stack += [(reply, own_id) for reply in reversed(_list(comment.get("replies")))]


def _authors(records: list[Any]) -> Iterator[tuple[str, str | None]]:
    """Ids of records and of who wrote them; a damaged record is told where its row is made."""
    for record in records:
        try:
            doc_id = to_id(record.get("id")) if isinstance(record, dict) else None
            if doc_id is not None:
                yield doc_id, _author(record)
        except Damaged:
            continue


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _row(record: dict[str, Any], context: _Context, place: int) -> Row:
    try:
        doc_id = to_id(record.get("id"))
        if doc_id is None:
            return Rejected("missing_id", "", place)
        is_post = context.kind == "post"
        parent_id = None if is_post else to_id(record.get("parent_id") or context.enclosing_id)
        parts = [part for part in (record.get("title"), record.get("content")) if isinstance(part, str) and part]
        return Document(
            doc_id,
            "\n\n".join(parts),
            place,
            context.kind,
            author=_author(record),
            context_id=doc_id if is_post else context.post_id,
            parent_id=parent_id,
            parent_author=context.authors.get(parent_id or ""),
            container=to_name(context.container),
            created_at=to_time(record.get("created_at")),
            score=_score(record),
        )
    except Damaged as error:
        return Rejected(error.reason, error.detail, place)


def _author(record: dict[str, Any]) -> str | None:
    author = record.get("author")
    if isinstance(author, dict):
        return to_author(author.get("id")) or to_author(to_name(author.get("name")))
    return to_author(author)


def _score(record: dict[str, Any]) -> int | None:
    upvotes, downvotes = to_score(record.get("upvotes")), to_score(record.get("downvotes"))
    return None if upvotes is None and downvotes is None else (upvotes or 0) - (downvotes or 0)
