"""What refers to a deleted document or a forgotten author does so no longer: no answer, mention, link or rejected row.

A thread whose first post was deleted stays together under a keyed pseudonym of its id, where the corpus has a key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Container

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.corpus.document import Document, Rejected
from theta_ray.corpus.links import find_links
from theta_ray.corpus.values import stored_id

# Shorter ids are also words of other meanings.
WORD = re.compile(r"\w{6,}")
CONTEXT_CHARS = 32
# A name may be a word: as part of a host or a title it names nobody.
FIRST_SEGMENT = re.compile(r"(?i)https?://[^/?#]+/[@~]?([^/?#]+)")
PROFILE = re.compile(r"(?i)/(?:author|i/user|people|profile|u|user|users)/@?([^/?#]+)")
LONG_NUMBER = re.compile(r"(?<!\w)\d{6,}(?!\w)")
# Of the corpus: columns that name documents, and those that name authors.
ID_COLUMNS = ("doc_id", "context_id", "parent_id")
AUTHOR_COLUMNS = ("author_id", "parent_author_id", "mention_ids")


def names_any(address: str, deleted: Container[str], authors: Container[str] = ()) -> bool:
    """Whether an address has a deleted id of at least 6 characters as one of its words, or an account that is gone."""
    return any(word in deleted for word in WORD.findall(address)) or any(
        account in authors for account in accounts_in(address)
    )


def accounts_in(address: str) -> list[str]:
    """Whom an address may name: the first part of its path, what follows `/user/` and the like, numbers of 6 digits."""
    first = FIRST_SEGMENT.match(address)
    return [*([first[1]] if first else []), *PROFILE.findall(address), *LONG_NUMBER.findall(address)]


def id_of(detail: str) -> str:
    """The id that ends the detail of a rejected row; empty where there is none."""
    return detail.rpartition("doc_id ")[2] if "doc_id " in detail else ""


def without_references(
    item: Document | Rejected, deleted: Container[str], authors: Container[str], key: bytes | None
) -> Document | Rejected:
    """What is left of a document, or of a rejected row: the same object where it has nothing to do with a deletion.

    Args:
        item: as a reader yields it.
        deleted: ids of documents.
        authors: ids of forgotten authors, as readers yield them.
        key: of the author pseudonyms; None: threads of deleted posts have no id.
    """
    if isinstance(item, Rejected):
        return item._replace(detail="") if id_of(item.detail) in deleted else item
    context, parent = (None if each is None else stored_id(each) for each in (item.context_id, item.parent_id))
    answers_gone = item.parent_author is not None and item.parent_author in authors
    parent_is_gone = answers_gone or parent in deleted
    if stored_id(item.doc_id) in deleted or item.author in authors or (item.kind == "repost" and parent_is_gone):
        return Rejected("deleted_id", "", item.place)
    if context is not None and (context in deleted or (answers_gone and context == parent)):
        item = item._replace(context_id=None if key is None else context_pseudonym(key, context))
    if parent_is_gone and parent is not None:
        item = item._replace(parent_id=None)
    return _without_names(item._replace(parent_author=None) if answers_gone else item, deleted, authors)


def _without_names(item: Document, deleted: Container[str], authors: Container[str]) -> Document:
    """Mentions and links that name none of them."""
    mentions = tuple(author for author in item.mention_ids if author not in authors)
    if len(mentions) < len(item.mention_ids):
        item = item._replace(mention_ids=mentions)
    links = item.links if item.links is not None or "://" not in item.text else tuple(find_links(item.text))
    if links and any(names_any(link, deleted, authors) for link in links):
        item = item._replace(links=tuple(link for link in links if not names_any(link, deleted, authors)))
    return item


def context_pseudonym(key: bytes, context_id: str) -> str:
    """32 hex digits of HMAC-SHA-256; those of authors have no prefix, so that a number is not the same as both."""
    return hmac.digest(key, f"context {context_id}".encode(), "sha256").hex()[:CONTEXT_CHARS]


def named_ids(rows: pa.RecordBatch | pa.Table) -> pa.Array:
    """What rows name, each once: values of ID_COLUMNS, words of `links` and ids of `detail`, where they have these.

    A corpus or quarantine holds a deleted id, or refers to one, exactly where it is among these.
    """
    found = [named_in(rows, ID_COLUMNS), *_of_links(rows, WORD.findall)]
    if "detail" in rows.schema.names:
        found.append(pa.array({id_of(detail) for detail in rows["detail"].to_pylist()} - {""}, pa.string()))
    return pc.unique(pa.concat_arrays(found))


def named_authors(rows: pa.RecordBatch | pa.Table) -> pa.Array:
    """Whom rows may name, each once: values of AUTHOR_COLUMNS and accounts of `links`, where they have these."""
    return pc.unique(pa.concat_arrays([named_in(rows, AUTHOR_COLUMNS), *_of_links(rows, accounts_in)]))


def named_in(rows: pa.RecordBatch | pa.Table, columns: tuple[str, ...]) -> pa.Array:
    """Different values of those columns that are there; of lists, of what is in them."""
    present = [rows[name] for name in columns if name in rows.schema.names]
    flat = [pc.list_flatten(each) if pa.types.is_list(each.type) else each for each in present]
    found = [pc.unique(each) for each in flat]
    return pc.drop_null(pc.unique(pa.concat_arrays([pa.array([], pa.string()), *found])))


def _of_links(rows: pa.RecordBatch | pa.Table, find: Callable[[str], list[str]]) -> list[pa.Array]:
    if "links" not in rows.schema.names:
        return []
    links = pc.unique(pc.list_flatten(rows["links"])).to_pylist()
    return [pa.array({found for link in links for found in find(link)}, pa.string())]
