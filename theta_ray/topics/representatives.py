"""Documents that show what a cluster is: nearest its centroid, or on its border; no two of the same template.

A template is what is left of a text in lower case when its numbers are all 0 and addresses and mentions are left out.
Documents of one template are near-duplicates: of a bot, a chain letter, a form.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import regex
from numpy.typing import NDArray

from theta_ray.topics.ctfidf import ranks

Role = Literal["borderline", "representative"]
DIGITS = regex.compile(r"\p{N}+(?:[.,:/-]\p{N}+)*")

CANDIDATES = pa.schema(
    [
        pa.field("cluster_id", pa.int32(), nullable=False),
        pa.field("template", pa.uint64(), nullable=False),
        pa.field("rank_by", pa.float32(), nullable=False),  # the lower, the better
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # cut; empty where nobody needs it
    ]
)
TEMPLATES = pa.schema(
    [
        pa.field("template", pa.uint64(), nullable=False),
        pa.field("cluster_id", pa.int32(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),  # the lowest of its documents
        pa.field("documents", pa.int64(), nullable=False),
    ]
)


def template(text: str) -> str:
    """A text that `words.plain` gave, with 0 for its numbers, white space collapsed."""
    return " ".join(DIGITS.sub("0", text).split())


def template_key(text: str) -> int:
    """64 bits that plain texts of one template share."""
    return int.from_bytes(blake2b(template(text).encode(), digest_size=8).digest(), "little")


def rank_by(similarity: NDArray[np.float32], margin: NDArray[np.float32], role: Role) -> NDArray[np.float32]:
    """[N] what documents of a role are ranked by, lowest first; infinite for those that cannot have it."""
    values = -similarity if role == "representative" else margin
    return np.where(np.isfinite(values), values, np.inf).astype(np.float32)


def choose(candidates: Sequence[pa.Table], limit: int) -> pa.Table:
    """The best documents of each cluster, of each template only the best, equal ones by id.

    What is chosen from parts and then from what they gave is what is chosen from all.

    Args:
        candidates: tables of CANDIDATES.
        limit: documents of a cluster.
    """
    table = pa.concat_tables(candidates)
    by = [(name, "ascending") for name in ("cluster_id", "rank_by", "doc_id")]
    table = table.filter(pc.is_finite(table["rank_by"])).sort_by(by).combine_chunks()
    pairs = np.stack([table["cluster_id"].to_numpy().astype(np.uint64), table["template"].to_numpy()])
    first = np.sort(np.unique(pairs, axis=1, return_index=True)[1])
    table = table.take(pa.array(first))
    return table.filter(pa.array(ranks(table["cluster_id"].to_numpy().astype(np.int64)) < limit))


def add_up_templates(parts: Sequence[pa.Table]) -> pa.Table:
    """The sum of tables of TEMPLATES, by template and cluster."""
    by = ["template", "cluster_id"]
    summed = (
        pa.concat_tables(parts).group_by(by, use_threads=False).aggregate([("doc_id", "min"), ("documents", "sum")])
    )
    return summed.rename_columns(TEMPLATES.names).cast(TEMPLATES).sort_by([(name, "ascending") for name in by])


def largest_templates(templates: pa.Table, limit: int) -> pa.Table:
    """The templates of most documents in each cluster, of those with at least two; merges what it gave."""
    by = [("cluster_id", "ascending"), ("documents", "descending"), ("doc_id", "ascending")]
    table = templates.filter(pc.greater(templates["documents"], 1)).sort_by(by).combine_chunks()
    return table.filter(pa.array(ranks(table["cluster_id"].to_numpy().astype(np.int64)) < limit))


def count_templates(templates: pa.Table) -> dict[int, int]:
    """How many templates each cluster has."""
    ids, counts = np.unique(templates["cluster_id"].to_numpy(), return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))
