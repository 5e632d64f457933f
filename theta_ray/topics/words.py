"""The words of a text, in any script: a pure function of the text. What of them can be a term of a topic.

- Lower-case in Unicode's form NFKC; letters, marks and digits in a row are a word, also with `_` inside.
- A hashtag is the word after its #. Web addresses, e-mail addresses and @mentions are no words.
- Chinese is cut by jieba (rjieba), a text with kana and the scripts of South-East Asia that need a dictionary by ICU
  (icu4py). Scripts without spaces for which neither has one become overlapping pairs of characters.
- A term has a letter, 2 to 50 characters, and is no stop word of the text's language (Stopwords ISO).

Every function is linear in the length of the text.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata

import regex

from theta_ray.corpus.text import UNSTORABLE, stream_safe

MIN_CHARS, MAX_CHARS = 2, 50
# Each begins where a run of its characters begins, so nothing is tried twice on the same characters.
URL = re.compile(r"(?:https?://|www\.)[!-~]*")
MAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]*|@(?:[A-Za-z0-9_]+|\w*)")
PLACE = re.compile(r"(?<![\w.-])[a-zA-Z0-9-]++(?:\.[a-zA-Z0-9-]++)+/[!-~]*")
# Words, and the punctuation that no bigram reaches across.
PUNCTUATION = r"[.,;:!?()\[\]{}\"\n\u3001\u3002\u201c\u201d\u00ab\u00bb|/]"
WORD = re.compile(rf"[^\W_]+(?:_[^\W_]+)*|{PUNCTUATION}")
# What `re` calls a letter leaves out the vowel signs of Indic scripts, and what belongs to a letter elsewhere.
MARK = regex.compile(r"\p{M}")
MARKED_WORD = regex.compile(rf"[\p{{L}}\p{{M}}\p{{N}}]++(?:_[\p{{L}}\p{{M}}\p{{N}}]++)*+|{PUNCTUATION}")
LETTER = regex.compile(r"\p{L}")
CHARACTER = regex.compile(r"\X")
# Below it are scripts that put spaces between words only.
FIRST_UNSPACED = "\u0e00"
HAN = regex.compile(r"\p{Han}")
KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
HANGUL = regex.compile(r"\p{Hangul}")
THAI = regex.compile(r"\p{Thai}")
BY_DICTIONARY = regex.compile(r"[\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
WITHOUT_TOKENIZER = regex.compile(r"[\p{Balinese}\p{Javanese}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}]")
# Grammar of the platforms: retweets, and what is left of entities.
PLATFORM = frozenset(("rt", "amp", "gt", "lt", "nbsp", "quot", "http", "https"))
# In Stopwords ISO's English list, but they say what a text is about.
_CONTENT = (
    "area areas billion case cases computer course face faces fact facts fire group groups information interest "
    "interests invention member members men microsoft million mug netscape order orders page pages problem "
    "problems research ring room rooms run site state states system test text thousand trillion web webpage "
    "website work world young"
)
CONTENT = frozenset(_CONTENT.split())
LANGUAGE_OF_SCRIPT = (("ja", KANA), ("zh", HAN), ("ko", HANGUL), ("th", THAI))


def words(text: str) -> list[str]:
    """Words of a text in order, and single punctuation marks where a sentence or a part of one ends."""
    return words_of_plain(plain(text))


def words_of_plain(text: str) -> list[str]:
    """`words` of a text that `plain` gave, which is a third of the work."""
    if text.isascii():
        return WORD.findall(text)
    found = MARKED_WORD.findall(text) if MARK.search(text) else WORD.findall(text)
    if max(text) < FIRST_UNSPACED:
        return list(found)
    has_kana = KANA.search(text) is not None
    return [part for word in found for part in (_cut(word, has_kana) if max(word) >= FIRST_UNSPACED else (word,))]


def plain(text: str) -> str:
    """A text in lower case and NFKC, without entities, addresses and mentions."""
    if "&" in text:
        text = html.unescape(text)
    if "://" in text or "www." in text:
        text = URL.sub(" ", text)
    if "@" in text:
        text = MAIL.sub(" ", text)
    if "/" in text:
        text = PLACE.sub(" ", text)
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", stream_safe(UNSTORABLE.sub(" ", text))).lower()
    return unicodedata.normalize("NFKC", text)


def _cut(word: str, has_kana: bool) -> list[str]:
    """Words of a run of letters that has no spaces, where its script writes none."""
    if BY_DICTIONARY.search(word) or (has_kana and HAN.search(word)):
        from icu4py.breakers import WordBreaker

        return list(WordBreaker(word, "ja"))
    if HAN.search(word):
        import rjieba

        return list(rjieba.cut(word))
    if lacks_tokenizer(word):
        characters = CHARACTER.findall(word)
        return ["".join(pair) for pair in zip(characters, characters[1:], strict=False)] or [word]
    return [word]


def lacks_tokenizer(text: str) -> bool:
    """Whether some of a text becomes pairs of characters."""
    return not text.isascii() and WITHOUT_TOKENIZER.search(text) is not None


def is_term(word: str) -> bool:
    """Whether a word can be a term, stop words aside."""
    return MIN_CHARS <= len(word) <= MAX_CHARS and LETTER.search(word) is not None


def terms(text: str, lang: str | None = None) -> list[str]:
    """Words of a text that can be terms, without the stop words of its language."""
    stop = stop_words(language_of(text, lang, None))
    return [word for word in words(text) if is_term(word) and word not in stop]


def language_of(text: str, lang: str | None, otherwise: str | None) -> str | None:
    """The language that decides stop words: the known one, else that of the script where one writes it, else another.

    Args:
        text: as stored.
        lang: of the corpus; None where it is unknown.
        otherwise: for unknown languages of scripts that many languages share.
    """
    if lang is not None:
        return lang
    if text.isascii() or max(text) < FIRST_UNSPACED:
        return otherwise
    return next((code for code, script in LANGUAGE_OF_SCRIPT if script.search(text)), otherwise)


@functools.cache
def stop_words(lang: str | None) -> frozenset[str]:
    """Stop words of a language by its ISO 639-1 code, as `words` finds them; those of platforms for any language."""
    import stopwordsiso

    listed = stopwordsiso.stopwords(lang) if lang is not None and stopwordsiso.has_lang(lang) else ()
    found = {part for word in listed for part in words(word)} | PLATFORM
    return frozenset(found - CONTENT if lang == "en" else found)
