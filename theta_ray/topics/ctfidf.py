"""Counts of terms in, the terms that tell clusters apart out: c-TF-IDF (Grootendorst 2022, arXiv:2203.05794).

    score[c, t] = tf[c, t] * log(1 + A / f[t])                      tf: share of t in the terms of cluster c
    score[c, t] = tf[c, t] * log(1 + (A - f[t] + 0.5) / (f[t] + 0.5))    with BM25's weight, below 0 above A + 0.5

f[t] is how often t occurs in all clusters, A how many terms a cluster has on average. A term's scores need its own
counts and the clusters' totals only: whoever has all counts of some terms ranks them exactly, and the best of each
cluster are among the best of each part of the terms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from theta_ray.config_topics import Topics, Weighting
from theta_ray.topics.counts import Int64, sum_by

Float64 = NDArray[np.float64]
NO_BUCKET = -(2**31)
_SUMMED = ("documents", "count")
RANKED = pa.schema(
    [
        pa.field("cluster_id", pa.int32(), nullable=False),
        pa.field("bucket", pa.date32()),  # of its own ranking; null where the documents have no time
        pa.field("term", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)


def idf(frequency: Int64, average: float, weighting: Weighting) -> Float64:
    """[T] weights of terms that occur so often, where clusters have so many terms on average."""
    if weighting == "bm25":
        return np.log1p((average - frequency + 0.5) / (frequency + 0.5))
    return np.log1p(average / frequency)


def term_frequency(counts: Int64, num_terms: Int64, *, reduce_frequent_words: bool) -> Float64:
    """[N] shares of counts in all occurrences of terms, or the square roots of these."""
    shares = counts / num_terms
    return np.sqrt(shares) if reduce_frequent_words else shares


def cell_keys(table: pa.Table, *, by_bucket: bool) -> Int64:
    """[N] one number for the cluster of each row, or for its cluster and bucket."""
    cluster_ids: Int64 = table["cluster_id"].to_numpy().astype(np.int64)
    if not by_bucket:
        return cluster_ids << 32
    days: Int64 = pc.fill_null(table["bucket"].cast(pa.int32()), NO_BUCKET).to_numpy().astype(np.int64)
    return (cluster_ids << 32) + days - NO_BUCKET


class Sizes:
    """How many occurrences of terms each cluster has, and each bucket of a cluster.

    Args:
        totals: of all documents (counts.TOTALS).
    """

    def __init__(self, totals: pa.Table) -> None:
        self._known = [np.unique(cell_keys(totals, by_bucket=flag), return_inverse=True) for flag in (False, True)]
        terms = totals["terms"].to_numpy()
        self._sums = [np.bincount(of_key, terms, len(keys)).astype(np.int64) for keys, of_key in self._known]
        self.average = float(self._sums[0].mean()) if len(self._sums[0]) else 0.0
        """Of a cluster that has documents."""

    def of(self, table: pa.Table, *, by_bucket: bool) -> Int64:
        """[N] of the cluster, or cluster and bucket, of each row."""
        keys, _ = self._known[by_bucket]
        return self._sums[by_bucket][np.searchsorted(keys, cell_keys(table, by_bucket=by_bucket))]


def rank_terms(
    counts: Sequence[pa.Table], sizes: Sizes, settings: Topics, limits: tuple[int, int]
) -> tuple[pa.Table, pa.Table]:
    """The best terms of each cluster, and of each cluster and bucket, out of all counts of some terms.

    Args:
        counts: tables of counts.COUNTS; together all counts of their terms.
        sizes: of all clusters.
        settings: of the recipe.
        limits: how many of a cluster, and of a cluster and bucket.

    Returns:
        Two tables of RANKED, by cluster (bucket) and rank; the first has no buckets.
    """
    together = pa.concat_tables(counts)
    encoded = together["term"].combine_chunks().dictionary_encode()
    number, known = encoded.indices.cast(pa.int64()), encoded.dictionary
    columns = {name: together[name] for name in ("cluster_id", "bucket", "count", "documents")}
    by_bucket = sum_by([pa.table({"term": number, **columns})], ["term", "cluster_id", "bucket"])
    by_cluster = sum_by([by_bucket.drop_columns("bucket")], ["term", "cluster_id"])
    terms = by_cluster["term"].to_numpy()
    documents, frequency = (np.bincount(terms, by_cluster[name].to_numpy(), len(known)) for name in _SUMMED)
    weights = idf(np.maximum(frequency, 1).astype(np.int64), sizes.average, settings.weighting)
    weights[documents < settings.min_documents] = 0  # ranked nowhere
    found = []
    for table, flag in ((by_cluster, False), (by_bucket, True)):
        share = term_frequency(
            table["count"].to_numpy(),
            sizes.of(table, by_bucket=flag),
            reduce_frequent_words=settings.reduce_frequent_words,
        )
        scores = share * weights[table["term"].to_numpy()]
        rows = pa.array(highest(cell_keys(table, by_bucket=flag), scores, limits[flag]))
        bucket = table["bucket"].take(rows) if flag else pa.nulls(len(rows), pa.date32())
        chosen = [table["cluster_id"].take(rows), bucket, known.take(table["term"].take(rows).combine_chunks())]
        found.append(best(pa.table([*chosen, pa.array(scores).take(rows)], schema=RANKED), limits[flag]))
    return found[0], found[1]


def highest(cells: Int64, scores: Float64, limit: int) -> Int64:
    """Places of the `limit` highest scores of each cell, and of all that equal the last of them."""
    order = np.lexsort((-scores, cells))
    ordered, at = scores[order], ranks(cells[order])
    first = np.arange(len(order)) - at
    size = np.diff(np.flatnonzero(at == 0), append=len(order))
    last = first + np.minimum(np.repeat(size, size), limit) - 1
    kept: Int64 = order[ordered >= ordered[last]]
    return kept


def best(ranked: pa.Table, limit: int) -> pa.Table:
    """The `limit` highest scores of each cluster and bucket, equal ones by term. Merges tables of `rank_terms`."""
    ranked = ranked.filter(pc.greater(ranked["score"], 0))
    by = [("cluster_id", "ascending"), ("bucket", "ascending"), ("score", "descending"), ("term", "ascending")]
    ranked = ranked.sort_by(by).combine_chunks()
    return ranked.filter(pa.array(ranks(cell_keys(ranked, by_bucket=True)) < limit))


def ranks(cells: Int64) -> Int64:
    """[N] how many rows of the same cell come before a row, where rows of a cell are neighbours."""
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, len(cells)), bool), cells[1:] != cells[:-1]]))
    return np.arange(len(cells)) - np.repeat(starts, np.diff(starts, append=len(cells)))


def diverse(scores: Float64, similarity: Float64, limit: int, diversity: float) -> list[int]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998): places of terms, the best first.

    Each next term has the highest (1 - diversity) * score / best score - diversity * similarity to the most similar
    term before it.

    Args:
        scores: [n], highest first.
        similarity: [n, n], between 0 and 1.
        limit: how many to choose.
        diversity: 0 keeps the order of scores.
    """
    chosen: list[int] = []
    left = list(range(len(scores)))
    relevance = scores / scores[0] if len(scores) and scores[0] > 0 else scores
    while left and len(chosen) < limit:
        nearest = similarity[np.ix_(left, chosen)].max(axis=1) if chosen else np.zeros(len(left))
        gains = (1 - diversity) * relevance[left] - diversity * nearest
        chosen.append(left.pop(int(np.argmax(gains))))
    return chosen
