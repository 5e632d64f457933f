"""Metrics beside those of scikit-learn, SciPy and sentence-transformers, on the same vectors."""

from __future__ import annotations

import numpy as np
import pytest

from theta_ray.config_evaluation import Evaluation
from theta_ray.training import metrics
from theta_ray.training.evaluation import HeldOut, per_query
from theta_ray.training.labelled import nearest_labels, spherical_k_means

GENERATOR = np.random.default_rng(0)
ONCE = np.ones((1, 60))


def _unit(num_vectors: int, dim: int) -> np.ndarray:
    vectors = GENERATOR.normal(size=(num_vectors, dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_rank_correlation_is_that_of_scipy_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    left, right = GENERATOR.integers(0, 9, 60).astype(float), GENERATOR.integers(0, 9, 60).astype(float)
    assert metrics.spearman(ONCE, left, right)[0] == pytest.approx(stats.spearmanr(left, right).statistic)
    weights = GENERATOR.integers(0, 3, (1, 60))
    repeated = stats.spearmanr(np.repeat(left, weights[0]), np.repeat(right, weights[0])).statistic
    assert metrics.spearman(weights.astype(float), left, right)[0] == pytest.approx(repeated)


def test_mutual_information_is_that_of_scikit_learn() -> None:
    oracle = pytest.importorskip("sklearn.metrics").normalized_mutual_info_score
    label, cluster = GENERATOR.integers(0, 4, 60), GENERATOR.integers(0, 6, 60)
    assert metrics.normalized_mutual_information(ONCE, label, cluster)[0] == pytest.approx(oracle(label, cluster))
    weights = GENERATOR.integers(0, 3, (1, 60))
    repeated = oracle(np.repeat(label, weights[0]), np.repeat(cluster, weights[0]))
    assert metrics.normalized_mutual_information(weights, label, cluster)[0] == pytest.approx(repeated)
    assert metrics.normalized_mutual_information(ONCE, label * 0, cluster * 0)[0] == oracle(label * 0, cluster * 0)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_votes_of_neighbours_are_those_of_scikit_learn(count: int) -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    vectors, label = _unit(60, 5), GENERATOR.integers(0, 2, 60)  # two labels and odd counts: no ties
    found = nearest_labels(vectors, (np.arange(60), label), count, slice(None))
    for query in range(60):
        others = np.arange(60) != query
        oracle = neighbors.KNeighborsClassifier(count, metric="cosine").fit(vectors[others], label[others])
        assert found[query] == (oracle.predict(vectors[[query]])[0] == label[query])


def test_clusters_of_planted_groups_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn")
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    assert sklearn.__version__
    centers, planted = _unit(6, 16), np.repeat(np.arange(6), 10)
    vectors = centers[planted] + 0.05 * GENERATOR.normal(size=(60, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = spherical_k_means(vectors, 6, seed=0)
    oracle = KMeans(6, n_init=5, random_state=0).fit_predict(vectors)
    assert adjusted_rand_score(found, planted) == adjusted_rand_score(oracle, planted) == 1


def test_recall_and_reciprocal_rank_are_those_of_sentence_transformers() -> None:
    evaluation = pytest.importorskip("sentence_transformers.evaluation")
    anchors, positives = [f"a{i}" for i in range(60)], [f"b{i}" for i in range(60)]
    held_out = HeldOut.of([(a, b, None) for a, b in zip(anchors, positives, strict=True)])
    vectors = _unit(120, 4)
    cosines = vectors[:60] @ vectors[60:].T
    oracle = evaluation.InformationRetrievalEvaluator(
        dict(zip(anchors, anchors, strict=True)),
        dict(zip(positives, positives, strict=True)),
        {a: {b} for a, b in zip(anchors, positives, strict=True)},
        mrr_at_k=[60],
        accuracy_at_k=[1, 10],
    )
    ranked = [[{"corpus_id": b, "score": s} for b, s in zip(positives, row, strict=True)] for row in cosines.tolist()]
    expected = oracle.compute_metrics(ranked)
    ranks = per_query(vectors, held_out, Evaluation()).columns["rank"]
    assert metrics.recall_at(1, ONCE, ranks)[0] == pytest.approx(expected["accuracy@k"][1])
    assert metrics.recall_at(10, ONCE, ranks)[0] == pytest.approx(expected["accuracy@k"][10])
    assert metrics.mean_reciprocal_rank(ONCE, ranks)[0] == pytest.approx(expected["mrr@k"][60])


def test_the_spread_is_that_of_the_published_formulas() -> None:
    torch = pytest.importorskip("torch")
    vectors = _unit(60, 7)
    tensor = torch.from_numpy(vectors)
    # Wang and Isola (2020), the code of their appendix
    assert metrics.uniformity(vectors) == pytest.approx(float(torch.pdist(tensor).pow(2).mul(-2).exp().mean().log()))
    assert metrics.squared_distances(vectors[:30], vectors[30:]).mean() == pytest.approx(
        float((tensor[:30] - tensor[30:]).norm(dim=1).pow(2).mean())
    )
    shares = np.linalg.svd(vectors, compute_uv=False)
    shares /= shares.sum()
    assert metrics.effective_rank(vectors) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert metrics.mean_cosine(vectors) == pytest.approx((vectors @ vectors.T)[np.triu_indices(60, 1)].mean())
    assert metrics.effective_rank(np.eye(7)) == pytest.approx(7)
