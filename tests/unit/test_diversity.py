"""Diversity, exclusivity and perplexity: values worked out by hand, and those of other toolkits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from theta_ray.topics.coherence import npmi, u_mass
from theta_ray.topics.cooccurrences import Counter
from theta_ray.topics.diversity import (
    exclusivity,
    frex,
    inverted_rank_biased_overlap,
    mean_frex,
    rank_biased_overlap,
    topic_diversity,
)
from theta_ray.topics.perplexity import perplexity

# topic-word weights and documents with published values; two best terms of each topic
BETA = np.array([[0.5, 0.3, 0.1, 0.1], [0.1, 0.5, 0.3, 0.1]])
TOPICS = [("w0", "w1"), ("w1", "w2")]
DOCUMENTS = [["w0", "w1"], ["w0", "w1", "w2"], ["w1", "w2"], ["w2", "w3"]]


def test_golden_values_of_two_small_topics() -> None:
    assert topic_diversity(TOPICS, 2) == 0.75
    assert inverted_rank_biased_overlap(TOPICS, 2) == pytest.approx(0.763158, abs=5e-7)
    np.testing.assert_allclose(exclusivity(TOPICS, 2), [0.666667, 0.666667], atol=5e-7)
    counter = Counter(TOPICS, None)
    for document in DOCUMENTS:
        counter.add(document)
    windows, counts = counter.result().windows_G[0], counter.result().counts_GTMM[0]
    np.testing.assert_allclose(npmi(windows, counts), [0.415037, -0.169925], atol=5e-7)
    assert u_mass(windows, counts, smoothing=1e-12).mean() == pytest.approx(-0.202733, abs=5e-7)
    theta = np.array([[1, 0], [0.5, 0.5], [0, 1], [0, 1]])
    in_text = np.array([[f"w{v}" in text for v in range(4)] for text in DOCUMENTS])
    likelihood = (in_text * np.log(theta @ BETA)).sum(axis=1)
    assert perplexity(likelihood, in_text.sum(axis=1)) == pytest.approx(3.406247, abs=5e-7)


def test_topics_that_share_no_term_are_wholly_diverse_and_equal_ones_not_at_all() -> None:
    apart, equal = [("a", "b"), ("c", "d")], [("a", "b"), ("a", "b")]
    assert (topic_diversity(apart), inverted_rank_biased_overlap(apart)) == (1, 1)
    assert (topic_diversity(equal), inverted_rank_biased_overlap(equal)) == (0.5, 0)
    assert exclusivity(apart).tolist() == [1, 1]
    assert exclusivity(equal).tolist() == [0.5, 0.5]


def test_no_topics_have_no_diversity() -> None:
    assert np.isnan(topic_diversity([]))
    assert np.isnan(inverted_rank_biased_overlap([("a",)]))
    assert np.isnan(exclusivity([()])).all()


def test_rank_biased_overlap_is_the_weighted_mean_of_common_shares() -> None:
    left, right = ["a", "b", "c", "d"], ["b", "a", "e", "d"]
    shares = [0, 1, 2 / 3, 3 / 4]
    weights = [1, 0.8, 0.64, 0.512]
    assert rank_biased_overlap(left, right, 0.8) == pytest.approx(np.average(shares, weights=weights))
    assert rank_biased_overlap(left, left, 0.8) == pytest.approx(1)
    assert rank_biased_overlap(left, right) == rank_biased_overlap(right, left)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6, unique=True), min_size=2, max_size=7))
def test_overlap_of_all_topics_is_the_mean_over_their_pairs(topics: list[list[str]]) -> None:
    lists = [terms[:5] for terms in topics if terms]
    assume(len(lists) > 1)
    pairs = [rank_biased_overlap(a, b, 0.7) for a, b in itertools.combinations(lists, 2)]
    assert inverted_rank_biased_overlap(topics, 5, 0.7) == pytest.approx(1 - np.mean(pairs))


def test_frex_is_the_harmonic_mean_of_two_ranks() -> None:
    # p(word | topic) of topic 0: ranks of frequency 1, 3/4, 2/4, 2/4; of its share of each word 1, 1/2, 1/4, 3/4
    found = frex(np.array([[5, 3, 1, 1], [1, 5, 3, 1]]))
    harmonic = [2 / (1 / f + 1 / e) for f, e in ((1, 1), (0.75, 0.5), (0.5, 0.25), (0.5, 0.75))]
    np.testing.assert_allclose(found[0], harmonic)
    words = dict(zip(["w0", "w1", "w2", "w3"], BETA.T, strict=True))
    np.testing.assert_allclose(mean_frex([("w0", "gone"), ()], words), [1, np.nan])


def test_weight_of_frex_goes_from_frequency_to_exclusivity() -> None:
    only_frequency, only_exclusive = frex(BETA, 0.0), frex(BETA, 1.0)
    np.testing.assert_allclose(only_frequency[1], [0.5, 1, 0.75, 0.5])
    np.testing.assert_allclose(only_exclusive[1], [0.25, 0.75, 1, 0.5])
