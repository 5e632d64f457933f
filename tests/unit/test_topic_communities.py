"""Topics by community: what is planted is found, chance is not, and small groups are not named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, kstest

from theta_ray.network import repeats
from theta_ray.network.false_discoveries import q_values
from theta_ray.network.repeats import copies, repeat_statistics, texts
from theta_ray.network.top_lists import Row, top_list
from theta_ray.network.topic_communities import NO_TOPIC, Talk, enrichment, top_topics


def talk(rng: np.random.Generator, community: np.ndarray, pull: float) -> Talk:
    """Authors of uneven activity with favourite topics; with `pull` of them, that of their community."""
    authors = np.repeat(np.arange(len(community), dtype=np.int32), rng.zipf(1.7, len(community)).clip(max=60))
    favourite = np.where(rng.random(len(community)) < pull, community, rng.integers(0, 6, len(community)))
    is_own = rng.random(len(authors)) < 0.8
    topic = np.where(is_own, favourite[authors], rng.integers(0, 6, len(authors)))
    return Talk.of(authors, topic.astype(np.int32))


def test_expected_documents_and_ratios_have_their_closed_form() -> None:
    counted = Talk.of(np.array([0, 0, 0, 1, 2, 2], np.int32), np.array([0, 0, 1, 0, 1, 1], np.int32))
    found = enrichment(counted, np.array([0, 0, 1], np.int32), 0, min_cell=1)
    assert list(zip(found.topic.tolist(), found.community.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1)]
    assert found.num_documents.tolist() == [3, 1, 2]
    assert found.num_authors.tolist() == [2, 1, 1]
    assert np.allclose(found.expected, [2, 2, 1])
    assert np.allclose(found.log2_ratio, [np.log2(1.5), -1, 1])
    assert np.isnan(found.p_value).all()


def test_planted_topics_of_communities_are_found() -> None:
    rng = np.random.default_rng(0)
    community = rng.integers(0, 4, 600).astype(np.int32)
    found = enrichment(talk(rng, community, 0.6), community, 499)
    is_planted = found.topic == found.community
    assert is_planted.sum() == 4
    assert (found.q_value[is_planted] < 0.05).all()
    assert (found.log2_ratio[is_planted] > 0.5).all()
    assert (found.log2_ratio[found.q_value < 0.05][~is_planted[found.q_value < 0.05]] < 0).all()


def test_p_values_are_uniform_where_communities_say_nothing() -> None:
    p_values = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        community = rng.integers(0, 3, 90).astype(np.int32)
        p_values.append(enrichment(talk(rng, community, 0.0), community, 199, seed, min_cell=1).p_value[0])
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert min(p_values) >= 2 / 200


def test_documents_of_an_author_move_together() -> None:
    # one author with a hundred documents is no evidence about a community, a test over documents would take it for one
    author = np.concatenate([np.zeros(100, np.int32), np.arange(1, 41, dtype=np.int32)])
    topic = np.concatenate([np.ones(100, np.int32), np.tile(np.array([0, 1], np.int32), 20)])
    community = (np.arange(41) % 4 // 2).astype(np.int32)
    found = enrichment(Talk.of(author, topic), community, 199, min_cell=1)
    assert (found.p_value > 0.2).all()


def test_authors_without_a_community_and_documents_without_a_topic_are_left_out() -> None:
    counted = Talk.of(np.array([0, 1, 2, 2], np.int32), np.array([0, 0, 1, -1], np.int32))
    found = enrichment(counted, np.array([0, -1, 0], np.int32), 9, min_cell=1)
    assert found.num_documents.tolist() == [1, 1]


def test_cells_of_few_authors_are_tested_and_not_named() -> None:
    rng = np.random.default_rng(1)
    community = rng.integers(0, 4, 60).astype(np.int32)
    counted = talk(rng, community, 0.5)
    everything, shown = (enrichment(counted, community, 99, min_cell=least) for least in (1, 8))
    assert 0 < len(shown.topic) < len(everything.topic)
    assert shown.num_authors.min() >= 8
    kept = everything.num_authors >= 8
    assert np.array_equal(shown.q_value, everything.q_value[kept])


@pytest.mark.parametrize("community", [[], [-1, -1], [0, 0]])
def test_nobody_no_community_and_one_of_all_are_no_error(community: list[int]) -> None:
    author = np.arange(len(community), dtype=np.int32)
    found = enrichment(Talk.of(author, author * 0), np.array(community, np.int32), 9, min_cell=1)
    assert found.p_value.tolist() == ([1.0] if 0 in community else [])


def test_a_deal_is_decided_by_the_seed() -> None:
    rng = np.random.default_rng(0)
    community = rng.integers(0, 3, 50).astype(np.int32)
    counted = talk(rng, community, 0.2)
    one, again, other = (enrichment(counted, community, 50, seed).p_value for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_q_values_are_those_of_scipy() -> None:
    p_values = np.random.default_rng(0).random(50).round(2)
    assert np.allclose(q_values(p_values), false_discovery_control(p_values), rtol=1e-12)


def test_the_top_topic_is_the_commonest_and_of_several_the_smallest() -> None:
    counted = Talk.of(np.array([0, 0, 0, 2, 2, 3], np.int32), np.array([5, 5, 1, 7, 3, -1], np.int32))
    assert top_topics(counted, 5).tolist() == [5, NO_TOPIC, 3, NO_TOPIC, NO_TOPIC]


def test_lists_name_no_group_of_few_authors_and_none_that_follows_from_the_rest() -> None:
    documents, authors = np.array([90, 50, 80, 40]), np.array([9, 8, 2, 7])
    assert top_list(["a", "b", "c", "d"], documents, authors, 10) == [
        Row("a", 90, 9),
        Row("b", 50, 8),
        Row("other", 120, None),
    ]
    assert top_list(["a", "b"], np.array([3, 3]), np.array([6, 6]), 1) == [Row("a", 3, 6), Row("other", 3, None)]
    assert top_list(["b", "a"], np.array([3, 3]), np.array([6, 6]), 9) == [Row("a", 3, 6), Row("b", 3, 6)]
    assert top_list(["a"], np.array([3]), np.array([2]), 9) == []
    # a hashtag may be called so: it is not taken for the rest, and not lost
    assert top_list(["a", "other"], np.array([3, 9]), np.array([6, 6]), 9) == [Row("a", 3, 6), Row("other", 9, None)]
    assert top_list(["other"], np.array([9]), np.array([6]), 9) == []
    with pytest.raises(ValueError, match="names of groups repeat"):
        top_list(["a", "a"], np.array([3, 3]), np.array([6, 6]), 9)


def test_repeats_are_counted_by_text() -> None:
    found = texts(np.array([7, 7, 7, 1, 7], np.uint64), np.array([1, 1, 2, 1, 1], np.uint64))
    assert found.num_documents.tolist() == [1, 3, 1]
    statistics = repeat_statistics(copies(found))
    assert statistics["repeat_share"] == pytest.approx(2 / 5)
    assert statistics["repeated_text_share"] == pytest.approx(3 / 5)
    assert (statistics["num_texts"], statistics["commonest_text_documents"]) == (3, 3)


@pytest.mark.parametrize("size", [0, 1])
def test_every_statistic_of_repeats_is_defined_and_no_other(size: int) -> None:
    assert set(repeat_statistics(copies(texts(np.ones(size, np.uint64), np.ones(size, np.uint64))))) == set(
        repeats.DEFINITIONS
    )
