"""BERTweet's normalisation of many texts at once, equal to `text.bertweet` of each, several times as fast.

    text -> words between white space -> each word by its own (looked up, recognised, or by NLTK)
         -> contractions and times of day over all texts together

NLTK's expression looks past a white space in two places only, a phone number and dots of an ellipsis, and an
entity may stand for a white space or a digit: a text where that can be takes the reference's way whole. So does
one with a word longer than the reference leaves uncut.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence

import regex

from theta_ray.corpus import text as reference
from theta_ray.corpus.text import CONTRACTIONS, MAX_ASCII_WORD, MAX_PIECE, PUNCTUATION, REPEATS, Normalizer

NormalizeAll = Callable[[Sequence[str]], list[str]]
logger = logging.getLogger(__name__)

# One text in so many is compared with the reference.
COMPARE_EVERY = 256
# About 25 MB of a worker; a stream of tweets repeats most of its words long before.
MAX_WORDS = 2**17

# Entities that stand for what neither a phone number nor an ellipsis holds: markup, dashes, quotes, emoji.
OTHER_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|#82(?:[12]\d|30)|#12[89]\d{3});)[^&;\s]+;")
DIGITS_APART = regex.compile(r"\d[*\-.)]* [ *\-.)]*+\(?\d")
PHONE = regex.compile(r"\d{3}[ *\-.)]*+\d{4}")
DOTS_APART = re.compile(r"\.\s+\.")
# White space to Python and none to NLTK's engine; what cannot be stored.
ODD = re.compile("[\0\x1c-\x1f\ud800-\udfff]")

# Words of which NLTK's tokens are known. "@8", "do:", "(8", "8D" and their like begin with an emoticon.
HANDLE = re.compile(r"@(?![oO]?[:;=8])\w+(:?)", re.ASCII)
ADDRESS = re.compile(r"""(?i:https?)://[!-%'*-;=?-Z\\^-z|~]*[A-Za-z0-9][A-Za-z0-9/](\.{2,3}|[.,:;!?")]?)""")
SIMPLE = re.compile(
    r"""((?:["']|\((?![oO]?[:;8]))?)
    (?![dDpP][oO'-]?[:;8]|8[oO]?[dDpP]|(?i:http|www))
    ([A-Za-z](?:(?:[A-Za-z]|['_-](?!['_-]))*[A-Za-z])?     # a word, with apostrophes or hyphens
        |\#(?:[A-Za-z0-9]|_(?!_)){2,}                      # a hashtag
        |[0-9]{1,6}[A-Za-z]*(?![:;)])                      # a number, shorter than one of a telephone
        |(?!8)[0-9]{1,3}[,/.:-][0-9]{1,3}(?![:;)]))
    ((?:[,!?"']{0,3}|[.:;)]|\.["']|["']\.|\.{2,3}))""",
    re.VERBOSE,
)


def normalizer(name: str) -> NormalizeAll:
    """The normaliser of many texts that has a name in `text.NORMALIZERS`."""
    if name == "bertweet":
        return FastNormalizer(reference.bertweet, reference.bertweet_words)
    normalize = reference.NORMALIZERS[name]
    return lambda texts: [normalize(text) for text in texts]


class FastNormalizer:
    """Normalises a list of texts; for the recipe's, `FastNormalizer(text.bertweet, text.bertweet_words)`.

    One text in 256 is normalised by the reference as well. Where one differs, the whole list is done again by the
    reference, as is every later one, and a warning names the text: the outcome is the reference's either way.

    Args:
        normalize: the reference, of a whole text.
        tokens_of: the normalised tokens of a text, before contractions.
    """

    def __init__(self, normalize: Normalizer, tokens_of: Callable[[str], list[str]]) -> None:
        self.normalize, self._words = normalize, _Words(tokens_of)
        self._trusted, self._num_texts = True, 0

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """The normalised texts, in their order."""
        if self._trusted:
            found = self.fast(texts)
            first = -self._num_texts % COMPARE_EVERY
            self._num_texts += len(texts)
            differing = (i for i in range(first, len(texts), COMPARE_EVERY) if self.normalize(texts[i]) != found[i])
            worst = next(differing, None)
            if worst is None:
                return found
            self._trusted = False
            logger.warning(
                "BERTweet's fast normaliser differs from the reference on the text of text_hash %s; this worker goes "
                "on with the reference, which is slower; report the text with the versions of nltk and regex",
                reference.text_hash(self.normalize(texts[worst])).hex(),
            )
        return [self.normalize(text) for text in texts]

    def fast(self, texts: Sequence[str]) -> list[str]:
        """As `__call__`, without the comparison."""
        whole = {}
        lines = []
        for number, text in enumerate(texts):
            line = self._line(text)
            if line is None:
                whole[number], line = self.normalize(text), ""
            lines.append(line)
        joined = "\n".join(lines)
        for written, normalized in CONTRACTIONS:
            joined = joined.replace(written, normalized)
        lines = [" ".join(line.split()) for line in joined.split("\n")] if lines else []
        for number, text in whole.items():
            lines[number] = text
        return lines

    def _line(self, text: str) -> str | None:
        """The normalised words of a text, or None where it has to be taken whole."""
        if not text.isascii():
            for written, normalized in PUNCTUATION.items():
                text = text.replace(written, normalized)
        words = text.split()
        if not words or _spans(text) or len(text) > MAX_PIECE or max(map(len, words)) > MAX_ASCII_WORD:
            return None
        return " ".join(map(self._words.__getitem__, words))


def _spans(text: str) -> bool:
    """Whether a token of this text may hold a white space, or an entity makes one."""
    return bool(
        DOTS_APART.search(text)
        or (DIGITS_APART.search(text) and PHONE.search(text))
        or ("&" in text and OTHER_ENTITY.search(text))
        or (not text.isprintable() and ODD.search(text))
    )


class _Words(dict[str, str]):
    """Normalised words by word as written, without those that seldom come again."""

    def __init__(self, tokens_of: Callable[[str], list[str]]) -> None:
        super().__init__()
        self._tokens_of = tokens_of

    def __missing__(self, word: str) -> str:
        if word[0] == "@" and (found := HANDLE.fullmatch(word)):
            return "@USER :" if found[1] else "@USER"
        if word[0] in "hH" and (found := ADDRESS.fullmatch(word)):
            return " ".join(("HTTPURL", *_marks(found[1])))
        if len(word) > 1 and word[0] not in "hHwW" and word.isalpha() and (word.isascii() or not REPEATS.search(word)):
            normalized = word
        elif found := SIMPLE.fullmatch(word):
            normalized = " ".join((*found[1], found[2], *_marks(found[3])))
        else:
            normalized = " ".join(self._tokens_of(word))
        if len(self) >= MAX_WORDS:
            self.clear()
        self[word] = normalized
        return normalized


def _marks(punctuation: str) -> Sequence[str]:
    """Each mark by its own; dots stay together."""
    return (punctuation,) if punctuation[:2] == ".." else punctuation
