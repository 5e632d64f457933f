"""The two texts of a pair as the model reads them: a pure function of the texts, the kind and a random generator.

    (kind, anchor's text, positive's text, group) -> (anchor's view, positive's view)

Each kind draws the same number of times whatever the texts are, so that a generator that is seeded by
(seed, epoch, place) gives the same views on every machine and in every batch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import regex

from theta_ray.config_pairs import Noise, Pairs
from theta_ray.corpus.text import stream_safe
from theta_ray.training.dictionary import to_term

TAG = regex.compile(r"#([\p{L}\p{M}\p{N}_]++)")
# A sentence ends after these, before white space; Chinese and Japanese put none.
SENTENCE_END = regex.compile(
    r"(?:[.!?\u2026]++[\"'\u201d\u2019)\]]*+(?=\s)|[\u3002\uff01\uff1f]++[\u300d\u300f\u201d]*+|\n)"
)
WORD = regex.compile(r"[\p{L}\p{N}]")
BLANK_LINE = "\n\n"


def views(
    kind: str, texts: tuple[str, str], group: str | None, rng: np.random.Generator, settings: Pairs
) -> tuple[str, str]:
    """The texts of an anchor and its positive; neither is empty where the pair was mined with these settings.

    Args:
        kind: of the pair.
        texts: stored texts of both documents, the anchor's joined by `hash_document` where it has several.
        group: the shared tag, label or thread.
        rng: seeded by what names this use of the pair, such as (seed, epoch, place).
        settings: the recipe's section.
    """
    anchor, positive = texts
    if kind == "hashtag":
        noise = settings.hashtag.noise
        hidden = noise.model_copy(update={"share": 1.0, "drop": 1.0, "strip": 0.0, "mask": 0.0})
        is_document = settings.hashtag.posts_per_anchor > 1
        return noised(anchor, group, rng, hidden if is_document else noise), noised(positive, group, rng, noise)
    if kind == "title_body":
        return cut_title(anchor) or (anchor, positive)
    if kind == "ict":
        return cut_sentence(anchor, rng, settings.keep_sentence_share)
    if kind == "dictionary":
        return to_term(anchor), to_term(positive)
    return anchor, positive


def negative_view(kind: str, text: str, rng: np.random.Generator, settings: Pairs) -> str:
    """The text of a hard negative, in the form that positives of this kind have: else the form gives it away."""
    if kind == "hashtag":
        return noised(text, None, rng, settings.hashtag.noise.model_copy(update={"all_tags": True}))
    if kind == "title_body":
        cut = cut_title(text)
        return cut[1] if cut else text
    return to_term(text) if kind == "dictionary" else text


def hash_document(posts: Sequence[str]) -> str:
    """One text of several posts of a tag."""
    return "\n".join(posts)


def fold_tag(tag: str) -> str:
    """A tag without regard to case and width."""
    return tag.lower() if tag.isascii() else unicodedata.normalize("NFKC", stream_safe(tag)).casefold()


def noised(text: str, tag: str | None, rng: np.random.Generator, noise: Noise) -> str:
    """`text` with the tag dropped, stripped of its # or masked, or as it is; where nothing would be left, stripped.

    All places of the tag are treated alike. With `all_tags` every other tag draws for itself, in order of appearance.
    """
    treatment = _draw(rng, noise)
    others = {}
    if noise.all_tags:
        names = dict.fromkeys(fold_tag(found[1]) for found in TAG.finditer(text))
        # a generator of its own: the draws that follow must not depend on how many tags a text has
        own = np.random.default_rng(rng.integers(2**63))
        others = {name: _draw(own, noise) for name in names if name != tag}
    treatments = {**others, **({tag: treatment} if tag is not None else {})}
    hidden = _treated(text, treatments, noise.mask_token)
    if hidden.strip():
        return hidden
    return _treated(text, dict.fromkeys(treatments, "strip"), noise.mask_token)


def _draw(rng: np.random.Generator, noise: Noise) -> str:
    """`keep`, `drop`, `strip` or `mask`, from two numbers."""
    is_changed, which = rng.random(2)
    if is_changed >= noise.share:
        return "keep"
    if which < noise.drop:
        return "drop"
    return "strip" if which < noise.drop + noise.strip else "mask"


def _treated(text: str, treatments: dict[str, str], mask_token: str) -> str:
    parts: list[str] = []
    done = 0
    for found in TAG.finditer(text):
        treatment = treatments.get(fold_tag(found[1]), "keep")
        if treatment == "keep":
            continue
        start, stop = found.span()
        before = text[done:start]
        if treatment == "drop":
            # one of the two spaces around the tag goes with it
            if before.endswith(" ") and (stop == len(text) or text[stop].isspace()):
                before = before[:-1]
            elif not parts and not before and text[stop : stop + 1] == " ":
                stop += 1
            put = ""
        else:
            put = found[1] if treatment == "strip" else mask_token
        parts += [part for part in (before, put) if part]
        done = stop
    return "".join([*parts, text[done:]])


def cut_title(text: str) -> tuple[str, str] | None:
    """Title and body, which a blank line parts; None where one of them has no word."""
    title, _, body = text.partition(BLANK_LINE)
    return (title, body) if has_words(title) and has_words(body) else None


def has_words(text: str) -> bool:
    """Whether there is a letter or a digit."""
    return WORD.search(text) is not None


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences that hold a word, by punctuation and line breaks; what has no word goes to its left."""
    spans: list[tuple[int, int]] = []
    start = 0
    for stop in [*(found.end() for found in SENTENCE_END.finditer(text)), len(text)]:
        if has_words(text[start:stop]):
            spans.append((start, stop))
            start = stop
    if spans:
        spans[-1] = (spans[-1][0], len(text))
    return spans


def cut_sentence(text: str, rng: np.random.Generator, keep_share: float) -> tuple[str, str]:
    """A random sentence, and the text without it, or with it in a share of the draws; one sentence is both."""
    which, is_kept = rng.random(2)
    spans = sentences(text)
    if len(spans) < 2:
        return text, text
    start, stop = spans[int(which * len(spans))]
    rest = text if is_kept < keep_share else f"{text[:start].rstrip()} {text[stop:].lstrip()}".strip()
    return text[start:stop].strip(), rest
