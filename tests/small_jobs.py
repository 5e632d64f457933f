"""Small real jobs for tests: a raw file, a recipe over it, and what was committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from theta_ray.config import Config, Recipe, Resources
from theta_ray.manifest import read_manifest
from theta_ray.objects import open_filesystem
from theta_ray.store import Partition, Record, finished_shards, read_records, read_shard

DAY = "2026-01-31"
WORDS = ["road", "bridge", "marathon", "sourdough", "galaxy", "election", "teacher", "farmer", "cyclist", "debate"]


def make_texts(num_texts: int, *, repeat_every: int = 10) -> list[str]:
    """Short texts of 3 to 12 words, every tenth a copy of an earlier one."""
    texts: list[str] = []
    for number in range(num_texts):
        if repeat_every and number % repeat_every == repeat_every - 1:
            texts.append(texts[number // 2])
        else:
            length = 3 + number % 10
            texts.append(
                " ".join(WORDS[(number * 7 + i * (1 + number % 5)) % len(WORDS)] for i in range(length)) + f" {number}"
            )
    return texts


def write_jsonl(path: Path, texts: list[str]) -> Path:
    """Raw documents d0, d1, ... of the texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": f"d{i}", "text": text}, ensure_ascii=False) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_recipe(path: str, model: Path, **changes: Any) -> dict[str, Any]:
    """A recipe over one JSONL file; `changes` are whole sections' values."""
    columns = {"doc_id": "id", "text": "text"}
    corpus = {"inputs": [{"reader": "jsonl", "path": path, "columns": columns}], "language": "none", "authors": "drop"}
    return {
        "name": "test",
        "corpus": {**corpus, **changes.get("corpus", {})},
        "encoder": {"model": str(model), "pooling": "mean", **changes.get("encoder", {})},
        "embed": {"store_dtype": "float32", **changes.get("embed", {})},
    }


def make_config(
    raw: Path, root: str, model: Path, *, resources: dict[str, Any] | None = None, **changes: Any
) -> Config:
    """The configuration of a small job, on this process where `resources` says nothing else."""
    recipe = Recipe.model_validate(make_recipe(str(raw), model, **changes))
    one_thread = {"executor": "local", "threads_per_actor": 1}  # several tests run at once
    return Config(recipe=recipe, resources=Resources(**{**one_thread, **(resources or {})}), root=root)


def save_recipe(path: Path, recipe: dict[str, Any]) -> Path:
    """The recipe as a user's file."""
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def find_partition(root: str, table: str) -> Partition:
    """The one partition of a table under a root."""
    fs, path = open_filesystem(root)
    (found,) = fs.glob(f"{path}/{table}/*/dt={DAY}")
    return Partition(root, table, found.split("/")[-2], DAY)


def all_records(partition: Partition) -> dict[str, Record]:
    """Records of all finished shards by name."""
    return {record.shard: record for record in read_records(partition, sorted(finished_shards(partition)))}


def read_table(root: str, table: str) -> pa.Table:
    """All committed rows of a table, in manifest order."""
    partition = find_partition(root, table)
    manifest = read_manifest(partition)
    assert manifest is not None
    return pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])
