"""Small nights for tests: a file or two of posts a day by people who answer each other, and what a refresh makes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.clustered import TOPICS
from tests.small_jobs import save_recipe
from theta_ray.config import Config, Recipe, Resources

NIGHTS = ("2026-01-30", "2026-01-31", "2026-02-01")
COLUMNS = {
    "doc_id": "id",
    "text": "text",
    "author_id": "author",
    "context_id": "thread",
    "parent_id": "parent",
    "parent_author_id": "parent_author",
    "created_at": "time",
}


def posts_of(night: str, name: str, count: int = 40) -> list[dict[str, Any]]:
    """Posts of a few topics, each an answer to one of the ten before it; the same from night and name."""
    rng = random.Random(f"{night} {name}")
    posts: list[dict[str, Any]] = []
    for number in range(count):
        words = list(TOPICS.values())[number % len(TOPICS)].split()
        parent = rng.choice(posts[-10:]) if posts and number % 3 else None
        posts.append(
            {
                "id": f"{night}-{name}-{number}",
                "text": " ".join(rng.choices(words, k=8)),
                "author": f"u{rng.randrange(12)}",
                "thread": parent["thread"] if parent else f"{night}-{name}-{number}",
                "parent": parent["id"] if parent else None,
                "parent_author": parent["author"] if parent else None,
                "time": f"{night}T{number % 24:02d}:00:00Z",
            }
        )
    return posts


def write_night(folder: Path, night: str, *names: str, count: int = 40) -> None:
    """A file for each name in the folder of a night."""
    place = folder / "raw" / night
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        lines = [json.dumps(post) + "\n" for post in posts_of(night, name, count)]
        (place / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def nightly_recipe(folder: Path, model: Path, **refresh: Any) -> dict[str, Any]:
    """A recipe with every stage of a night, each as small as it gets; every file is a shard."""
    place = {"reader": "jsonl", "path": f"{folder}/raw/{{date}}/*.jsonl", "columns": COLUMNS, "kind": "post"}
    return {
        "name": "small",
        "corpus": {"inputs": [place], "language": "none", "authors": "raw", "shard_bytes": 10_000},
        "encoder": {"model": str(model), "pooling": "mean"},
        "embed": {"parity_rows": 2},
        "cluster": {"num_clusters": len(TOPICS), "restarts": 1},
        "topics": {"num_representatives": 1, "num_borderline": 0},
        "network": {
            "graphs": ["comment_to_parent_author"],
            "num_nulls": 0,
            "num_resamples": 0,
            "num_permutations": 0,
            "max_export_edges": 0,
            "communities": {"num_seeds": 1},
        },
        "refresh": refresh,
    }


def nightly_config(folder: Path, model: Path, **refresh: Any) -> Config:
    """The configuration of such nights, in this process."""
    recipe = Recipe.model_validate(nightly_recipe(folder, model, **refresh))
    resources = Resources(executor="local", threads_per_actor=1)
    return Config(recipe=recipe, resources=resources, root=str(folder / "root"))


def save_nightly(folder: Path, model: Path, **refresh: Any) -> list[str]:
    """The options of a command over such nights."""
    recipe = save_recipe(folder / "recipe.yaml", nightly_recipe(folder, model, **refresh))
    resources = folder / "resources.yaml"
    resources.write_text("executor: local\nthreads_per_actor: 1\n")
    return ["--config", str(recipe), "--resources", str(resources), "--root", str(folder / "root")]


def objects_of(config: Config, *but: str) -> dict[str, bytes]:
    """Every object below the root but leases, run cards and records, which tell of runs."""
    left_out = {"lease", "run_cards", "records", *but}
    files = [path for path in Path(config.root).rglob("*") if path.is_file()]
    names = {path.relative_to(config.root).as_posix(): path for path in files if not left_out & set(path.parts)}
    return {name: path.read_bytes() for name, path in sorted(names.items())}
