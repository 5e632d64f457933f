"""Two small committed nights with topics and networks, in one process, for tests of what shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.clustered import TOPICS, texts_of
from tests.corpora import jsonl_input, write_jsonl
from tests.networks import COLUMNS, QUICK
from tests.small_jobs import make_config
from theta_ray.config import Config
from theta_ray.manifest import identity_of
from theta_ray.network import analyze_network
from theta_ray.objects import create
from theta_ray.publication import Publications
from theta_ray.report.tables import find_tables
from theta_ray.store import canonical_json
from theta_ray.topics import label_topics

NIGHTS = ("2026-01-31", "2026-02-01")
NUM_DOCUMENTS, NUM_AUTHORS = 120, 12


def make_nights(folder: Path, model: Path) -> Config:
    """Two nights whose tables are committed: on the second a topic is new and a row damaged; their configuration."""
    topics = list(TOPICS)
    for day, chosen in zip(NIGHTS, (topics[:3], topics[1:]), strict=True):
        rows = [_row(number, day, text) for number, text in enumerate(texts_of(chosen, NUM_DOCUMENTS))]
        rows += [{"id": "bad", "text": ""}] if day == NIGHTS[1] else []
        write_jsonl(folder / f"raw-{day}.jsonl", rows)
    source = jsonl_input(folder / "raw-{date}.jsonl", **COLUMNS).model_dump(mode="json")
    corpus = {"inputs": [source], "authors": "raw", "max_damaged_share": 1.0}
    config = make_config(folder / "unused", str(folder / "root"), model, corpus=corpus)
    network = {**QUICK, "graphs": ["comment_to_parent_author"], "num_permutations": 9}
    changes = {"cluster": {"num_clusters": 3, "seed": 0}, "network": network}
    recipe = type(config.recipe).model_validate({**config.recipe.model_dump(mode="json"), **changes})
    config = config.model_copy(update={"recipe": recipe})
    for day in NIGHTS:
        label_topics.run(config, day)
        analyze_network.run(config, day)
    return config


def _row(number: int, day: str, text: str) -> dict[str, Any]:
    post = number - number % 4
    answers = {"parent": str(post), "parent_author": f"u{post % NUM_AUTHORS}", "kind": "comment"} if number % 4 else {}
    author, time = f"u{(number * 7 + number // 12) % NUM_AUTHORS}", f"{day}T{number % 24:02d}:00:00Z"
    return {"id": str(number), "text": text, "author": author, "thread": str(post), "time": time, **answers}


def publish(config: Config, day: str) -> None:
    """Publish what is committed of a day as version 1."""
    tables = {name: identity_of(found.manifest) for name, found in find_tables(config, day).items()}
    content = {"version": 1, "parent": None, "date": day, "tables": tables}
    create(Publications(config.root, config.recipe.name).path(1), canonical_json(content))
