"""A sample of documents in, how far the figures of topics depend on the seed of their clusters, out.

    sample -> k-means with each of several other seeds -> terms, as label_topics has them -> the figures of quality.py

Every fit is a task of its own and nothing of it is kept but figures. The committed clusters are judged on the same
sample, so that both can be compared; held-out perplexity is of the sample too.

    staging/<digest>/sample/<corpus shard>.parquet   documents and their vectors
                     refits/<number>.json            figures of a fit; 0 are the committed clusters
                     refit_clusters/<number>.parquet
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theta_ray.config_quality import Evaluate
from theta_ray.corpus import staging
from theta_ray.corpus.staging import read_rows, write_rows
from theta_ray.manifest import read_manifest
from theta_ray.store import Partition
from theta_ray.tasks import Executor
from theta_ray.topics.agreement import adjusted_rand_index
from theta_ray.topics.cooccurrences import Counter, Terms
from theta_ray.topics.counts import Documents, TermCounter
from theta_ray.topics.ctfidf import Sizes, rank_terms
from theta_ray.topics.days import Day
from theta_ray.topics.described import choose_terms, terms_of
from theta_ray.topics.document_sample import Sampling, hashes, vectors_of
from theta_ray.topics.evidence import LABELS, EvaluateJob, EvidenceTask, ListedTopics, ShardEvidence
from theta_ray.topics.kmeans import KMeans
from theta_ray.topics.perplexity import HeldOut, hold_out, perplexity
from theta_ray.topics.quality import COHERENCE, Row, agreement_rows, coherence_rows, plain, resampling, row, term_rows
from theta_ray.topics.topic_tasks import BATCH_ROWS, ShardTask, TopicsJob
from theta_ray.topics.words import words
from theta_ray.training.bootstrap import Estimate, estimate

logger = logging.getLogger(__name__)
Int32 = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]
# With fewer documents a cluster, a fit to the sample says little of one to all documents.
ROWS_PER_CLUSTER = 10
COMMITTED = 0
VECTOR_COLUMNS = ("embedding", "scale")


@dataclass(frozen=True)
class OfSample:
    """What fits to the sample say."""

    seeds: tuple[int, ...] = ()
    """Of the further fits."""
    rows: tuple[Row, ...] = ()

    def told(self) -> dict[str, Any]:
        """Seeds, and of each figure over them: mean, standard deviation, least and largest."""
        found = {each["metric"]: each for each in self.rows if each["metric"].startswith("refit_")}
        figures = {}
        for metric, each in found.items():
            if not metric.endswith("_sd"):
                spread = found[f"{metric}_sd"]["value"] if f"{metric}_sd" in found else None
                figures[metric] = [each["value"], spread, each["low"], each["high"]]
        return {"seeds": [*self.seeds], "figures": figures}


@dataclass(frozen=True)
class RefitTask:
    """One fit to the sample."""

    job: EvaluateJob
    number: int
    """Added to the seed of the recipe's section `cluster`; 0: the committed clusters."""
    documents: tuple[ShardTask, ...]
    """All shards of the corpus."""

    def staged(self, kind: str, suffix: str = "parquet") -> str:
        """Where a staged file of this fit lies."""
        return self.job.topics.staged(kind, f"{self.number:03d}", suffix)


def with_sample(job: EvaluateJob, day: Day) -> EvaluateJob:
    """The job with what is to be drawn of a day, and with the fit of as many clusters as the day has."""
    num_rows, settings = day.assignments["num_rows"], job.settings
    share, num_clusters = min(1.0, settings.sample_rows / max(1, num_rows)), len(day.cluster_ids)
    if job.plan is None:
        return replace(job, sampling=Sampling(share))
    if min(num_rows, settings.sample_rows) < ROWS_PER_CLUSTER * num_clusters:
        logger.warning(
            "evaluate_topics: %d documents are too few for further fits of %d clusters; set evaluate.sample_rows to %d",
            min(num_rows, settings.sample_rows),
            num_clusters,
            ROWS_PER_CLUSTER * num_clusters,
        )
        return replace(job, sampling=Sampling(share), plan=None)
    source, assignments = day.assignments["inputs"]["embeddings"], job.topics.assignments
    embeddings = Partition(assignments.root, "embeddings", source["fingerprint"], assignments.date)
    manifest = read_manifest(embeddings, source["version"])
    assert manifest is not None, "a version that is not there is an error"
    columns = tuple(name for name, _ in manifest["schema"] if name in VECTOR_COLUMNS)
    return replace(job, sampling=Sampling(share, embeddings, columns), plan=replace(job.plan, k=num_clusters))


def fit_again(tasks: Sequence[EvidenceTask], counted: Sequence[Mapping[str, Any]], executor: Executor) -> OfSample:
    """Judge the committed clusters on the staged sample, and further fits to it, each by a task of its own."""
    job = tasks[0].job
    if not sum(each["num_sampled"] for each in counted):
        return OfSample()
    numbers = range(1 + (job.settings.num_refits if job.plan is not None else 0))
    refits = [RefitTask(job, number, tuple(each.documents for each in tasks)) for number in numbers]
    found = sorted(executor.map(refit, refits), key=lambda each: int(each["number"]))
    clusters = [read_rows(each.staged("refit_clusters"))["cluster_id"].to_numpy() for each in refits]
    seeds = tuple(job.plan.seed + number for number in numbers[1:]) if job.plan is not None else ()
    return OfSample(seeds, tuple(refit_rows(found, clusters)))


def refit(task: RefitTask) -> dict[str, Any]:
    """Stage the figures of one fit to the sample; they, and how many documents it has."""
    uri = task.staged("refits", "json")
    found = staging.read_json(uri)
    if found is not None:
        return found
    job, staged = task.job, (task.job.topics.staged("sample", each.shard) for each in task.documents)
    sample = pa.concat_tables([rows for rows in map(read_rows, staged) if rows.num_rows]).combine_chunks()
    cluster_N = sample["cluster_id"].to_numpy()
    if task.number != COMMITTED:
        assert job.plan is not None, "there are further fits"
        settings = asdict(replace(job.plan, seed=job.plan.seed + task.number))
        cluster_N = KMeans(settings.pop("k"), **settings).fit(vectors_of(sample)).labels_
    rows = list(rows_of_sample(job, sample, cluster_N, with_intervals=task.number == COMMITTED))
    write_rows(task.staged("refit_clusters"), pa.table({"cluster_id": cluster_N}))
    found = {"number": task.number, "num_rows": sample.num_rows, "rows": rows}
    staging.write_json(uri, found)
    return found


def rows_of_sample(job: EvaluateJob, sample: pa.Table, cluster_N: Int32, *, with_intervals: bool) -> Iterator[Row]:
    """Figures of all topics together that clusters of a sample make.

    Args:
        job: of the recipe.
        sample: document_sample.COLUMNS.
        cluster_N: of its documents; below 0: none.
        with_intervals: of perplexity, over documents.
    """
    sample, cluster_N = sample.filter(pa.array(cluster_N >= 0)), cluster_N[cluster_N >= 0]
    held_out = _held_out(sample, cluster_N, job)
    settings = job.settings.model_copy(update={"num_resamples": 1})  # the spread that counts here is that of seeds
    yield from perplexity_rows(held_out, sample, job.settings if with_intervals else settings)
    _, topic_N, sizes = np.unique(cluster_N, return_inverse=True, return_counts=True)
    terms = terms_of_clusters(sample, topic_N.astype(np.int32), job.topics)
    ids = tuple(range(len(terms)))
    listed = ListedTopics(ids, ids, terms, ((),) * len(ids), tuple(sizes.tolist()))
    # looked at as a whole, and without drawing from it once more
    all_of_it = replace(job, share=1.0, sampling=None, settings=settings)
    shard = ShardEvidence(EvidenceTask(all_of_it, ShardTask(job.topics, "", ()), listed))
    place = sample.schema.get_field_index("cluster_id")
    shard.add(sample.set_column(place, "cluster_id", pa.array(topic_N.astype(np.int32))))
    tables = shard.tables()
    found = [
        row_
        for metric, (kind, _) in COHERENCE.items()
        for row_ in coherence_rows(metric, shard.counters[kind].result(), ids, sample.num_rows, settings)
    ]
    found += term_rows(terms, ids, tables["terms"], settings)
    found += agreement_rows(tables["labels"].select(LABELS.names), shard.num_groups, settings)
    yield from (_alone(each) for each in found if each["topic_id"] is None)


def _alone(found: Row) -> Row:
    return {**found, "low": None, "high": None}


def terms_of_clusters(sample: pa.Table, topic_N: Int32, job: TopicsJob) -> tuple[Terms, ...]:
    """Terms of each cluster, best first, as `label_topics` would show them; clusters are numbered from 0."""
    counter, texts, langs = TermCounter(job.settings), sample["text"].to_pylist(), sample["lang"].to_pylist()
    for start in range(0, len(texts), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        times = pa.nulls(len(texts[part]), pa.date32())
        counter.add(Documents(texts[part], langs[part], topic_N[part], times))
    ranked, _ = rank_terms([counter.counts()], Sizes(counter.totals()), job.settings, (job.num_candidates, 1))
    candidates = terms_of(ranked, range(int(topic_N.max(initial=-1)) + 1))
    names = [tuple(term for term, _ in each) for each in candidates]
    if not job.settings.diversity:
        return tuple(each[: job.settings.num_terms] for each in names)
    together = Counter(names, None)
    for text in texts:
        together.add(words(text))
    found = together.result()
    described = choose_terms(candidates, int(found.windows_G.sum()), found.counts_GTMM[0], job.settings)
    return tuple(tuple(term for term, _ in each.terms) for each in described)


def _held_out(sample: pa.Table, cluster_N: Int32, job: EvaluateJob) -> HeldOut:
    texts, langs = sample["text"].to_pylist(), sample["lang"].to_pylist()
    return hold_out(texts, langs, cluster_N, hashes(sample["text_hash"])[1], job.topics.settings)


def perplexity_rows(found: HeldOut, sample: pa.Table, settings: Evaluate) -> Iterator[Row]:
    """Held-out perplexity of the topics, and of the words of all documents without topics."""
    of_text = np.unique(hashes(sample["text_hash"])[1][found.place_N], return_inverse=True)[1]  # copies are one
    texts, num_words = np.arange(int(of_text.max(initial=-1)) + 1), int(found.words_N.sum())

    def of_texts(scores_N: Values, weights_RT: Values, _: Any) -> Values:
        return perplexity(scores_N, found.words_N, weights_RT[:, of_text])

    for metric, scores_N in (("perplexity", found.log_likelihood_N), ("perplexity_one_topic", found.alone_N)):
        known = Estimate(math.nan, math.nan, math.nan)
        if num_words:
            known = estimate(partial(of_texts, scores_N), [texts], resampling(settings))
        yield row(metric, known, num_words)


def refit_rows(found: Sequence[Mapping[str, Any]], clusters: Sequence[Int32]) -> Iterator[Row]:
    """What several fits to the sample say of each figure.

    `sample_<figure>` is of the committed clusters; `refit_<figure>` the mean over the other fits, its interval their
    range; `refit_<figure>_sd` their standard deviation. Perplexity of the committed clusters keeps its name.

    Args:
        found: of `refit`, by number.
        clusters: of the sample's documents, in the same order.
    """
    committed, *others = [{each["metric"]: each for each in fit["rows"]} for fit in found]
    for metric, each in committed.items():
        yield each if metric.startswith("perplexity") else {**each, "metric": f"sample_{metric}"}
    if not others:
        return
    for metric in (name for name in committed if name != "perplexity_one_topic"):
        values = np.array([math.nan if fit[metric]["value"] is None else fit[metric]["value"] for fit in others])
        yield row(f"refit_{metric}", _range(values), len(values))
        yield plain(f"refit_{metric}_sd", float(values.std(ddof=1)) if len(values) > 1 else math.nan, len(values))
    yield row(
        "refit_ari_with_committed", _range(_agreements((clusters[0], each) for each in clusters[1:])), len(others)
    )
    if len(others) > 1:
        pairs = _agreements(combinations(clusters[1:], 2))
        yield row("refit_ari_of_pairs", _range(pairs), len(pairs))


def _range(values: Values) -> Estimate:
    return Estimate(float(values.mean()), float(values.min()), float(values.max()))


def _agreements(pairs: Iterable[tuple[Int32, ...]]) -> Values:
    return np.array([adjusted_rand_index(np.ones((1, len(left))), left, right)[0] for left, right in pairs])


def line_of(mean: float | None, spread: float | None, low: float | None, high: float | None) -> str:
    """A figure over several fits as a run card shows it."""
    if mean is None:
        return "-"
    of_range = "" if low is None else f" [{low:.4g}, {high:.4g}]"
    return f"{mean:.4g}{of_range}" + ("" if spread is None else f", sd {spread:.2g}")
