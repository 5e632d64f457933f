"""Counts of a day's topics in, the rows of `topic_quality` out: a figure of each topic, and of all of them.

Intervals of what is counted in documents are percentiles over resamples of the groups of documents (cooccurrences.py).
What is of terms alone, such as diversity, has none. Shapes: G groups, T topics, M terms of each, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_evaluation import Evaluation
from theta_ray.config_quality import Evaluate
from theta_ray.schemas import TOPIC_QUALITY
from theta_ray.topics.agreement import (
    adjusted_mutual_information,
    adjusted_rand_index,
    homogeneity,
    wilson_interval,
)
from theta_ray.topics.coherence import c_v, npmi, u_mass
from theta_ray.topics.cooccurrences import Cooccurrences, Terms
from theta_ray.topics.diversity import exclusivity, inverted_rank_biased_overlap, mean_frex, topic_diversity
from theta_ray.topics.hierarchy import Tree
from theta_ray.topics.sheet_scores import Answers, Share, rank_correlation, score_sheet
from theta_ray.topics.task_sheets import Item
from theta_ray.training.bootstrap import Estimate, Statistic, estimate, resampled_weights
from theta_ray.training.metrics import normalized_mutual_information

Values = npt.NDArray[np.float64]
Row = dict[str, Any]
COHERENCE: dict[str, tuple[str, Callable[..., Values]]] = {
    "npmi": ("npmi", npmi),
    "c_v": ("c_v", c_v),
    "u_mass": ("documents", u_mass),
}
"""Metric -> kind of counts, and its function."""
AGREEMENT: dict[str, Statistic] = {
    "nmi": normalized_mutual_information,
    "ari": adjusted_rand_index,
    "ami": adjusted_mutual_information,
    "homogeneity": homogeneity,
}
CELLS_AT_ONCE = 2**22
# Each of adjusted mutual information takes as long as thousands of the others.
MAX_AMI_RESAMPLES = 100
# With more labels than this, they are names rather than kinds.
MAX_LABELS = 1000
DIVERSITY_TERMS = 25


def row(metric: str, found: Estimate, count: int, topic_id: int | None = None) -> Row:
    """One row; NaN is null."""
    value, low, high = (float(x) if math.isfinite(x) else None for x in found)
    return {"topic_id": topic_id, "metric": metric, "value": value, "low": low, "high": high, "num_values": count}


def plain(metric: str, value: float, count: int, topic_id: int | None = None) -> Row:
    """A row without an interval."""
    return row(metric, Estimate(value, math.nan, math.nan), count, topic_id)


def resampling(settings: Evaluate) -> Evaluation:
    """How intervals are made; one fit of several asks for fewer resamples than a recipe may."""
    return Evaluation.model_construct(
        num_resamples=settings.num_resamples, confidence=settings.confidence, seed=settings.seed
    )


def coherence_rows(
    metric: str, found: Cooccurrences, topic_ids: Sequence[int], num_documents: int, settings: Evaluate
) -> Iterator[Row]:
    """A measure of coherence of each topic, and the mean over topics."""
    statistic = COHERENCE[metric][1]
    value_T = statistic(found.windows_G.sum(), found.counts_GTMM.sum(axis=0))
    resampled = [statistic(*drawn) for drawn in _resamples(found, settings)]
    resampled_RT = np.concatenate(resampled) if resampled else np.zeros((0, len(value_T)))
    tails = [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2]
    for place, topic_id in enumerate(topic_ids):
        yield row(metric, _interval(float(value_T[place]), resampled_RT[:, place], tails), num_documents, topic_id)
    is_known = ~np.isnan(value_T)
    means_R = [_mean(each) for each in resampled_RT[:, is_known]]
    yield row(metric, _interval(_mean(value_T), np.array(means_R), tails), int(is_known.sum()))


def _resamples(found: Cooccurrences, settings: Evaluate) -> Iterator[tuple[Values, Values]]:
    """Windows [r] and counts [r, T, M, M] of resampled groups, a few resamples at a time."""
    groups, size = len(found.windows_G), found.counts_GTMM[0].size
    at_once = max(1, CELLS_AT_ONCE // max(1, size))
    flat_GC = found.counts_GTMM.reshape(groups, -1).astype(np.float64)
    for weights in resampled_weights(groups, settings.num_resamples, settings.seed):
        for start in range(0, len(weights), at_once):
            part = weights[start : start + at_once]
            yield part @ found.windows_G, (part @ flat_GC).reshape(len(part), *found.counts_GTMM.shape[1:])


def _interval(value: float, resampled: Values, tails: list[float]) -> Estimate:
    resampled = resampled[~np.isnan(resampled)]
    if math.isnan(value) or not len(resampled):
        return Estimate(value, math.nan, math.nan)
    low, high = np.quantile(resampled, tails)
    return Estimate(value, float(low), float(high))


def _mean(values: Values) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def term_rows(
    topics: Sequence[Terms], topic_ids: Sequence[int], documents_of: pa.Table, settings: Evaluate
) -> Iterator[Row]:
    """How different the topics' terms are.

    Args:
        topics: all terms of each.
        topic_ids: in their order.
        documents_of: evidence.IN_TOPIC.
        settings: how many terms count.
    """
    count = len(topics)
    yield plain("diversity", topic_diversity(topics, DIVERSITY_TERMS), count)
    yield plain("irbo", inverted_rank_biased_overlap(topics, DIVERSITY_TERMS), count)
    first = [terms[: settings.top_terms] for terms in topics]
    in_topic: dict[str, Values] = {term: np.zeros(count) for terms in first for term in terms}
    for place, term, documents in zip(
        *(documents_of[name].to_pylist() for name in documents_of.schema.names), strict=True
    ):
        in_topic[term][place] += documents
    for metric, values in (("exclusivity", exclusivity(first, settings.top_terms)), ("frex", _frex(first, in_topic))):
        for topic_id, value in zip(topic_ids, values, strict=True):
            yield plain(metric, float(value), count, topic_id)
        yield plain(metric, _mean(values), count)


def _frex(first: Sequence[Terms], in_topic: Mapping[str, Values]) -> Values:
    """NaN where a topic has none of the terms; its documents may not have been looked at."""
    if not in_topic:
        return np.full(len(first), np.nan)
    is_known = np.sum(list(in_topic.values()), axis=0) > 0
    found = np.full(len(first), np.nan)
    if is_known.any():
        known = [terms for terms, known in zip(first, is_known, strict=True) if known]
        found[is_known] = mean_frex(known, {term: counts[is_known] for term, counts in in_topic.items()}, len(in_topic))
    return found


def agreement_rows(labels: pa.Table, groups: int, settings: Evaluate) -> Iterator[Row]:
    """Agreement of clusters and labels; nothing without labels, or with more of them than kinds of documents have.

    Args:
        labels: evidence.LABELS; each row counts as often as its group is drawn.
        groups: of documents.
        settings: of intervals.
    """
    label_N, cluster_N = (
        np.unique(labels[name].to_numpy(), return_inverse=True)[1] for name in ("label", "cluster_id")
    )
    if not len(label_N) or label_N.max() >= MAX_LABELS:
        return
    group_N, documents_N = labels["group"].to_numpy(), labels["documents"].to_numpy().astype(np.float64)

    def of_groups(statistic: Statistic, left: Any, right: Any, weights_RG: Values, _: Any) -> Values:
        return statistic(weights_RG[:, group_N] * documents_N, left, right)

    statistics = {name: partial(of_groups, statistic, label_N, cluster_N) for name, statistic in AGREEMENT.items()}
    statistics["completeness"] = partial(of_groups, homogeneity, cluster_N, label_N)
    for metric, statistic in statistics.items():
        how = resampling(settings)
        if metric == "ami":
            how = how.model_copy(update={"num_resamples": min(how.num_resamples, MAX_AMI_RESAMPLES)})
        found = estimate(statistic, [np.arange(groups)], how, is_biased=metric != "ari")
        yield row(metric, found, int(documents_N.sum()))


def tree_rows(tree: Tree) -> Iterator[Row]:
    """Of each level: the share of the topics' inertia between its nodes, and NMI with labels."""
    for level in tree.levels:
        yield plain(f"tree_{level.num_nodes}_inertia_share", level.inertia_share, level.num_nodes)
        if not math.isnan(level.nmi):
            yield plain(f"tree_{level.num_nodes}_nmi", level.nmi, level.num_nodes)


def people_rows(
    items: Sequence[Item],
    people: Mapping[str, Answers],
    automatic: Mapping[str, Mapping[int, float]],
    confidence: float,
) -> Iterator[Row]:
    """What people's answers to one sheet say, and how it goes with automatic metrics of the topics."""
    if not any(people.values()):
        return
    score, kind = score_sheet(items, people, confidence), items[0].kind
    yield _of_share(f"{kind}_accuracy", score.accuracy)
    yield plain(f"{kind}_chance", score.chance, score.accuracy.num_answers)
    for topic_id, share in score.by_topic.items():
        yield _of_share(f"{kind}_accuracy", share, topic_id)
    for name, share in zip(("far", "near"), score.by_cosine, strict=True):
        yield _of_share(f"{kind}_accuracy_{name}", share)
    yield plain(f"{kind}_alpha", score.alpha, len(people))
    if kind == "topic_word_mixing":
        yield plain(f"{kind}_f1", score.f1, score.accuracy.num_answers)
    for metric, values in automatic.items():
        tau, p_value, count = rank_correlation(score.by_topic, values)
        yield plain(f"{kind}_tau_{metric}", tau, count)
        yield plain(f"{kind}_tau_{metric}_p_value", p_value, count)


def _of_share(metric: str, share: Share, topic_id: int | None = None) -> Row:
    low, high = (share.low, share.high) if share.num_answers else wilson_interval(0, 0)
    return row(metric, Estimate(share.value, low, high), share.num_answers, topic_id)


def to_table(rows: Iterable[Row]) -> pa.Table:
    """TOPIC_QUALITY, in the order of the rows."""
    return pa.Table.from_pylist(list(rows), schema=TOPIC_QUALITY)
