"""Words in several scripts, as people of that script would cut them."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from theta_ray.topics.words import language_of, stop_words, terms, words


def test_tags_are_words_and_addresses_mentions_and_entities_are_none() -> None:
    text = (
        "RT @Bob_1: #CityCycling &amp; citycycling, see https://t.co/aB1?x=2 or www.x.org, mail me@x.org pic.x.com/yz"
    )
    assert terms(text, "en") == ["citycycling", "citycycling", "mail"]


def test_an_address_ends_where_its_script_ends() -> None:
    assert terms("看 http://t.co/abc中国经济 @bob你好", "zh") == [
        "中国",
        "经济",
        "你好",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("中国经济增长", ["中国", "经济", "增长"]),
        ("iphone手机", ["iphone", "手机"]),
        ("東京オリンピックの開会式", ["東京", "オリンピック", "開会"]),
        ("กรุงเทพมหานครเปิดสวน", ["กรุงเทพมหานคร", "เปิด", "สวน"]),
        ("हिन्दी समाचार", ["हिन्दी", "समाचार"]),
        ("страна, Страна", ["страна", "страна"]),
        ("ＦＵＬＬ straße", ["full", "straße"]),
    ],
)
def test_each_script_is_cut_by_its_own_rules(text: str, found: list[str]) -> None:
    assert terms(text, "xx") == found


def test_a_script_without_a_tokenizer_becomes_pairs_of_characters() -> None:
    assert words("ꦲꦏꦫꦗ") == ["ꦲꦏ", "ꦏꦫ", "ꦫꦗ"]
    assert words("ꦲ") == ["ꦲ"]


def test_stop_words_are_those_of_the_language() -> None:
    assert terms("the people und die Leute", "en") == ["people", "und", "die", "leute"]
    assert terms("the people und die Leute", "de") == ["the", "people"] + ["leute"]
    assert terms("the people und die Leute", "xx") == ["the", "people", "und", "die", "leute"]
    assert "computer" not in stop_words("en")
    assert "rt" in stop_words(None)


def test_the_script_says_the_language_where_one_language_has_it() -> None:
    texts = {
        "zh": "中国",
        "ja": "東京の",
        "ko": "한국",
        "th": "สวน",
        "en": "café",
    }
    assert {lang: language_of(text, None, "en") for lang, text in texts.items()} == {lang: lang for lang in texts}
    assert language_of("中国", "ja", "en") == "ja"


@pytest.mark.parametrize("piece", ["a", "a.", "-a", "@", "_a", "中", "あ", "ก", "\u0301", "a.b/", "www."])
def test_time_grows_with_the_length_of_a_text_only(piece: str) -> None:
    def seconds(size: int) -> float:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            words(piece * size)
            times.append(time.perf_counter() - began)
        return min(times)

    # 8 times as long: 64 times the time if it were quadratic
    assert seconds(160_000) < 30 * max(seconds(20_000), 0.002)


def test_words_of_a_chinese_word_are_the_word(shared_data: Path) -> None:
    texts = pq.read_table(shared_data / "docs_thucnews_zh" / "docs.parquet")["text"].to_pylist()[:500]
    found = {term for text in texts for term in terms(text, "zh")}
    again = sum(words(term) == [term] for term in found)
    assert again > 0.97 * len(found) > 1000
