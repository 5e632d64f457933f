"""Do early authors have more votes, and is it more than the time they had for it?

Who came first had longest to gather a score. The raw comparison is therefore put beside three that correct for it, and
they need not agree: a rate gives newcomers with minutes of exposure huge values, a horizon leaves most authors out, a
regression (arrival_ratios.py) believes in its form. Say all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.observations import DAY, HOUR, MISSING, Doubles, Flags, Integers, known
from theta_ray.training.metrics import spearman

NUM_DECILES = 10
_AUTHORS = "over authors with a known score and a first event before the end of the observation"
_SIGN = "below 0 where early authors have more; NaN where either does not vary"
DEFINITIONS = {
    "arrival_spearman": f"Rank correlation of the time of first event with the total score, {_AUTHORS}; {_SIGN}.",
    "arrival_spearman_rate": "The same with score / hours from first event to the end of the observation, at least 1.",
    "arrival_spearman_horizon": "The same with the score of documents of an author's first hours (the horizon), over "
    "authors first seen at least the horizon and a day before the end, so that all had both.",
    "arrival_num_authors": f"Authors compared: {_AUTHORS[5:]}.",
    "arrival_num_authors_horizon": "Authors compared over the horizon.",
}


class Arrivals(NamedTuple):
    """[authors] what is compared; those of shards are put one after another (`concat`). 40 bytes an author."""

    first: Integers
    """Time of the first event; MISSING without one."""
    score: Integers
    """Total; MISSING where no document has a score."""
    early_score: Integers
    """Of documents of the first hours; MISSING as well."""
    num_posts: Integers
    container: Integers
    """Where most of the documents are, the smallest of several; any number for each, MISSING where there is none."""

    @classmethod
    def concat(cls, *parts: Arrivals) -> Arrivals:
        """Those of several shards; an author is in one of them."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Documents(NamedTuple):
    """[documents] of the authors of a shard."""

    author: NDArray[np.int32]
    times: Integers
    """Microseconds since 1970, or MISSING."""
    score: Integers
    """Or MISSING."""
    is_post: Flags
    container: Integers
    """A number for each, the same in all shards; or MISSING."""


def arrivals(documents: Documents, num_authors: int, end: int, horizon: int = DAY) -> Arrivals:
    """What is compared of the authors of a shard.

    Args:
        documents: all of theirs.
        num_authors: of the shard.
        end: of the observation; times after it are not known.
        horizon: microseconds from an author's first event.
    """
    author, times, score, is_post, container = documents
    is_known = known(times, end)
    latest = np.iinfo(np.int64).max
    first = np.full(num_authors, latest)
    np.minimum.at(first, author[is_known], times[is_known])
    is_early = is_known.copy()
    is_early[is_known] = times[is_known] - first[author[is_known]] <= horizon
    num_posts = np.bincount(author[is_post], minlength=num_authors).astype(np.int64)
    first[first == latest] = MISSING
    has_score = score != MISSING
    return Arrivals(
        first,
        _total(documents, has_score, num_authors),
        _total(documents, has_score & is_early, num_authors),
        num_posts,
        main_containers(author, container, num_authors),
    )


def main_containers(author: NDArray[np.int32], container: Integers, num_authors: int) -> Integers:
    """[authors] the container of most documents of each, the smallest of several; MISSING without one.

    Args:
        author: [documents] from 0 to `num_authors` - 1.
        container: [documents] any number for each, or MISSING.
        num_authors: of the shard.
    """
    is_in_one = container != MISSING
    author, container = author[is_in_one], container[is_in_one]
    order = np.lexsort((container, author))
    author, container = author[order], container[order]
    is_new = np.ones(len(author), bool)
    is_new[1:] = (np.diff(author) != 0) | (np.diff(container) != 0)
    place = np.flatnonzero(is_new)
    count = np.diff(place, append=len(author))
    who, where = author[place], container[place]
    # of each author the last in this order stays
    order = np.lexsort((-where, count, who))
    found = np.full(num_authors, MISSING)
    found[who[order]] = where[order]
    return found


def _total(documents: Documents, chosen: Flags, num_authors: int) -> Integers:
    """Sum of the chosen scores of each author; MISSING for those without a score at all."""
    total = np.zeros(num_authors, np.int64)
    np.add.at(total, documents.author[chosen], documents.score[chosen])
    has_any = np.zeros(num_authors, bool)
    has_any[documents.author[documents.score != MISSING]] = True
    return np.where(has_any, total, MISSING)


def arrival_statistics(found: Arrivals, end: int, horizon: int = DAY, lag: int = DAY) -> dict[str, float]:
    """Raw comparison, by rate and over the horizon; see DEFINITIONS.

    Args:
        found: all authors.
        end: of the observation.
        horizon: microseconds, as in `arrivals`.
        lag: microseconds that the documents of the horizon have for their score.
    """
    authors = comparable(found)
    first, score, early = authors.first, authors.score, authors.early_score
    had_time = first <= end - horizon - lag
    return {
        "arrival_spearman": rank_correlation(first, score),
        "arrival_spearman_rate": rank_correlation(first, score / exposure_hours(authors, end)),
        "arrival_spearman_horizon": rank_correlation(first[had_time], early[had_time]),
        "arrival_num_authors": float(len(first)),
        "arrival_num_authors_horizon": float(had_time.sum()),
    }


def arrival_deciles(found: Arrivals) -> tuple[Doubles, Doubles]:
    """Tenths of the authors by time of first event, 1 the first, and the mean score of each; empty tenths left out.

    Authors of one moment are in the tenth of the first of them.
    """
    first, score = comparable(found)[:2]
    rank = np.searchsorted(np.sort(first), first)
    decile = rank * NUM_DECILES // max(1, len(first))
    count = np.bincount(decile, minlength=NUM_DECILES)
    total = np.zeros(NUM_DECILES, np.int64)
    np.add.at(total, decile, score)
    filled = np.flatnonzero(count)
    return filled.astype(np.float64) + 1, total[filled] / count[filled]


def rank_correlation(x: Doubles | Integers, y: Doubles | Integers) -> float:
    """Spearman's, equal values share their mean rank; NaN where one does not vary."""
    once = np.ones((1, len(x)))
    return float(spearman(once, x.astype(np.float64), y.astype(np.float64))[0]) if len(x) > 1 else float("nan")


def comparable(found: Arrivals) -> Arrivals:
    """Authors with a first event and a score, in an order that does not depend on that of rows and shards."""
    chosen = (found.first != MISSING) & (found.score != MISSING)
    columns = [column[chosen] for column in found]
    order = np.lexsort(columns[::-1])
    return Arrivals(*(column[order] for column in columns))


def exposure_hours(authors: Arrivals, end: int) -> Doubles:
    """[authors] hours from the first event to the end of the observation, at least 1."""
    return np.asarray(np.maximum((end - authors.first) / HOUR, 1.0))
