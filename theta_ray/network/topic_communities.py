"""Which community talks about what, and whether more than chance would have it.

An author's documents are not independent: who writes a hundred of them about one topic would make a community of that
topic alone. Chance is therefore another deal of the communities to the authors, each with all of their documents.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.false_discoveries import q_values
from theta_ray.network.observations import Doubles, Flags, Integers
from theta_ray.privacy import MINIMUM

Ids = NDArray[np.int32]
NO_TOPIC = -1


class Talk(NamedTuple):
    """Documents by author and topic, in their order: what merges from shards (`merge`). 16 bytes a pair."""

    author: Ids
    topic: Ids
    num_documents: Integers

    @classmethod
    def of(cls, author: Ids, topic: Ids, num_documents: Integers | None = None) -> Talk:
        """Pairs summed; those without a topic (below 0) are left out.

        Args:
            author: [documents, or pairs] from 0.
            topic: [the same] from 0.
            num_documents: [the same] 1 each when absent.
        """
        has_topic = topic >= 0
        width = int(topic.max(initial=0)) + 1
        keys = author[has_topic].astype(np.int64) * width + topic[has_topic]
        key, place = np.unique(keys, return_inverse=True)
        count = np.zeros(len(key), np.int64)
        np.add.at(count, place, 1 if num_documents is None else num_documents[has_topic])
        return cls((key // width).astype(np.int32), (key % width).astype(np.int32), count)

    @classmethod
    def merge(cls, *parts: Talk) -> Talk:
        """Of all documents of some shards."""
        return cls.of(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Enrichment(NamedTuple):
    """Cells of topic and community, in this order."""

    topic: Ids
    community: Ids
    num_documents: Integers
    num_authors: Integers
    expected: Doubles
    """Documents, were topics the same in all communities: of the topic, times the community's share of documents."""
    log2_ratio: Doubles
    """Of documents to those expected."""
    p_value: Doubles
    """Twice the smaller share of deals with a difference from the expected at least as low or high, the real one among
    them, at most 1 (Phipson and Smyth 2010). NaN without deals."""
    q_value: Doubles
    """Benjamini and Hochberg (1995) over all cells, hidden ones included."""


def enrichment(
    talk: Talk, community: Ids, num_permutations: int = 999, seed: int = 0, min_cell: int = MINIMUM
) -> Enrichment:
    """Which communities write more or less than others about which topics.

    A deal costs one pass over the pairs of author and topic, and one over the cells.

    Args:
        talk: who has written how much about what.
        community: [authors] of each, from 0; below 0 for authors without one, who are left out.
        num_permutations: deals of the communities to the authors.
        seed: of the deals.
        min_cell: cells with fewer authors are tested, not returned.
    """
    talk, member = _members(talk, community)
    num_topics, num_groups = _size(talk.topic), _size(member)
    table = _Table(talk, num_topics, num_groups)
    observed, num_authors = table.documents(member), table.authors(member)
    expected = _expected(observed)
    p_value = _p_values(table, member, num_permutations, seed)
    is_possible = expected > 0
    q_value = np.full(observed.shape, np.nan)
    q_value[is_possible] = q_values(p_value[is_possible])
    shown = np.nonzero(is_possible & (num_authors >= max(1, min_cell)))
    ratio = np.log2(observed[shown] / expected[shown])
    topic, group = (places.astype(np.int32) for places in shown)
    return Enrichment(
        topic, group, observed[shown], num_authors[shown], expected[shown], ratio, p_value[shown], q_value[shown]
    )


def _members(talk: Talk, community: Ids) -> tuple[Talk, Ids]:
    """Authors with documents and a community, numbered anew in their order, and the community of each."""
    found = talk.author[community[talk.author] >= 0]
    author, place = np.unique(found, return_inverse=True)
    kept: Flags = community[talk.author] >= 0
    return Talk(place.astype(np.int32), talk.topic[kept], talk.num_documents[kept]), community[author]


def _size(numbers: Ids) -> int:
    return int(numbers.max(initial=-1)) + 1


class _Table:
    """Counts cells of topic and community under any deal of communities."""

    def __init__(self, talk: Talk, num_topics: int, num_groups: int) -> None:
        self._talk, self._shape = talk, (num_topics, num_groups)
        self._base = talk.topic.astype(np.int64) * num_groups

    def documents(self, member: Ids) -> Integers:
        return self._count(member, self._talk.num_documents)

    def authors(self, member: Ids) -> Integers:
        return self._count(member, None)

    def _count(self, member: Ids, weights: Integers | None) -> Integers:
        # sums of whole numbers below 2^53 are exact in any order
        cells = np.bincount(self._base + member[self._talk.author], weights, int(np.prod(self._shape)))
        return cells.astype(np.int64).reshape(self._shape)


def _expected(observed: Integers) -> Doubles:
    total = max(1, int(observed.sum()))
    found: Doubles = observed.sum(axis=1, keepdims=True) * (observed.sum(axis=0, keepdims=True) / total)
    return found


def _p_values(table: _Table, member: Ids, num_permutations: int, seed: int) -> Doubles:
    observed = table.documents(member)
    difference = observed - _expected(observed)
    if not num_permutations:
        return np.full(observed.shape, np.nan)
    # what is equal but for rounding counts as equal
    room = 1e-9 * (1 + np.abs(difference))
    low, high = np.ones(observed.shape), np.ones(observed.shape)
    for replicate in range(num_permutations):
        dealt = np.random.default_rng([seed, replicate]).permutation(member)
        counted = table.documents(dealt)
        found = counted - _expected(counted)
        low += found <= difference + room
        high += found >= difference - room
    return np.minimum(1.0, 2 * np.minimum(low, high) / (num_permutations + 1))


def top_topics(talk: Talk, num_authors: int) -> Ids:
    """[authors] the topic of most of an author's documents, of several the smallest; NO_TOPIC without any."""
    order = np.lexsort((talk.topic, -talk.num_documents, talk.author))
    author = talk.author[order]
    is_first = np.ones(len(author), bool)
    is_first[1:] = author[1:] != author[:-1]
    found = np.full(num_authors, NO_TOPIC, np.int32)
    found[author[is_first]] = talk.topic[order][is_first]
    return found
