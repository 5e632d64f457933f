"""P-values of edges: would two actors share so many contexts, were each only as active as it is?

The stochastic degree sequence model (Neal, Social Networks 39 (2014), 84) with the probabilities of the BiCM (Saracco
et al., New Journal of Physics 19 (2017), 053022): contexts are independent, and the number that u and v share is a sum
of unequal coin flips with probabilities q_c = p_uc p_vc (Poisson binomial). The p-value of an edge is the probability
of its number of shared contexts, or of more. Probabilities belong to degrees, so the sums L = sum_c q_c and
S = sum_c q_c^2 are tables of degree by degree, and an edge looks its own up. With w shared contexts and
r = S w (w - 1) / (2 L^2), the share by which repeats of one context thin out its combinations:

- r up to 0.002: the Poisson tail P(X >= w; L);
- r up to 0.1: that, less S / 2 (P(X = w - 2) - P(X = w - 1)), the second term of the Poisson-Charlier series;
- above, with w up to 63: the exact distribution, by convolution of one binomial per size of contexts;
- above, with more, or where it is below 1e-30 already: the Poisson tail, which then is an upper bound (Hoeffding,
  Annals of Mathematical Statistics 27 (1956), 713, for w of L + 1 and more).

Tests are of all A (A - 1) / 2 pairs of actors: one without a shared context has p-value 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln, pdtrc

from theta_ray.network.bicm import Bicm
from theta_ray.network.incidence import Counts, Ids

Doubles = NDArray[np.float64]
POISSON_UP_TO, SERIES_UP_TO, EXACT_UP_TO, BEYOND_DOUBT = 0.002, 0.1, 63, 1e-30
# Probabilities that are left out of an exact one: what counts has another 30 digits.
NEGLIGIBLE = 1e-45
# Edges of one exact step, times shared contexts.
CELLS = 2**18


class SharedContexts(Protocol):
    """Edges of a projection, as far as a p-value goes."""

    @property
    def source(self) -> Ids:
        """[edges]"""
        ...

    @property
    def target(self) -> Ids:
        """[edges]"""
        ...

    @property
    def num_shared(self) -> Ids:
        """[edges]"""
        ...


@dataclass(frozen=True)
class Sdsm:
    """The test of edges of one incidence. 16 I^2 bytes beside the model's, for I distinct degrees."""

    model: Bicm
    expected: Doubles
    """[I, I] L: shared contexts that are expected."""
    squares: Doubles
    """[I, I] S."""

    @classmethod
    def of(cls, model: Bicm) -> Sdsm:
        """The test under a fitted model."""
        p, many = model.probability, model.num_contexts
        return cls(model, (p * many) @ p.T, (p**2 * many) @ (p**2).T)

    def p_values(self, edges: SharedContexts) -> Doubles:
        """[edges] probabilities of so many shared contexts, which are 1 or more, or of more."""
        size = len(self.model.degrees)
        one, other = (self.model.actor_class[ends].astype(np.int64) for ends in (edges.source, edges.target))
        # many edges are alike: each sort of edge is computed once
        keys = (edges.num_shared * np.int64(size) + np.minimum(one, other)) * size + np.maximum(one, other)
        sorts, inverse = np.unique(keys, return_inverse=True)
        num_shared, ends = sorts // size**2, sorts % size**2
        return np.asarray(self._tails(ends // size, ends % size, num_shared)[inverse])

    def _tails(self, one: Counts, other: Counts, num_shared: Counts) -> Doubles:
        mean, squares = self.expected[one, other], self.squares[one, other]
        found = np.asarray(pdtrc(num_shared - 1.0, mean))
        with np.errstate(divide="ignore", invalid="ignore"):
            repeats = np.nan_to_num(squares * num_shared * (num_shared - 1) / (2 * mean**2))
        # one shared context: no combination of them can repeat one, but the Poisson tail is off by the squares
        repeats = np.where(num_shared == 1, squares / 2, repeats)
        series = np.flatnonzero((repeats > POISSON_UP_TO) & (repeats <= SERIES_UP_TO))
        at = num_shared[series], mean[series]
        found[series] -= squares[series] / 2 * (_poisson(at[0] - 2, at[1]) - _poisson(at[0] - 1, at[1]))
        octaves = np.frexp(num_shared)[1]
        is_exact = (repeats > SERIES_UP_TO) & (num_shared <= EXACT_UP_TO) & (found > BEYOND_DOUBT)
        p = self.model.probability
        # numbers of shared contexts that are about alike, so many edges at once
        for octave in np.unique(octaves[is_exact]).tolist():
            rows = np.flatnonzero(is_exact & (octaves == octave))
            for begin in range(0, len(rows), CELLS >> octave):
                step = rows[begin : begin + (CELLS >> octave)]
                found[step] = upper_tails(p[one[step]] * p[other[step]], self.model.num_contexts, num_shared[step])
        return np.asarray(np.clip(found, 0, 1))


def upper_tails(probability: Doubles, num_contexts: Counts, num_shared: Counts) -> Doubles:
    """P(X >= w) of sums of independent coin flips, by additions of positive numbers only: small ones are as exact.

    Args:
        probability: [sums, J]
        num_contexts: [J] flips with each probability.
        num_shared: [sums] w, 1 or more.
    """
    # the same for all numbers of an octave: which sums are computed together changes no bit
    width = 2 ** int(num_shared.max(initial=1)).bit_length() - 1
    below = np.zeros((len(num_shared), width))
    # the count w is the last column, from which there is no way back: counts are moved up by what is missing
    offset = width - num_shared
    below[np.arange(len(offset)), offset] = 1.0
    tail = np.zeros(len(num_shared))
    reach = np.arange(width)
    for p, many in zip(probability.T, num_contexts.tolist(), strict=True):
        if not many or not p.any():
            continue
        more = bdtrc(np.minimum(width - 1 - reach, many), many, p[:, None])
        tail += (below * np.where(width - 1 - reach >= many, 0.0, more)).sum(axis=1)
        flips = _binomial(np.arange(min(many, width - 1) + 1), many, p)
        flips[flips < NEGLIGIBLE] = 0.0
        flips = flips[:, : int(np.flatnonzero(flips.any(axis=0)).max(initial=0)) + 1]
        moved = below * flips[:, :1]
        for count in range(1, flips.shape[1]):
            moved[:, count:] += below[:, :-count] * flips[:, count : count + 1]
        below = moved
    return tail


def _binomial(count: Counts, many: int, p: Doubles) -> Doubles:
    """[sums, counts] probabilities."""
    ways = gammaln(many + 1.0) - gammaln(count + 1.0) - gammaln(many - count + 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = ways + count * np.log(p)[:, None] + (many - count) * np.log1p(-p)[:, None]
    # 0 log 0 is 0
    certain = np.where(p == 0, count[:, None] == 0, count[:, None] == many).T
    return np.asarray(np.where(((p == 0) | (p == 1))[:, None], certain, np.exp(logs)))


def _poisson(count: NDArray[np.integer], mean: Doubles) -> Doubles:
    known = np.maximum(count, 0)
    return np.asarray(np.where(count < 0, 0.0, np.exp(known * np.log(mean) - mean - gammaln(known + 1.0))))
