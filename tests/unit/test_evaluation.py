from __future__ import annotations

import json

import numpy as np
import pytest

from theta_ray.config_evaluation import Evaluation
from theta_ray.errors import InputError, StageError
from theta_ray.training.collapse import check_collapse, spread_of, to_unit
from theta_ray.training.evaluation import HeldOut, compare, evaluate, per_query, summarise, table

SETTINGS = Evaluation(num_resamples=200, num_neighbors=1, batch_size=4)
DIRECTIONS = {"east": (1, 0), "north": (0, 1), "north east": (1, 1), "nearly east": (1, 0.1), "west": (-1, 0)}


def _encode(texts: object) -> np.ndarray:
    return np.array([DIRECTIONS[text] for text in texts], np.float32)


def _ranks(*pairs: tuple[str, str, str | None]) -> list[float]:
    return evaluate(_encode, HeldOut.of(pairs), SETTINGS).columns["rank"].tolist()


def test_a_rank_counts_the_candidates_that_are_nearer() -> None:
    pairs = [("east", "nearly east", None), ("north", "west", None), ("west", "north east", None)]
    assert _ranks(*pairs) == [1, 3, 1]


def test_other_positives_of_the_group_are_right_as_well() -> None:
    assert _ranks(("east", "north east", "x"), ("north", "nearly east", None)) == [2, 2]
    assert _ranks(("east", "north east", "x"), ("north", "nearly east", "x")) == [1, 1]


def test_an_anchor_does_not_find_its_own_text_unless_that_is_its_positive() -> None:
    assert _ranks(("east", "north", None), ("north", "east", None)) == [1, 1]
    assert _ranks(("east", "east", None), ("north", "nearly east", None)) == [1, 1]


def test_a_positive_of_several_anchors_is_one_candidate() -> None:
    assert _ranks(("east", "north", None), ("west", "north", None), ("north east", "nearly east", None)) == [2, 1, 1]


def test_ties_have_the_mean_rank() -> None:
    held_out = HeldOut.of([("a", "b", None), ("c", "d", None), ("e", "f", None)])
    scores = per_query(np.ones((6, 2)), held_out, SETTINGS)
    assert scores.columns["rank"].tolist() == [2, 2, 2]
    assert scores.columns["in_batch"].tolist() == pytest.approx([1 / 3] * 3)


def test_pairs_of_a_group_are_masked_in_a_batch_and_counted() -> None:
    pairs = [("east", "north east", "x"), ("north", "nearly east", "x"), ("west", "north", None)]
    scores = evaluate(_encode, HeldOut.of(pairs), SETTINGS)
    assert scores.columns["masked"].tolist() == [0.5, 1, 0]  # north's own text is a positive of the third
    assert scores.columns["in_batch"].tolist() == [1, 1, 1]


def test_labels_are_those_of_the_nearest_text_that_is_not_the_same() -> None:
    labelled = [("east", "e"), ("nearly east", "e"), ("north", "n"), ("north east", "e"), ("east", "e")]
    scores = evaluate(_encode, HeldOut.of(labelled=labelled), SETTINGS)
    assert scores.columns["knn"].tolist() == [1, 1, 0, 1, 1]


def test_the_summary_is_plain_json_and_says_how_many_queries_there_were() -> None:
    pairs = [("east", "nearly east", None), ("north", "west", None), ("west", "north east", None)]
    found = summarise(evaluate(_encode, HeldOut.of(pairs, scored=[("east", "west", 1.0)]), SETTINGS), SETTINGS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["recall_at_1"] == {"value": 0.666667, "low": 0.0, "high": 1.0, "num_queries": 3}
    assert found["mrr"]["value"] == pytest.approx((1 + 1 / 3 + 1) / 3, abs=1e-6)
    assert found["spearman"]["value"] is None  # one pair has no order


def test_a_model_that_is_better_on_every_query_is_better_beyond_noise() -> None:
    generator = np.random.default_rng(0)
    held_out = HeldOut.of([(f"a{number}", f"b{number}", None) for number in range(40)])
    good = generator.normal(size=(80, 16))
    good[1::2] = good[::2] + 0.1 * good[1::2]  # texts are numbered as all anchors, then all positives
    order = [40 * (number % 2) + number // 2 for number in range(80)]
    tuned = np.empty_like(good)
    tuned[order] = good
    scores = [per_query(vectors, held_out, SETTINGS) for vectors in (generator.normal(size=(80, 16)), tuned)]
    found = compare(*scores, SETTINGS)
    assert found["recall_at_1"]["verdict"] == found["alignment"]["verdict"] == "better"
    assert found["recall_at_1"]["difference"]["low"] > 0
    assert found["alignment"]["difference"]["high"] < 0
    assert compare(scores[1], scores[0], SETTINGS)["mrr"]["verdict"] == "worse"
    assert compare(scores[0], scores[0], SETTINGS)["mrr"]["verdict"] == "within noise"
    assert "| recall_at_1 | " in table(found)
    assert "| 1.000 [1.000, 1.000] |" in table(found)


def test_scores_of_other_splits_are_not_compared() -> None:
    scores = [evaluate(_encode, HeldOut.of([("east", "west", None)] * count), SETTINGS) for count in (2, 3)]
    with pytest.raises(ValueError, match="both must be of the same split"):
        compare(*scores, SETTINGS)


def test_an_empty_split_and_a_single_label_are_told() -> None:
    with pytest.raises(InputError, match="split is empty; raise the test share"):
        HeldOut.of()
    with pytest.raises(InputError, match="have the label e; two are needed"):
        HeldOut.of(labelled=[("east", "e"), ("north", "e")])


def test_of_many_labelled_texts_some_are_taken_evenly() -> None:
    held_out = HeldOut.of(labelled=[(f"text {number}", f"label {number % 2}") for number in range(15_000)])
    assert len(held_out.texts) == len(held_out.labelled[0]) == 5000
    assert (held_out.texts[0], held_out.texts[-1]) == ("text 0", "text 14997")


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_vectors_that_are_none_end_the_run(broken: float) -> None:
    vectors = np.ones((4, 2), np.float32)
    vectors[1] = broken
    with pytest.raises(StageError, match=r"evaluation: 1 of 4 vectors are NaN, infinite or zero; lower"):
        per_query(vectors, HeldOut.of([("a", "b", None), ("c", "d", None)]), SETTINGS)


def test_vectors_that_are_all_alike_end_the_run() -> None:
    alike = np.ones((20, 8)) + 0.01 * np.random.default_rng(0).normal(size=(20, 8))
    with pytest.raises(StageError, match=r"step 300: .* mean cosine 0\.9999 .*; lower finetune.learning_rate"):
        check_collapse(spread_of(to_unit(alike, "step 300")), SETTINGS, "step 300")


def test_vectors_on_a_line_end_the_run_though_their_cosines_are_mixed() -> None:
    line = np.outer(np.random.default_rng(0).choice([-1, 1], 20), np.ones(8))
    with pytest.raises(StageError, match=r"effective rank 1\.00 in 8 values, below evaluation.min_effective_rank 2"):
        check_collapse(spread_of(to_unit(line, "x")), SETTINGS, "x")


def test_vectors_that_spread_go_on_and_so_do_few_texts() -> None:
    check_collapse(spread_of(to_unit(np.random.default_rng(0).normal(size=(20, 8)), "x")), SETTINGS, "x")
    check_collapse(spread_of(to_unit(np.ones((7, 8)), "x")), SETTINGS, "x")
