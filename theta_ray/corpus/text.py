"""Text as found becomes the stored text, its hash and its hashtags.

Every function is linear in the length of the text, whatever the text is: runs that the regular
expressions of others take quadratic time on are cut before they arrive there.
"""

from __future__ import annotations

import functools
import hashlib
import html
import re
import unicodedata
from collections.abc import Callable
from typing import Any

import regex

# Arrow holds UTF-8: no lone surrogates. NUL ends strings in too many programs that read parquet.
UNSTORABLE = re.compile("[\ud800-\udfff\0]")
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Unicode's stream-safe form (UAX 15): ordering a longer run of marks takes quadratic time.
MARKS = regex.compile(r"\p{M}{31,}")
MAX_MARKS = 30
GRAPHEME_JOINER = "\u034f"
# BERTweet's tokenizer dates from before NLTK kept flags, skin tones and joined emoji in one piece.
EMOJI_PARTS = re.compile("[\u200d\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]")
REPEATS = re.compile(r"([^a-zA-Z0-9])\1{3,}")
# TweetTokenizer is quadratic in a word of digits or dots: longer words are cut, web addresses cut off.
MAX_ASCII_WORD = 128
LONG_WORD = re.compile(r"(?i)((?:https?://|www\.)\S{0,392})\S*|([!-%'-~]{128}|\S{400})(?=\S)")
# It also stops at a wall-clock limit, so it gets long documents in pieces that end at a space.
MAX_PIECE = 10_000
PIECE = re.compile(r"(?s).{1,10000}(?:\s|\Z)|.{1,10000}")
# Names of emoji 1.7.0 that later versions changed; models were trained on the former.
EMOJI_NAMES = {"\U0001f4a4": ":zzz:", "\U0001f621": ":pouting_face:"}
# Also as a token of their own, where an HTML entity hid them.
PUNCTUATION = {"\u2019": "'", "\u2026": "..."}
# In this order, each over the whole text (BERTweet's rules on contractions and times of day).
CONTRACTIONS = (
    ("cannot ", "can not "),
    ("n't ", " n't "),
    ("n 't ", " n't "),
    ("ca n't", "can't"),
    ("ai n't", "ain't"),
    *((f"'{ending} ", f" '{ending} ") for ending in ("m", "re", "s", "ll", "d", "ve")),
    (" p . m .", " p.m."),
    (" p . m ", " p.m "),
    (" a . m .", " a.m."),
    (" a . m ", " a.m "),
)
HASHTAG = re.compile(r"#\S+")
ASCII_HASHTAG = re.compile(r"#[A-Za-z0-9]*")
ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
MAX_HASHTAG = 30
UNICODE_HASHTAG = regex.compile(r"(?<!\w)#([\p{L}\p{M}\p{N}_]++)")
LETTER = regex.compile(r"\p{L}")


def storable(text: str) -> str:
    """`text` with lone surrogates and NUL, which cannot be stored, replaced by U+FFFD."""
    return UNSTORABLE.sub("\ufffd", text)


def raw(text: str) -> str:
    """As written."""
    return storable(text)


def basic(text: str) -> str:
    """HTML entities unescaped, control characters dropped, NFC, runs of white space become one space."""
    if "&" in text:
        text = html.unescape(text)
    text = storable(CONTROL.sub("", text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", stream_safe(text))
    return " ".join(text.split())


def bertweet(text: str) -> str:
    """The normalisation that BERTweet was trained on: @USER, HTTPURL, emoji by name, split contractions.

    Emoji have the names of emoji 1.7.0. Only emoji of one code point are named, as in the original.
    """
    for written, normalized in PUNCTUATION.items():
        text = text.replace(written, normalized)
    pieces = [text] if len(text) <= MAX_PIECE else PIECE.findall(text)
    text = " ".join(word for piece in pieces for word in bertweet_words(piece))
    for written, normalized in CONTRACTIONS:
        text = text.replace(written, normalized)
    return storable(" ".join(text.split()))


def bertweet_words(piece: str) -> list[str]:
    """Normalised tokens of at most 10,000 characters, before contractions are split."""
    piece = REPEATS.sub(r"\1\1\1", piece)
    if not piece.isascii():
        piece = EMOJI_PARTS.sub(r" \g<0> ", piece)
    if len(piece) > MAX_ASCII_WORD:
        piece = LONG_WORD.sub(lambda found: found[1] or f"{found[2]} ", piece)
    nltk = _tweet_tokenizer()
    # Without an entity, what NLTK does before its expression changes nothing here
    words = nltk.tokenize(piece) if "&" in piece else nltk.PHONE_WORD_RE.findall(piece)
    return [_bertweet_word(word) for word in words]


@functools.cache
def _tweet_tokenizer() -> Any:
    from nltk.tokenize import TweetTokenizer

    return TweetTokenizer()


def _bertweet_word(word: str) -> str:
    if word[0] == "@":
        return "@USER"
    if len(word) == 1:
        return word if word.isascii() else emoji_name(word)
    if word[0] in "hHwW" and word[:4].lower().startswith(("http", "www")):
        return "HTTPURL"
    return word


@functools.lru_cache(maxsize=2**14)
def emoji_name(character: str) -> str:
    """`:name:` of an emoji of one code point; plain punctuation for curly; other characters as they are."""
    import emoji

    known = EMOJI_NAMES.get(character) or PUNCTUATION.get(character)
    return known or str(emoji.demojize(character))


def stream_safe(text: str) -> str:
    """`text` with a joiner in each run of more than 30 combining marks."""
    return str(MARKS.sub(_join_marks, text))


def _join_marks(found: Any) -> str:
    marks = found[0]
    return GRAPHEME_JOINER.join(marks[i : i + MAX_MARKS] for i in range(0, len(marks), MAX_MARKS))


def text_hash(text: str) -> bytes:
    """16 bytes that texts share when they differ in case, width, composition or white space only.

    BLAKE2b over the stored text in NFKC, case folded, white space collapsed.
    """
    if text.isascii():
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", stream_safe(text)).casefold())
    return hashlib.blake2b(" ".join(folded.split()).encode(), digest_size=16).digest()


def ascii_hashtags(text: str) -> list[str]:
    """Hashtags of ASCII letters and digits, as in the corpora of hashtag-trained encoders.

    A word from `#` on counts when it has at most 30 characters, a letter comes first, it is not cut
    off by an ellipsis, and only ASCII letters and digits remain after one trailing punctuation mark
    is taken off.
    """
    tags = []
    for word in HASHTAG.findall(text):
        if len(word) > MAX_HASHTAG or len(word) < 2 or not word[1].isalpha():
            continue
        if word.endswith("\u2026") or (len(word) > 3 and word.endswith("...")):
            continue
        if word[-1] in ASCII_PUNCTUATION:
            word = word[:-1]
        if ASCII_HASHTAG.fullmatch(word):
            tags.append(word[1:])
    return tags


def unicode_hashtags(text: str) -> list[str]:
    """Hashtags of letters, marks, digits and underscores of any script, with at least one letter."""
    return [tag for tag in UNICODE_HASHTAG.findall(text) if LETTER.search(tag)]


def no_hashtags(text: str) -> list[str]:
    """None."""
    return []


Normalizer = Callable[[str], str]
FindHashtags = Callable[[str], list[str]]
NORMALIZERS: dict[str, Normalizer] = {"basic": basic, "bertweet": bertweet, "raw": raw}
HASHTAGS: dict[str, FindHashtags] = {"ascii": ascii_hashtags, "none": no_hashtags, "unicode": unicode_hashtags}
