"""Texts that several documents have: exact repeats, by the hash of the normalised text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theta_ray.network.observations import Histogram, Integers, histogram

Words = NDArray[np.uint64]
DEFINITIONS = {
    "repeat_share": "Share of documents that repeat the text of another and are not its first: 1 - texts / documents. "
    "NaN without documents.",
    "repeated_text_share": "Share of documents whose text another document has, too. NaN without documents.",
    "num_texts": "Different texts: equal but for case, width and white space.",
    "commonest_text_documents": "Documents of the text that most have; 0 without documents.",
    "commonest_text_share": "Share of the documents that have it. NaN without documents.",
}


class Texts(NamedTuple):
    """Different texts by their hash, in its order, and how many documents have each."""

    high: Words
    low: Words
    num_documents: Integers


def texts(high: Words, low: Words) -> Texts:
    """Documents by text.

    Args:
        high: [documents] first half of the text's hash.
        low: [documents] second half.
    """
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    is_first = np.ones(len(high), bool)
    is_first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    starts = np.flatnonzero(is_first)
    return Texts(high[starts], low[starts], np.diff(np.append(starts, len(high))).astype(np.int64))


def copies(found: Texts) -> Histogram:
    """How many texts have how many documents. Merges over ranges of hashes: a text is in one of them."""
    return histogram(found.num_documents)


def repeat_statistics(found: Histogram) -> dict[str, float]:
    """Statistics of repeats; see DEFINITIONS."""
    num_texts, num_documents = found.size, int((found.value * found.frequency).sum())
    most = int(found.value[-1]) if num_texts else 0
    alone = int(found.frequency[found.value == 1].sum())
    nothing = float("nan")
    return {
        "repeat_share": 1 - num_texts / num_documents if num_documents else nothing,
        "repeated_text_share": 1 - alone / num_documents if num_documents else nothing,
        "num_texts": float(num_texts),
        "commonest_text_documents": float(most),
        "commonest_text_share": most / num_documents if num_documents else nothing,
    }
