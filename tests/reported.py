"""Small nights of people who write about a few topics and answer each other, and the pages of them, for tests."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from tests.clustered import texts_of
from tests.corpora import write_jsonl
from tests.networks import QUICK
from theta_ray.config import Config, Recipe, Resources
from theta_ray.manifest import read_manifest
from theta_ray.report import report
from theta_ray.report.report import page_of, partition_of

NIGHTS = ("2026-01-30", "2026-01-31")
COLUMNS = {
    "doc_id": "id",
    "text": "text",
    "author_id": "author",
    "context_id": "thread",
    "parent_id": "parent",
    "created_at": "time",
}


def posts(topics: list[str], count: int, night: str, seed: int = 0) -> list[dict[str, Any]]:
    """Posts of 24 authors; of each three the last two answer the first one."""
    rows = []
    for number, text in enumerate(texts_of(topics, count, seed)):
        first = number - number % 3
        row = {"id": f"{night}-{number}", "text": text, "author": f"author-{number * 7 % 24}"}
        row |= {"thread": f"{night}-{first}", "time": f"{night}T{number % 24:02d}:00:00Z"}
        rows.append(row | ({"parent": f"{night}-{first}"} if number % 3 else {}))
    return rows


def report_config(
    folder: Path,
    model: Path,
    nights: dict[str, list[dict[str, Any]]],
    section: dict[str, Any] | None = None,
    **more: Any,
) -> Config:
    """A configuration over one file a night, in this process; `more` are sections of the recipe."""
    for night, rows in nights.items():
        write_jsonl(folder / f"raw-{night}.jsonl", rows)
    source = {"reader": "jsonl", "path": str(folder / "raw-{date}.jsonl"), "columns": COLUMNS, "kind": "post"}
    recipe = {
        "name": "test",
        "corpus": {"inputs": [source], "language": "none", "authors": "raw", **more.pop("corpus", {})},
        "encoder": {"model": str(model), "pooling": "mean"},
        "embed": {"store_dtype": "float32"},
        "cluster": {"num_clusters": 4, "on_drift": "fit"},
        "network": {**QUICK, "graphs": ["comment_to_parent_author", "co_thread"], "num_permutations": 9},
        "report": {"num_points": 60, **(section or {})},
        **more,
    }
    resources = Resources(executor="local", threads_per_actor=1)
    return Config(recipe=Recipe.model_validate(recipe), resources=resources, root=str(folder / "root"))


def page(config: Config, night: str) -> str:
    """The newest page of a night, made where it is missing."""
    report.run(config, night)
    place = partition_of(config, night)
    manifest = read_manifest(place)
    assert manifest is not None
    return Path(page_of(place, manifest)).read_text()


def files_in(page: str) -> dict[str, str]:
    """The CSV files that a page carries, by name."""
    links = re.findall(r'download="([^"]+)" href="data:[^"]*base64,([^"]+)"', page)
    return {name: base64.b64decode(data).decode("utf-8-sig") for name, data in links}


def words_of(page: str) -> str:
    """What a reader sees of a page, in one line."""
    text = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())
