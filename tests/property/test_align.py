"""Whatever the topics: ids do not depend on labels or order, and the same partition has the same ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.config_quality import Identity
from theta_ray.topics.align import Alignment, TopicSet, align

SEEDS = st.integers(0, 2**32 - 1)


def make_topics(seed: int, count: int) -> TopicSet:
    """Topics with some words in common, and some sizes."""
    generator = np.random.default_rng(seed)
    terms = [
        {f"w{word}": float(1 + generator.integers(5)) for word in generator.choice(12, 4, replace=False)}
        for _ in range(count)
    ]
    sizes = [int(size) for size in generator.integers(1, 4, count)]
    ids = [int(id_) for id_ in generator.choice(1000, count, replace=False)]
    return TopicSet(ids, generator.normal(size=(count, 8)).astype(np.float32), terms, sizes)


def permuted(topics: TopicSet, order: npt.NDArray[Any], ids: list[int]) -> TopicSet:
    return TopicSet(ids, topics.centroids[order], [topics.terms[i] for i in order], [topics.sizes[i] for i in order])


def ids_of(found: Alignment) -> list[tuple[int, str, tuple[int, ...]]]:
    return [(t.topic_id, t.event, t.previous_ids) for t in found.topics]


@given(SEEDS, st.integers(0, 9), st.integers(0, 9), st.booleans(), st.booleans())
def test_ids_do_not_depend_on_labels_or_order(seed: int, old: int, new: int, first: bool, with_documents: bool) -> None:
    before, now = make_topics(seed, old), make_topics(seed + 1, new)
    generator = np.random.default_rng(seed)
    rows, columns = generator.permutation(old), generator.permutation(new)
    shared = generator.integers(0, 9, (old, new)) * generator.integers(0, 2, (old, new))
    documents = with_documents and not first
    settings = Identity(min_similarity=0.2)
    plain = align(now, None if first else before, settings, shared_BT=shared if documents else None)
    shuffled = align(
        permuted(now, columns, [int(i) for i in generator.permutation(new)]),
        None if first else permuted(before, rows, [before.ids[i] for i in rows]),
        settings,
        shared_BT=shared[np.ix_(rows, columns)] if documents else None,
    )
    assert ids_of(shuffled) == [ids_of(plain)[column] for column in columns]
    assert shuffled.ended == plain.ended
    assert shuffled.next_id == plain.next_id


@given(SEEDS, st.integers(0, 9), st.booleans())
def test_the_same_partition_keeps_all_ids(seed: int, count: int, with_documents: bool) -> None:
    before = make_topics(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    shared = np.diag(before.sizes)[:, order] if with_documents and count else None
    found = align(permuted(before, order, list(range(count))), before, Identity(), shared_BT=shared)
    assert ids_of(found) == [(before.ids[i], "kept", (before.ids[i],)) for i in order]
    assert found.ended == ()


@given(SEEDS, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2000))
def test_every_topic_is_accounted_for_and_no_id_is_given_twice(seed: int, old: int, new: int, next_id: int) -> None:
    before, now = make_topics(seed, old), make_topics(seed + 1, new)
    found = align(now, before, Identity(min_similarity=0.2), next_id=next_id)
    ids = [t.topic_id for t in found.topics]
    assert len(set(ids)) == new
    assert set(before.ids) == {e.topic_id for e in found.ended} | (set(before.ids) & set(ids))
    assert not {e.topic_id for e in found.ended} & set(ids)
    born = [id_ for id_ in ids if id_ not in before.ids]
    assert all(id_ >= max([next_id, *before.ids]) for id_ in born)
    assert all(id_ < found.next_id for id_ in [*ids, *before.ids])
    assert all(set(t.previous_ids) <= set(before.ids) for t in found.topics)
