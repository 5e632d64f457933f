"""The fast normaliser of BERTweet's texts equals the reference, on texts made to meet the rules of both."""

from __future__ import annotations

import itertools
import logging

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nltk.tokenize import TweetTokenizer

from theta_ray.corpus import bertweet, text
from theta_ray.corpus.bertweet import ADDRESS, HANDLE, SIMPLE, FastNormalizer

# What emoticons, addresses, mentions, numbers and contractions are made of.
SIGNS = "adDoOpP8:;=)('\"-_.,@#!/1\u2019"
PIECES = [
    *("@user", "@user:", "@8ball", "@o:", "RT", "#tag", "#don't", "http://a.bc/d", "https://t.co/ab...", "www.ab.com"),
    *("httpd", "www", "can", "cannot", "can't", "isn't", "ain't", "it's", "I'm", "p.m.", "p . m .", "a . m", "5pm"),
    *("...", ". .", "..", ".", "555", "1234", "(555)", "+1", "8:30", "8D", "do:", "(8", ":-)", "<3", "->", "<b>"),
    *("&amp;", "&#8220;", "&#128514;", "&nbsp;", "&#49;", "&unknown;", "&#127997;", "a@b.co", "\u2026", "\u2019s"),
    *("\U0001f602", "\U0001f44d\U0001f3fd", "\U0001f1fa\U0001f1f8", "\u200d", "\u2139", "caf\u00e9", "\u4e2d\u6587"),
    *(
        "\u0647\u0647\u0647\u0647\u0647",
        "a----b",
        "a__b",
        "!!!!!",
        "\x1c",
        "\x85",
        "\0",
        "\n",
        "\t",
        "\u0661",
        "A" * 130,
    ),
]
WORDS = st.one_of(st.sampled_from(PIECES), st.text(SIGNS, min_size=1, max_size=8), st.text(max_size=6))
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from(["", " ", " ", " ", "  ", "\n"])), max_size=12).map(
    lambda parts: "".join(itertools.chain.from_iterable(parts))
)


def fast() -> FastNormalizer:
    return FastNormalizer(text.bertweet, text.bertweet_words)


@settings(max_examples=500)
@given(st.lists(TEXTS, max_size=6))
@example(["", " ", "\n"])
@example(["call 555 123 4567 now", "wait . . . what", "5&#32;5&nbsp;5"])
def test_normalised_texts_equal_the_reference(texts: list[str]) -> None:
    assert fast().fast(texts) == [text.bertweet(written) for written in texts]


@settings(max_examples=300)
@given(TEXTS)
def test_the_words_of_a_text_are_those_of_nltk(written: str) -> None:
    piece = text.EMOJI_PARTS.sub(r" \g<0> ", text.REPEATS.sub(r"\1\1\1", written))[: text.MAX_ASCII_WORD]
    found = " ".join(text._tweet_tokenizer().PHONE_WORD_RE.findall(piece)).split()
    if "&" not in piece:
        assert found == " ".join(TweetTokenizer().tokenize(piece)).split()


def test_every_short_word_that_is_recognised_equals_the_reference() -> None:
    words = ["".join(signs) for length in (1, 2, 3) for signs in itertools.product(SIGNS, repeat=length)]
    known = [word for word in words if any(rule.fullmatch(word) for rule in (SIMPLE, HANDLE, ADDRESS))]
    assert len(known) > 1000
    assert fast().fast(known) == [text.bertweet(word) for word in known]


def test_every_real_tweet_equals_the_reference(shared_data) -> None:
    tweets = real_tweets(shared_data)
    assert len(tweets) > 100_000
    normalize = fast()
    differing = [
        written
        for start in range(0, len(tweets), 1000)
        for written, found in zip(
            tweets[start : start + 1000], normalize.fast(tweets[start : start + 1000]), strict=True
        )
        if found != text.bertweet(written)
    ]
    assert differing == []


def real_tweets(folder) -> list[str]:
    """Every distinct tweet of the folder of real data."""
    tables = (pq.read_table(path, columns=["text"]) for path in sorted(folder.glob("tweets_*/tweets.parquet")))
    return list(dict.fromkeys(written for table in tables for written in table["text"].to_pylist() if written))


def test_a_text_that_differs_turns_the_worker_to_the_reference_loudly(caplog: pytest.LogCaptureFixture) -> None:
    texts = [f"text number {i}" for i in range(600)]
    normalize = FastNormalizer(lambda written: written.upper(), text.bertweet_words)
    with caplog.at_level(logging.WARNING):
        assert normalize(texts) == [written.upper() for written in texts]
    named = text.text_hash("TEXT NUMBER 0").hex()
    assert f"differs from the reference on the text of text_hash {named}" in caplog.text
    assert "text number" not in caplog.text.lower()
    caplog.clear()
    assert normalize(texts) == [written.upper() for written in texts]
    assert caplog.text == ""


def test_one_text_in_256_is_compared_however_texts_are_batched() -> None:
    compared = []

    def reference(written: str) -> str:
        compared.append(written)
        return written

    normalize = FastNormalizer(reference, text.bertweet_words)
    for start in range(0, 1000, 100):
        normalize([f"text {i}" for i in range(start, start + 100)])
    assert compared == ["text 0", "text 256", "text 512", "text 768"]


def test_words_beyond_the_memory_of_a_worker_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bertweet, "MAX_WORDS", 3)
    texts = [f"the {word}! of the {word}" for word in ("road", "sea", "air", "road")]
    assert fast().fast(texts) == [text.bertweet(written) for written in texts]
