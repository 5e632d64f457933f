"""Exact nearest neighbours over shards: queries against one shard after another, the best of all so far kept.

    queries [Q, D] x candidates [C, D] of a shard -> at most k near ones of each query -> merged with those before

1. Cosines in float32, a block of queries at a time, on the CPU or a GPU; forbidden candidates are minus infinity.
2. Everything that rounding could have kept from the first k is looked at again: its cosine in float64, rounded to seven
   places. So neither the size of a block nor that of a shard, nor the device, decides who is near.
3. Each text counts once, then the first k of each query stay. Equally near ones come by the hash of their ids.

Merging is associative and does not depend on the order of the parts. Alive: a block's cosines, k rows a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from theta_ray.training.order import mixed

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
# Cosines of a block: 128 MiB at 65,536 candidates.
BLOCK_QUERIES = 512
# Twice what float32 can be wrong by, at 4,096 values.
ROUNDING = 1e-5
DIGITS = 7
# Pairs whose vectors stay in a core's cache.
MEASURED_AT_ONCE = 2**9


@dataclass(frozen=True)
class Queries:
    """Q vectors that look for near ones, and what each may not find."""

    vectors: Vectors
    """[Q, D], unit vectors."""
    forbidden: Sequence[UInt64]
    """Keys for each query; documents that have one of them are left out."""

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Candidates:
    """T texts of one shard, which C documents have, and K keys of these documents: labels, tags and the like."""

    vectors: Vectors
    """[T, D], unit vectors."""
    text: UInt64
    """[T], hashes, ascending."""
    starts: Int64
    """[T + 1], the first document of each text, and C."""
    doc: UInt64
    """[C], hashes of doc_id, by text and ascending."""
    place: Int64
    """[C], what finds the document again."""
    keys: UInt64
    """[K], ascending."""
    owner: Int64
    """[K], the document that has the key."""

    def marked(self, keys: UInt64) -> npt.NDArray[np.bool_]:
        """[C] documents that have one of some keys."""
        found = np.zeros(len(self.doc), bool)
        starts, stops = (np.searchsorted(self.keys, keys, side) for side in ("left", "right"))
        for start, stop in zip(starts, stops, strict=True):
            found[self.owner[start:stop]] = True
        return found

    def texts_marked(self, keys: UInt64) -> npt.NDArray[np.bool_]:
        """[T] texts all of whose documents have one of some keys."""
        marked = self.marked(keys)
        if len(self.doc) == len(self.text):
            return marked
        return np.asarray(np.logical_and.reduceat(marked, self.starts[:-1]))


@dataclass(frozen=True)
class Near:
    """Near documents of some queries: M rows, sorted by query, nearest first."""

    query: Int64
    similarity: npt.NDArray[np.float64]
    doc: UInt64
    text: UInt64
    place: Int64

    def __len__(self) -> int:
        return len(self.query)

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Near:
        """These rows."""
        return Near(*(column[rows] for column in vars(self).values()))


NOTHING = Near(
    np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64)
)


def concat(parts: Sequence[Near]) -> Near:
    """The rows of all parts, one after another."""
    columns: list[Any] = [np.concatenate([getattr(part, name) for part in [NOTHING, *parts]]) for name in vars(NOTHING)]
    return Near(*columns)


def merge(parts: Sequence[Near], k: int) -> Near:
    """The k nearest texts of each query among all parts."""
    rows = concat(parts)
    rows = rows.take(np.argsort(rows.doc))
    # query and nearness in one whole number: several keys would take three times as long to sort by
    rows = rows.take(
        np.argsort((rows.query << 32) - np.rint(rows.similarity * 10**DIGITS).astype(np.int64), kind="stable")
    )
    _, first = np.unique(rows.text ^ mixed(rows.query.astype(np.uint64)), return_index=True)
    distinct = rows.take(np.sort(first))
    return distinct.take(ranks_in(distinct) < k)


def of_queries(near: Near, start: int, stop: int) -> Near:
    """The rows of some queries."""
    first, last = np.searchsorted(near.query, (start, stop))
    return near.take(np.arange(first, last))


def ranks_in(near: Near) -> Int64:
    """[M] place of each row among those of its query, from 0."""
    return np.asarray(np.arange(len(near)) - np.searchsorted(near.query, near.query), np.int64)


def search(
    queries: Queries, candidates: Candidates, k: int, before: Near = NOTHING, device: torch.types.Device = "cpu"
) -> Near:
    """The k nearest texts of each query among some candidates and those found before.

    A text counts once, by the document of the lowest hash that the query allows.

    Args:
        queries: who looks.
        candidates: of one shard.
        k: how many.
        before: from other shards, for the same queries.
        device: what multiplies. Its float32 may round as it likes, up to ROUNDING.
    """
    if not len(candidates.text):
        return before
    right_TD = torch.from_numpy(candidates.vectors).to(device)
    worst_Q = torch.from_numpy(_worst(before, len(queries), k)).to(device)
    blocks = []
    for start in range(0, len(queries), BLOCK_QUERIES):
        block = slice(start, start + BLOCK_QUERIES)
        cosines_QT = torch.tensor(queries.vectors[block]).to(device) @ right_TD.T
        for row, keys in zip(cosines_QT, queries.forbidden[block], strict=True):
            row[torch.from_numpy(np.flatnonzero(candidates.texts_marked(keys))).to(device)] = -torch.inf
        query, text = _within_reach(cosines_QT, worst_Q[block], k)
        found = _measured(query + start, text, queries, candidates)
        blocks.append(merge([of_queries(before, start, start + BLOCK_QUERIES), found], k))
    return concat(blocks)


def _worst(near: Near, num_queries: int, k: int) -> npt.NDArray[np.float32]:
    """[Q] similarity that a candidate must reach to be among the k nearest; minus infinity while there are fewer."""
    worst = np.full(num_queries, -np.inf, np.float32)
    last = ranks_in(near) == k - 1
    worst[near.query[last]] = near.similarity[last]
    return worst


def _within_reach(cosines_QT: torch.Tensor, worst_Q: torch.Tensor, k: int) -> tuple[Int64, Int64]:
    """Queries and texts, by query, that may be among the k nearest, whatever rounding has done."""
    limit_Q = worst_Q
    if k < cosines_QT.shape[1] and worst_Q.isneginf().any():
        limit_Q = torch.maximum(limit_Q, cosines_QT.topk(k, dim=1).values[:, -1])
    reached = (cosines_QT >= limit_Q[:, None] - ROUNDING) & (cosines_QT > -torch.inf)
    places = np.flatnonzero(reached.cpu().numpy())  # on a CPU torch's own nonzero takes eight times as long
    query, text = np.divmod(places, cosines_QT.shape[1])
    return query, text


def _measured(query_M: Int64, text_M: Int64, queries: Queries, candidates: Candidates) -> Near:
    similarity = np.empty(len(query_M))
    for start in range(0, len(query_M), MEASURED_AT_ONCE):
        part = slice(start, start + MEASURED_AT_ONCE)
        similarity[part] = similarities(queries.vectors[query_M[part]], candidates.vectors[text_M[part]])
    doc_M = _first_allowed(query_M, text_M, queries.forbidden, candidates)
    return Near(query_M, similarity, candidates.doc[doc_M], candidates.text[text_M], candidates.place[doc_M])


def _first_allowed(query_M: Int64, text_M: Int64, forbidden: Sequence[UInt64], candidates: Candidates) -> Int64:
    """[M] the document of the lowest hash among those of a text that a query allows."""
    first_M, stop_M = candidates.starts[text_M], candidates.starts[text_M + 1]
    several = np.flatnonzero(stop_M - first_M > 1)
    queries, starts = np.unique(query_M[several], return_index=True)
    for query, rows in zip(queries, np.split(several, starts)[1:], strict=True):
        marked = candidates.marked(forbidden[query])
        for row in rows:
            first_M[row] += marked[first_M[row] : stop_M[row]].argmin()
    return first_M


def similarities(left_ND: Vectors, right_ND: Vectors) -> npt.NDArray[np.float64]:
    """[N] cosines of pairs of unit vectors, alike on every machine: in float64, rounded to seven places."""
    return np.asarray(np.round((left_ND.astype(np.float64) * right_ND).sum(axis=1), DIGITS))
