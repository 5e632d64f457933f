"""How good an encoder is on held-out texts, beside another on the same ones: metrics with bootstrap intervals.

    held-out texts -> encode -> vectors -> per_query (each worker a part) -> join -> summarise; compare with a base

1. `HeldOut.texts` are all distinct texts; the caller encodes them, in as many parts as it likes.
2. `per_query` gives a value for each query of one part, against the vectors of all texts; `join` of the parts is the
   same as `per_query` of the whole.
3. `summarise` and `compare` give JSON values: metric, interval and number of queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from theta_ray.config_evaluation import Evaluation
from theta_ray.encoder.neighbours import evenly_spaced
from theta_ray.errors import InputError
from theta_ray.training import metrics
from theta_ray.training.bootstrap import Estimate, Statistic, estimate, estimate_difference
from theta_ray.training.collapse import Spread, spread_of, to_unit
from theta_ray.training.labelled import nearest_labels, spherical_k_means
from theta_ray.training.retrieval import (
    NO_GROUP,
    Indices,
    PairTexts,
    Values,
    in_batch,
    ranks_of_positives,
    triplets_kept,
)

# Labelled texts: clusters of many more take longer than the training of a small adapter.
MAX_LABELLED = 5000
Columns = dict[str, npt.NDArray[np.generic]]
Encode = Callable[[Sequence[str]], npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Metric:
    """A statistic of some columns of per-query values."""

    columns: tuple[str, ...]
    statistic: Statistic
    is_better: int = 1
    """1: higher is better, -1: lower, 0: neither."""
    is_biased: bool = False
    """Whether repeated queries alone change it (bootstrap.py)."""


METRICS = {
    "recall_at_1": Metric(("rank",), partial(metrics.recall_at, 1)),
    "recall_at_10": Metric(("rank",), partial(metrics.recall_at, 10)),
    "mrr": Metric(("rank",), metrics.mean_reciprocal_rank),
    "in_batch_accuracy": Metric(("in_batch",), metrics.weighted_mean),
    "mask_rate": Metric(("masked",), metrics.weighted_mean, 0),
    "alignment": Metric(("distance",), metrics.weighted_mean, -1),
    "spearman": Metric(("cosine", "score"), metrics.spearman),
    "triplet_accuracy": Metric(("triplet",), metrics.weighted_mean),
    "knn_accuracy": Metric(("knn",), metrics.weighted_mean),
    "nmi": Metric(("label", "cluster"), metrics.normalized_mutual_information, is_biased=True),
}
SPREAD = ("uniformity", "effective_rank", "mean_cosine")


@dataclass(frozen=True)
class HeldOut:
    """What an encoder is asked: texts by number, and what is known of them. Any of the four kinds may be empty."""

    texts: tuple[str, ...]
    """All distinct texts."""
    pairs: PairTexts
    scored: tuple[Indices, Values]
    """[S, 2] texts, [S] how similar people find them."""
    labelled: tuple[Indices, Indices]
    """[L] texts, [L] numbers of labels."""
    triplets: Indices
    """[N, 3] anchor, positive, negative."""

    @staticmethod
    def of(
        pairs: Sequence[tuple[str, str, str | None]] = (),
        scored: Sequence[tuple[str, str, float]] = (),
        labelled: Sequence[tuple[str, str]] = (),
        triplets: Sequence[tuple[str, str, str]] = (),
    ) -> HeldOut:
        """Number the texts of pairs (anchor, positive, group), scored pairs, labelled texts and triplets.

        Of more than 5,000 labelled texts 5,000 are taken, evenly spaced.

        Raises:
            InputError: nothing at all, or all labelled texts of one label.
        """
        number: dict[str, int] = {}
        labelled = [labelled[place] for place in evenly_spaced(len(labelled), MAX_LABELLED)]

        def numbered(texts: Sequence[str]) -> Indices:
            return np.array([number.setdefault(text, len(number)) for text in texts], np.int64)

        anchors, positives = numbered([p[0] for p in pairs]), numbered([p[1] for p in pairs])
        lefts, rights = numbered([s[0] for s in scored]), numbered([s[1] for s in scored])
        of_label, three = numbered([text for text, _ in labelled]), numbered([t for three in triplets for t in three])
        if not number:
            raise InputError("evaluation: the held-out split is empty; raise the test share of the pairs, or add texts")
        labels = sorted({label for _, label in labelled})
        if len(labels) == 1:
            raise InputError(f"evaluation: all labelled texts have the label {labels[0]}; two are needed at least")
        groups: dict[str, int] = {}
        group = [NO_GROUP if g is None else groups.setdefault(g, len(groups)) for _, _, g in pairs]
        return HeldOut(
            texts=tuple(number),
            pairs=PairTexts(anchors, positives, np.array(group, np.int64)),
            scored=(np.stack([lefts, rights], axis=1), np.array([s[2] for s in scored], np.float64)),
            labelled=(of_label, np.array([labels.index(label) for _, label in labelled], np.int64)),
            triplets=three.reshape(-1, 3),
        )


@dataclass(frozen=True)
class Scores:
    """Values of queries, by column, and the spread of the vectors."""

    columns: Columns
    spread: Spread
    """For `check_collapse`."""


def evaluate(encode: Encode, held_out: HeldOut, settings: Evaluation) -> Scores:
    """Encode all texts here and score all queries; `summarise` and `compare` tell the result."""
    return per_query(np.asarray(encode(held_out.texts)), held_out, settings)


def per_query(
    vectors_TD: npt.NDArray[np.floating], held_out: HeldOut, settings: Evaluation, part: tuple[int, int] = (0, 1)
) -> Scores:
    """Values of the queries of one part, against all texts; clusters, which are of all texts at once, in the first.

    Args:
        vectors_TD: vectors of `held_out.texts`, of any length above 0.
        held_out: the same for all parts.
        settings: how many neighbours vote, and what a batch is.
        part: its number and how many there are.

    Raises:
        StageError: a vector is NaN, infinite or zero.
    """
    unit_TD = to_unit(vectors_TD, "evaluation")
    pairs, (scored, score), (text, label) = held_out.pairs, held_out.scored, held_out.labelled
    mine, mine_scored, mine_labelled, mine_triplets = (
        _slice(len(all_of), part) for all_of in (pairs.anchor, score, text, held_out.triplets)
    )
    columns: Columns = {}
    if len(pairs.anchor):
        columns["rank"] = ranks_of_positives(unit_TD, pairs, mine)
        columns["in_batch"], columns["masked"] = in_batch(unit_TD, pairs, settings.batch_size, mine)
        columns["distance"] = metrics.squared_distances(unit_TD[pairs.anchor[mine]], unit_TD[pairs.positive[mine]])
    if len(score):
        columns["cosine"] = (unit_TD[scored[mine_scored, 0]] * unit_TD[scored[mine_scored, 1]]).sum(axis=1)
        columns["score"] = score[mine_scored]
    if len(held_out.triplets):
        columns["triplet"] = triplets_kept(unit_TD, held_out.triplets[mine_triplets])
    if len(text):
        columns["knn"] = nearest_labels(unit_TD, held_out.labelled, settings.num_neighbors, mine_labelled)
        columns["label"], columns["cluster"] = _clusters(unit_TD[text], label, settings, part)
    return Scores(columns, spread_of(unit_TD))


def _clusters(
    unit_LD: npt.NDArray[np.float64], label_L: Indices, settings: Evaluation, part: tuple[int, int]
) -> tuple[Indices, Indices]:
    """Labels and clusters of all labelled texts, in the first part; clusters of two machines may have other numbers."""
    if part[0]:
        return label_L[:0], label_L[:0]
    return label_L, spherical_k_means(unit_LD, len(np.unique(label_L)), settings.seed)


def _slice(count: int, part: tuple[int, int]) -> slice:
    return slice(count * part[0] // part[1], count * (part[0] + 1) // part[1])


def join(parts: Sequence[Scores]) -> Scores:
    """The scores of all parts, which must come in their order."""
    names = parts[0].columns
    return Scores({name: np.concatenate([part.columns[name] for part in parts]) for name in names}, parts[0].spread)


def summarise(scores: Scores, settings: Evaluation) -> dict[str, dict[str, Any]]:
    """Each metric with its value, interval and number of queries, as JSON; None where the queries say nothing."""
    found: dict[str, dict[str, Any]] = {}
    for name, metric in METRICS.items():
        if metric.columns[0] in scores.columns:
            columns = [scores.columns[column] for column in metric.columns]
            told = _told(estimate(metric.statistic, columns, settings, is_biased=metric.is_biased))
            found[name] = {**told, "num_queries": len(columns[0])}
    return found | {name: {"value": _number(getattr(scores.spread, name))} for name in SPREAD}


def compare(base: Scores, tuned: Scores, settings: Evaluation) -> dict[str, dict[str, Any]]:
    """Each metric of both, and tuned minus base with its paired interval, as JSON.

    `verdict` is "better" or "worse" where the interval of the difference leaves 0 out, else "within noise"; of the
    spread, whose differences have no interval, and of the mask rate there is none.
    """
    of_base, of_tuned = summarise(base, settings), summarise(tuned, settings)
    found: dict[str, dict[str, Any]] = {name: {"base": of_base[name], "tuned": of_tuned[name]} for name in of_base}
    for name, row in found.items():
        if name in SPREAD:
            row["difference"] = {"value": _number(getattr(tuned.spread, name) - getattr(base.spread, name))}
            continue
        metric = METRICS[name]
        both = [[scores.columns[column] for column in metric.columns] for scores in (tuned, base)]
        difference = estimate_difference(metric.statistic, both[0], both[1], settings, is_biased=metric.is_biased)
        row["difference"] = _told(difference)
        if metric.is_better:
            row["verdict"] = _verdict(difference, metric.is_better)
    return found


def _verdict(difference: Estimate, is_better: int) -> str:
    low, high = sorted((difference.low * is_better, difference.high * is_better))
    return "better" if low > 0 else "worse" if high < 0 else "within noise"


def _told(found: Estimate) -> dict[str, float | None]:
    return {name: _number(value) for name, value in found._asdict().items()}


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def table(comparison: dict[str, dict[str, Any]]) -> str:
    """A comparison as a table in Markdown."""
    lines = ["| metric | base | tuned | difference | |", "| --- | ---: | ---: | ---: | --- |"]
    for name, row in comparison.items():
        cells = " | ".join(_cell(row[column]) for column in ("base", "tuned", "difference"))
        lines.append(f"| {name} | {cells} | {row.get('verdict', '')} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, float | None]) -> str:
    if found["value"] is None:
        return "-"
    low, high = found.get("low"), found.get("high")
    interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{found['value']:.3f}{interval}"
