"""Small corpora and the pairs that are mined from them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.corpora import DAY, config_of, jsonl_input, table_of, write_jsonl
from theta_ray.config import Config, Resources
from theta_ray.config_pairs import Pairs
from theta_ray.runcard import RunCard
from theta_ray.schemas import PAIRS
from theta_ray.training import mine_pairs

COLUMNS = {
    "author_id": "user",
    "context_id": "thread",
    "parent_id": "parent",
    "created_at": "time",
    "label": "label",
}


def pairs_config(folder: Path, records: list[dict[str, Any]], section: dict[str, Any], **corpus: Any) -> Config:
    """A configuration over JSON lines with `id`, `text` and the columns above, and a section `pairs`."""
    source = jsonl_input(write_jsonl(folder / "raw.jsonl", records), **COLUMNS)
    return with_pairs(config_of(folder, source, **{"hashtags": "unicode", **corpus}), section)


def with_pairs(config: Config, section: dict[str, Any], **resources: Any) -> Config:
    """The configuration with this section `pairs`."""
    recipe = config.recipe.model_copy(update={"pairs": Pairs.model_validate(section)})
    settings = Resources(**{"executor": "local", **resources})
    return config.model_copy(update={"recipe": recipe, "resources": settings})


def mine(config: Config) -> tuple[RunCard, list[dict[str, Any]]]:
    """Run the stage; its run card and the committed pairs."""
    card = mine_pairs.run(config, DAY)
    return card, table_of(mine_pairs.make_job(config, DAY).partition, PAIRS).to_pylist()


def ids(pairs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Anchors and positives, sorted."""
    return sorted((pair["anchor_id"], pair["positive_id"]) for pair in pairs)


def dropped(card: RunCard) -> dict[str, int]:
    """Reasons and counts of a run card, which must add up."""
    found = {name.removeprefix("dropped_"): n for name, n in card.figures.items() if name.startswith("dropped_")}
    assert card.figures["candidates"] == card.figures["candidates_in_pairs"] + sum(found.values())
    return found
