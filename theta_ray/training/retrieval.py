"""Vectors in, the ranks of right answers out: held-out pairs and triplets. Any slice equals its part.

Shapes: T texts of D values, Q pairs, q of them in a slice, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
# Rows of similarities that are alive at once: with 100,000 candidates 200 MB.
BLOCK_ROWS = 256
# Cosines this close are equal: what the order of a sum in float64 may change is far less, what rounding
# in the model itself may change is about this.
TIE = 1e-6
NO_GROUP = -1


@dataclass(frozen=True)
class PairTexts:
    """Q pairs of texts, by number; pairs of one group (a tag, a label) have right answers for each other."""

    anchor: Indices
    """[Q]."""
    positive: Indices
    """[Q]."""
    group: Indices
    """[Q], or -1 where a pair has none."""


def candidates_of(pairs: PairTexts) -> tuple[Indices, dict[int, Indices]]:
    """The distinct texts [C] among which positives are looked for, and which of them each group has."""
    texts_C = np.unique(pairs.positive)
    place_Q = np.searchsorted(texts_C, pairs.positive)
    order_Q = np.argsort(pairs.group, kind="stable")
    groups, starts = np.unique(pairs.group[order_Q], return_index=True)
    members = np.split(place_Q[order_Q], starts[1:])
    return texts_C, {int(g): np.unique(m) for g, m in zip(groups, members, strict=True) if g != NO_GROUP}


def ranks_of_positives(vectors_TD: Values, pairs: PairTexts, queries: slice) -> Values:
    """Rank, from 1, of some anchors' positives among the positives of all pairs; ties have their mean rank.

    Left out are other positives of the same group, for they are right as well, and the anchor's own text.

    Args:
        vectors_TD: [T, D], unit vectors.
        pairs: all Q pairs.
        queries: which of them.
    """
    texts_C, of_group = candidates_of(pairs)
    candidates_DC = vectors_TD[texts_C].T
    place_of_text = np.full(len(vectors_TD), -1, np.int64)
    place_of_text[texts_C] = np.arange(len(texts_C))
    wanted = np.arange(len(pairs.anchor))[queries]
    ranks = np.empty(len(wanted))
    for start in range(0, len(wanted), BLOCK_ROWS):
        block = wanted[start : start + BLOCK_ROWS]
        cosines = vectors_TD[pairs.anchor[block]] @ candidates_DC
        own = place_of_text[pairs.positive[block]]
        own_cosine = cosines[np.arange(len(block)), own]
        for row, query in enumerate(block):
            cosines[row, of_group.get(int(pairs.group[query]), [])] = -np.inf
            cosines[row, own[row]] = -np.inf
            if (same_text := place_of_text[pairs.anchor[query]]) >= 0:
                cosines[row, same_text] = -np.inf
        ranks[start : start + len(block)] = _mean_ranks(cosines, own_cosine)
    return ranks


def _mean_ranks(others_QC: Values, own_Q: Values) -> Values:
    """Rank of each own cosine among others."""
    nearer = (others_QC > own_Q[:, None] + TIE).sum(axis=1)
    tied = (np.abs(others_QC - own_Q[:, None]) <= TIE).sum(axis=1)
    return np.asarray(1 + nearer + tied / 2)


def in_batch(vectors_TD: Values, pairs: PairTexts, batch_size: int, queries: slice) -> tuple[Values, Values]:
    """Whether some anchors find their own positives in their batch, and the share of the batch that is no negative.

    A batch is `batch_size` pairs in their order. Pairs of the anchor's group or with its texts are no negatives.

    Returns:
        [q] 1, 0, or a half and less where other positives are as near; and [q] shares.
    """
    wanted = np.arange(len(pairs.anchor))[queries]
    found, masked = np.empty(len(wanted)), np.empty(len(wanted))
    for batch in np.unique(wanted // batch_size):
        mine = wanted // batch_size == batch
        rows = wanted[mine]
        columns = np.arange(batch * batch_size, min((batch + 1) * batch_size, len(pairs.anchor)))
        own = rows[:, None] == columns
        positive = pairs.positive[columns]
        group = pairs.group[rows, None]
        no_negative = (group == pairs.group[columns]) & (group != NO_GROUP)
        no_negative |= (positive == pairs.anchor[rows, None]) | (positive == pairs.positive[rows, None])
        cosines = vectors_TD[pairs.anchor[rows]] @ vectors_TD[positive].T
        own_cosine = cosines[own]
        cosines[no_negative | own] = -np.inf
        nearer = (cosines > own_cosine[:, None] + TIE).any(axis=1)
        tied = (np.abs(cosines - own_cosine[:, None]) <= TIE).sum(axis=1)
        found[mine] = np.where(nearer, 0.0, 1 / (1 + tied))
        masked[mine] = (no_negative & ~own).sum(axis=1) / max(1, len(columns) - 1)
    return found, masked


def triplets_kept(vectors_TD: Values, triplets_N3: Indices) -> Values:
    """Whether each anchor is nearer to its positive than to its negative: 1, 0, and a half for a tie."""
    anchor, positive, negative = (vectors_TD[triplets_N3[:, column]] for column in range(3))
    ahead = (anchor * positive).sum(axis=1) - (anchor * negative).sum(axis=1)
    return np.asarray(np.where(np.abs(ahead) <= TIE, 0.5, ahead > 0), np.float64)
