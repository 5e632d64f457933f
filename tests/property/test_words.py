"""Words of any text: what holds for whatever people write."""

from __future__ import annotations

import regex
from hypothesis import example, given
from hypothesis import strategies as st

from theta_ray.topics.representatives import template
from theta_ray.topics.words import BY_DICTIONARY, HAN, is_term, language_of, plain, stop_words, terms, words

SCRIPTS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
PIECES = [
    "Prime Minister",
    "#CityCycling",
    "@some_one",
    "https://t.co/aB1",
    "a.b@example.org",
    "don\u2019t",
    "今天天气",
    "東京の空",
    "สวัสดี",
    "हिन्दी",
    "ꦲꦏ꧀",
    "مرحبا",
    "&amp;",
    "3.5%",
    "\U0001f600",
    "İﬁⅫ",
    "_x_",
    "\ud800",
    "\0",
]
TEXTS = st.one_of(st.text(st.characters(codec=None)), st.lists(st.sampled_from(PIECES)).map(" ".join))


@given(TEXTS)
@example("\u0345\u1fbc")
def test_no_text_is_refused_and_no_word_is_empty_or_has_a_space(text: str) -> None:
    found = words(text)
    assert all(word and not any(c.isspace() for c in word) or word == "\n" for word in found)
    assert all(is_term(term) and term.lower() == term for term in terms(text, "en"))
    template(plain(text))


@given(TEXTS.filter(lambda text: not SCRIPTS.search(text)))
def test_words_of_words_are_the_same_words(text: str) -> None:
    found = [word for word in words(text) if is_term(word)]
    assert [word for word in words(" ".join(found)) if is_term(word)] == found


@given(TEXTS, TEXTS)
def test_words_of_two_lines_are_those_of_each(first: str, second: str) -> None:
    if BY_DICTIONARY.search(first + second) or HAN.search(first + second):
        return  # kana anywhere says how Chinese characters are read
    both = [word for word in words(f"{first}\n\n{second}") if is_term(word)]
    assert both == [word for text in (first, second) for word in words(text) if is_term(word)] or "&" in first


@given(TEXTS, st.sampled_from(["de", "en", "xx", None]))
def test_terms_are_words_without_stop_words(text: str, lang: str | None) -> None:
    stop = stop_words(language_of(text, lang, None))
    assert not stop & set(terms(text, lang))
