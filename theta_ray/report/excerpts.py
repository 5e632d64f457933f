"""Texts of a few documents of a committed corpus, for recipes that allow them on a page."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.report.tables import Committed
from theta_ray.schemas import CORPUS
from theta_ray.table import open_table


def texts_of(corpus: Committed, doc_ids: Collection[str]) -> dict[str, str]:
    """Texts by id; batch by batch, so that a corpus of any size is read in the memory of one."""
    wanted = pa.array(sorted(set(doc_ids)), pa.string())
    found: dict[str, str] = {}
    dataset = open_table(corpus.partition.path, corpus.manifest["version"], schema=CORPUS)
    for batch in dataset.to_batches(columns=["doc_id", "text"], filter=pc.field("doc_id").isin(wanted)):
        found.update(zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True))
        if len(found) == len(wanted):
            break
    return found
