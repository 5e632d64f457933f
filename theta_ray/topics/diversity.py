"""Term lists in, how different the topics are from each other, out.

Shapes: T topics, M terms of each, V terms of a vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Terms = Sequence[str]
"""Those of one topic, best first."""


def topic_diversity(topics: Sequence[Terms], top: int = 25) -> float:
    """Share of distinct terms among the first `top` of all topics (Dieng et al. 2020); NaN without terms."""
    listed = [term for terms in topics for term in terms[:top]]
    return len(set(listed)) / len(listed) if listed else float("nan")


def inverted_rank_biased_overlap(topics: Sequence[Terms], top: int = 25, persistence: float = 0.9) -> float:
    """1 less the mean rank-biased overlap of all pairs of topics (Bianchi et al. 2021); NaN for fewer than two.

    The overlap of two lists (Webber et al. 2010) is cut at `top` ranks and divided by its weights up to there, so that
    equal lists have 1. Shorter lists are compared to the length of the shorter one.
    """
    lists = [terms[:top] for terms in topics if terms]
    if len(lists) < 2:
        return float("nan")
    # a common term is in both lists from the worse of its two ranks on: all pairs of a term at once
    gain_LM = np.array([_gains(depth, top, persistence) for depth in range(top + 1)])
    length = np.array([len(terms) for terms in lists])
    places: dict[str, list[tuple[int, int]]] = {}
    for number, terms in enumerate(lists):
        for rank, term in enumerate(terms):
            places.setdefault(term, []).append((number, rank))
    total = 0.0
    for listed in places.values():
        topic, rank = np.array(listed).T
        left, right = np.triu_indices(len(listed), 1)
        depth = np.minimum(length[topic[left]], length[topic[right]])
        total += float(gain_LM[depth, np.maximum(rank[left], rank[right])].sum())
    return 1 - total / (len(lists) * (len(lists) - 1) / 2)


def _gains(depth: int, top: int, persistence: float) -> Values:
    """[M] what a term that both lists have from rank m on adds to their overlap up to rank `depth`."""
    weights = persistence ** np.arange(top) * (np.arange(top) < depth)
    each = weights / np.arange(1, top + 1)
    return np.asarray(np.cumsum(each[::-1])[::-1] / max(weights.sum(), 1e-300))


def rank_biased_overlap(left: Terms, right: Terms, persistence: float = 0.9) -> float:
    """Weighted mean of the shares that two lists have in common up to each rank, weights falling by `persistence`."""
    depth = min(len(left), len(right))
    seen: Counter[str] = Counter()
    common, total, weights = 0, 0.0, 0.0
    for rank in range(depth):
        seen.update((left[rank], right[rank]))
        common += (seen[left[rank]] == 2) + (seen[right[rank]] == 2 and left[rank] != right[rank])
        total += persistence**rank * common / (rank + 1)
        weights += persistence**rank
    return total / weights if depth else float("nan")


def exclusivity(topics: Sequence[Terms], top: int = 10) -> Values:
    """[T] 1 / mean number of topics that list a topic's terms; NaN without terms.

    What some toolkits call exclusivity; FREX weighs it against frequency.
    """
    listing = Counter(term for terms in topics for term in set(terms[:top]))
    return np.array([1 / np.mean([listing[term] for term in terms[:top]]) if terms else np.nan for terms in topics])


def frex(topic_word_TV: Values, weight: float = 0.5) -> Values:
    """[T, V] harmonic mean of the ranks of exclusivity and of frequency within the topic (Bischof and Airoldi 2012).

    Ranks are shares of the vocabulary that is no better; exclusivity is the topic's share of p(word | topic) over all
    topics; `weight` is that of exclusivity.
    """
    beta = topic_word_TV / topic_word_TV.sum(axis=1, keepdims=True)
    total_V = beta.sum(axis=0)
    shares = np.divide(beta, total_V, out=np.zeros_like(beta), where=total_V > 0)
    found: Values = 1 / (weight / _distribution(shares) + (1 - weight) / _distribution(beta))
    return found


def _distribution(values_TV: Values) -> Values:
    """Share of a row's values that are at most as large as each."""
    sorted_TV = np.sort(values_TV, axis=1)
    places = [np.searchsorted(row, values, side="right") for row, values in zip(sorted_TV, values_TV, strict=True)]
    return np.asarray(np.array(places) / values_TV.shape[1])


def mean_frex(topics: Sequence[Terms], topic_word: Mapping[str, Values], top: int = 10, weight: float = 0.5) -> Values:
    """[T] mean FREX of each topic's first terms.

    Args:
        topics: terms of each topic.
        topic_word: [T] counts or probabilities of every term of the vocabulary in each topic.
        top: terms of a topic that count.
        weight: of exclusivity.
    """
    place = {term: number for number, term in enumerate(topic_word)}
    scores_TV = frex(np.array(list(topic_word.values())).T, weight)
    found = [[scores_TV[t, place[term]] for term in terms[:top] if term in place] for t, terms in enumerate(topics)]
    return np.array([np.mean(scores) if scores else np.nan for scores in found])
