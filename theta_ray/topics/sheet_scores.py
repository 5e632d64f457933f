"""The key of a task sheet and what people answered in, how well people can tell the topics, out.

Share of right answers with Wilson's interval, beside that of chance; F1 on `mixed`; agreement between people
(Krippendorff's alpha); each topic's own share; and Kendall's tau of these shares with automatic metrics. Intervals take
answers as independent; several people on one item are less so, and alpha says how much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from theta_ray.errors import InputError
from theta_ray.topics.agreement import krippendorff_alpha, wilson_interval
from theta_ray.topics.task_sheets import MIXED, Item

Answers = Mapping[str, str]
"""Item -> answer, of one person."""


@dataclass(frozen=True)
class Share:
    """Right answers of all answers."""

    num_right: int
    num_answers: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """NaN without answers."""
        return self.num_right / self.num_answers if self.num_answers else math.nan


@dataclass(frozen=True)
class SheetScore:
    """What one sheet says."""

    accuracy: Share
    chance: float
    """Mean share of right answers of somebody who guesses."""
    f1: float
    """Of `mixed` in topic-word mixing; NaN elsewhere."""
    alpha: float
    """NaN for one person, or where all answers are the same."""
    by_topic: dict[int, Share]
    by_cosine: tuple[Share, Share]
    """Items whose two topics are farther apart than the median, and the others."""


def score_sheet(items: Sequence[Item], people: Mapping[str, Answers], confidence: float = 0.95) -> SheetScore:
    """What people's answers to the items of one sheet say of the topics.

    Args:
        items: with their key.
        people: name of a person, or of a file -> answers; items without one are left out.
        confidence: of the intervals.

    Raises:
        InputError: an answer to an item that is not there, or one that it does not offer.
    """
    by_id = {item.item_id: item for item in items}
    for name, answers in people.items():
        for item_id, answer in answers.items():
            if item_id not in by_id:
                raise InputError(f"{name}: item {item_id} is not on the sheet; score each sheet with its own key")
            choices = by_id[item_id].choices
            if answer.lower() not in choices:
                raise InputError(f"{name}: item {item_id} is answered {answer!r}; write one of {', '.join(choices)}")
    given = [
        (item, person[item.item_id].lower()) for item in items for person in people.values() if item.item_id in person
    ]
    # numbers of options, which are in random order: by chance, people agree as often as their numbers do
    said = [[person[item.item_id].lower() for person in people.values() if item.item_id in person] for item in items]
    cosines = [item.cosine for item, _ in given if not math.isnan(item.cosine)]
    middle = float(np.median(cosines)) if cosines else math.nan
    topics = sorted({item.topic_id for item, _ in given})
    return SheetScore(
        _share(given, confidence),
        float(np.mean([1 / len(item.choices) for item, _ in given])) if given else math.nan,
        _f1(given),
        krippendorff_alpha(said),
        {topic: _share([pair for pair in given if pair[0].topic_id == topic], confidence) for topic in topics},
        (
            _share([pair for pair in given if pair[0].cosine < middle], confidence),
            _share([pair for pair in given if pair[0].cosine >= middle], confidence),
        ),
    )


def rank_correlation(by_topic: Mapping[int, Share], metric: Mapping[int, float]) -> tuple[float, float, int]:
    """Kendall's tau-b of people's shares and an automatic metric over topics, its p-value, and how many topics.

    NaN for fewer than three topics, or where either is constant.
    """
    topics = [t for t in by_topic if t in metric and not math.isnan(metric[t]) and by_topic[t].num_answers]
    pairs = np.array([(by_topic[t].value, metric[t]) for t in topics]).reshape(-1, 2)
    if len(pairs) < 3 or (np.ptp(pairs, axis=0) == 0).any():
        return math.nan, math.nan, len(pairs)
    found = kendalltau(pairs[:, 0], pairs[:, 1])
    return float(found.statistic), float(found.pvalue), len(pairs)


def _share(given: Sequence[tuple[Item, str]], confidence: float) -> Share:
    right = sum(answer == item.answer for item, answer in given)
    return Share(right, len(given), *wilson_interval(right, len(given), confidence))


def _f1(given: Sequence[tuple[Item, str]]) -> float:
    mixing = [(item.answer == MIXED, answer == MIXED) for item, answer in given if item.kind == "topic_word_mixing"]
    true, said = sum(truth for truth, _ in mixing), sum(answer for _, answer in mixing)
    both = sum(truth and answer for truth, answer in mixing)
    return 2 * both / (true + said) if true + said else math.nan
