"""Counts of terms in, how well the terms of each topic belong together, out: NPMI, C_V and U_Mass.

The definitions are those of Roeder, Both and Hinneburg (2015), but where a logarithm has no value: terms that never
meet have NPMI -1, its limit, where the small number that is added there by custom gives something between -1 and 0 that
depends on how frequent they are; terms that are in every window have NPMI 1, as all that only occur together. A term
that no text has is left out; a topic of fewer than two terms has no coherence (NaN).

Shapes: T topics, M terms of each; ... may be anything, such as resamples.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


def npmi(windows: Numbers, counts_TMM: Numbers) -> Values:
    """[..., T] mean normalized pointwise mutual information of all pairs of a topic's terms (Bouma 2009).

    Args:
        windows: [...] all windows; with windows of 10 words the C_NPMI of Roeder et al., with whole texts that of Lau
            et al. (2014).
        counts_TMM: [..., T, M, M] as `Cooccurrences` has them.
    """
    pairs = np.triu_indices(counts_TMM.shape[-1], 1)
    return _mean(npmi_of_pairs(windows, counts_TMM)[..., pairs[0], pairs[1]])


def c_v(windows: Numbers, counts_TMM: Numbers) -> Values:
    """[..., T] C_V: mean cosine of each term's vector of NPMI with all terms, and the sum of these vectors.

    Segmentation one-set, context vectors of NPMI with gamma 1; the published C_V counts in windows of 110 words.
    """
    npmi_TMM = npmi_of_pairs(windows, counts_TMM)
    is_seen_TM = ~np.isnan(np.diagonal(npmi_TMM, axis1=-2, axis2=-1))
    vectors_TMM = np.nan_to_num(npmi_TMM)
    sums_TM = vectors_TMM.sum(axis=-2)
    dots_TM = (vectors_TMM * sums_TM[..., None, :]).sum(axis=-1)
    norms_TM = np.linalg.norm(vectors_TMM, axis=-1) * np.linalg.norm(sums_TM, axis=-1)[..., None]
    cosines_TM = np.divide(dots_TM, norms_TM, out=np.zeros_like(dots_TM), where=norms_TM > 0)
    found = _mean(np.where(is_seen_TM, cosines_TM, np.nan))
    return np.where(is_seen_TM.sum(axis=-1) > 1, found, np.nan)


def u_mass(documents: Numbers, counts_TMM: Numbers, smoothing: float = 1.0) -> Values:
    """[..., T] mean of log((D(i, j) + 1) / D(j)) over all pairs in which j is the better term (Mimno et al. 2011).

    Counts are of whole texts; Mimno et al. give the sum of what is a mean here.
    """
    del documents  # the shares of texts cancel out
    counts = np.asarray(counts_TMM, np.float64)
    i, j = np.tril_indices(counts.shape[-1], -1)
    single_TM = np.diagonal(counts, axis1=-2, axis2=-1)
    is_seen = (single_TM[..., i] > 0) & (single_TM[..., j] > 0)
    ratio = np.divide(counts[..., i, j] + smoothing, single_TM[..., j], out=np.ones(is_seen.shape), where=is_seen)
    return _mean(np.where(is_seen, np.log(ratio), np.nan))


def npmi_of_pairs(windows: Numbers, counts_TMM: Numbers) -> Values:
    """[..., T, M, M] log(p(i, j) / (p(i) p(j))) / -log p(i, j); NaN where a term is in no window."""
    total = np.asarray(windows, np.float64)[..., None, None, None]
    p_TMM = np.divide(counts_TMM, total, out=np.zeros(counts_TMM.shape), where=total > 0)
    p_TM = np.diagonal(p_TMM, axis1=-2, axis2=-1)
    apart_TMM = p_TM[..., :, None] * p_TM[..., None, :]
    inside = (p_TMM > 0) & (p_TMM < 1)
    surprise_TMM = -np.log(p_TMM, out=np.full(p_TMM.shape, -1.0), where=inside)
    ratio_TMM = np.divide(p_TMM, apart_TMM, out=np.ones(p_TMM.shape), where=inside)
    npmi_TMM = np.where(inside, np.log(ratio_TMM) / surprise_TMM, np.where(p_TMM > 0, 1.0, -1.0))
    return np.where(apart_TMM > 0, npmi_TMM, np.nan)


def _mean(values: Values) -> Values:
    """Of the last axis, without NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=-1))
