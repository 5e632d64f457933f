"""BERTweet's token ids from its `vocab.txt` and `bpe.codes`, equal to transformers' tokenizer, many times as fast.

    text -> words, each with the line feed that follows it (a quirk of transformers' tokenizer, kept)
         -> ids of a word, looked up or merged by the Rust library
         -> cut, with the special tokens at the ends

Words looked up take a quarter of the time of the Rust library on whole texts: tweets repeat most of theirs.

transformers merges every occurrence of the best pair at once, the Rust library one at a time. Both come to the same
pieces unless a merge makes a piece that an earlier merge takes, and makes it twice in one word: such words, and texts
that hold a special token, go to transformers' tokenizer.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from tokenizers.models import BPE

from theta_ray.corpus.bertweet import FastNormalizer
from theta_ray.corpus.text import text_hash

logger = logging.getLogger(__name__)

# One text in so many of a call is tokenised by transformers as well.
COMPARE_EVERY = 256
# About 35 MB of a worker.
MAX_WORDS = 2**17
MAX_WORD = 64
WORD = re.compile(r"\S+\n?")
END = "</w>"
UNKNOWN = " "  # no word holds a space
PROBES = (
    "RT @USER : ca n't wait , it 's 5 p.m. :face_with_tears_of_joy: #MoonLanding HTTPURL",
    "haha hahaha soooo goooood ! ! ! a b c I @@ </w> & <3 1,718 25th",
    "one\ntwo \n three\r\nfour\n\nfive\x1csix\u00a0seven\u3000eight",
    "caf\u00e9 \u4e2d\u6587 \u0645\u0631\u062d\u0628\u0627 \U0001f602 \u200d \ufe0f",
    "",
)


class FastBertweet:
    """A transformers `BertweetTokenizer`, faster; `of` makes one.

    Of each call one text in 256 is tokenised by transformers as well. Where one differs, all texts of the call are
    done again by transformers, as are all later calls, and a warning names the text.
    """

    def __init__(self, slow: Any) -> None:
        self._slow, self._trusted = slow, True
        self._normalize = FastNormalizer(slow.normalizeTweet, self._normalized_words) if slow.normalization else None
        self._words = _Words(slow)
        self._added = tuple(slow.added_tokens_encoder)
        self._before, self._after = [slow.cls_token_id], [slow.sep_token_id]

    @classmethod
    def of(cls, tokenizer: Any) -> FastBertweet | None:
        """The fast form of a tokenizer; None where it is no BERTweet's or, after a warning, where a probe differs."""
        if type(tokenizer).__name__ != "BertweetTokenizer":  # its module is slow to import where it is not used
            return None
        fast = cls(tokenizer)
        if tokenizer.truncation_side == "right" and _is_plain(tokenizer.bpe_ranks):
            fast(PROBES)
            fast(PROBES, truncation=True, max_length=8)
            for probe in PROBES:  # each is compared
                fast([probe], add_special_tokens=False)
        else:
            fast._distrust("its files or settings are none that the fast one knows")
        return fast if fast._trusted else None

    def __call__(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        """Token ids of texts; options are `truncation`, `max_length`, `add_special_tokens` and `verbose`."""
        if self._trusted:
            found = self._encode(texts, **options)
            for place in range(0, len(texts), COMPARE_EVERY):
                if self._by_transformers([texts[place]], **options) != [found[place]]:
                    # its hash, not its words: a log outlives a deletion
                    name = text_hash(texts[place]).hex()
                    self._distrust(f"it differs on text {place} of {len(texts)}, text_hash {name}")
                    break
            else:
                return found
        return self._by_transformers(texts, **options)

    def _distrust(self, why: str) -> None:
        self._trusted = False
        logger.warning(
            "BERTweet's fast tokenizer is not used: %s; this worker goes on with that of transformers, which is slower",
            why,
        )

    def _by_transformers(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._slow(list(texts), return_attention_mask=False, return_token_type_ids=False, **options)
        return list(encoded["input_ids"])

    def _encode(
        self,
        texts: Sequence[str],
        *,
        truncation: bool = False,
        max_length: int | None = None,
        add_special_tokens: bool = True,
        verbose: bool = True,
    ) -> list[list[int]]:
        before, after = (self._before, self._after) if add_special_tokens else ([], [])
        room = max(0, max_length - len(before) - len(after)) if truncation and max_length is not None else None
        ids_of = self._words.__getitem__
        # a word has at least one token
        inner = [list(chain.from_iterable(map(ids_of, words[:room])))[:room] for words in self._split(texts)]
        found = [before + ids + after for ids in inner]
        options = {"truncation": truncation, "max_length": max_length, "add_special_tokens": add_special_tokens}
        for place in self._with_added_tokens(texts):
            (found[place],) = self._by_transformers([texts[place]], **options, verbose=verbose)
        return found

    def _split(self, texts: Sequence[str]) -> Iterable[list[str]]:
        """The words of each text. A printable text has no white space but spaces."""
        texts = texts if self._normalize is None else self._normalize(texts)
        return (text.split() if text.isprintable() else WORD.findall(text) for text in texts)

    def _with_added_tokens(self, texts: Sequence[str]) -> list[int]:
        joined = "\n".join(texts)
        present = [token for token in self._added if token in joined]
        return [i for i, text in enumerate(texts) if any(token in text for token in present)] if present else []

    def _normalized_words(self, text: str) -> list[str]:
        return [self._slow.normalizeToken(token) for token in self._slow.tweetPreprocessor.tokenize(text)]


class _Words(dict[str, tuple[int, ...]]):
    """Token ids by word."""

    def __init__(self, slow: Any) -> None:
        super().__init__()
        self._slow = slow
        merges = [pair for pair, _ in sorted(slow.bpe_ranks.items(), key=lambda item: item[1]) if len(pair) == 2]
        pieces = dict.fromkeys([UNKNOWN, *chain.from_iterable((*pair, "".join(pair)) for pair in merges)])
        names = slow.encoder
        pieces |= dict.fromkeys(name[0] for name in names if len(name) == 3 and name.endswith("@@"))
        pieces |= dict.fromkeys(name + END for name in names if len(name) == 1)
        self._ids = [slow.convert_tokens_to_ids(_name(piece)) for piece in pieces]
        self._ids[0] = slow.unk_token_id
        vocabulary = {piece: i for i, piece in enumerate(pieces)}
        self._merge = BPE(
            vocabulary, merges, end_of_word_suffix=END, unk_token=UNKNOWN, fuse_unk=False, cache_capacity=0
        ).tokenize
        self._repeat = _shortest_remade(merges)

    def __missing__(self, word: str) -> tuple[int, ...]:
        if self._repeat is not None and _repeats(word, self._repeat):
            ids = tuple(self._slow.convert_tokens_to_ids(self._slow.bpe(word).split(" ")))
        else:
            ids = tuple(self._ids[token.id] for token in self._merge(word))
        if len(word) <= MAX_WORD:
            if len(self) >= MAX_WORDS:
                self.clear()
            self[word] = ids
        return ids


def _name(piece: str) -> str:
    """A piece as `vocab.txt` writes it: `@@` marks one that goes on."""
    return piece.removesuffix(END) if piece.endswith(END) else f"{piece}@@"


def _is_plain(ranks: dict[tuple[str, ...], int]) -> bool:
    """Whether only the end of a word can make a piece that ends as one, not letters that spell `</w>`."""
    return not any("".join(pair).endswith(END) and not pair[-1].endswith(END) for pair in ranks if pair)


def _shortest_remade(merges: list[tuple[str, ...]]) -> int | None:
    """Characters of the shortest piece inside words that a merge takes before the last merge that makes it."""
    made = {"".join(pair): rank for rank, pair in enumerate(merges)}
    remade = {part for rank, pair in enumerate(merges) for part in pair if rank < made.get(part, -1)}
    return min((len(piece) for piece in remade if not piece.endswith(END)), default=None)


def _repeats(word: str, length: int) -> bool:
    """Whether a run of `length` characters comes twice in a word."""
    num_runs = len(word) - length + 1
    return num_runs > 1 and len({word[i : i + length] for i in range(num_runs)}) < num_runs
