"""Vectors to places on a plane: t-SNE (van der Maaten and Hinton, 2008) by openTSNE, from a start that nights share.

t-SNE keeps neighbours together and says nothing of how far apart clusters are. It starts from the two directions in
which topics differ most, with their signs fixed, and not from chance: while topics stay what they are, so does the
start, and with it where on the map they are from night to night (as far as Kobak and Linderman, 2021, found: the start
decides the large shapes). docs/design.md compares the libraries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Fewer rows are laid out by the start alone: nothing is to be gained from their neighbours.
MIN_ROWS = 10
PERPLEXITY = 30.0
# standard deviation of the start's first direction (Kobak and Berens, 2019, section "initialization")
START_SPREAD = 1e-4
# openTSNE approximates exactly as well by a tree, and sooner, below so many rows
FOURIER_ROWS = 10_000
Vectors = NDArray[np.float32]
Places = NDArray[np.float64]


def project(vectors: Vectors, topic_ids: NDArray[np.int64], keys: NDArray[np.uint64], seed: int) -> Places:
    """[N, 2] places from 0 to 1 of vectors whose neighbours, by cosine, are near each other.

    The same rows in another order get the same places, and so do repeated runs on one kind of machine.

    Args:
        vectors: [N, D] finite.
        topic_ids: [N] what the start is to tell apart.
        keys: [N] different ones, which decide the order of the work.
        seed: of what is left to chance: the search for neighbours.
    """
    order = np.argsort(keys)
    rows = vectors[order].astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found = np.empty((len(rows), 2))
    found[order] = _laid_out(rows.astype(np.float32), start(rows, topic_ids[order]), seed)
    return _to_unit_square(found)


def start(rows: Places, topic_ids: NDArray[np.int64]) -> Places:
    """[N, 2] rows in the two directions in which the means of topics differ most; of all rows, with under 3 topics."""
    centred = rows - rows.mean(axis=0) if len(rows) else rows
    known, place, sizes = np.unique(topic_ids, return_inverse=True, return_counts=True)
    told_apart = centred
    if len(known) > 2:
        means = np.zeros((len(known), rows.shape[1]))
        np.add.at(means, place, centred)
        told_apart = means / np.sqrt(sizes)[:, None]
    _, axes = np.linalg.eigh(told_apart.T @ told_apart)
    axes = axes[:, :-3:-1]
    # an axis and its opposite are one to the decomposition: its largest part is positive
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    found = centred @ axes
    return found if found.shape[1] == 2 else np.column_stack([found, np.zeros(len(found))])


def _laid_out(rows: Vectors, begun: Places, seed: int) -> Places:
    spread = float(begun[:, 0].std()) if len(begun) else 0.0
    if len(rows) < MIN_ROWS or spread == 0:
        return begun
    from openTSNE import TSNE  # loads scikit-learn

    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(rows) - 1) / 3),
        metric="cosine",
        initialization=begun / spread * START_SPREAD,
        negative_gradient_method="fft" if len(rows) >= FOURIER_ROWS else "bh",
        n_jobs=1,
        random_state=seed,
    )
    return np.asarray(tsne.fit(rows), np.float64)


def _to_unit_square(places: Places) -> Places:
    """The same at one scale in both directions, in the middle of the square."""
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    extent = float((high - low).max()) or 1.0
    unit: Places = 0.5 + (places - (low + high) / 2) / extent
    return unit
