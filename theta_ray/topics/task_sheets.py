"""Topics in, tasks for people out: which word, or text, does not belong; are these words of one topic or of two.

    word intrusion      5 first terms of a topic and a first term of another one (Chang et al. 2009)
    topic-word mixing   8 first terms of one topic, or 4 of one and 4 of another
    document intrusion  3 texts that represent a topic and one that represents another

A person sees items in random order, without any topic. The key is apart: what was right, and two things that make items
easy or hard whatever the topics are worth. Intruders are matched to the rest by how many documents have them (texts by
their length), and the cosine of both topics' centroids is written down, so that results can be told by it.

The same topics and seed make the same items.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["document_intrusion", "topic_word_mixing", "word_intrusion"]
NUM_WORDS, NUM_MIXED, NUM_TEXTS = 5, 8, 3
# Of the candidates nearest in frequency, one is drawn: the nearest alone would be the same word in many items.
NUM_NEAREST = 5
ONE, MIXED = "one", "mixed"
PREFIXES: dict[Kind, str] = {"document_intrusion": "d", "topic_word_mixing": "m", "word_intrusion": "w"}


@dataclass(frozen=True)
class SheetTopic:
    """What an item shows of a topic."""

    topic_id: int
    terms: tuple[str, ...]
    """Best first."""
    centroid: npt.NDArray[np.floating[Any]]
    texts: tuple[str, ...] = ()
    """Those that represent it, best first."""


@dataclass(frozen=True)
class Item:
    """One question, and its key."""

    item_id: str
    kind: Kind
    options: tuple[str, ...]
    """In the order that a person sees."""
    answer: str
    """The number of the intruder from 1, or `one` or `mixed`."""
    topic_id: int
    other_topic_id: int | None
    """Where the intruder, or the other half, is from."""
    cosine: float
    """Of the centroids of both topics; NaN without another."""
    frequency_ratio: float
    """Documents that have the intruder over the median of the others, of texts their length; NaN without one."""

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be answered."""
        if self.kind == "topic_word_mixing":
            return ONE, MIXED
        return tuple(str(number) for number in range(1, len(self.options) + 1))


@dataclass(frozen=True)
class SheetSettings:
    """How many items."""

    items_per_topic: int = 1
    max_items: int = 200
    seed: int = 0
    name: str = ""
    """Ends the ids of the items, so that answers to other sheets are known as such."""


def make_items(
    kind: Kind, topics: Sequence[SheetTopic], documents_of: Mapping[str, int], settings: SheetSettings
) -> list[Item]:
    """The items of one sheet; topics with too few terms or texts, or without any possible intruder, are left out.

    Args:
        kind: of task.
        topics: in any order.
        documents_of: in how many documents each term is.
        settings: items of a topic and of the sheet, and the seed.
    """
    topics = sorted(topics, key=lambda topic: topic.topic_id)
    generator = np.random.default_rng([settings.seed, sorted(PREFIXES).index(kind)])
    found: list[Item] = []
    for place in generator.permutation(len(topics)).tolist():
        for _ in range(settings.items_per_topic):
            item = MAKERS[kind](topics, place, documents_of, generator)
            if item is not None and len(found) < settings.max_items:
                found.append(item)
    order = generator.permutation(len(found)).tolist()
    names = (f"{PREFIXES[kind]}{number:04d}{settings.name}" for number in range(1, len(found) + 1))
    return [replace(found[i], item_id=name) for i, name in zip(order, names, strict=True)]


def _word_intrusion(
    topics: Sequence[SheetTopic], place: int, documents_of: Mapping[str, int], generator: np.random.Generator
) -> Item | None:
    topic = topics[place]
    shown = _apart(topic.terms)[:NUM_WORDS]
    taken = _words(topic.terms)
    candidates = [
        (term, other)
        for other in topics
        if other.topic_id != topic.topic_id
        for term in other.terms[:NUM_WORDS]
        if not taken & _words([term])
    ]
    if len(shown) < NUM_WORDS or not candidates:
        return None
    middle = float(np.median([documents_of.get(term, 0) for term in shown]))
    term, other = _matched(candidates, [documents_of.get(term, 0) for term, _ in candidates], middle, generator)
    ratio = documents_of.get(term, 0) / middle if middle else math.nan
    return _intrusion("word_intrusion", shown, term, (topic, other, ratio), generator)


def _document_intrusion(
    topics: Sequence[SheetTopic], place: int, documents_of: Mapping[str, int], generator: np.random.Generator
) -> Item | None:
    del documents_of
    topic = topics[place]
    shown = topic.texts[:NUM_TEXTS]
    candidates = [
        (text, other)
        for other in topics
        if other.topic_id != topic.topic_id
        for text in other.texts[:NUM_TEXTS]
        if text not in shown
    ]
    if len(shown) < NUM_TEXTS or not candidates:
        return None
    middle = float(np.median([len(text) for text in shown]))
    text, other = _matched(candidates, [len(text) for text, _ in candidates], middle, generator)
    return _intrusion("document_intrusion", shown, text, (topic, other, len(text) / max(1, middle)), generator)


def _topic_word_mixing(
    topics: Sequence[SheetTopic], place: int, documents_of: Mapping[str, int], generator: np.random.Generator
) -> Item | None:
    topic, half = topics[place], NUM_MIXED // 2
    others = [
        other
        for other in topics
        if other.topic_id != topic.topic_id
        and len(other.terms) >= half
        and not _words(topic.terms) & _words(other.terms[:half])
    ]
    is_mixed = generator.random() < 0.5
    if len(topic.terms) < NUM_MIXED or not others:
        return None
    shown, other, ratio = topic.terms[:NUM_MIXED], None, math.nan
    if is_mixed:
        middles = [float(np.median([documents_of.get(term, 0) for term in o.terms[:half]])) for o in others]
        middle = float(np.median([documents_of.get(term, 0) for term in topic.terms[:half]]))
        _, other = _matched([("", o) for o in others], middles, middle, generator)
        shown = topic.terms[:half] + other.terms[:half]
        ratio = middles[others.index(other)] / middle if middle else math.nan
    options = tuple(shown[i] for i in generator.permutation(NUM_MIXED))
    answer = MIXED if is_mixed else ONE
    return Item("", "topic_word_mixing", options, answer, topic.topic_id, *_other(topic, other), ratio)


MAKERS = {
    "document_intrusion": _document_intrusion,
    "topic_word_mixing": _topic_word_mixing,
    "word_intrusion": _word_intrusion,
}


def _intrusion(
    kind: Kind,
    shown: Sequence[str],
    intruder: str,
    about: tuple[SheetTopic, SheetTopic, float],
    generator: np.random.Generator,
) -> Item:
    topic, other, ratio = about
    order = generator.permutation(len(shown) + 1).tolist()
    options = tuple([*shown, intruder][i] for i in order)
    answer = str(order.index(len(shown)) + 1)
    return Item("", kind, options, answer, topic.topic_id, *_other(topic, other), ratio)


def _other(topic: SheetTopic, other: SheetTopic | None) -> tuple[int | None, float]:
    """Id of the other topic, and the cosine of both centroids."""
    if other is None:
        return None, math.nan
    left, right = (np.asarray(each.centroid, np.float64) for each in (topic, other))
    length = float(np.linalg.norm(left) * np.linalg.norm(right))
    return other.topic_id, float(left @ right) / length if length else math.nan


def _matched(
    candidates: Sequence[tuple[str, SheetTopic]],
    values: Sequence[float],
    wanted: float,
    generator: np.random.Generator,
) -> tuple[str, SheetTopic]:
    """One of the candidates whose value is nearest, as ratios go."""
    apart = np.abs(np.log(np.asarray(values, np.float64) + 1) - math.log(wanted + 1))
    nearest = np.argsort(apart, kind="stable")[:NUM_NEAREST]
    return candidates[int(generator.choice(nearest))]


def _apart(terms: Sequence[str]) -> tuple[str, ...]:
    """Terms that share no word with a better one: of `heat pump` and `pump`, one alone would look like an intruder."""
    found: list[str] = []
    for term in terms:
        if not _words(found) & _words([term]):
            found.append(term)
    return tuple(found)


def _words(terms: Sequence[str]) -> set[str]:
    return {word for term in terms for word in term.split(" ")}


def sheet_rows(items: Sequence[Item]) -> Iterator[dict[str, str]]:
    """What a person sees: the options and a cell for the answer."""
    for item in items:
        options = {f"option_{number}": option for number, option in enumerate(item.options, 1)}
        yield {"item_id": item.item_id, **options, "answer": ""}


def key_rows(items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """What must be kept from that person."""
    for item in items:
        yield {name: value for name, value in vars(item).items() if name != "options"}
