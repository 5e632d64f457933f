"""Topics of two fits in, their identity out: which topic of today is which of yesterday, and what became of the others.

1. Similarity: cosine of centroids and weighted Jaccard overlap of terms, by `Identity.words_weight`. Where both sides
   have at least 10 topics, cosines are of what is left without the mean of all centroids: embeddings share a direction.
2. Matching: pairs of at least `min_similarity`, or that share most documents of both, one to one, so that the sum of
   what their similarity is above that bound is largest (the Hungarian method, Kuhn 1955). A matched cluster has the
   topic's id.
3. Origins: where documents are known to both fits, one topic comes from another when at least `min_shared` of either's
   documents are in both. A topic or cluster of which both know 10 documents and a tenth at least is told by these; of
   the others, a cluster that found no match comes from the most similar topic, and a topic that found none went into
   the most similar cluster, if they are similar enough.
4. Events, by origins: none `born`, several `merged`, one that has several heirs `split`, else `kept`. A topic without
   an heir has died. With no fit before, all are `first`.

Clusters are taken in an order of their own contents, so neither labels nor the order of rows decide an id.
Shapes: B topics before, T clusters now, D values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from theta_ray.config_quality import Identity

Event = Literal["born", "died", "first", "kept", "merged", "split"]
Values = npt.NDArray[np.float64]
MIN_TO_CENTRE = 10  # the mean of a few topics says more of themselves than of what all embeddings share
# Of a topic's documents that both fits know: fewer may be of one corner of it.
MIN_KNOWN, MIN_KNOWN_SHARE = 10, 0.1
DECIMALS = 9  # of similarities: the last bits of a matrix product depend on the order of its rows


@dataclass(frozen=True)
class TopicSet:
    """The topics of one fit, in any order."""

    ids: Sequence[int]
    """Topic ids of the fit before, cluster ids of the fit now."""
    centroids: npt.NDArray[np.floating[Any]]
    """One row each."""
    terms: Sequence[Mapping[str, float]]
    """Weight of each term; only their proportions count. A topic may have none."""
    sizes: Sequence[int]
    """Documents."""


@dataclass(frozen=True)
class Aligned:
    """One cluster of today as a topic."""

    cluster_id: int
    topic_id: int
    event: Event
    previous_ids: tuple[int, ...]
    """Topics that it comes from, its own id first where it is among them."""
    similarity: float
    """With the topic whose id it has; NaN where the id is new."""


@dataclass(frozen=True)
class Ended:
    """A topic of yesterday whose id nothing has today."""

    topic_id: int
    event: Event
    """`merged` into the next ones, or `died`."""
    next_ids: tuple[int, ...]


@dataclass(frozen=True)
class Alignment:
    """All topics of today, those that ended, and the id that the next new topic gets."""

    topics: tuple[Aligned, ...]
    """In the order of the clusters given."""
    ended: tuple[Ended, ...]
    """By id."""
    next_id: int
    """Keep it with the topics: ids of topics that ended are not given again."""


def align(
    now: TopicSet,
    before: TopicSet | None,
    settings: Identity,
    *,
    shared_BT: npt.NDArray[Any] | None = None,
    next_id: int = 0,
) -> Alignment:
    """Give each cluster of today a topic id that lasts.

    Args:
        now: today's clusters.
        before: the topics of the fit before; None on the first day.
        settings: weights and bounds.
        shared_BT: documents in topic b before and cluster t now: those of both nights, or today's documents assigned
            to yesterday's centroids as well. None: there are none.
        next_id: of the alignment before; ids below it were given before.

    Raises:
        ValueError: sizes of the arrays do not fit, or centroids have other widths than before.
    """
    _check(now, before, shared_BT)
    by_id = np.argsort([] if before is None else before.ids, kind="stable")
    order = _canonical_order(now, None if shared_BT is None else shared_BT[by_id])
    if before is None:
        return Alignment(_named(now, {t: next_id + i for i, t in enumerate(order)}), (), next_id + len(order))
    next_id = max([next_id, *(topic + 1 for topic in before.ids)])
    similarity_BT = similarities(before, now, settings.words_weight)
    gave_BT, came_BT = _shares(shared_BT, (before.sizes, now.sizes))
    can_match_BT = (similarity_BT >= settings.min_similarity) | ((gave_BT > 0.5) & (came_BT > 0.5))
    gain_BT = np.where(can_match_BT, np.maximum(similarity_BT - settings.min_similarity, 0) + 1e-6, 0)
    matched = {order[t]: int(by_id[b]) for b, t in match(gain_BT[by_id][:, order])}
    links_BT = (gave_BT >= settings.min_shared) | (came_BT >= settings.min_shared)
    unknown = [set(np.flatnonzero(~shares.any(axis=axis)).tolist()) for axis, shares in ((1, gave_BT), (0, came_BT))]
    links_BT |= _nearest_of(similarity_BT, matched, unknown, settings.min_similarity)
    for t, b in matched.items():
        links_BT[b, t] = True
    new = (t for t in order if t not in matched)
    ids = {t: before.ids[b] for t, b in matched.items()} | {t: next_id + i for i, t in enumerate(new)}
    topics = tuple(_aligned((before, now), (t, ids[t]), links_BT, similarity_BT) for t in range(len(now.ids)))
    carried = set(ids.values())
    ended = tuple(_ended(before.ids[b], links_BT[b], ids) for b in by_id.tolist() if before.ids[b] not in carried)
    return Alignment(topics, ended, max([next_id, *(topic + 1 for topic in ids.values())]))


def similarities(before: TopicSet, now: TopicSet, words_weight: float) -> Values:
    """[B, T] cosine and overlap of words, weighted; cosine alone where a topic has no terms."""
    origin_D: Values | float = 0.0
    if min(len(before.ids), len(now.ids)) >= MIN_TO_CENTRE:
        both = np.concatenate([before.centroids, now.centroids]).astype(np.float64)
        origin_D = np.average(both, axis=0, weights=np.maximum([*before.sizes, *now.sizes], 1))
    weight_BT = np.outer([bool(t) for t in before.terms], [bool(t) for t in now.terms]) * words_weight
    cosine_BT = np.clip(_unit(before.centroids - origin_D) @ _unit(now.centroids - origin_D).T, -1, 1)
    mixed_BT = weight_BT * word_overlap(before.terms, now.terms) + (1 - weight_BT) * cosine_BT
    return np.asarray(np.round(mixed_BT, DECIMALS))


def word_overlap(before: Sequence[Mapping[str, float]], now: Sequence[Mapping[str, float]]) -> Values:
    """[B, T] weighted Jaccard similarity of terms whose weights sum to 1: sum of minima over sum of maxima."""
    overlap_BT = np.zeros((len(before), len(now)))
    rows, columns = _postings(before), _postings(now)
    for term in sorted(rows.keys() & columns.keys()):
        (b, left), (t, right) = rows[term], columns[term]
        overlap_BT[np.ix_(b, t)] += np.minimum(left[:, None], right)
    return np.asarray(overlap_BT / (2 - overlap_BT))


def match(gain_BT: Values) -> list[tuple[int, int]]:
    """Pairs (row, column) with the largest sum of gains, one to one; a gain of 0 is no pair.

    Solved for each connected part of the pairs by itself, which is the same and takes thousands of topics.
    """
    rows, columns = np.nonzero(gain_BT)
    num_rows, size = len(gain_BT), sum(gain_BT.shape)
    graph = coo_array((np.ones(len(rows)), (rows, columns + num_rows)), shape=(size, size))
    part = connected_components(graph, directed=False)[1]
    pairs: list[tuple[int, int]] = []
    for number in np.unique(part[rows]):
        b = np.flatnonzero(part[:num_rows] == number)
        t = np.flatnonzero(part[num_rows:] == number)
        gain = gain_BT[np.ix_(b, t)]
        chosen = zip(*linear_sum_assignment(gain, maximize=True), strict=True)
        pairs += [(int(b[i]), int(t[j])) for i, j in chosen if gain[i, j] > 0]
    return pairs


def _check(now: TopicSet, before: TopicSet | None, shared_BT: npt.NDArray[Any] | None) -> None:
    for name, topics in (("now", now), ("before", before)):
        if topics is not None and {len(x) for x in (topics.centroids, topics.terms, topics.sizes)} != {len(topics.ids)}:
            raise ValueError(f"topics {name}: {len(topics.ids)} ids need as many centroids, term lists and sizes")
    if before is None:
        if shared_BT is not None:
            raise ValueError("documents shared with topics before need those topics")
        return
    if len(set(before.ids)) != len(before.ids):
        raise ValueError("topics before: an id is there twice")
    if len(before.ids) and len(now.ids) and before.centroids.shape[1] != now.centroids.shape[1]:
        widths = f"{before.centroids.shape[1]} values before and {now.centroids.shape[1]} now"
        raise ValueError(f"centroids have {widths}: other embeddings have other topics, so begin with a first day")
    if shared_BT is not None and shared_BT.shape != (len(before.ids), len(now.ids)):
        raise ValueError(f"shared documents have shape {shared_BT.shape}, not {(len(before.ids), len(now.ids))}")


def _canonical_order(topics: TopicSet, shared_BT: npt.NDArray[Any] | None) -> list[int]:
    """Largest first; equally large ones by their terms, centroids and shared documents."""
    shared_TB = np.zeros((len(topics.ids), 0)) if shared_BT is None else shared_BT.T

    def key(t: int) -> tuple[Any, ...]:
        terms = sorted((-weight, term) for term, weight in topics.terms[t].items())
        return -topics.sizes[t], terms, topics.centroids[t].tolist(), shared_TB[t].tolist()

    return sorted(range(len(topics.ids)), key=key)


def _named(now: TopicSet, ids: Mapping[int, int]) -> tuple[Aligned, ...]:
    return tuple(Aligned(cluster, ids[t], "first", (), float("nan")) for t, cluster in enumerate(now.ids))


def _shares(shared_BT: npt.NDArray[Any] | None, sizes: tuple[Sequence[int], Sequence[int]]) -> tuple[Values, Values]:
    """Of the shared documents: shares of topic b that are in cluster t now, and of cluster t that were in topic b.

    0 throughout for a topic or cluster of which too few are known.
    """
    size_B, size_T = (np.asarray(each, np.float64) for each in sizes)
    counts_BT = np.zeros((len(size_B), len(size_T))) if shared_BT is None else np.asarray(shared_BT, np.float64)
    known_B, known_T = counts_BT.sum(axis=1), counts_BT.sum(axis=0)
    enough_B, enough_T = (
        known >= np.maximum(MIN_KNOWN, MIN_KNOWN_SHARE * size) for known, size in ((known_B, size_B), (known_T, size_T))
    )
    gave_BT = np.divide(counts_BT, known_B[:, None], out=np.zeros_like(counts_BT), where=enough_B[:, None])
    came_BT = np.divide(counts_BT, known_T, out=np.zeros_like(counts_BT), where=enough_T)
    return gave_BT, came_BT


def _nearest_of(
    similarity_BT: Values, matched: Mapping[int, int], unknown: Sequence[set[int]], bound: float
) -> npt.NDArray[np.bool_]:
    """[B, T] the most similar partner of each row and column that has no match and whose documents nothing is known of.

    Args:
        similarity_BT: of all pairs.
        matched: row of each column that has a match.
        unknown: such rows, and such columns.
        bound: a partner is no less similar.
    """
    links_BT = np.zeros(similarity_BT.shape, bool)
    if not similarity_BT.size:
        return links_BT
    for b in unknown[0] - set(matched.values()):
        t = int(similarity_BT[b].argmax())
        links_BT[b, t] = similarity_BT[b, t] >= bound
    for t in unknown[1] - set(matched):
        b = int(similarity_BT[:, t].argmax())
        links_BT[b, t] |= similarity_BT[b, t] >= bound
    return links_BT


def _aligned(
    sides: tuple[TopicSet, TopicSet], named: tuple[int, int], links_BT: npt.NDArray[np.bool_], similarity_BT: Values
) -> Aligned:
    (before, now), (t, topic_id) = sides, named
    origins = np.flatnonzero(links_BT[:, t]).tolist()
    own = [b for b in origins if before.ids[b] == topic_id]
    previous = tuple(sorted((before.ids[b] for b in origins), key=lambda id_: (id_ != topic_id, id_)))
    event: Event = "born" if not previous else "merged" if len(previous) > 1 else "kept"
    if event == "kept" and links_BT[origins[0]].sum() > 1:
        event = "split"
    return Aligned(now.ids[t], topic_id, event, previous, float(similarity_BT[own[0], t]) if own else float("nan"))


def _ended(topic_id: int, links_T: npt.NDArray[np.bool_], ids: Mapping[int, int]) -> Ended:
    next_ids = tuple(sorted(ids[int(t)] for t in np.flatnonzero(links_T)))
    return Ended(topic_id, "merged" if next_ids else "died", next_ids)


def _postings(lists: Sequence[Mapping[str, float]]) -> dict[str, tuple[npt.NDArray[np.int64], Values]]:
    """Term -> the lists that it is in and its share of each."""
    found: dict[str, list[tuple[int, float]]] = {}
    for place, terms in enumerate(lists):
        total = sum(terms.values())
        for term, weight in terms.items():
            if weight > 0:
                found.setdefault(term, []).append((place, weight / total))
    return {
        term: (np.array([place for place, _ in each]), np.array([share for _, share in each]))
        for term, each in found.items()
    }


def _unit(rows_ND: npt.NDArray[np.floating[Any]]) -> Values:
    rows = np.asarray(rows_ND, np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1))
