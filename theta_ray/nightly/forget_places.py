"""Where deleted documents are, beyond the objects that hold their ids: all that was made from these, day by day.

hits of the scan -> partitions whose manifests name one of theirs as an input, and so on -> those that this recipe makes
again, stage by stage, and those of other recipes
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus.listing import list_files
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import MissingInputError
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.objects import READERS
from theta_ray.runcard import RunCard
from theta_ray.schemas import KEYS
from theta_ray.store import Partition

# Made from documents, and hold none: adapters are marked, curves and maps are numbers, hashes go with their shards.
NOT_MADE_AGAIN = frozenset({"adapter", "embedding_maps", "k_curve", "text_index"})


@dataclass(frozen=True)
class Made:
    """One stage of a recipe, and the partitions that it commits for a day."""

    stage: str
    run: Callable[[Config, str], RunCard]
    partitions: tuple[Partition, ...]

    @property
    def is_committed(self) -> bool:
        """Whether any version of the day is there."""
        return any(list_versions(partition) for partition in self.partitions)


def stages_of(config: Config, day: str, tables: Collection[str]) -> Iterator[Made]:
    """The stages that a recipe has, upstream ones first; a stage none of whose tables is there at all is left out.

    Args:
        config: recipe and root.
        day: YYYY-MM-DD.
        tables: names of those that are below the root.
    """
    # most stages load their libraries, and some the model
    from theta_ray.corpus import prepare

    corpus = partition_of(config, day)
    yield Made("prepare", prepare.run, (corpus, replace(corpus, table="quarantine")))
    if config.recipe.encoder is not None and "embeddings" in tables:
        from theta_ray.encoder import embed
        from theta_ray.encoder.job import make_job as embed_job

        embeddings = embed_job(config, day).embeddings
        yield Made("embed", embed.run, (embeddings, replace(embeddings, table="quarantine")))
    if config.recipe.cluster is not None and "centroids" in tables:
        yield from _of_topics(config, day)
    if config.recipe.pairs is not None and "pairs" in tables:
        from theta_ray.training import mine_pairs

        yield Made("mine_pairs", mine_pairs.run, (mine_pairs.make_job(config, day).partition,))
    if "network_stats" in tables:
        from theta_ray.network import analyze_network

        made = tuple(analyze_network.make_job(config, day).tables.values())
        yield Made("analyze_network", analyze_network.run, made)
    if "report" in tables:
        from theta_ray.report import report

        # of the tables that the stages above have left
        yield Made("report", report.write, (report.partition_of(config, day),))


def _of_topics(config: Config, day: str) -> Iterator[Made]:
    from theta_ray.topics import cluster, evaluate_topics, label_topics

    job = label_topics.make_job(config, day)
    yield Made("cluster", cluster.run, (job.centroids, job.assignments))
    yield Made("label_topics", label_topics.run, (job.topics, job.topic_counts))
    quality = evaluate_topics.make_job(config, day)
    yield Made("evaluate_topics", evaluate_topics.run, (quality.quality, quality.tree))


def find_affected(partitions: Sequence[Partition], hits: Collection[Partition]) -> set[Partition]:
    """All partitions that hold deleted documents, or were made from what does.

    Args:
        partitions: all below the root.
        hits: those that hold their ids.
    """
    looked_at = [each for each in partitions if each.table not in NOT_MADE_AGAIN]
    with ThreadPoolExecutor(READERS) as pool:
        made_from = dict(zip(looked_at, pool.map(_sources, looked_at), strict=True))
        left_over = dict(zip(looked_at, pool.map(_is_left_over, looked_at), strict=True))
    affected = set(hits) | {each for each in looked_at if left_over[each]}
    newest = affected
    while newest:
        newest = {each for each, sources in made_from.items() if each not in affected and sources & newest}
        affected = affected | newest
    return affected


def _sources(partition: Partition) -> set[Partition]:
    """What all versions of a partition were made from."""
    if partition.table == "quarantine":
        return {replace(partition, table=table) for table in KEYS}  # of the table of the same fingerprint
    manifests = [read_manifest(partition, version) for version in list_versions(partition)]
    return {source for manifest in manifests for source, _ in inputs_of(partition, manifest)}


def inputs_of(partition: Partition, manifest: dict[str, Any] | None) -> list[tuple[Partition, int]]:
    """Other tables that a manifest names, with their versions: its inputs, and what a page has of the night before."""
    manifest = manifest or {}
    before = manifest.get("before") or {}
    named = _named(manifest.get("inputs"), partition.date) + _named(before.get("tables"), before.get("date", ""))
    named += _named({"words_from": manifest.get("words_from")}, "")
    return [
        (Partition(partition.root, each["table"], each["fingerprint"], each.get("date", day)), each["version"])
        for day, each in named
    ]


def _named(tables: Any, day: str) -> list[tuple[str, dict[str, Any]]]:
    values = tables.values() if isinstance(tables, dict) else ()
    wanted = {"table", "fingerprint", "version"}
    return [(day, each) for each in values if isinstance(each, dict) and wanted <= each.keys()]


def _is_left_over(partition: Partition) -> bool:
    """Whether the newest version was made from one that is no longer there: a deletion has taken it away."""
    sources = inputs_of(partition, read_manifest(partition))
    return any(version not in list_versions(source) for source, version in sources)


def has_inputs(config: Config, day: str) -> bool:
    """Whether the raw files of a day are still there; without them no table of it can be made again."""
    try:
        return bool(list_files(config.recipe.corpus, day))
    except MissingInputError:
        return False
