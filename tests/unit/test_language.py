import pyarrow.parquet as pq
import pytest

from theta_ray.corpus.language import identify, source_language


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("The weather is lovely this morning", "en"),
        ("Il fait tr\u00e8s beau ce matin", "fr"),
        ("\u4eca\u65e5\u306f\u3068\u3066\u3082\u5929\u6c17\u304c\u3044\u3044\u3067\u3059", "ja"),
        ("\uc624\ub298 \ub0a0\uc528\uac00 \uc815\ub9d0 \uc88b\uc544\uc694 CNN", "ko"),
        ("\u4f53\u9a8c\u5dc5\u5cf0 \u5012\u5929\u5c60\u9f99\u8bb0\u5341\u5927\u521b\u65b0\u6982\u89c8", "zh"),
    ],
)
def test_plain_sentences_are_identified(text, lang):
    assert identify(text)[0] == lang


@pytest.mark.parametrize("text", ["", " \n", "12:30 !!!", "\U0001f602", "@someone https://t.co/abc", "\0"])
def test_text_without_letters_has_no_language(text):
    assert identify(text) == (None, 0.0)


def test_line_breaks_change_nothing():
    text = "The weather\nis lovely\r\nthis\u2028morning"
    assert identify(text) == identify("The weather is lovely this morning")


def test_score_is_between_zero_and_one():
    assert 0 < identify("The weather is lovely this morning")[1] <= 1


def test_source_languages_lose_regions_and_codes_for_unknown():
    given = ["en-GB", "PT_br", "und", "qst", "iw", None, ""]
    assert [source_language(code) for code in given] == ["en", "pt", None, None, "he", None, None]


def test_tweets_of_seven_languages_are_told_apart(shared_data):
    table = pq.read_table(shared_data / "tweets_umsab" / "tweets.parquet", columns=["lang", "text"])
    # The Hindi tweets are in Latin letters, which no identifier at hand tells from other languages.
    rows = [row for row in table.slice(0).to_pylist()[::8] if row["lang"] != "hi"]
    right = sum(identify(row["text"])[0] == row["lang"] for row in rows)
    assert right / len(rows) > 0.95
