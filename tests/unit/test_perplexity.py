"""Held-out perplexity: values worked out by hand, models that made the documents, and copies that stay together."""

from __future__ import annotations

import numpy as np
import pytest

from theta_ray.config_topics import Topics
from theta_ray.topics.perplexity import completed, hold_out, perplexity, topic_words

VOCABULARIES = ["wheel saddle pedal chain helmet brakes", "dough oven yeast flour crust loaf"]


def test_completion_prefers_the_model_that_made_the_documents() -> None:
    generator = np.random.default_rng(2)
    truth = np.full((3, 30), 0.002)
    for topic in range(3):
        truth[topic, topic * 10 : topic * 10 + 10] = 0.1
    truth /= truth.sum(axis=1, keepdims=True)
    documents = []
    for number in range(60):
        words, counts = np.unique(generator.choice(30, 40, p=truth[number % 3]), return_counts=True)
        documents.append(dict(zip(words.tolist(), counts.tolist(), strict=True)))
    entropy = -(truth[0] * np.log(truth[0])).sum()
    good = perplexity(*completed(documents, truth)).item()
    flat = perplexity(*completed(documents, np.full((3, 30), 1 / 30))).item()
    assert flat == pytest.approx(30)
    assert good == pytest.approx(np.exp(entropy), rel=0.1)


def test_completion_scores_the_other_half_only_and_leaves_unknown_words_out() -> None:
    beta = np.array([[0.5, 0.5, 0.0]])
    scores, words = completed([{0: 2, 1: 1, 2: 7}, {}], beta)
    assert words.tolist() == [1, 0]
    np.testing.assert_allclose(scores, [np.log(0.5), 0])


def test_smoothed_topics_know_every_word_and_sum_to_one() -> None:
    found = topic_words(np.array([[8.0, 0, 0], [0, 1, 3]]), prior_words=12)
    np.testing.assert_allclose(found[0], [(8 + 8) / 20, 1 / 20, 3 / 20])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert topic_words(np.zeros((2, 0))).shape == (2, 0)


def texts_of(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(VOCABULARIES[i % 2].split(), 8)) for i in range(count)]


def hashes_of(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.random.default_rng(3).integers(0, 2**63, count).astype(np.uint64)


def test_clusters_that_are_topics_predict_better_than_no_topics_and_than_mixed_ones() -> None:
    texts, langs, hashes = texts_of(400), ["en"] * 400, hashes_of(400)
    good = hold_out(texts, langs, np.arange(400) % 2, hashes, Topics())
    mixed = hold_out(texts, langs, np.arange(400) // 2 % 2, hashes, Topics())
    assert len(good.place_N) == 80
    assert good.words_N.sum() == 80 * 4  # the other half of each
    of_good, of_mixed, alone = (
        perplexity(scores, good.words_N).item()
        for scores in (good.log_likelihood_N, mixed.log_likelihood_N, good.alone_N)
    )
    assert of_good < 9  # 6 words, smoothed by those of the other topic
    assert of_mixed == pytest.approx(alone, rel=0.02)
    assert alone == pytest.approx(12, rel=0.05)


def test_copies_of_a_text_are_all_held_out_or_all_seen() -> None:
    texts = [text for text in texts_of(50) for _ in range(4)]
    hashes = np.repeat(hashes_of(50), 4)
    found = hold_out(texts, ["en"] * 200, np.arange(200) % 2, hashes, Topics())
    assert len(found.place_N) % 4 == 0
    assert set(np.bincount(found.place_N // 4, minlength=50).tolist()) == {0, 4}


def test_documents_without_words_or_too_few_to_hold_out_have_no_perplexity() -> None:
    for texts in (["123 456"] * 10, ["wheel saddle"] * 3):
        found = hold_out(texts, ["en"] * len(texts), np.zeros(len(texts), int), hashes_of(len(texts)), Topics())
        assert np.isnan(perplexity(found.log_likelihood_N, found.words_N)).all()
