"""Documents that a topic-word model has not seen in, how well it predicts their words, out.

Topics of clusters are such a model: p(word | topic) are a cluster's counts, smoothed by those of all documents. About a
fifth of the documents is held out, by a hash of their texts, so that copies of one text are all in or all out.

Shapes: T topics, V words of the vocabulary, N documents, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.config_topics import Topics
from theta_ray.topics.counts import Vocabulary
from theta_ray.topics.words import plain

Values = npt.NDArray[np.float64]
HELD_OUT_SHARE = 0.2
# Documents x topics that are scored, and words x topics of the model (128 MiB).
MAX_SCORED, MAX_CELLS = 2_000_000, 2**24
MAX_DOCUMENTS = 2000
# Words of all documents that each topic has beforehand (Dirichlet prior of Zhai and Lafferty 2004, section 3).
PRIOR_WORDS = 100.0


@dataclass(frozen=True)
class HeldOut:
    """Halves of documents that were held out, and how well they were predicted."""

    log_likelihood_N: Values
    alone_N: Values
    """Log-likelihood without topics, by the shares of words in all documents."""
    words_N: Values
    """Words scored."""
    place_N: npt.NDArray[np.int64]
    """Which of the documents given these are."""


def hold_out(
    texts: Sequence[str],
    langs: Sequence[str | None],
    cluster_N: npt.NDArray[np.integer[Any]],
    hash_N: npt.NDArray[np.uint64],
    settings: Topics,
) -> HeldOut:
    """Fit the topic-word model of clusters to most documents and score the others.

    Args:
        texts: of all documents.
        langs: their languages.
        cluster_N: their clusters, any whole numbers.
        hash_N: of their texts; the smallest are held out.
        settings: of words; stop words are left out as in the terms of topics.
    """
    topic_N = np.unique(cluster_N, return_inverse=True)[1]
    num_topics = int(topic_N.max(initial=-1)) + 1
    count = min(MAX_DOCUMENTS, MAX_SCORED // max(1, num_topics), int(len(texts) * HELD_OUT_SHARE))
    is_out_N = hash_N < np.sort(hash_N)[count] if count else np.zeros(len(texts), bool)
    words = settings.model_copy(update={"max_words": 1})
    text_of, keys = Vocabulary(words).encode([plain(text) for text in texts], langs)
    seen, word_of = np.unique(keys[~is_out_N[text_of]], return_inverse=True)
    common = np.sort(np.argsort(-np.bincount(word_of, minlength=len(seen)), kind="stable")[: _most(num_topics)])
    vocabulary = seen[common]
    column = np.searchsorted(vocabulary, keys)
    is_known = vocabulary[np.minimum(column, max(0, len(vocabulary) - 1))] == keys if len(vocabulary) else keys < 0
    text_of, column = text_of[is_known], column[is_known]
    is_out = is_out_N[text_of]
    counts_TV = np.zeros((num_topics, len(vocabulary)))
    np.add.at(counts_TV, (topic_N[text_of[~is_out]], column[~is_out]), 1)
    place_N = np.flatnonzero(is_out_N)
    documents = _bags(text_of[is_out], column[is_out], place_N)
    scores, words_N = completed(documents, topic_words(counts_TV))
    alone, _ = completed(documents, topic_words(counts_TV.sum(axis=0, keepdims=True)))
    return HeldOut(scores, alone, words_N, place_N)


def _most(num_topics: int) -> int:
    return MAX_CELLS // max(1, num_topics)


def _bags(
    text_of: npt.NDArray[np.int64], column: npt.NDArray[np.int64], place_N: npt.NDArray[np.int64]
) -> list[dict[int, int]]:
    """Number of each word in each document that is at one of these places."""
    bags: dict[int, dict[int, int]] = {place: {} for place in place_N.tolist()}
    for text, word in zip(text_of.tolist(), column.tolist(), strict=True):
        bags[text][word] = bags[text].get(word, 0) + 1
    return list(bags.values())


def topic_words(counts_TV: Values, prior_words: float = PRIOR_WORDS) -> Values:
    """[T, V] p(word | topic) by counts, to which so many words in the proportions of all topics are added."""
    total_V = counts_TV.sum(axis=0)
    smoothed_TV = counts_TV + prior_words * total_V / max(1.0, float(total_V.sum()))
    sums_T1 = smoothed_TV.sum(axis=1, keepdims=True)
    return np.asarray(smoothed_TV / np.where(sums_T1 > 0, sums_T1, 1))


def perplexity(log_likelihood_N: Values, words_N: Values, weights_RN: Values | None = None) -> Values:
    """[R] exp of minus the mean log-likelihood of a word; NaN where no word was scored."""
    weights = np.ones((1, len(words_N))) if weights_RN is None else weights_RN
    words_R = weights @ words_N
    mean_R = np.divide(weights @ log_likelihood_N, words_R, out=np.full(len(words_R), np.nan), where=words_R > 0)
    return np.asarray(np.exp(-mean_R))


def completed(
    documents: Iterable[Mapping[int, int]], topic_word_TV: Values, *, rounds: int = 50, prior: float = 0.1
) -> tuple[Values, Values]:
    """Log-likelihood of one half of each document under the topics that its other half has, and that half's words.

    Document completion (Wallach et al. 2009, section 5): a document's words are dealt alternately to two halves. The
    first gives its share of topics by expectation maximisation from equal shares, each topic having `prior` words
    beforehand; the second is scored under these shares. Words that no topic has are left out. One document at a time.

    Args:
        documents: number of each word (a column of `topic_word_TV`) in documents that the model has not seen.
        topic_word_TV: p(word | topic), rows summing to 1.
        rounds: of expectation maximisation.
        prior: pseudo-count of each topic.

    Returns:
        [N] log-likelihoods, [N] words scored.
    """
    scores, words = [], []
    is_known_V = topic_word_TV.sum(axis=0) > 0
    for document in documents:
        dealt = [word for word in sorted(document) if is_known_V[word] for _ in range(document[word])]
        shares_T = _shares(dealt[::2], topic_word_TV, rounds, prior)
        p = shares_T @ topic_word_TV[:, dealt[1::2]]
        scores.append(float(np.log(np.maximum(p, 1e-300)).sum()))
        words.append(float(len(dealt[1::2])))
    return np.array(scores), np.array(words)


def _shares(words: Sequence[int], topic_word_TV: Values, rounds: int, prior: float) -> Values:
    num_topics = len(topic_word_TV)
    shares_T = np.full(num_topics, 1 / num_topics)
    beta_TW = topic_word_TV[:, list(words)]
    for _ in range(rounds if words else 0):
        joint_TW = shares_T[:, None] * beta_TW
        shares_T = (joint_TW / joint_TW.sum(axis=0)).sum(axis=1) + prior
        shares_T /= shares_T.sum()
    return shares_T
