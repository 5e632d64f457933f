"""What refers to a deleted document refers to it no longer: neither an answer, nor a link, nor a rejected row's detail.

A thread whose first post was deleted stays together under a keyed pseudonym of its id, where the corpus has a key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Container

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.corpus.document import Document, Rejected
from theta_ray.corpus.links import find_links
from theta_ray.corpus.values import stored_id

# Shorter ids are also words of other meanings.
WORD = re.compile(r"\w{6,}")
CONTEXT_CHARS = 32
# Of the corpus: columns that name documents.
ID_COLUMNS = ("doc_id", "context_id", "parent_id")


def names_any(address: str, deleted: Container[str]) -> bool:
    """Whether an address has a deleted id of at least 6 characters as one of its words."""
    return any(word in deleted for word in WORD.findall(address))


def id_of(detail: str) -> str:
    """The id that ends the detail of a rejected row; empty where there is none."""
    return detail.rpartition("doc_id ")[2] if "doc_id " in detail else ""


def without_references(item: Document | Rejected, deleted: Container[str], key: bytes | None) -> Document | Rejected:
    """What is left of a document, or of a rejected row: the same object where it has nothing to do with a deletion.

    Args:
        item: as a reader yields it.
        deleted: ids.
        key: of the author pseudonyms; None: threads of deleted posts have no id.
    """
    if isinstance(item, Rejected):
        return item._replace(detail="") if id_of(item.detail) in deleted else item
    context, parent = (None if each is None else stored_id(each) for each in (item.context_id, item.parent_id))
    if stored_id(item.doc_id) in deleted or (item.kind == "repost" and parent in deleted):
        return Rejected("deleted_id", "", item.place)
    if parent in deleted:
        item = item._replace(parent_id=None)
    if context is not None and context in deleted:
        item = item._replace(context_id=None if key is None else context_pseudonym(key, context))
    links = item.links if item.links is not None or "://" not in item.text else tuple(find_links(item.text))
    if links and any(names_any(link, deleted) for link in links):
        item = item._replace(links=tuple(link for link in links if not names_any(link, deleted)))
    return item


def context_pseudonym(key: bytes, context_id: str) -> str:
    """32 hex digits of HMAC-SHA-256; those of authors have no prefix, so that a number is not the same as both."""
    return hmac.digest(key, f"context {context_id}".encode(), "sha256").hex()[:CONTEXT_CHARS]


def named_ids(rows: pa.RecordBatch | pa.Table) -> pa.Array:
    """What rows name, each once: values of ID_COLUMNS, words of `links` and ids of `detail`, where they have these.

    A corpus or quarantine holds a deleted id, or refers to one, exactly where it is among these.
    """
    found = [pc.drop_null(pc.unique(rows[name])) for name in ID_COLUMNS if name in rows.schema.names]
    if "links" in rows.schema.names:
        links = pc.unique(pc.list_flatten(rows["links"])).to_pylist()
        found.append(pa.array({word for link in links for word in WORD.findall(link)}, pa.string()))
    if "detail" in rows.schema.names:
        found.append(pa.array({id_of(detail) for detail in rows["detail"].to_pylist()} - {""}, pa.string()))
    return pc.unique(pa.concat_arrays(found))
