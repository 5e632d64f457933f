"""Coherence of topics: equal to gensim where it has a value, and defined where it has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.topics.coherence import c_v, npmi, u_mass
from theta_ray.topics.cooccurrences import Cooccurrences, Counter

Texts = Sequence[Sequence[str]]


def counted(texts: Texts, topics: Sequence[tuple[str, ...]], window: int | None, groups: int = 1) -> Cooccurrences:
    counter = Counter(topics, window, groups)
    for number, text in enumerate(texts):
        counter.add(text, number % groups)
    return counter.result()


def by_hand(texts: Texts, topic: tuple[str, ...], window: int | None) -> tuple[int, list[list[int]]]:
    """Windows, and those with both of two terms, counted one by one."""
    windows = []
    for text in texts:
        size = min(window or len(text), len(text))
        windows += [set(text[start : start + size]) for start in range(len(text) - size + 1)] if text else []
    return len(windows), [[sum(a in w and b in w for w in windows) for b in topic] for a in topic]


def make_texts(seed: int, num_texts: int, *, length: int, vocabulary: int, repeats: bool) -> list[list[str]]:
    generator = np.random.default_rng(seed)
    share = np.arange(vocabulary, 0, -1) / np.arange(vocabulary, 0, -1).sum()
    return [
        [f"w{w}" for w in generator.choice(vocabulary, int(generator.integers(1, length)), replace=repeats, p=share)]
        for _ in range(num_texts)
    ]


@given(st.integers(0, 2**32 - 1), st.one_of(st.none(), st.integers(1, 9)))
@settings(max_examples=60)
def test_windows_are_counted_as_by_hand(seed: int, window: int | None) -> None:
    texts = [*make_texts(seed, 8, length=20, vocabulary=7, repeats=True), []]
    topics = [("w0", "w1", "w2"), ("w5", "w0")]
    found = counted(texts, topics, window)
    for number, topic in enumerate(topics):
        windows, pairs = by_hand(texts, topic, window)
        assert found.windows_G.tolist() == [windows]
        assert found.counts_GTMM[0, number, : len(topic), : len(topic)].tolist() == pairs
    assert not found.counts_GTMM[0, 1, 2].any()


def test_groups_and_shards_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.topics.cooccurrences.TERMS_AT_ONCE", 50)
    monkeypatch.setattr("theta_ray.topics.cooccurrences.WINDOWS_AT_ONCE", 3)
    texts = make_texts(1, 40, length=30, vocabulary=12, repeats=True)
    topics = [("w0", "w1", "w2", "w3"), ("w3", "w9")]
    whole = counted(texts, topics, 5)
    parts = counted(texts[:17], topics, 5, 3) + counted(texts[17:], topics, 5, 3)
    assert parts.windows_G.sum() == whole.windows_G[0]
    np.testing.assert_array_equal(parts.counts_GTMM.sum(axis=0), whole.counts_GTMM[0])


def test_terms_of_two_words_are_in_windows_that_hold_both_in_a_row() -> None:
    found = counted([["new", "york", "is", "new"], ["york", "new"]], [("new york", "is", "new")], 2)
    assert found.windows_G.tolist() == [4]
    assert found.counts_GTMM[0, 0].tolist() == [[1, 0, 1], [0, 2, 1], [1, 1, 3]]


def test_terms_of_a_text_are_those_that_it_has() -> None:
    counter = Counter([("new york", "is"), ("york", "gone")], 2)
    assert counter.terms_of(counter.find(["new", "york", "new"])) == {"new york", "york"}
    assert counter.terms_of(counter.find([])) == set()


@pytest.mark.parametrize(("measure", "window"), [("c_npmi", 10), ("c_v", 110), ("u_mass", None)])
def test_coherence_equals_gensim_where_terms_meet(measure: str, window: int | None) -> None:
    corpora = pytest.importorskip("gensim.corpora")
    models = pytest.importorskip("gensim.models.coherencemodel")
    # no word twice in a text: gensim's sliding window forgets a word that occurs again when its first place leaves
    texts = make_texts(3, 80, length=150, vocabulary=160, repeats=False)
    topics = [tuple(f"w{w}" for w in words) for words in ([0, 1, 2, 3, 4, 5], [7, 2, 20, 11, 30, 4])]
    dictionary = corpora.Dictionary(texts)
    corpus = [dictionary.doc2bow(text) for text in texts]
    model = models.CoherenceModel(
        topics=[list(t) for t in topics],
        texts=texts,
        corpus=corpus,
        dictionary=dictionary,
        coherence=measure,
        processes=1,
    )
    wanted = model.get_coherence_per_topic()
    found = counted(texts, topics, window)
    windows, counts = found.windows_G[0], found.counts_GTMM[0]
    assert counts.min() > 0
    if measure == "u_mass":
        np.testing.assert_allclose(u_mass(windows, counts, smoothing=1e-12 * len(texts)), wanted, rtol=0, atol=1e-9)
    else:
        np.testing.assert_allclose({"c_npmi": npmi, "c_v": c_v}[measure](windows, counts), wanted, rtol=0, atol=1e-9)


def test_terms_that_never_meet_have_npmi_minus_one_and_those_that_are_everywhere_one() -> None:
    apart = counted([["a"], ["b"], ["c", "d"]], [("a", "b"), ("c", "d")], None)
    np.testing.assert_allclose(npmi(apart.windows_G[0], apart.counts_GTMM[0]), [-1, 1])
    always = counted([["a", "b"], ["b", "a"]], [("a", "b")], None)
    assert npmi(always.windows_G[0], always.counts_GTMM[0]) == [1]
    assert c_v(always.windows_G[0], always.counts_GTMM[0]) == pytest.approx(1)


def test_c_v_of_two_terms_that_never_meet_is_that_of_opposite_vectors() -> None:
    # vectors (1, -1) and (-1, 1), whose sum is zero
    apart = counted([["a"], ["b"], ["c"]], [("a", "b")], None)
    assert c_v(apart.windows_G[0], apart.counts_GTMM[0]) == [0]


def test_u_mass_adds_one_and_divides_by_the_better_term() -> None:
    found = counted([["a", "b"], ["a"], ["a", "c"], ["b"]], [("a", "b", "c")], None)
    wanted = (np.log(2 / 3) + np.log(2 / 3) + np.log(1 / 2)) / 3  # (b | a), (c | a), (c | b)
    np.testing.assert_allclose(u_mass(found.windows_G[0], found.counts_GTMM[0]), [wanted])


def test_terms_that_no_text_has_are_left_out_and_a_single_term_has_no_coherence() -> None:
    texts = [["a", "b"], ["a"], ["b", "c"], ["c"]]
    found = counted(texts, [("a", "b", "gone"), ("a", "b"), ("a", "gone"), ()], None)
    for measure in (npmi, c_v, u_mass):
        values = measure(found.windows_G[0], found.counts_GTMM[0])
        assert values[0] == values[1]
        assert np.isnan(values[2:]).all()


def test_no_text_at_all_has_no_coherence() -> None:
    found = counted([], [("a", "b")], 10)
    assert np.isnan(npmi(found.windows_G[0], found.counts_GTMM[0])).all()


def test_resamples_are_one_more_axis() -> None:
    texts = make_texts(4, 30, length=20, vocabulary=8, repeats=True)
    found = counted(texts, [("w0", "w1", "w2")], 10, groups=3)
    for measure in (npmi, c_v, u_mass):
        each = [measure(found.windows_G[g], found.counts_GTMM[g]) for g in range(3)]
        np.testing.assert_allclose(measure(found.windows_G, found.counts_GTMM), each)


def test_windows_of_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="window of 0 words"):
        Counter([("a",)], 0)
