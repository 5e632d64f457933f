"""Topics keep their ids between fits; what is born, split, merged or dead is recorded as such."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from theta_ray.config_quality import Identity
from theta_ray.topics.align import Aligned, TopicSet, align, match, similarities, word_overlap

WORDS = {
    "bikes": {"bike": 3.0, "helmet": 2.0, "lane": 1.0},
    "bread": {"dough": 3.0, "oven": 2.0, "yeast": 1.0},
    "stars": {"galaxy": 3.0, "lens": 2.0, "comet": 1.0},
    "votes": {"poll": 3.0, "ballot": 2.0, "party": 1.0},
}
PLACES = {name: np.eye(6)[place] + 0.3 for place, name in enumerate(WORDS)}  # 0.3: vectors share a direction


def planted(*names: str, ids: list[int] | None = None, sizes: list[int] | None = None) -> TopicSet:
    centroids = np.array([PLACES[name] for name in names])
    return TopicSet(ids or list(range(len(names))), centroids, [WORDS[n] for n in names], sizes or [10] * len(names))


def test_the_first_day_is_explicit_and_the_largest_cluster_has_id_0() -> None:
    found = align(planted("bikes", "bread", "stars", sizes=[5, 9, 7]), None, Identity())
    assert [(t.topic_id, t.event, t.previous_ids) for t in found.topics] == [
        (2, "first", ()),
        (0, "first", ()),
        (1, "first", ()),
    ]
    assert (found.ended, found.next_id) == ((), 3)


def test_topics_keep_their_ids_whatever_the_clusters_are_called_now() -> None:
    before = planted("bikes", "bread", "stars", ids=[4, 7, 9])
    found = align(planted("stars", "bikes", "bread"), before, Identity())
    assert [(t.cluster_id, t.topic_id, t.event) for t in found.topics] == [
        (0, 9, "kept"),
        (1, 4, "kept"),
        (2, 7, "kept"),
    ]
    assert [t.similarity for t in found.topics] == [1, 1, 1]
    assert (found.ended, found.next_id) == ((), 10)


def test_a_birth_and_a_death_are_recorded_and_the_dead_id_is_not_given_again() -> None:
    before = planted("bikes", "bread", "stars")
    night = align(planted("bikes", "votes", "bread"), before, Identity())
    assert [(t.topic_id, t.event, t.previous_ids) for t in night.topics] == [
        (0, "kept", (0,)),
        (3, "born", ()),
        (1, "kept", (1,)),
    ]
    assert math.isnan(night.topics[1].similarity)
    assert [(e.topic_id, e.event, e.next_ids) for e in night.ended] == [(2, "died", ())]
    yesterday = planted("bikes", "bread", ids=[0, 1])
    again = align(planted("bikes", "bread", "stars"), yesterday, Identity(), next_id=night.next_id)
    assert (again.topics[2].topic_id, again.topics[2].event, again.next_id) == (4, "born", 5)


def mixture(parts: list[tuple[str, float]]) -> tuple[npt.NDArray[np.float64], dict[str, float]]:
    terms: dict[str, float] = {}
    for name, weight in parts:
        for term, value in WORDS[name].items():
            terms[term] = terms.get(term, 0.0) + weight * value
    return np.sum([weight * PLACES[name] for name, weight in parts], axis=0), terms


def mixed(*clusters: list[tuple[str, float]]) -> TopicSet:
    made = [mixture(parts) for parts in clusters]
    sizes = [int(10 * sum(weight for _, weight in parts)) for parts in clusters]
    return TopicSet(list(range(len(made))), np.array([c for c, _ in made]), [t for _, t in made], sizes)


def test_without_common_documents_a_split_is_seen_by_similarity() -> None:
    before = mixed([("bikes", 1), ("bread", 1)], [("stars", 2)])
    found = align(planted("bikes", "bread", "stars", sizes=[11, 9, 20]), before, Identity(min_similarity=0.45))
    assert [(t.topic_id, t.event, t.previous_ids) for t in found.topics] == [
        (0, "split", (0,)),
        (2, "split", (0,)),
        (1, "kept", (1,)),
    ]
    assert found.ended == ()


def test_without_common_documents_a_merge_is_seen_by_similarity() -> None:
    before = planted("bikes", "bread", "stars", ids=[5, 6, 8])
    found = align(mixed([("bikes", 1.2), ("bread", 1)], [("stars", 2)]), before, Identity(min_similarity=0.45))
    assert [(t.topic_id, t.event, t.previous_ids) for t in found.topics] == [(5, "merged", (5, 6)), (8, "kept", (8,))]
    assert [(e.topic_id, e.event, e.next_ids) for e in found.ended] == [(6, "merged", (5,))]


def test_with_common_documents_their_moves_decide_what_split_and_merged() -> None:
    before, now = planted("bikes", "bread", "stars"), planted("bikes", "votes", "stars")
    moved = np.array([[60, 40, 0], [0, 0, 50], [0, 5, 95]])
    found = align(now, before, Identity(), shared_BT=moved)
    assert [(t.topic_id, t.event, t.previous_ids) for t in found.topics] == [
        (0, "split", (0,)),
        (3, "split", (0,)),  # 40 of its 45 documents were in topic 0
        (2, "merged", (2, 1)),  # all of topic 1 went there
    ]
    assert [(e.topic_id, e.event, e.next_ids) for e in found.ended] == [(1, "merged", (2,))]


def test_documents_that_stay_together_keep_the_id_though_centroid_and_words_have_moved() -> None:
    found = align(planted("votes"), planted("bikes", ids=[7]), Identity(), shared_BT=np.array([[12]]))
    assert found.topics[0] == Aligned(0, 7, "kept", (7,), found.topics[0].similarity)
    assert found.topics[0].similarity < Identity().min_similarity


@pytest.mark.parametrize(("documents", "size"), [(9, 10), (99, 1000)])
def test_a_few_common_documents_decide_nothing(documents: int, size: int) -> None:
    # ten at least, and a tenth of the topic: the first documents of a birth were somewhere, too
    before, now = planted("bikes", "bread", sizes=[size] * 2), planted("bikes", "votes", sizes=[size] * 2)
    shared = np.array([[0, documents], [0, 0]])
    found = align(now, before, Identity(), shared_BT=shared)
    plain = align(now, before, Identity())
    assert [(t.topic_id, t.event, t.previous_ids) for t in found.topics] == [(0, "kept", (0,)), (2, "born", ())]
    assert found.ended == plain.ended
    enough = align(now, before, Identity(), shared_BT=shared + [[0, 1], [0, 0]])
    assert [(t.topic_id, t.event, t.previous_ids) for t in enough.topics] == [(0, "split", (0,)), (2, "split", (0,))]


def test_topics_without_common_documents_are_told_by_likeness_beside_those_with_some() -> None:
    before, now = planted("bikes", "bread", ids=[3, 4]), planted("bikes", "bread", "bread")
    shared = np.array([[50, 0, 0], [0, 0, 0]])
    found = align(now, before, Identity(), shared_BT=shared)
    assert [(t.topic_id, t.event, t.previous_ids) for t in found.topics[1:]] == [(4, "split", (4,)), (5, "split", (4,))]


def test_one_equal_topic_is_worth_more_than_two_middling_pairs() -> None:
    # without the bound taken off, 0.55 + 0.55 would beat 1 + 0
    assert match(np.array([[0.5, 0.05], [0.05, 0.0]])) == [(0, 0)]


def test_matching_by_parts_finds_the_best_sum_of_all_pairs() -> None:
    generator = np.random.default_rng(5)
    from scipy.optimize import linear_sum_assignment

    for _ in range(20):
        gain = np.maximum(generator.random((9, 12)) - 0.7, 0)
        rows, columns = linear_sum_assignment(gain, maximize=True)
        assert sum(gain[b, t] for b, t in match(gain)) == pytest.approx(gain[rows, columns].sum())


def test_overlap_of_words_is_weighted_jaccard() -> None:
    overlap = word_overlap([{"a": 2.0, "b": 2.0}, {}], [{"a": 1.0, "b": 1.0}, {"a": 1.0}, {"c": 1.0}])
    np.testing.assert_allclose(overlap, [[1, 0.5 / 1.5, 0], [0, 0, 0]])


def test_topics_without_words_are_compared_by_centroids_alone() -> None:
    before = TopicSet([0], np.array([[1.0, 0.0]]), [{}], [3])
    now = TopicSet([0], np.array([[3.0, 4.0]]), [{"word": 1.0}], [3])
    assert similarities(before, now, 0.5) == pytest.approx(0.6)


def test_a_direction_that_all_embeddings_share_makes_no_topic_another_one() -> None:
    generator = np.random.default_rng(0)
    places = generator.normal(size=(13, 16)) / 4 + 2  # cosines around 0.98
    before = TopicSet(list(range(12)), places[:12], [{}] * 12, [5] * 12)
    now = TopicSet(list(range(12)), places[1:], [{}] * 12, [5] * 12)
    found = align(now, before, Identity(min_similarity=0.7))
    assert [t.topic_id for t in found.topics] == [*range(1, 12), 12]
    assert [(e.topic_id, e.event) for e in found.ended] == [(0, "died")]


def test_no_topics_on_either_side_are_no_error() -> None:
    none = TopicSet([], np.zeros((0, 6)), [], [])
    assert align(none, none, Identity()).topics == ()
    assert [t.event for t in align(planted("bikes"), none, Identity(), next_id=3).topics] == ["born"]
    assert [e.event for e in align(none, planted("bikes"), Identity()).ended] == ["died"]


@pytest.mark.parametrize(
    ("before", "shared", "line"),
    [
        (TopicSet([0, 0], np.eye(6)[:2], [{}, {}], [1, 1]), None, "an id is there twice"),
        (TopicSet([0], np.eye(5)[:1], [{}], [1]), None, "5 values before and 6 now"),
        (TopicSet([0], np.eye(6)[:1], [{}], [1, 2]), None, "1 ids need as many"),
        (TopicSet([0], np.eye(6)[:1], [{}], [1]), np.zeros((2, 2)), r"shape \(2, 2\), not \(1, 1\)"),
        (None, np.zeros((1, 1)), "need those topics"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    before: TopicSet | None, shared: npt.NDArray[np.float64], line: str
) -> None:
    with pytest.raises(ValueError, match=line):
        align(planted("bikes"), before, Identity(), shared_BT=shared)
