"""Views of pairs and terms of dictionaries, by example."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from theta_ray.config_pairs import Noise, Pairs
from theta_ray.training.candidates import words_of
from theta_ray.training.dictionary import Forms, Pattern, to_regex, to_term
from theta_ray.training.views import cut_title, hash_document, negative_view, noised, sentences, views

ALWAYS: dict[str, Any] = {"share": 1, "drop": 0, "strip": 0, "mask": 0}


def with_noise(text: str, **shares: Any) -> str:
    return noised(text, "flu", np.random.default_rng(0), Noise(**{**ALWAYS, **shares}))


def test_each_noise_treats_all_places_of_the_shared_tag_and_no_other() -> None:
    text = "Get #Flu shots: #flu, #fluseason and #FLU!"
    assert with_noise(text, drop=1) == "Get shots: , #fluseason and !"
    assert with_noise(text, strip=1) == "Get Flu shots: flu, #fluseason and FLU!"
    assert with_noise(text, mask=1) == "Get <mask> shots: <mask>, #fluseason and <mask>!"
    assert with_noise("#flu first", drop=1) == "first"
    assert with_noise("#flu", drop=1) == "flu"
    assert with_noise("#flu #diet", drop=1, all_tags=True) == "flu diet"


def test_half_of_the_sides_keep_their_tag_and_each_side_draws_for_itself() -> None:
    settings = Pairs(kind="hashtag")
    seen: Counter[tuple[str, str]] = Counter()
    for place in range(2000):
        rng = np.random.default_rng((0, 0, place))
        seen[views("hashtag", ("a #flu", "b #flu"), "flu", rng, settings)] += 1
    assert len(seen) == 16
    for text, share in (("a #flu", 0.5), ("a", 0.25), ("a flu", 0.125), ("a <mask>", 0.125)):
        found = sum(count for (anchor, _), count in seen.items() if anchor == text) / 2000
        assert abs(found - share) < 0.03


def test_a_hash_document_never_shows_its_tag() -> None:
    settings = Pairs.model_validate({"kind": "hashtag", "hashtag": {"posts_per_anchor": 2, "noise": {"share": 0}}})
    anchor = hash_document(["one #flu", "two #Flu"])
    assert views("hashtag", (anchor, "three #flu"), "flu", np.random.default_rng(0), settings) == (
        "one\ntwo",
        "three #flu",
    )


def test_an_inverse_cloze_keeps_its_sentence_in_a_tenth_of_the_views() -> None:
    text, settings = "One is here. Two is there! Three?", Pairs(kind="ict")
    made = [views("ict", (text, text), None, np.random.default_rng(n), settings) for n in range(1000)]
    assert {anchor for anchor, _ in made} == {"One is here.", "Two is there!", "Three?"}
    kept = sum(rest == text for _, rest in made)
    assert 70 < kept < 130
    assert ("Two is there!", "One is here. Three?") in made


def test_sentences_end_in_every_script() -> None:
    def parts(text: str) -> list[str]:
        return [text[start:stop].strip() for start, stop in sentences(text)]

    assert parts("今天下雨。我们回家！好吗？") == ["今天下雨。", "我们回家！", "好吗？"]
    assert parts("It is 3.5 km... \nReally?! Yes.") == ["It is 3.5 km...", "Really?!", "Yes."]
    assert parts("...") == []


def test_a_title_is_what_stands_before_the_first_blank_line() -> None:
    assert cut_title("Title\n\nBody\n\nMore") == ("Title", "Body\n\nMore")
    assert cut_title("Title\nno body") is None
    settings = Pairs(kind="title_body")
    assert views("title_body", ("T\n\nB", "T\n\nB"), None, np.random.default_rng(0), settings) == ("T", "B")


@pytest.mark.parametrize("kind", ["self", "label", "reply", "thread"])
def test_other_kinds_are_read_as_they_are(kind: Any) -> None:
    texts = ("an #anchor *", "a #positive")
    assert views(kind, texts, "anchor", np.random.default_rng(0), Pairs(kind=kind)) == texts


def test_a_hard_negative_has_the_form_of_a_positive() -> None:
    def seen(kind: Any, text: str) -> set[str]:
        return {negative_view(kind, text, np.random.default_rng(n), Pairs(kind=kind)) for n in range(200)}

    assert seen("hashtag", "a #flu") == {"a #flu", "a", "a flu", "a <mask>"}
    assert seen("dictionary", "*migrant*") == {"migrant"}
    assert seen("title_body", "Title\n\nBody") == {"Body"}
    assert seen("title_body", "only a title") == {"only a title"}
    assert seen("reply", "a #flu *") == {"a #flu *"}


def test_words_are_what_remains_without_links_mentions_tags_and_case() -> None:
    same = ["RT @bob: The road, is OPEN https://t.co/1 #roads", "the road is open", "@a The  road is open! www.x.com"]
    assert {words_of(text) for text in same} == {"the road is open"}
    assert words_of("ＦＵＬＬ width") == "full width"
    assert words_of("#only @tags http://links") == ""


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("*migrant*", ["migrant", "migrants", "Immigrants", "economic migrants from Poland"], ["migrating"]),
        ("migrant*", ["migrants", "some migrant workers"], ["immigrant"]),
        ("*worker", ["worker", "farmworker"], ["workers"]),
        ("*year-old*", ["16-year-olds"], ["year of old"]),
        ("work* class", ["working  class"], ["work classes"]),
        ("* owner", ["home owner"], ["owner"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_a_wildcard_is_a_wildcard_wherever_it_is(pattern: str, matches: list[str], others: list[str]) -> None:
    assert [text for text in matches if not to_regex(pattern).search(text)] == []
    assert [text for text in others if to_regex(pattern).search(text)] == []


def test_a_term_is_read_without_its_wildcards() -> None:
    assert [to_term(text) for text in ("*migrant*", " work*  class", "*", "elderly")] == [
        "migrant",
        "work class",
        "*",
        "elderly",
    ]
    settings = Pairs(kind="dictionary")
    assert views("dictionary", ("*a*", "b*"), "x", np.random.default_rng(0), settings) == ("a", "b")


def test_a_form_is_a_whole_text_and_a_lone_asterisk_has_none() -> None:
    migrant, old = Pattern("*migrant*", "migrants"), Pattern("old*", "elderly")
    forms = Forms([Pattern("*", "all"), old, migrant, Pattern("plain", "plain"), Pattern("older*", "elderly")])
    assert forms.find("Immigrants ") == {"migrants": migrant}
    assert forms.find("older") == {"elderly": old}
    assert forms.find("old-migrants") == {"migrants": migrant, "elderly": old}
    assert forms.find("old migrants") == {}
    assert forms.find("plain") == {}
