"""Texts as words in, how often the terms of each topic occur, alone and together, out: sums, so shards simply add up.

A window is a run of `window` words of a text, one beginning at each word where that many are left; a shorter text is
one window (the boolean sliding window of Roeder et al. 2015, section 3.2). Without a size, a text is one window. A term
of several words is in a window that holds them all, in a row.

Only terms of the same topic are counted together, so memory is G x T x M x M numbers whatever the texts are. Documents
are spread over G groups, by their texts, so that intervals can resample groups of documents: the groups are alike, and
copies of a text are in one of them (random groups, Wolter 2007, chapter 2).

Shapes: G groups, T topics, M terms of each, E entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int64]
Terms = tuple[str, ...]
"""Those of one topic, best first; words of one term are joined by a blank."""
Occurrence = tuple[int, int, int]
"""Number of a term, place of its first word in a text, and how many words it has."""
TERMS_AT_ONCE = 2**18
WINDOWS_AT_ONCE = 2**12


@dataclass(frozen=True)
class Cooccurrences:
    """Counts of windows."""

    windows_G: Counts
    """All windows of a group's texts."""
    counts_GTMM: Counts
    """Windows with term i and term j of topic t; on the diagonal, windows with term i."""

    def __add__(self, other: Cooccurrences) -> Cooccurrences:
        return Cooccurrences(self.windows_G + other.windows_G, self.counts_GTMM + other.counts_GTMM)


class Counter:
    """Counts the terms of some topics in texts that are added one after another."""

    def __init__(self, topics: Sequence[Terms], window: int | None, num_groups: int = 1) -> None:
        if window is not None and window < 1:
            raise ValueError(f"a window of {window} words; give 1 at least, or none for whole texts")
        self._window = window
        self._terms = sorted({term for terms in topics for term in terms})
        places = {term: place for place, term in enumerate(self._terms)}
        self._beginning: dict[str, list[tuple[list[str], int]]] = {}
        for term, place in places.items():
            words = term.split(" ")
            self._beginning.setdefault(words[0], []).append((words, place))
        self._members = _Members(topics, places)
        width = self._members.width
        self._windows_G = np.zeros(num_groups, np.int64)
        self._counts_GTMM = np.zeros((num_groups, len(topics), width, width), np.int64)
        self._waiting: list[tuple[int, list[int]]] = []
        """Group and terms of texts that are one window: they are counted together, many at once."""
        self._num_waiting = 0

    def add(self, words: Sequence[str], group: int = 0) -> None:
        """Count one text."""
        self.add_found(self.find(words), len(words), group)

    def find(self, words: Sequence[str]) -> list[Occurrence]:
        """Occurrences of terms in a text, the same for every counter of these topics."""
        return [
            (place, first, len(term))
            for first, word in enumerate(words)
            for term, place in self._beginning.get(word, ())
            if len(term) == 1 or list(words[first : first + len(term)]) == term
        ]

    def terms_of(self, found: Sequence[Occurrence]) -> set[str]:
        """The terms that occur."""
        return {self._terms[place] for place, _, _ in found}

    def add_found(self, found: Sequence[Occurrence], num_words: int, group: int = 0) -> None:
        """Count one text of so many words by the occurrences of terms in it."""
        if not num_words:
            return
        size = num_words if self._window is None else min(self._window, num_words)
        num_windows = num_words - size + 1
        self._windows_G[group] += num_windows
        found = [entry for entry in found if entry[2] <= size]
        if found and num_windows > 1:
            self._count_windows(np.array(found, np.int64), group, (num_windows, size))
        elif found:
            terms = sorted({place for place, _, _ in found})
            self._waiting.append((group, terms))
            self._num_waiting += len(terms)
            if self._num_waiting >= TERMS_AT_ONCE:
                self._count_waiting()

    def result(self) -> Cooccurrences:
        """Counts of all texts so far."""
        self._count_waiting()
        return Cooccurrences(self._windows_G.copy(), self._counts_GTMM.copy())

    def _count_windows(self, found_E3: Indices, group: int, shape: tuple[int, int]) -> None:
        """Add a text of several windows: a matrix of windows and terms, some windows at a time."""
        (num_windows, size), (place_E, first_E, length_E) = shape, found_E3.T
        place_U, column_E = np.unique(place_E, return_inverse=True)
        begin_E, end_E = np.maximum(first_E + length_E - size, 0), np.minimum(first_E + 1, num_windows)
        together_UU = np.zeros((len(place_U), len(place_U)))
        for start in range(0, num_windows, WINDOWS_AT_ONCE):
            count = min(WINDOWS_AT_ONCE, num_windows - start)
            changes = np.zeros((count + 1, len(place_U)), np.int32)
            np.add.at(changes, (np.clip(begin_E - start, 0, count), column_E), 1)
            np.add.at(changes, (np.clip(end_E - start, 0, count), column_E), -1)
            is_in = (np.cumsum(changes[:-1], axis=0) > 0).astype(np.float32)
            together_UU += is_in.T @ is_in
        cell_P, left_P, right_P = self._members.pairs(np.zeros(len(place_U), np.int64), place_U)
        counts = self._counts_GTMM[group].reshape(-1)
        np.add.at(counts, cell_P, together_UU[left_P, right_P].astype(np.int64))

    def _count_waiting(self) -> None:
        if self._waiting:
            many = [len(terms) for _, terms in self._waiting]
            text_E = np.repeat(np.arange(len(many)), many)
            place_E = np.concatenate([terms for _, terms in self._waiting])
            cell_P, left_P, _ = self._members.pairs(text_E, place_E)
            group_P = np.array([group for group, _ in self._waiting])[text_E[left_P]]
            cells = self._counts_GTMM[0].size
            counted = np.bincount(group_P * cells + cell_P, minlength=self._counts_GTMM.size)
            self._counts_GTMM += counted.reshape(self._counts_GTMM.shape)
        self._waiting, self._num_waiting = [], 0


class _Members:
    """Which topics a term is in, and where: entries sorted by term."""

    def __init__(self, topics: Sequence[Terms], places: Mapping[str, int]) -> None:
        self.width, self._num_topics = max(map(len, topics), default=0), len(topics)
        found = sorted((places[term], t, m) for t, terms in enumerate(topics) for m, term in enumerate(terms))
        place, self._topic, self._slot = np.array(found, np.int64).reshape(-1, 3).T
        self._first = np.searchsorted(place, np.arange(len(places) + 1))

    def pairs(self, text_E: Indices, place_E: Indices) -> tuple[Indices, Indices, Indices]:
        """Of terms in texts: all ordered pairs of one text that share a topic.

        Returns:
            Cell of [T, M, M] of each pair, and the entries of its two terms.
        """
        many_E = np.diff(self._first)[place_E]
        entry = np.repeat(np.arange(len(place_E)), many_E)
        member = _ranges(self._first[place_E], many_E)
        topic, slot = self._topic[member], self._slot[member]
        key = text_E[entry] * self._num_topics + topic
        order = np.argsort(key, kind="stable")
        _, first, size = np.unique(key[order], return_index=True, return_counts=True)
        left = np.repeat(np.arange(len(order)), np.repeat(size, size))
        right = _ranges(np.repeat(first, size), np.repeat(size, size))
        left, right = order[left], order[right]
        cell = (topic[left] * self.width + slot[left]) * self.width + slot[right]
        return cell, entry[left], entry[right]


def _ranges(first: Indices, many: Indices) -> Indices:
    """first[0], first[0] + 1, ... so many numbers, then first[1], ..."""
    ends = np.cumsum(many)
    return np.asarray(np.arange(ends[-1] if len(ends) else 0) + np.repeat(first - (ends - many), many))
