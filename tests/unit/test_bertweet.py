"""BERTweet's fast tokenizer gives transformers' ids, and says so where it cannot."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, RobertaConfig

from tests.bertweet import save_bertweet, write_bertweet
from tests.models import SENTENCES, roberta_tokenizer
from tests.property.test_bertweet_text import TEXTS, real_tweets
from theta_ray.config import Encoder
from theta_ray.corpus.bertweet import normalizer
from theta_ray.corpus.text import text_hash
from theta_ray.encoder.bertweet import PROBES, FastBertweet
from theta_ray.encoder.source import FolderSettings
from theta_ray.encoder.tokenize import Tokenizer

NORMALIZE = normalizer("bertweet")
LETTERS = "abc"
MERGES = st.lists(st.tuples(*[st.text(LETTERS, min_size=1, max_size=3)] * 2, st.booleans()), max_size=25)


def load(folder: Path, **options: Any) -> Any:
    return AutoTokenizer.from_pretrained(folder, **options)


def fast_of(slow: Any) -> FastBertweet:
    fast = FastBertweet.of(slow)
    assert fast is not None
    return fast


def by_transformers(slow: Any, texts: list[str], **options: Any) -> list[list[int]]:
    return list(slow(texts, **options).input_ids) if texts else []


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Any:
    texts = [*NORMALIZE([*SENTENCES, *PROBES, "haha \U0001f602 caf\u00e9 @user"] * 3)]
    return load(save_bertweet(tmp_path_factory.mktemp("bertweet"), texts, 300))


@settings(max_examples=300)
@given(texts=st.lists(TEXTS, max_size=5), limit=st.integers(2, 30))
@example(texts=["say <mask> </s>now<unk>", "a</w>b @@ x@@"], limit=30)
def test_ids_equal_those_of_transformers(slow: Any, texts: list[str], limit: int) -> None:
    fast = fast_of(slow)
    assert fast._encode(texts) == by_transformers(slow, texts)
    cut = {"truncation": True, "max_length": limit}
    assert fast._encode(texts, **cut) == by_transformers(slow, texts, **cut)
    bare = {"add_special_tokens": False}
    assert fast._encode(texts, **bare) == by_transformers(slow, texts, **bare)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(merges=MERGES, words=st.lists(st.text(LETTERS + "d", min_size=1, max_size=12), max_size=10))
@example(merges=[("a", "b", 0), ("b", "c", 0), ("abc", "a", 0), ("a", "bc", 0)], words=["abcabcd"])
@example(merges=[("b", "c", 0), ("abc", "a", 0), ("a", "bc", 0)], words=["abcabcd", "dabcabcabc"])
def test_merges_in_any_order_give_the_ids_of_transformers(tmp_path: Path, merges: Any, words: list[str]) -> None:
    pairs = [(left, f"{right}</w>" if ends else right) for left, right, ends in merges]
    runs = ["".join(run) for length in (1, 2, 3) for run in itertools.product(LETTERS, repeat=length)]
    names = {name: 5 for run in runs for name in (run, f"{run}@@")}
    write_bertweet(tmp_path, pairs, names)
    inner = load(tmp_path)
    assert fast_of(inner)._encode(words) == by_transformers(inner, words)


@pytest.mark.parametrize(
    "text",
    {
        "a line feed belongs to the word before it": "the\nroad \n is\n\nclosed\n",
        "white space of any kind parts words": "the\x1croad\u00a0is\u3000closed\x85now\u2028here",
        "a word of one character": "a b \u4e2d",
        "marks of pieces as text": "the@@ road</w> @@ </w>",
        "a special token": "the <mask> road</s> is <s>closed",
        "a space mark of other tokenizers": "\u2581the \u0120road",
    }.values(),
)
def test_the_quirks_of_transformers_are_kept(slow: Any, text: str) -> None:
    assert fast_of(slow)._encode([text]) == by_transformers(slow, [text])


@pytest.mark.parametrize("settings", [{}, {"normalization": True}], ids=["as written", "normalising"])
def test_real_tweets_have_the_ids_of_transformers(shared_data: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    tweets = real_tweets(shared_data)
    texts = tweets[::40] if settings else NORMALIZE(tweets)[::20]
    inner = load(save_bertweet(tmp_path, texts[::2]), **settings)
    options = {"truncation": True, "max_length": 128}
    assert fast_of(inner)._encode(texts, **options) == by_transformers(inner, texts, **options)


def test_every_word_of_real_tweets_has_the_ids_of_transformers(shared_data: Path, tmp_path: Path) -> None:
    texts = NORMALIZE(real_tweets(shared_data))
    inner = load(save_bertweet(tmp_path, texts[::20]))
    words = list(dict.fromkeys(word for text in texts for word in text.split()))
    assert len(words) > 100_000
    found = fast_of(inner)._encode(words, add_special_tokens=False)
    differing = [
        word
        for word, ids in zip(words, found, strict=True)
        if ids != inner.convert_tokens_to_ids(inner.bpe(word).split(" "))
    ]
    assert set(differing) <= set(inner.added_tokens_encoder)


@given(texts=st.lists(TEXTS, max_size=5))
def test_a_tokenizer_that_normalises_has_the_same_ids(slow: Any, texts: list[str]) -> None:
    inner = load(Path(slow.vocab_file).parent, normalization=True)
    assert fast_of(inner)._encode(texts) == by_transformers(inner, texts)


def test_words_beyond_the_memory_of_a_worker_change_nothing(slow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.encoder.bertweet.MAX_WORDS", 3)
    assert fast_of(slow)._encode(SENTENCES) == by_transformers(slow, SENTENCES)


def test_a_text_that_differs_turns_the_worker_to_transformers_loudly(
    slow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    texts = [f"text number {i}" for i in range(600)]
    fast = fast_of(slow)
    fast._words["512"] = (7, 7, 7)
    assert fast(texts) == by_transformers(slow, texts)
    assert f"differs on text 512 of 600, text_hash {text_hash('text number 512').hex()}" in caplog.text
    assert "text number" not in caplog.text
    caplog.clear()
    assert fast(texts) == by_transformers(slow, texts)
    assert caplog.text == ""


def test_files_that_the_fast_tokenizer_cannot_follow_are_refused_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bertweet(tmp_path, [("/", "w>"), ("<", "/w>")], {"a": 5})
    with caplog.at_level(logging.WARNING):
        assert FastBertweet.of(load(tmp_path)) is None
    assert "fast tokenizer is not used" in caplog.text


def test_a_bertweet_folder_is_tokenised_by_the_fast_one_and_others_are_not(slow: Any) -> None:
    config = RobertaConfig(max_position_embeddings=66, pad_token_id=1)
    rules = Encoder(model="/model", max_length=20)
    tokenizer = Tokenizer(slow, config, rules, FolderSettings())
    encoded = tokenizer.encode(SENTENCES)
    found = [encoded.tokens[a:b].tolist() for a, b in itertools.pairwise(encoded.offsets)]
    assert found == by_transformers(slow, SENTENCES, truncation=True, max_length=20)
    assert tokenizer._fast is not None
    assert Tokenizer(roberta_tokenizer(), config, rules, FolderSettings())._fast is None
