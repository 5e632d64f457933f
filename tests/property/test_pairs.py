"""Pairs of any documents: views hide what they must and nothing else, groups keep the lowest, counts add up."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from theta_ray.config_pairs import HashtagPairs, Noise, Pairs
from theta_ray.corpus.duplicates import find_repeats
from theta_ray.training.candidates import Finder, Row, keys_of, to_table, words_of
from theta_ray.training.dictionary import to_term
from theta_ray.training.groups import CHILD, Limits, keep_lowest, num_pairs, ring, with_counts
from theta_ray.training.pair_buckets import _lanes
from theta_ray.training.pairing import limits_of, make_pairs
from theta_ray.training.splits import limit_of_share, sides
from theta_ray.training.views import TAG, cut_sentence, cut_title, fold_tag, noised, sentences, views

TAGS = st.sampled_from(["Flu", "flu", "FLU", "covid19", "Tag", "Straße", "健康", "flu_shot"])
PIECES = st.one_of(
    TAGS.map(lambda tag: f"#{tag}"),
    st.sampled_from(
        ["flu", "road", "a", "b.", "Bridge!", "#", "##", "\n\n", "\n", "。", "RT @bob:", "@x", "http://t.co/1"]
    ),
    st.text(max_size=4),
)
TEXTS = st.lists(PIECES, max_size=12).map(" ".join)
SEEDS = st.integers(0, 2**32)
DROP = Noise(share=1, drop=1, strip=0, mask=0)


def tags_in(text: str) -> list[str]:
    return [fold_tag(tag) for tag in TAG.findall(text)]


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(TEXTS, TAGS.map(fold_tag), SEEDS)
def test_a_dropped_tag_is_gone_and_everything_else_is_there(text: str, tag: str, seed: int) -> None:
    text = f"word {text}"
    hidden = noised(text, tag, np.random.default_rng(seed), DROP)
    assert tag not in tags_in(hidden)
    without = TAG.sub(lambda found: "" if fold_tag(found[1]) == tag else found[0], text)
    assert squeezed(hidden) == squeezed(without)
    assert tag in tags_in(text) or hidden == text


@given(TAGS, SEEDS)
def test_a_text_that_is_nothing_but_the_tag_keeps_its_word(tag: str, seed: int) -> None:
    assert noised(f" #{tag} ", fold_tag(tag), np.random.default_rng(seed), DROP) == f" {tag} "


@given(TEXTS, TAGS.map(fold_tag), SEEDS, st.booleans())
def test_noise_leaves_no_text_empty_and_is_the_same_again(text: str, tag: str, seed: int, all_tags: bool) -> None:
    noise = Noise(all_tags=all_tags)
    hidden = noised(text, tag, np.random.default_rng(seed), noise)
    assert bool(hidden.strip()) == bool(text.strip())
    assert hidden == noised(text, tag, np.random.default_rng(seed), noise)


@given(TEXTS, TEXTS, TEXTS, SEEDS, st.sampled_from(["hashtag", "ict", "self", "title_body"]))
def test_a_view_draws_as_often_whatever_the_texts_are(
    first: str, second: str, other: str, seed: int, kind: str
) -> None:
    settings, used, again = Pairs(kind=kind), np.random.default_rng(seed), np.random.default_rng(seed)  # type: ignore[arg-type]
    views(kind, (first, second), "flu", used, settings)
    views(kind, (other, other), "flu", again, settings)
    assert used.integers(2**60) == again.integers(2**60)


@given(TEXTS, SEEDS, st.floats(0, 1))
def test_a_sentence_and_its_rest_are_the_text(text: str, seed: int, keep: float) -> None:
    sentence, rest = cut_sentence(text, np.random.default_rng(seed), keep)
    spans = sentences(text)
    if len(spans) < 2:
        assert (sentence, rest) == (text, text)
        return
    assert [start for start, _ in spans[1:]] == [stop for _, stop in spans[:-1]]
    cuts = {(squeezed(text[start:stop]), squeezed(text[:start] + text[stop:])) for start, stop in spans}
    whole = {(one, squeezed(text)) for one, _ in cuts}
    assert (squeezed(sentence), squeezed(rest)) in cuts | whole
    assert sentence.strip()
    assert rest.strip()


@given(TEXTS)
def test_title_and_body_are_the_text_without_the_line_between(text: str) -> None:
    cut = cut_title(text)
    assert cut is None or "\n\n".join(cut) == text


@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(1, 3), st.data())
def test_a_ring_makes_as_many_pairs_as_there_are_and_none_twice(
    lengths: list[int], width: int, data: st.DataObject
) -> None:
    sizes = np.array(lengths)
    most = num_pairs(sizes, width)
    counts = np.array([data.draw(st.integers(0, int(number))) for number in most])
    starts = np.cumsum(sizes) - sizes
    anchors, positives = ring(starts, sizes, counts, width)
    assert anchors.shape == (counts.sum(), width)
    assert len(positives) == counts.sum()
    assert not (anchors == positives[:, None]).any()
    owner = np.repeat(np.arange(len(sizes)), sizes)
    assert (owner[anchors] == owner[positives][:, None]).all()
    keys = [frozenset((int(a[0]), int(p))) if width == 1 else (*a, p) for a, p in zip(anchors, positives, strict=True)]
    assert len(set(keys)) == len(keys)
    if width == 1 and (sizes > 0).all():
        assert (most == [len(list(itertools.combinations(range(n), 2))) for n in lengths]).all()


MEMBERS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.integers(0, 10**6)), max_size=40)


@given(MEMBERS, st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(0, 40), max_size=3))
def test_what_a_group_keeps_does_not_depend_on_the_parts_in_which_it_comes(
    members: list[tuple[str, int, int]], train: int, test: int, cuts: list[int]
) -> None:
    columns: dict[str, Any] = {
        "key": [0] * len(members),
        "group": [group for group, _, _ in members],
        "role": [1] * len(members),
        "order": [order for _, order, _ in members],
        "doc_id": [f"{number:07d}-{place}" for place, (_, _, number) in enumerate(members)],
        "split": [0] * len(members),
        "row": list(range(len(members))),
        "thread": [None] * len(members),
    }
    table = to_table([]).schema.empty_table() if not members else pa.table(columns, schema=to_table([]).schema)
    table = with_counts(table, np.arange(len(members)).astype(np.int8) % 2)
    limits = Limits(train, test)
    whole = keep_lowest(table, limits)
    kept = table.slice(0, 0)
    edges = [0, *sorted(min(cut, len(members)) for cut in cuts), len(members)]
    for start, stop in itertools.pairwise(edges):
        kept = keep_lowest(pa.concat_tables([kept, table.slice(start, stop - start)]), limits)
    names = [name for name in whole.column_names if name != "evicted"]
    assert kept.select(names).to_pylist() == whole.select(names).to_pylist()
    assert sums_by_group(kept) == sums_by_group(whole) == Counter(group for group, _, _ in members)


def sums_by_group(kept: pa.Table) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in kept.to_pylist():
        found[row["group"]] += 1 + row["evicted"]
    return found


IDS = st.sampled_from([f"d{number}" for number in range(12)])
ROWS = st.lists(
    st.builds(
        Row,
        doc_id=IDS,
        text=st.sampled_from(["a b", "A b!", "c d. e f.", "title\n\nbody", "#flu", "RT @x: a b", "old*", "olds", "g"]),
        kind=st.sampled_from(["post", "comment", "repost"]),
        author_id=st.sampled_from(["u1", "u2", "u3", None]),
        context_id=st.sampled_from(["t1", "t2", None]),
        parent_id=st.one_of(st.none(), IDS),
        created_at=st.one_of(st.none(), st.integers(-(10**12), 10**15)),
        tags=st.lists(st.sampled_from(["Flu", "flu", "x", "y"]), max_size=3),
        label=st.sampled_from(["l1", "l2", None]),
    ),
    max_size=20,
    unique_by=lambda row: row.doc_id,
)
KINDS = ["dictionary", "hashtag", "ict", "label", "reply", "self", "thread", "title_body"]


@given(ROWS, st.sampled_from(KINDS), st.sampled_from(["author", "group", "text", "time"]), st.integers(1, 4), SEEDS)
def test_every_candidate_is_in_a_pair_or_counted_and_no_words_are_on_both_sides(
    rows: list[Row], kind: str, by: str, cap: int, seed: int
) -> None:
    if kind in ("ict", "self", "title_body") and by == "group":
        by = "text"
    section: dict[str, Any] = {"kind": kind, "max_pairs_per_group": cap, "seed": seed}
    section["split"] = {"by": by, "test_share": 0.4}
    if kind == "hashtag":
        section["hashtag"] = HashtagPairs(min_tag_count=2, posts_per_anchor=1 + seed % 2)
    pairs = Pairs(**section)
    limit = limit_of_share(0.4)
    finder = Finder(pairs, limit)
    table = to_table([candidate for number, row in enumerate(rows) for candidate in finder.find(row, number)])
    is_copy = np.isin(table["row"].to_numpy(), find_repeats(keys_of(finder.digests, 0)).row)
    num_copies = int((is_copy & (table["role"].to_numpy() == CHILD)).sum())
    table = table.filter(pa.array(~is_copy))
    kept = keep_lowest(with_counts(table, _lanes(table, sides(table["split"], limit), kind)), limits_of(pairs))
    paired = make_pairs(kept, sides(kept["split"], limit), pairs)
    dropped = paired.dropped.total() + finder.dropped.total() + num_copies
    assert finder.num_candidates == paired.num_in_pairs + dropped
    assert min([0, *paired.dropped.values()]) == 0
    documents: dict[str, set[str]] = {"train": set(), "test": set()}
    for row in paired.pairs.to_pylist():
        documents[row["split"]] |= {row["anchor_id"], row["positive_id"], *row["more_anchor_ids"]}
        assert (row["anchor_id"] == row["positive_id"]) == (kind in ("ict", "self", "title_body"))
    words = {row.doc_id: words_of(to_term(row.text) if kind == "dictionary" else row.text) for row in rows}
    assert not {words[name] for name in documents["train"]} & {words[name] for name in documents["test"]}
    used = Counter(row["group"] for row in paired.pairs.to_pylist())
    assert kind in ("ict", "self", "title_body", "reply") or max([0, *used.values()]) <= max(cap, 2)
