"""c-TF-IDF beside scikit-learn's sparse matrices, and its parts beside the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.sparse import csr_array, diags_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from tests.property.test_topic_counts import count
from tests.small_jobs import make_texts
from theta_ray.config_topics import Topics
from theta_ray.topics.ctfidf import Sizes, best, diverse, rank_terms

NUM_CLUSTERS = 4
TEXTS = [*make_texts(200), "bread bread bread. dough", "the road to the road"]
ROWS = [(text, "xx", i % NUM_CLUSTERS, i % 3) for i, text in enumerate(TEXTS)]
EVERYTHING = (10**6, 10**6)


@pytest.mark.parametrize("weighting", ["ctfidf", "bm25"])
@pytest.mark.parametrize("reduce_frequent_words", [False, True])
def test_scores_equal_those_of_scikit_learn(weighting: str, reduce_frequent_words: bool) -> None:
    settings = Topics(weighting=weighting, reduce_frequent_words=reduce_frequent_words, min_documents=1)
    # numbers and punctuation, which no pair reaches across, are nothing to scikit-learn
    texts = [" ".join(word for word in text.replace(".", "").split() if not word.isdigit()) for text in TEXTS]
    rows = [(text, "xx", i % NUM_CLUSTERS, None) for i, text in enumerate(texts)]
    counts, totals = count([rows], settings)
    ranked, _ = rank_terms([counts], Sizes(totals), settings, EVERYTHING)
    # joined to one text for each cluster, texts would have pairs of words across their ends
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w*[a-z]\w+\b")
    apart = csr_array(vectorizer.fit_transform(texts).astype(np.float64))
    member = csr_array((np.ones(len(texts)), (np.arange(len(texts)) % NUM_CLUSTERS, np.arange(len(texts)))))
    scores = _scores(csr_array(member @ apart), settings).toarray()
    terms = {term: place for place, term in enumerate(vectorizer.get_feature_names_out())}
    assert ranked.num_rows == (scores > 0).sum() > 100
    for row in ranked.to_pylist():
        assert row["score"] == pytest.approx(scores[row["cluster_id"], terms[row["term"]]], rel=1e-9, abs=1e-12)


def _scores(counts: csr_array, settings: Topics) -> csr_array:
    """[C, T] after Grootendorst's published implementation; A is the mean, which that cuts to a whole number."""
    frequency, average = np.asarray(counts.sum(axis=0)).ravel(), counts.sum(axis=1).mean()
    if settings.weighting == "bm25":
        weights = np.log(1 + (average - frequency + 0.5) / (frequency + 0.5))
    else:
        weights = np.log(average / frequency + 1)
    shares = normalize(counts, norm="l1", axis=1)
    if settings.reduce_frequent_words:
        shares.data = np.sqrt(shares.data)
    return csr_array(shares @ diags_array(weights))


@pytest.mark.parametrize("num_ranges", [1, 2, 7])
def test_the_best_of_ranges_of_terms_are_the_best_of_all(num_ranges: int) -> None:
    settings = Topics()
    shards = [count([ROWS[i::3]], settings) for i in range(3)]
    sizes = Sizes(pa.concat_tables([totals for _, totals in shards]))
    whole = rank_terms([counts for counts, _ in shards], sizes, settings, (5, 3))
    parts = []
    for number in range(num_ranges):
        mine = [counts.filter(pa.array(counts["hash"].to_numpy() % num_ranges == number)) for counts, _ in shards]
        parts.append(rank_terms(mine, sizes, settings, (5, 3)))
    assert best(pa.concat_tables([part[0] for part in parts]), 5).equals(whole[0])
    assert best(pa.concat_tables([part[1] for part in parts]), 3).equals(whole[1])
    assert whole[0].num_rows == 5 * NUM_CLUSTERS


def test_buckets_are_ranked_by_their_own_counts() -> None:
    rows = [("bread dough", "xx", 0, 0), ("bread star", "xx", 0, 1), ("star star", "xx", 1, None)]
    settings = Topics(max_words=1, min_documents=1)
    counts, totals = count([rows], settings)
    _, ranked = rank_terms([counts], Sizes(totals), settings, (9, 1))
    found = [(row["cluster_id"], row["bucket"] and row["bucket"].day, row["term"]) for row in ranked.to_pylist()]
    assert found == [(0, 1, "dough"), (0, 2, "bread"), (1, None, "star")]


def test_terms_of_few_documents_and_terms_that_tell_nothing_are_not_ranked() -> None:
    rows = [("bread bread rare", "xx", i % 2, None) for i in range(8)] + [("unique bread", "xx", 0, None)]
    counts, totals = count([rows], Topics(max_words=1))
    ranked, _ = rank_terms([counts], Sizes(totals), Topics(max_words=1), (9, 9))
    assert "unique" not in ranked["term"].to_pylist()
    in_bm25, _ = rank_terms([counts], Sizes(totals), Topics(max_words=1, weighting="bm25"), (9, 9))
    assert "bread" not in in_bm25["term"].to_pylist()  # more frequent than a cluster is large: its weight is below 0
    assert pc.min(ranked["score"]).as_py() > 0


def test_no_counts_give_no_terms() -> None:
    counts, totals = count([[]], Topics())
    assert [table.num_rows for table in rank_terms([counts], Sizes(totals), Topics(), (5, 5))] == [0, 0]


def test_diversity_leaves_out_what_says_the_same() -> None:
    scores = np.array([1.0, 0.9, 0.5, 0.4])
    same: Any = np.eye(4)
    same[0, 1] = same[1, 0] = 1.0
    assert diverse(scores, same, 3, 0.0) == [0, 1, 2]
    assert diverse(scores, same, 3, 0.5) == [0, 2, 3]
    assert diverse(scores, np.ones((4, 4)), 9, 0.3) == [0, 1, 2, 3]
    assert diverse(np.zeros(0), np.zeros((0, 0)), 3, 0.5) == []
