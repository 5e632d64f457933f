"""Mining pairs: each kind on a corpus that is small enough to say by hand what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mined import dropped, ids, mine, pairs_config

NO_SPLIT = {"test_share": 0}


def test_self_pairs_a_text_with_itself_and_its_copies_once(tmp_path: Path) -> None:
    records = [
        {"id": "a", "text": "The road is open"},
        {"id": "b", "text": "the ROAD is open! https://t.co/x"},
        {"id": "c", "text": "#tag @who http://t.co/1"},
        {"id": "d", "text": "RT @a: The road is open"},
        {"id": "e", "text": "another text"},
    ]
    card, pairs = mine(pairs_config(tmp_path, records, {"kind": "self", "split": NO_SPLIT}))
    assert ids(pairs) == [("a", "a"), ("e", "e")]
    assert dropped(card) == {"few_words": 1, "near_duplicate": 2}
    assert all(pair["group"] is None and pair["weight"] == 1 and pair["negative_ids"] == [] for pair in pairs)


def test_labels_pair_each_document_with_others_of_its_label(tmp_path: Path) -> None:
    records = [{"id": f"{label}{n}", "text": f"{label} text {n}", "label": label} for label in "xy" for n in range(4)]
    records += [{"id": "z0", "text": "the only one", "label": "z"}, {"id": "none", "text": "no label"}]
    card, pairs = mine(pairs_config(tmp_path, records, {"kind": "label", "split": NO_SPLIT}))
    assert {frozenset(pair) for pair in ids(pairs)} == {
        frozenset((f"{label}{i}", f"{label}{j}")) for label in "xy" for i in range(4) for j in range(i)
    }
    assert {(pair["group"], pair["anchor_id"][0], pair["kind"]) for pair in pairs} == {
        ("x", "x", "label"),
        ("y", "y", "label"),
    }
    assert card.figures["groups"] == 2
    assert dropped(card) == {"small_group": 1}


def test_a_group_gives_no_more_pairs_than_its_cap(tmp_path: Path) -> None:
    records = [{"id": f"{label}{n}", "text": f"{label} text {n}", "label": label} for label in "xy" for n in range(50)]
    section = {"kind": "label", "max_pairs_per_group": 7, "split": NO_SPLIT}
    card, pairs = mine(pairs_config(tmp_path, records, section))
    assert [sum(pair["group"] == label for pair in pairs) for label in "xy"] == [7, 7]
    assert dropped(card) == {"over_cap": 100 - 2 * 8}


def tweets(counts: dict[str, int]) -> list[dict[str, Any]]:
    """So many posts of each tag, every other in capitals."""
    return [
        {"id": f"{tag}{n}", "text": f"word{n} of {tag} #{tag.upper() if n % 2 else tag}"}
        for tag, count in counts.items()
        for n in range(count)
    ]


def test_hashtags_are_one_tag_in_any_case_and_rare_ones_are_left_out(tmp_path: Path) -> None:
    records = [*tweets({"flu": 6, "diet": 5, "rare": 4}), {"id": "copy", "text": "word0 of flu #Flu http://t.co"}]
    records += [{"id": "again", "text": "RT @who: others said it #flu"}]
    section = {"kind": "hashtag", "hashtag": {"min_tag_count": 5}, "split": {"by": "text", "test_share": 0}}
    card, pairs = mine(pairs_config(tmp_path, records, section))
    assert {pair["group"] for pair in pairs} == {"flu", "diet"}
    assert len(pairs) == 6 * 5 // 2 + 5 * 4 // 2
    assert dropped(card) == {"near_duplicate": 1, "repost": 1, "small_group": 4}


def test_a_hash_document_has_several_posts_and_not_its_positive(tmp_path: Path) -> None:
    section = {"kind": "hashtag", "hashtag": {"min_tag_count": 5, "posts_per_anchor": 3}, "split": NO_SPLIT}
    _, pairs = mine(pairs_config(tmp_path, tweets({"flu": 6, "diet": 5}), section))
    assert len(pairs) == 6 * 3 + 5 * 2
    for pair in pairs:
        documents = [pair["anchor_id"], *pair["more_anchor_ids"], pair["positive_id"]]
        assert len(set(documents)) == 4
        assert {name[:-1] for name in documents} == {pair["group"]}


def test_replies_are_paired_with_what_they_answer(tmp_path: Path) -> None:
    records = [
        {"id": "root", "text": "how do I fix a puncture", "thread": "root"},
        {"id": "a", "text": "use a patch", "thread": "root", "parent": "root"},
        {"id": "b", "text": "which patch then", "thread": "root", "parent": "a"},
        {"id": "copy", "text": "Use a patch!", "thread": "root", "parent": "root"},
        {"id": "echo", "text": "how do I fix a puncture?", "thread": "root", "parent": "root"},
        {"id": "lost", "text": "an answer to nothing", "thread": "gone", "parent": "gone"},
    ]
    card, pairs = mine(pairs_config(tmp_path, records, {"kind": "reply", "split": NO_SPLIT}))
    assert ids(pairs) == [("a", "b"), ("root", "a")]
    assert {pair["group"] for pair in pairs} == {"root"}
    assert dropped(card) == {"near_duplicate": 2, "no_parent": 1}


def test_threads_pair_neighbours_in_time(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"id": name, "text": text, "thread": "t", "time": f"2026-01-0{day}"}
        for name, text, day in (("c", "third", 3), ("a", "first", 1), ("b", "second", 2), ("b2", "Second!", 4))
    ]
    records += [{"id": "alone", "text": "alone", "thread": "s", "time": "2026-01-01"}]
    records += [{"id": "when", "text": "no time", "thread": "t"}]
    card, pairs = mine(pairs_config(tmp_path, records, {"kind": "thread", "split": NO_SPLIT}))
    assert ids(pairs) == [("a", "b"), ("b", "c")]
    assert dropped(card) == {"alone": 1, "near_duplicate": 1, "no_time": 1}


def test_titles_and_sentences_need_something_to_be_cut_from(tmp_path: Path) -> None:
    records = [
        {"id": "a", "text": "A title\n\nAnd a body. Of two sentences."},
        {"id": "b", "text": "Only a title\n\n..."},
        {"id": "c", "text": "One sentence"},
    ]
    card, pairs = mine(pairs_config(tmp_path, records, {"kind": "title_body", "split": NO_SPLIT}))
    assert (ids(pairs), dropped(card)) == ([("a", "a")], {"no_body": 2})
    card, pairs = mine(pairs_config(tmp_path / "ict", records, {"kind": "ict", "split": NO_SPLIT}))
    assert (ids(pairs), dropped(card)) == ([("a", "a")], {"one_sentence": 2})


def test_dictionary_terms_find_their_forms_in_the_corpus(tmp_path: Path) -> None:
    records = [
        {"id": "t1", "text": "*migrant*", "label": "migrants"},
        {"id": "t2", "text": "refugee*", "label": "migrants"},
        {"id": "t3", "text": "farmer*", "label": "farmers"},
        {"id": "t4", "text": "*owner", "label": "farmers"},
        {"id": "t5", "text": "*farm owner", "label": "owners"},
        {"id": "f1", "text": "Immigrants"},
        {"id": "f2", "text": "refugees"},
        {"id": "f3", "text": "farmers"},
        {"id": "f4", "text": "the farmers of Kent"},
        {"id": "f5", "text": "farmer-owner"},
        {"id": "f6", "text": "big farm owner"},
    ]
    section = {"kind": "dictionary", "expand": True, "split": NO_SPLIT}
    card, pairs = mine(pairs_config(tmp_path, records, section))
    found = {frozenset(pair) for pair in ids(pairs)}
    migrants, farmers = ("t1", "t2", "f1", "f2"), ("t3", "t4", "f3", "f5")
    assert found == {frozenset((a, b)) for group in (migrants, farmers) for a in group for b in group if a != b}
    assert dropped(card) == {"small_group": 1}
    _, plain = mine(pairs_config(tmp_path / "plain", records, {"kind": "dictionary", "split": NO_SPLIT}))
    assert {frozenset(pair) for pair in ids(plain)} == {frozenset(("t1", "t2")), frozenset(("t3", "t4"))}
