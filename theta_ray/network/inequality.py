"""How unequally posts, comments or votes are spread over authors: Gini, Lorenz curve, Hoover, shares of the first.

Everything is computed from how many authors have each value, so that shards merge without loss. Values below zero (a
score of downvotes) count as zero, for a Lorenz curve that falls has no Gini; the share of authors with one is reported.
"""

from __future__ import annotations

import numpy as np

from theta_ray.network.observations import Doubles, Histogram, quantile

QUANTITIES = ("posts", "comments", "score")
TOP_PERCENTS = (1, 5, 10)
POPULATIONS = {
    "": "authors above zero",
    "_with_zeros": "all active authors, zeros included",
}
_FORMULAS = {
    "gini": "2 sum(i x_i) / (n sum(x)) - (n + 1) / n with x ascending (Gini 1912); 0 is equality. NaN without a total.",
    "gini_corrected": "Gini times n / (n - 1): 1 where one has everything (Deltas 2003). NaN with fewer than two.",
    "hoover": "Share of the total that would have to change hands for equality: sum|x - mean| / (2 sum(x)) "
    "(Hoover 1936).",
    **{
        f"top_{percent}_percent_share": f"Share of the total that the first {percent} % have: "
        f"1 - L({1 - percent / 100:.2f}) on the Lorenz curve, straight between authors."
        for percent in TOP_PERCENTS
    },
    "mean": "Mean.",
    "median": "Median.",
}
DEFINITIONS = {
    **{
        f"{quantity}_{name}{suffix}": f"{formula[:-1]}; of {quantity} over {population}."
        for quantity in QUANTITIES
        for suffix, population in POPULATIONS.items()
        for name, formula in _FORMULAS.items()
    },
    **{
        f"{quantity}_{name}": f"Share of active authors {text}."
        for quantity in QUANTITIES
        for name, text in (
            ("zero_share", f"whose {quantity} are zero"),
            ("negative_share", f"whose {quantity} are below zero; they count as zero elsewhere"),
        )
    },
}


def lorenz(values: Histogram) -> tuple[Doubles, Doubles]:
    """Lorenz curve: share of authors, least first, and the share of the total that they have; from (0, 0) to (1, 1).

    One point for each distinct value. Empty without a total.
    """
    clipped = _clipped(values)
    total = float(_weights(clipped).sum())
    if total <= 0:
        return np.zeros(0), np.zeros(0)
    authors = np.cumsum(clipped.frequency) / clipped.size
    held = np.cumsum(_weights(clipped)) / total
    return np.append(0.0, authors), np.append(0.0, held)


def gini(values: Histogram, *, corrected: bool = False) -> float:
    """Gini of values; `corrected` for small samples by n / (n - 1). NaN without a total."""
    clipped = _clipped(values)
    size, total = clipped.size, float(_weights(clipped).sum())
    if total <= 0 or (corrected and size < 2):
        return float("nan")
    ends = np.cumsum(clipped.frequency)
    # the ranks of equal values sum to their number times the mean of the first and the last
    mean_rank = (2 * ends - clipped.frequency + 1) / 2
    found = float(((2 * mean_rank - size - 1) * _weights(clipped)).sum() / (size * total))
    return found * size / (size - 1) if corrected else found


def hoover(values: Histogram) -> float:
    """Hoover index of values. NaN without a total."""
    clipped = _clipped(values)
    total = float(_weights(clipped).sum())
    if total <= 0:
        return float("nan")
    return float((np.abs(clipped.value - total / clipped.size) * clipped.frequency).sum() / (2 * total))


def top_share(values: Histogram, share: float) -> float:
    """Share of the total that this share of the authors has, the first ones. NaN without a total."""
    authors, held = lorenz(values)
    return float(1 - np.interp(1 - share, authors, held)) if len(authors) else float("nan")


def measures(values: Histogram) -> dict[str, float]:
    """All measures of one population, by the ends of their names in `DEFINITIONS`."""
    clipped = _clipped(values)
    size = clipped.size
    return {
        "gini": gini(clipped),
        "gini_corrected": gini(clipped, corrected=True),
        "hoover": hoover(clipped),
        **{f"top_{percent}_percent_share": top_share(clipped, percent / 100) for percent in TOP_PERCENTS},
        "mean": float(_weights(clipped).sum() / size) if size else float("nan"),
        "median": quantile(clipped, 0.5),
    }


def inequality(quantity: str, values: Histogram, num_authors: int) -> dict[str, float]:
    """Statistics of one quantity, `posts`, `comments` or `score`; see DEFINITIONS.

    Args:
        quantity: what is counted.
        values: of authors; those without any may be left out.
        num_authors: all that are active.
    """
    everybody = values.with_zeros(num_authors)
    positive = above_zero(values)
    low = int(values.frequency[values.value < 0].sum())
    found = {f"{quantity}_{name}": value for name, value in measures(positive).items()}
    found |= {f"{quantity}_{name}_with_zeros": value for name, value in measures(everybody).items()}
    shares = {"zero_share": num_authors - positive.size - low, "negative_share": low}
    unknown = float("nan")
    return found | {f"{quantity}_{name}": n / num_authors if num_authors else unknown for name, n in shares.items()}


def above_zero(values: Histogram) -> Histogram:
    """Without zeros and what is below."""
    return Histogram(values.value[values.value > 0], values.frequency[values.value > 0])


def _clipped(values: Histogram) -> Histogram:
    if not len(values.value) or values.value[0] >= 0:
        return values
    num_low = int(values.frequency[values.value <= 0].sum())
    above = above_zero(values)
    return Histogram(np.append(0, above.value), np.append(num_low, above.frequency))


def _weights(values: Histogram) -> Doubles:
    found: Doubles = values.value.astype(np.float64) * values.frequency
    return found
