from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theta_ray.config_negatives import Negatives
from theta_ray.training.negative_rules import choose, is_drawn
from theta_ray.training.topk import NOTHING, Candidates, Near, Queries, merge, search, similarities

K = 4


class Corpus:
    """Documents with vectors, texts and keys, of which several share a text, a vector or a key."""

    def __init__(self, seed: int, num_documents: int, num_queries: int) -> None:
        generator = np.random.default_rng(seed)
        # few values, so that different texts are equally near
        values = generator.integers(-1, 2, (max(1, num_documents // 2), 3)).astype(np.float32) + np.float32(0.25)
        vectors = values / np.linalg.norm(values, axis=1, keepdims=True)
        self.text = generator.integers(0, len(vectors), num_documents).astype(np.uint64)
        self.vectors = vectors[self.text.astype(int)]
        self.doc = generator.permutation(num_documents).astype(np.uint64) * np.uint64(7)
        self.keys = [generator.integers(0, 6, generator.integers(0, 4)).astype(np.uint64) for _ in self.doc]
        queries = generator.normal(size=(num_queries, 3)).astype(np.float32)
        forbidden = [np.unique(generator.integers(0, 8, 2)).astype(np.uint64) for _ in queries]
        self.queries = Queries(queries / np.linalg.norm(queries, axis=1, keepdims=True), forbidden)

    def shard(self, rows: np.ndarray) -> Candidates:
        rows = rows[np.lexsort((self.doc[rows], self.text[rows]))]
        texts, starts = np.unique(self.text[rows], return_index=True)
        keys = [(key, owner) for owner, row in enumerate(rows) for key in self.keys[row]]
        sorted_keys = np.array(sorted(keys), np.uint64).reshape(-1, 2)
        ends = np.append(starts, len(rows))
        owners = sorted_keys[:, 1].astype(np.int64)
        vectors = self.vectors[rows[starts]]
        return Candidates(vectors, texts, ends, self.doc[rows], rows, sorted_keys[:, 0], owners)

    def brute_force(self, query: int) -> list[tuple[float, int, int]]:
        """Similarity, document and text of the nearest, by looking at every document."""
        found: dict[int, tuple[float, int, int]] = {}
        for row in np.argsort(self.doc):
            if set(self.keys[row]).isdisjoint(self.queries.forbidden[query]):
                similarity = similarities(self.queries.vectors[[query]], self.vectors[[row]])[0]
                found.setdefault(int(self.text[row]), (similarity, int(self.doc[row]), int(self.text[row])))
        return sorted(found.values(), key=lambda near: (-near[0], near[1]))[:K]


def _rows(near: Near, query: int) -> list[tuple[float, int, int]]:
    mine = near.take(near.query == query)
    return list(zip(mine.similarity.tolist(), mine.doc.tolist(), mine.text.tolist(), strict=True))


CORPORA = st.builds(Corpus, st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 4))


@settings(max_examples=60)
@given(CORPORA, st.integers(1, 5))
def test_shards_searched_one_after_another_give_what_looking_at_every_document_gives(
    corpus: Corpus, num_shards: int
) -> None:
    shard_of = np.random.default_rng(len(corpus.doc)).integers(0, num_shards, len(corpus.doc))
    near = NOTHING
    for shard in range(num_shards):
        near = search(corpus.queries, corpus.shard(np.flatnonzero(shard_of == shard)), K, near)
    for query in range(len(corpus.queries)):
        assert _rows(near, query) == corpus.brute_force(query)
    assert all(corpus.doc[place] == doc for place, doc in zip(near.place, near.doc, strict=True))


@settings(max_examples=30)
@given(CORPORA, st.integers(2, 5))
def test_ranges_searched_apart_and_merged_in_any_order_give_the_same(corpus: Corpus, num_shards: int) -> None:
    shard_of = np.random.default_rng(0).integers(0, num_shards, len(corpus.doc))
    shards = [corpus.shard(np.flatnonzero(shard_of == shard)) for shard in range(num_shards)]
    parts = [search(corpus.queries, shard, K) for shard in shards]
    whole = search(corpus.queries, corpus.shard(np.arange(len(corpus.doc))), K)
    for order in (parts, parts[::-1], [merge(parts[:2], K), *parts[2:]]):
        merged = merge(order, K)
        assert all((getattr(merged, name) == column).all() for name, column in vars(whole).items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@given(CORPORA)
def test_a_gpu_finds_what_the_cpu_finds(corpus: Corpus) -> None:
    shard = corpus.shard(np.arange(len(corpus.doc)))
    here, there = (search(corpus.queries, shard, K, device=device) for device in ("cpu", "cuda"))
    assert all((getattr(here, name) == column).all() for name, column in vars(there).items())


RULES = st.builds(
    lambda first, more, count, relative, margin, most, how, seed: Negatives(
        first_rank=first,
        last_rank=first + more,
        count=min(count, more + 1),
        relative_margin=relative,
        margin=margin,
        max_similarity=most,
        choose=how,
        seed=seed,
    ),
    st.integers(1, 5),
    st.integers(0, 8),
    st.integers(1, 3),
    st.sampled_from([None, 0, 0.05, 0.5]),
    st.sampled_from([None, 0, 0.1]),
    st.sampled_from([None, 0.2]),
    st.sampled_from(["random", "hardest"]),
    st.integers(0, 9),
)


def _near(generator: np.random.Generator, num_pairs: int, k: int) -> Near:
    size = num_pairs * k
    numbers = generator.permutation(size).astype(np.uint64)
    similarity = np.round(generator.uniform(-1, 1, size), 7)
    return merge([Near(np.repeat(np.arange(num_pairs), k), similarity, numbers, numbers, np.arange(size))], k)


@given(RULES, st.integers(0, 999), st.integers(1, 5))
def test_every_negative_keeps_its_rank_both_margins_and_the_bound(rules: Negatives, seed: int, num_pairs: int) -> None:
    generator = np.random.default_rng(seed)
    near, positive = _near(generator, num_pairs, rules.last_rank), generator.uniform(-1, 1, num_pairs)
    chosen, counts = choose(near, positive, generator.integers(0, 2**63, num_pairs).astype(np.uint64), rules)
    for pair in range(num_pairs):
        mine = near.take(near.query == pair)
        allowed = [
            (similarity, doc)
            for rank, (similarity, doc) in enumerate(zip(mine.similarity, mine.doc, strict=True), start=1)
            if rules.first_rank <= rank <= rules.last_rank
            and (rules.max_similarity is None or similarity <= rules.max_similarity)
            and (rules.margin is None or positive[pair] - similarity >= rules.margin)
            and (
                rules.relative_margin is None
                or similarity <= positive[pair] - rules.relative_margin * abs(positive[pair])
            )
        ]
        taken = chosen.take(chosen.query == pair)
        found = list(zip(taken.similarity, taken.doc, strict=True))
        assert len(found) == min(rules.count, len(allowed))
        assert set(found) <= set(allowed)
        assert found == sorted(found, key=lambda each: (-each[0], each[1]))
        if rules.choose == "hardest":
            assert found == allowed[: rules.count]
    assert counts["negatives"] == len(chosen)
    assert counts["near"] >= counts["in_ranks"] >= counts["below_margin"] >= counts["negatives"]


@given(RULES, st.integers(0, 999))
def test_the_negatives_of_a_pair_do_not_depend_on_the_pairs_beside_it(rules: Negatives, seed: int) -> None:
    generator = np.random.default_rng(seed)
    near, positive = _near(generator, 4, rules.last_rank), generator.uniform(-1, 1, 4)
    pair = generator.integers(0, 2**63, 4).astype(np.uint64)
    together, _ = choose(near, positive, pair, rules)
    for number in range(4):
        mine = near.take(near.query == number)
        alone, _ = choose(
            Near(mine.query * 0, mine.similarity, mine.doc, mine.text, mine.place),
            positive[[number]],
            pair[[number]],
            rules,
        )
        assert alone.doc.tolist() == together.doc[together.query == number].tolist()


def test_another_seed_draws_others_and_pairs_draw_for_themselves() -> None:
    rank = np.tile(np.arange(20), 200)
    numbers = np.random.default_rng(0).permutation(4000).astype(np.uint64)
    near = Near(np.repeat(np.arange(200), 20), 1 - rank / 20, numbers, numbers, rank)
    pair, positive = np.arange(200, dtype=np.uint64), np.full(200, 2.0)
    drawn = [
        choose(near, positive, pair, Negatives(first_rank=1, last_rank=20, seed=seed))[0].place for seed in (0, 0, 1)
    ]
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert len(np.unique(drawn[0])) == 20  # all ranks, in 200 draws


def test_a_share_of_documents_is_drawn_by_their_ids() -> None:
    doc = np.random.default_rng(0).integers(0, 2**63, 10_000).astype(np.uint64)
    drawn = is_drawn(doc, Negatives(share=0.3))
    assert drawn.mean() == pytest.approx(0.3, abs=0.02)
    assert (is_drawn(doc[::-1], Negatives(share=0.3)) == drawn[::-1]).all()
    assert is_drawn(doc, Negatives()).all()
    assert (is_drawn(doc, Negatives(share=0.3, seed=1)) != drawn).any()
