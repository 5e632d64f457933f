"""Figures of topics: intervals are those of resampled documents, and what has no value is null."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from theta_ray.config_quality import Evaluate
from theta_ray.schemas import TOPIC_QUALITY
from theta_ray.topics.coherence import npmi
from theta_ray.topics.cooccurrences import Counter
from theta_ray.topics.evidence import IN_TOPIC, LABELS
from theta_ray.topics.quality import MAX_LABELS, agreement_rows, coherence_rows, people_rows, plain, term_rows, to_table

SETTINGS = Evaluate(num_resamples=400)
TOPIC = ("a", "b", "c")


def make_texts(count: int) -> list[list[str]]:
    generator = np.random.default_rng(0)
    return [[word for word in (*TOPIC, "d") if generator.random() < 0.4] or ["d"] for _ in range(count)]


def test_an_interval_from_groups_is_about_that_from_documents() -> None:
    texts = make_texts(1500)
    counter, single = Counter([TOPIC], None, 64), Counter([TOPIC], None, len(texts))
    for number, text in enumerate(texts):
        counter.add(text, number % 64)
        single.add(text, number)
    whole, topic = sorted(
        coherence_rows("npmi", counter.result(), [7], 1500, SETTINGS), key=lambda r: r["topic_id"] or 0
    )
    assert (whole["topic_id"], topic["topic_id"], topic["num_values"], whole["num_values"]) == (None, 7, 1500, 1)
    generator = np.random.default_rng(1)
    found = single.result()
    drawn = [
        npmi(weights @ found.windows_G, np.tensordot(weights, found.counts_GTMM, 1))[0]
        for weights in (np.bincount(generator.integers(1500, size=1500), minlength=1500) for _ in range(400))
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert topic["high"] - topic["low"] == pytest.approx(high - low, rel=0.35)
    assert topic["low"] < topic["value"] < topic["high"]


def test_the_mean_over_topics_leaves_out_those_without_a_value() -> None:
    counter = Counter([("a", "b"), ("a", "gone"), ("c", "d")], None, 10)
    for number, text in enumerate(make_texts(200)):
        counter.add(text, number % 10)
    rows = {r["topic_id"]: r for r in coherence_rows("npmi", counter.result(), [0, 1, 2], 200, SETTINGS)}
    assert rows[1]["value"] is rows[1]["low"] is rows[1]["high"] is None
    assert rows[None]["value"] == pytest.approx((rows[0]["value"] + rows[2]["value"]) / 2)
    assert rows[None]["num_values"] == 2


def labels_table(rows: list[tuple[int, str, int, int]]) -> pa.Table:
    return pa.table([pa.array(x, f.type) for x, f in zip(zip(*rows, strict=True), LABELS, strict=True)], schema=LABELS)


def test_agreement_of_counts_is_that_of_their_documents() -> None:
    generator = np.random.default_rng(2)
    rows = [(g, label, c, int(generator.integers(1, 9))) for g in range(10) for label in "xy" for c in range(3)]
    found = {r["metric"]: r for r in agreement_rows(labels_table(rows), 10, SETTINGS)}
    labels = np.repeat([label for _, label, _, _ in rows], [n for *_, n in rows])
    clusters = np.repeat([c for _, _, c, _ in rows], [n for *_, n in rows])
    for metric, score in (
        ("nmi", metrics.normalized_mutual_info_score),
        ("ari", metrics.adjusted_rand_score),
        ("ami", metrics.adjusted_mutual_info_score),
        ("homogeneity", metrics.homogeneity_score),
        ("completeness", metrics.completeness_score),
    ):
        assert found[metric]["value"] == pytest.approx(score(labels, clusters), abs=1e-9), metric
        assert found[metric]["num_values"] == len(labels)
        assert found[metric]["low"] < found[metric]["high"]


def test_labels_that_are_names_of_documents_are_no_kinds() -> None:
    assert list(agreement_rows(labels_table([(0, f"d{i}", 0, 1) for i in range(MAX_LABELS + 1)]), 10, SETTINGS)) == []
    assert list(agreement_rows(LABELS.empty_table(), 10, SETTINGS)) == []


def test_terms_of_topics_without_documents_have_no_frex() -> None:
    none = IN_TOPIC.empty_table()
    rows = {(r["metric"], r["topic_id"]): r["value"] for r in term_rows([("a", "b"), ("c",)], [0, 1], none, SETTINGS)}
    assert (rows["diversity", None], rows["irbo", None], rows["exclusivity", 1]) == (1, 1, 1)
    assert rows["frex", None] is rows["frex", 0] is None
    some = pa.table([[0, 0], ["a", "b"], [3, 1]], schema=IN_TOPIC)
    rows = {(r["metric"], r["topic_id"]): r["value"] for r in term_rows([("a", "b"), ("c",)], [0, 1], some, SETTINGS)}
    assert rows["frex", 0] is not None
    assert rows["frex", 1] is None
    assert list(term_rows([], [], none, SETTINGS))[0]["value"] is None


def test_nothing_is_said_of_people_who_have_said_nothing() -> None:
    assert list(people_rows([], {}, {}, 0.95)) == []
    assert list(people_rows([], {"ann": {}}, {}, 0.95)) == []


def test_rows_make_the_table_and_what_is_not_finite_is_null() -> None:
    table = to_table([plain("npmi", math.nan, 3, 1), plain("irbo", 0.5, 2)])
    assert table.schema == TOPIC_QUALITY
    assert table["value"].to_pylist() == [None, 0.5]
    assert table["topic_id"].to_pylist() == [1, None]
