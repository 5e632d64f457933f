"""Reddit submissions and comments, as in the monthly dumps, become documents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from theta_ray.config import Input
from theta_ray.corpus.document import Damaged, Document, Rejected, Row, Unit
from theta_ray.corpus.files import read_json_lines
from theta_ray.corpus.links import find_links, to_column
from theta_ray.corpus.values import GONE, to_author, to_id, to_name, to_score, to_time


def read_reddit(unit: Unit, spec: Input) -> Iterator[Row]:
    """Documents of an ndjson file of submissions (`title`) or comments (`body`), told apart by their keys.

    Ids are fullnames (`t3_`, `t1_`). A submission whose body is gone keeps its title as its text; a
    comment whose body is gone is turned away (`deleted_text`). HTML entities stay as they are. The
    dumps do not say who wrote a comment's parent.
    """
    for row in read_json_lines(unit):
        if isinstance(row, Rejected):
            yield row
            continue
        place, record = row
        try:
            yield _document(record, place)
        except Damaged as error:
            yield Rejected(error.reason, error.detail, place)


def _document(record: Any, place: int) -> Row:
    is_comment = isinstance(record, dict) and "body" in record
    if not is_comment and not (isinstance(record, dict) and "title" in record):
        raise Damaged("bad_record", "neither a comment (body) nor a submission (title)")
    doc_id = _fullname(record, "t1_" if is_comment else "t3_")
    if doc_id is None:
        return Rejected("missing_id", "", place)
    text = _comment_text(record) if is_comment else _submission_text(record)
    if text is None:
        return Rejected("deleted_text", f"doc_id {doc_id}", place)
    return Document(
        doc_id,
        text,
        place,
        "comment" if is_comment else "post",
        author=to_author(to_name(record.get("author"))),
        context_id=to_id(record.get("link_id")) if is_comment else doc_id,
        parent_id=to_id(record.get("parent_id")) if is_comment else None,
        container=to_name(record.get("subreddit")),
        created_at=to_time(record.get("created_utc")),
        score=to_score(record.get("score")),
        links=None if is_comment else tuple(to_column(chain(_shared(record), find_links(text)))),
    )


def _shared(record: dict[str, Any]) -> list[str]:
    """The address that a link submission is of; that of a text submission is its own page."""
    url = record.get("url")
    return [url] if isinstance(url, str) and not record.get("is_self") else []


def _fullname(record: dict[str, Any], prefix: str) -> str | None:
    name = record.get("name")
    if isinstance(name, str) and name.startswith(prefix):
        return name
    short = to_id(record.get("id"))
    return None if short is None else prefix + short.removeprefix(prefix)


def _comment_text(record: dict[str, Any]) -> str | None:
    body = _string(record, "body")
    return None if body.strip() in GONE else body


def _submission_text(record: dict[str, Any]) -> str | None:
    title, body = _string(record, "title"), _string(record, "selftext")
    if title.strip() in GONE:
        return None
    return title if not body.strip() or body.strip() in GONE else f"{title}\n\n{body}"


def _string(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise Damaged("bad_record", f"{key} is a {type(value).__name__}")
    return value or ""
