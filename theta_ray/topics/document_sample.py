"""A bounded sample of the documents that are in clusters: their texts, clusters and vectors, staged shard by shard.

A document is in it by a hash of its text, so copies are in it together, and a rerun draws the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.encoder.stored import from_column, read_vectors, to_column
from theta_ray.store import Partition, read_shard

COLUMNS = ("doc_id", "text", "text_hash", "label", "lang", "cluster_id")


@dataclass(frozen=True)
class Sampling:
    """What is drawn."""

    share: float
    """Of the documents."""
    embeddings: Partition | None = None
    """None: no vectors are."""
    columns: tuple[str, ...] = ("embedding",)
    """Of the embeddings, those that hold vectors."""


def hashes(text_hash: pa.ChunkedArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Two numbers of each text that have nothing to do with each other."""
    values = b"".join(text_hash.to_pylist())
    pairs = np.frombuffer(values, ">u8").reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)


def is_drawn(which: npt.NDArray[np.uint64], share: float) -> npt.NDArray[np.bool_]:
    """[N] whether documents are among such a share, by the first of their `hashes`; a smaller share is part of it."""
    return which < share * 2.0**64 if share < 1 else np.ones(len(which), bool)


def with_vectors(rows: pa.Table, sampling: Sampling, assigned: Sequence[str]) -> pa.Table:
    """Drawn rows of one corpus shard with their vectors, where these are asked for.

    Args:
        rows: with `doc_id`.
        sampling: what is drawn.
        assigned: shards of assignments, whose names are those of shards of embeddings and a digest.
    """
    if sampling.embeddings is None:
        return rows
    found = pa.concat_tables(_of_ids(rows["doc_id"], sampling, assigned)).combine_chunks()
    at = pc.index_in(rows["doc_id"].combine_chunks(), found["doc_id"].combine_chunks())
    if at.null_count:
        raise AssertionError(f"{sampling.embeddings.path}: {at.null_count} assigned documents have no vector")
    vectors = read_vectors(found.select(list(sampling.columns)).take(at))
    return rows.append_column("vector", to_column(vectors))


def _of_ids(doc_ids: pa.ChunkedArray, sampling: Sampling, assigned: Sequence[str]) -> Iterable[pa.Table]:
    assert sampling.embeddings is not None, "there are vectors"
    for name in assigned:
        shard = name.rpartition("-")[0]
        rows = read_shard(sampling.embeddings, shard, columns=["doc_id", *sampling.columns])
        yield rows.filter(pc.is_in(rows["doc_id"], doc_ids.combine_chunks()))


def vectors_of(sample: pa.Table) -> npt.NDArray[np.float32]:
    """[N, D] of the rows of a sample that has vectors."""
    return np.asarray(from_column(sample["vector"]), np.float32)
