import time

import pytest

from theta_ray.config import Corpus, Input
from theta_ray.corpus.authors import key_id, pseudonym, read_key
from theta_ray.corpus.text import HASHTAGS, NORMALIZERS, basic, bertweet, raw, text_hash
from theta_ray.errors import ConfigError

ZWJ = "\u200d"
GOLDEN = {
    "@NASA Check https://t.co/abc #MoonLanding \U0001f602\U0001f602 can't wait\u2026 it\u2019s 5 p.m.": (
        "@USER Check HTTPURL #MoonLanding :face_with_tears_of_joy: :face_with_tears_of_joy: can't wait ... it 's 5 p.m."
    ),
    "RT @bob: cannot believe www.x.com isn't up": "RT @USER : can not believe HTTPURL is n't up",
    f"\U0001f44d\U0001f3fd \U0001f469{ZWJ}\U0001f469{ZWJ}\U0001f467 \U0001f1fa\U0001f1f8 :)": (
        f":thumbs_up: :medium_skin_tone: :woman: {ZWJ} :woman: {ZWJ} :girl: \U0001f1fa \U0001f1f8 :)"
    ),
    "I'm #1 #blm2020! #don't": "I 'm # 1 #blm2020 ! #don't",
}
TAGS = "#Hello #a1 #1a #BLM! #don't #covid_19 #abc\u2026 #xyz... #\u00e9 #A."
HOSTILE = {
    "one letter": "a" * 10**6,
    "one word": "ab1-" * 2**15,
    "marks": "e" + "\u0301\u0316" * 50_000,
    "at signs": "@" * 10**5,
    "hashes": "#" * 10**5,
    "hashtags": "#a" * 50_000,
    "digits": "1" * 10**5,
    "dots": "a." * 20_000,
    "entities": "&#" * 50_000,
    "joiners": ZWJ * 10**5,
    "brackets": "http://" + "a((" * 30_000,
}


@pytest.mark.parametrize("written", GOLDEN)
def test_bertweet_normalises_as_its_own_tokenizer_does(written):
    assert bertweet(written) == GOLDEN[written]


def test_bertweet_keeps_the_emoji_names_of_the_version_it_was_trained_with():
    assert bertweet("\U0001f4a4 \U0001f621") == ":zzz: :pouting_face:"


def test_bertweet_takes_a_lone_at_sign_for_a_user():
    assert bertweet("Lunch @ home &#8217;") == "Lunch @USER home '"


def test_bertweet_cuts_a_long_web_address_off_without_a_rest():
    assert bertweet("see http://x.org/" + "a" * 5000 + " now") == "see HTTPURL now"


def test_bertweet_loses_no_word_of_a_long_document():
    words = ["alpha", "beta", "gamma"] * 2000
    assert bertweet(" ".join(words)).split() == words


def test_basic_unescapes_composes_and_collapses():
    assert basic(" Tom &amp; Jerry\x00\x07\n\t cafe\u0301 ") == "Tom & Jerry caf\u00e9"


def test_raw_replaces_only_what_cannot_be_stored():
    assert raw(" a\n\t&amp; \ud800\0") == " a\n\t&amp; \ufffd\ufffd"


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalised_text_can_be_stored_as_utf8(name):
    NORMALIZERS[name]("\ud83d &#xD800; \udfff \0 &#0;").encode()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("function", [*NORMALIZERS.values(), text_hash, *HASHTAGS.values()])
def test_hostile_text_takes_linear_time(function, name):
    function("warm")
    started = time.process_time()
    function(HOSTILE[name])
    # The slowest takes 4 microseconds a character; what is quadratic takes minutes.
    assert time.process_time() - started < 0.5 + 40e-6 * len(HOSTILE[name])


def test_ascii_hashtags_follow_the_published_rule():
    assert HASHTAGS["ascii"](TAGS) == ["Hello", "a1", "BLM", "A"]


def test_unicode_hashtags_take_any_script_but_need_a_letter():
    written = "#\u4e2d\u6587 a#b #1 #caf\u00e9! #1st #covid_19 ##x &#39;"
    assert HASHTAGS["unicode"](written) == ["\u4e2d\u6587", "caf\u00e9", "1st", "covid_19", "x"]


def test_no_hashtags_finds_none():
    assert HASHTAGS["none"](TAGS) == []


def test_text_hash_ignores_case_width_composition_and_white_space():
    assert text_hash("Caf\u00e9  \uff21\n") == text_hash("cafe\u0301 a")
    assert text_hash("ab") != text_hash("a b")
    assert len(text_hash("")) == 16


def test_pseudonyms_are_equal_for_equal_authors_and_keys_only():
    key, other = b"k" * 32, b"l" * 32
    assert pseudonym(key, "12") == pseudonym(key, "12") != pseudonym(other, "12")
    assert len(pseudonym(key, "12")) == 32
    assert key_id(key) != key_id(other)


@pytest.mark.parametrize("key", ["", "short"])
def test_pseudonyms_without_a_good_key_are_refused(key, monkeypatch):
    monkeypatch.setenv("THETA_RAY_AUTHOR_KEY", key)
    corpus = Corpus(inputs=(Input(reader="reddit", path="/none"),))
    with pytest.raises(ConfigError, match="THETA_RAY_AUTHOR_KEY.*openssl rand.*or say authors: raw or authors: drop$"):
        read_key(corpus)


def test_inputs_without_authors_need_no_key(monkeypatch):
    monkeypatch.delenv("THETA_RAY_AUTHOR_KEY", raising=False)
    assert read_key(Corpus(inputs=(Input(reader="text", path="/none"),))) is None
