"""Draws from contexts that are too large to be taken whole.

Two designs, both with a known probability for every pair, by whose inverse what is seen of it is weighted (Horvitz and
Thompson, JASA 1952):

- thinning draws `limit` of the s actors of a context; a pair is seen with probability limit (limit - 1) / (s (s - 1));
- sampling draws every pair by itself with probability `rate`: gaps between the pairs that are drawn are geometric, so
  that the others cost nothing. The variance of what a pair adds, w^2 (1 - rate) / rate, has the unbiased estimate
  w^2 (1 - rate) / rate^2 where the pair is drawn.

Random numbers belong to the seed and, of a sample, to the context and the actor: how the work is split into blocks
changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.incidence import Incidence
from theta_ray.network.segments import Places

Doubles = NDArray[np.float64]
Hashes = NDArray[np.uint64]
# Gaps that are drawn at once.
DRAWS = 2**20


def thinned(incidence: Incidence, limit: int, seed: int) -> NDArray[np.bool_]:
    """[P] whether each participation, in the order of `members`, is kept: `limit` of each context above it."""
    sizes = incidence.sizes
    is_kept = np.ones(incidence.num_participations, bool)
    large = np.repeat(sizes > limit, sizes)
    context = np.repeat(np.arange(incidence.num_contexts), sizes)[large]
    order = np.lexsort((np.random.default_rng(seed).random(len(context)), context))
    rank = np.empty(len(order), np.int64)
    of_context = sizes[sizes > limit]
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(of_context) - of_context, of_context)
    is_kept[large] = rank < limit
    return is_kept


def drawn(sizes: Places, rate: Doubles, key: Hashes) -> tuple[Places, Places]:
    """Of each row of so many places, the places that are drawn.

    Args:
        sizes: [rows] places of each row.
        rate: [rows] probability of each of its places, above 0 and below 1.
        key: [rows] what its random numbers belong to.

    Returns:
        Row and place of each draw, in no order.
    """
    rows, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    row = np.flatnonzero(sizes > 0)
    last, num_drawn = np.full(len(row), -1), 0
    while len(row):
        # enough for most rows, as far as memory goes
        mean = (sizes[row] - last - 1) * rate[row]
        many = int(np.clip(np.quantile(mean, 0.9) * 1.2 + 4, 4, max(4, DRAWS // len(row))))
        for start in range(0, len(row), DRAWS // many):
            part = slice(start, start + DRAWS // many)
            gaps = _gaps(key[row[part]], rate[row[part]], num_drawn, many)
            place = last[part, None] + np.cumsum(gaps, axis=1)
            last[part] = place[:, -1]
            is_in = place < sizes[row[part], None]
            rows.append(np.repeat(row[part], is_in.sum(axis=1)))
            places.append(place[is_in])
        num_drawn += many
        is_open = last < sizes[row] - 1
        row, last = row[is_open], last[is_open]
    return np.concatenate(rows), np.concatenate(places)


def key_of(seed: int, context: NDArray[np.integer], actor: NDArray[np.integer]) -> Hashes:
    """[rows] what the random numbers of an actor in a context belong to."""
    start = np.full(len(context), seed, np.uint64)
    return _mixed(_mixed(_mixed(start) ^ context.astype(np.uint64)) ^ actor.astype(np.uint64))


def _gaps(key: Hashes, rate: Doubles, first: int, many: int) -> Places:
    """[rows, many] geometric numbers from 1: draws `first`, `first` + 1, ... of each row."""
    numbers = _mixed(key[:, None] + _mixed(np.arange(first, first + many, dtype=np.uint64)))
    uniform = ((numbers >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    gaps: Places = (1 + np.floor(np.log(uniform) / np.log1p(-rate)[:, None]).clip(max=2.0**40)).astype(np.int64)
    return gaps


def _mixed(numbers: Hashes) -> Hashes:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): each number to one that looks random."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: Hashes = mixed ^ (mixed >> np.uint64(31))
    return found
