"""A small root with every table, whose threads, hubs and representatives can be deleted, for tests of `forget`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.clustered import TOPICS, texts_of
from tests.networks import QUICK
from theta_ray.config import Config, Recipe, Resources
from theta_ray.manifest import read_manifest
from theta_ray.network import analyze_network
from theta_ray.report import report
from theta_ray.store import Partition, read_shard
from theta_ray.topics import label_topics
from theta_ray.training import mine_pairs

DAYS = ("2026-01-01", "2026-01-02")
COLUMNS = {
    "text": "text",
    "doc_id": "id",
    "author_id": "user",
    "context_id": "thread",
    "parent_id": "parent",
    "parent_author_id": "parent_user",
    "created_at": "time",
    "label": "label",
    "links": "links",
    "mention_ids": "mentions",
}
FIRST_ID, PER_THREAD = 1445880548472328193, 8


def id_of(day: int, number: int) -> str:
    """As long as those of a platform."""
    return str(FIRST_ID + 10_000 * day + number)


def account_of(number: int) -> str:
    """One of eleven, as long as those of a platform."""
    return f"90{number % 11:02d}44994945"


def records_of(day: int, count: int) -> list[dict[str, Any]]:
    """Posts in threads of eight, each an answer to the one before; the fourth mentions two, the sixth has a link."""
    texts = texts_of(sorted(TOPICS), count, seed=day)
    records = []
    for number, text in enumerate(texts):
        first, place = number - number % PER_THREAD, number % PER_THREAD
        parent = number - 1 if place else None
        records.append(
            {
                "id": id_of(day, number),
                "text": f"{text} number {day}x{number}",
                "user": account_of(number),
                "thread": id_of(day, first),
                "parent": None if parent is None else id_of(day, parent),
                "parent_user": None if parent is None else account_of(parent),
                "time": f"{DAYS[day]}T{number % 24:02d}:00:00Z",
                "label": sorted(TOPICS)[number % len(TOPICS)],
                "links": [f"https://example.org/posts/{id_of(day, first)}"] if place == 5 else [],
                "mentions": [account_of(number + 3), account_of(number + 5)] if place == 3 else [],
            }
        )
    return records


def write_days(folder: Path, days: list[list[dict[str, Any]]]) -> None:
    """One raw file a day."""
    folder.mkdir(parents=True, exist_ok=True)
    for day, records in zip(DAYS, days, strict=False):
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"raw-{day}.jsonl").write_text(lines, encoding="utf-8")


def recipe_of(folder: Path, model: Path) -> dict[str, Any]:
    """A recipe with every section that makes a table."""
    source = {"reader": "jsonl", "path": str(folder / "raw-{date}.jsonl"), "columns": COLUMNS}
    return {
        "name": "test",
        "corpus": {"inputs": [source], "language": "none", "authors": "pseudonym", "shard_bytes": 12_000},
        "encoder": {"model": str(model), "pooling": "mean"},
        "embed": {"store_dtype": "float32"},
        "cluster": {"num_clusters": len(TOPICS)},
        "pairs": {"kind": "label"},
        "network": {**QUICK, "graphs": ["comment_to_parent_author"]},
    }


def config_of(folder: Path, model: Path, **forget: Any) -> Config:
    """The configuration over `write_days`, in this process."""
    recipe = Recipe.model_validate({**recipe_of(folder, model), "forget": forget})
    resources = Resources(executor="local", threads_per_actor=1)
    return Config(recipe=recipe, resources=resources, root=str(folder / "root"))


def make_all(config: Config) -> None:
    """Every table of both days."""
    for day in DAYS:
        mine_pairs.run(config, day)
        report.run(config, day)


def small_config(folder: Path, *, max_chars: int = 1000, **forget: Any) -> Config:
    """As `config_of`, with a corpus and its networks only: no model is needed."""
    section = {**recipe_of(folder, Path("none")), "forget": forget}
    section |= {"cluster": None, "pairs": None}
    section["corpus"] = {**section["corpus"], "max_chars": max_chars}
    resources = Resources(executor="local", threads_per_actor=1)
    return Config(recipe=Recipe.model_validate(section), resources=resources, root=str(folder / "root"))


def holding(root: Path, needles: set[str]) -> list[str]:
    """Objects that hold any of these strings, lists of deletions left out; found without the project's own search."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file() and "tombstones" not in path.parts):
        shown = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            parquet = pq.ParquetFile(path)
            shown = f"{parquet.metadata.metadata} {parquet.read().to_pylist()}"
        if any(needle in shown for needle in needles):
            found.append(path.relative_to(root).as_posix())
    return found


def tables_of(config: Config, day: str) -> dict[str, Partition]:
    """The partitions of a day."""
    topics = label_topics.make_job(config, day)
    embeddings = Partition(config.root, "embeddings", _only(config, "embeddings"), day)
    found = {each.table: each for each in (topics.corpus, topics.assignments, topics.centroids, topics.topics)}
    found |= {"embeddings": embeddings, "pairs": mine_pairs.make_job(config, day).partition}
    return found | analyze_network.make_job(config, day).tables | {"report": report.partition_of(config, day)}


def _only(config: Config, table: str) -> str:
    (name,) = (path.name for path in Path(config.root, table).iterdir())
    return name


def rows_of(partition: Partition) -> pa.Table:
    """The newest version."""
    manifest = read_manifest(partition)
    assert manifest is not None
    tables = [read_shard(partition, shard["shard"]) for shard in manifest["shards"]]
    return pa.concat_tables(tables) if tables else pa.table({})
