"""The stages of a night in their order: what each makes, whether that is of the inputs of now, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from theta_ray.config import Config
from theta_ray.corpus import prepare
from theta_ray.corpus.damage import told, total
from theta_ray.corpus.survey import Survey, partition_of
from theta_ray.errors import ConfigError
from theta_ray.manifest import read_manifest
from theta_ray.report.tables import Committed
from theta_ray.runcard import Plan, RunCard
from theta_ray.store import Partition

# Each with what it is made of.
NEEDS = {
    "prepare": (),
    "embed": ("prepare",),
    "cluster": ("prepare", "embed"),
    "label_topics": ("prepare", "embed", "cluster"),
    "analyze_network": ("prepare",),
    "report": ("prepare",),
}
# Sections of a recipe that decide what each makes.
SECTIONS = {
    "prepare": ("corpus",),
    "embed": ("encoder", "embed"),
    "cluster": ("cluster",),
    "label_topics": ("topics",),
    "analyze_network": ("network",),
    "report": ("report",),
}
# Rows that no recipe could have kept.
NO_LOSS = frozenset({"control_message", "deleted_id", "deleted_text"})


class NightStage(Protocol):
    """What a refresh needs of a stage module."""

    def plan(self, config: Config, day: str) -> Plan:
        """What would run."""

    def committed(self, config: Config, day: str, found: Survey | None = None) -> dict[str, Any] | None:
        """The newest version, where it is of the inputs of now."""

    def run(self, config: Config, day: str, found: Survey | None = None) -> RunCard:
        """Commit it."""


def stages_of(config: Config) -> tuple[str, ...]:
    """Stages that a recipe's nights have, those before them included, in their order.

    Raises:
        ConfigError: what is asked for needs a section that the recipe does not have.
    """
    recipe, asked = config.recipe, config.recipe.refresh.stages
    if asked is None:
        vectors = () if recipe.encoder is None else ("embed",)
        topics = () if recipe.cluster is None else ("label_topics",)
        asked = (*vectors, *topics, "analyze_network", "report")
    elif "label_topics" in asked and recipe.cluster is None:
        hint = "add one, such as cluster: {num_clusters: 50}"
        raise ConfigError(f"{config.where}: refresh.stages: label_topics needs a section cluster; {hint}")
    wanted = {stage for each in asked for stage in (each, *NEEDS[each])}
    if "embed" in wanted and recipe.encoder is None:
        named = "label_topics" if "label_topics" in asked else "embed"
        what = "cluster" if recipe.refresh.stages is None else f"refresh.stages: {named}"
        hint = "add one, such as encoder: {model: Qwen/Qwen3-Embedding-0.6B}, or leave that out"
        raise ConfigError(f"{config.where}: {what} needs a section encoder; {hint}")
    return tuple(stage for stage in NEEDS if stage in wanted)


def module_of(stage: str) -> NightStage:
    """The module of a stage; those that load a model are loaded when they are asked for."""
    if stage == "prepare":
        return prepare
    if stage == "embed":
        from theta_ray.encoder import embed

        return embed
    if stage == "cluster":
        from theta_ray.topics import cluster

        return cluster
    if stage == "label_topics":
        from theta_ray.topics import label_topics

        return label_topics
    if stage == "analyze_network":
        from theta_ray.network import analyze_network

        return analyze_network
    from theta_ray.report import report

    return report


def partitions_of(stage: str, config: Config, day: str) -> list[Partition]:
    """Where a stage's tables of a day are, or will be; the one that it commits last comes last."""
    if stage == "prepare":
        return [partition_of(config, day)]
    if stage == "embed":
        from theta_ray.encoder.job import make_job as embed_job

        return [embed_job(config, day).embeddings]
    if stage == "cluster":
        from theta_ray.topics.cluster import make_job as cluster_job

        clusters = cluster_job(config, day)
        return [clusters.centroids, clusters.assignments]
    if stage == "label_topics":
        from theta_ray.topics.label_topics import make_job as topics_job

        topics = topics_job(config, day)
        return [topics.topic_counts, topics.topics]
    if stage == "analyze_network":
        from theta_ray.network.analyze_network import LAST
        from theta_ray.network.analyze_network import make_job as network_job

        tables = network_job(config, day).tables
        return [*(place for table, place in tables.items() if table != LAST), tables[LAST]]
    from theta_ray.report.report import partition_of as page_of

    return [page_of(config, day)]


def find_tables(stages: Sequence[str], config: Config, day: str) -> dict[str, Committed]:
    """The newest versions of all tables of these stages that are committed, by table."""
    places = [partition for stage in stages for partition in partitions_of(stage, config, day)]
    found = {place.table: (place, read_manifest(place)) for place in places}
    return {table: Committed(place, manifest) for table, (place, manifest) in found.items() if manifest is not None}


def all_turned_away(corpus: Mapping[str, Any]) -> str | None:
    """One line, where rows came in and the recipe, or damage, has left none of them; else None.

    Args:
        corpus: the manifest of a day.
    """
    reasons = total([corpus["quarantined"], corpus["skipped"]])
    lost = {reason: count for reason, count in reasons.items() if reason not in NO_LOSS}
    if corpus["num_rows"] or not lost:
        return None
    return f"all {corpus['counts']['num_rows_in']:,} rows were turned away ({told(lost)})"


def apart(tables: Mapping[str, Committed]) -> str | None:
    """Why these versions do not belong together: one was made of another version than is among them; else None."""
    now = {table: found.identity for table, found in tables.items()}
    for _, found in sorted(tables.items()):
        older = _others(found.manifest, now)
        if older:
            return f"{found.partition.path}: version {found.manifest['version']} is of another version of {older[0]}"
    return None


def _others(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Inputs of a version that are other versions of the same tables now."""
    inputs = manifest.get("inputs")
    known = inputs if isinstance(inputs, dict) else {}
    return sorted(table for table, identity in known.items() if identity and table in now and identity != now[table])


def why_stale(newest: Mapping[str, Any] | None, tables: Mapping[str, Committed]) -> str:
    """One line on what a stage has to be run for.

    Args:
        newest: its newest version; None where nothing is committed.
        tables: of the stages before it, as they are now.
    """
    if newest is None:
        return "nothing was committed"
    changed = _others(newest, {table: found.identity for table, found in tables.items()})
    if changed:
        return f"another version of {', '.join(changed)}"
    if "before" in newest:
        return "its section of the recipe, what it is made with, or the nights that it compares with, are others"
    return "its section of the recipe, or what it is made with, is new"
