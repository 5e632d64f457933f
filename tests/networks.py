"""Small corpora of people who answer, mention and repost each other, and the tables of their networks, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.corpora import DAY, config_of, jsonl_input, table_of, write_jsonl
from theta_ray.config import Config
from theta_ray.config_network import Network
from theta_ray.network import analyze_network
from theta_ray.schemas_network import NETWORK_KEYS, NETWORK_TABLES

COLUMNS = {
    "author_id": "author",
    "context_id": "thread",
    "parent_id": "parent",
    "parent_author_id": "parent_author",
    "container": "forum",
    "created_at": "time",
    "mention_ids": "mentions",
    "links": "links",
    "score": "score",
}
# Small numbers of everything that is drawn.
QUICK = {"num_nulls": 3, "num_resamples": 10, "communities": {"num_seeds": 2}, "max_export_edges": 0}
Row = dict[str, Any]
Tables = dict[str, pa.Table]


def network_config(folder: Path, rows: list[Row], section: dict[str, Any] | None = None, **corpus: Any) -> Config:
    """A configuration over JSON lines, in this process; rows with `"kind": "repost"` are an input of their own."""
    inputs = []
    for kind in ("post", "repost"):
        mine = [row for row in rows if row.get("kind", "post") == kind]
        if mine:
            path = write_jsonl(folder / f"{kind}s.jsonl", mine)
            inputs.append(jsonl_input(path, **COLUMNS).model_copy(update={"kind": kind}))
    config = config_of(folder, *inputs, **corpus)
    recipe = config.recipe.model_copy(update={"network": Network.model_validate({**QUICK, **(section or {})})})
    return config.model_copy(update={"recipe": recipe})


def with_resources(config: Config, **values: Any) -> Config:
    """The same on other resources."""
    return config.model_copy(update={"resources": config.resources.model_copy(update=values)})


def tables_of(config: Config, day: str = DAY) -> Tables:
    """Run the job; the rows of each table in the order of its key."""
    analyze_network.run(config, day)
    job = analyze_network.make_job(config, day)
    return {
        name: table_of(job.tables[name], schema).sort_by([(key, "ascending") for key in NETWORK_KEYS[name].split(", ")])
        for name, schema in NETWORK_TABLES.items()
    }


def edges_of(tables: Tables, graph: str) -> dict[tuple[str, str], int]:
    """Source and target -> events, of one graph."""
    rows = tables["edges"].to_pylist()
    return {(row["source_id"], row["target_id"]): row["num_events"] for row in rows if row["graph"] == graph}


def statistics_of(tables: Tables, graph: str) -> dict[str, float | None]:
    """Values by name, of one graph."""
    rows = tables["network_stats"].to_pylist()
    return {row["statistic"]: row["value"] for row in rows if row["graph"] == graph}
