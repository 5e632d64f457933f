"""A fifth of all ids repeated within and between shards: the same rows stay in whatever order shards are done."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import config_of, jsonl_input, write_jsonl
from tests.hostile import ids_of, manifest_of, quarantined, run
from theta_ray import tasks
from theta_ray.tasks import map_tasks


def write_files(folder: Path) -> Path:
    """Four files of 250 rows; every fifth row has the id of an earlier one and a text of its own."""
    seeded = random.Random(4)
    rows: list[dict[str, str]] = []
    for number in range(1000):
        doc_id = seeded.choice(rows)["id"] if number % 5 == 4 else f"d{number}"
        rows.append({"id": doc_id, "text": f"text {number}"})
    for part in range(4):
        write_jsonl(folder / f"{part}.jsonl", rows[part * 250 : (part + 1) * 250])
    return folder


@pytest.mark.parametrize("order", ["first to last", "last to first", "shuffled"])
def test_the_first_of_equal_ids_stays_in_whatever_order_shards_are_done(
    tmp_path: Path, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(tmp_path / "in")
    expected = config_of(tmp_path / "expected", jsonl_input(folder), shard_bytes=2000)
    run(expected)

    def reordered(function: Any, items: Any, *rest: Any) -> Iterator[Any]:
        items = list(items)
        if order == "last to first":
            items.reverse()
        elif order == "shuffled":
            random.Random(7).shuffle(items)
        return map_tasks(function, items, *rest)

    monkeypatch.setattr(tasks, "map_tasks", reordered)
    config = config_of(tmp_path / "found", jsonl_input(folder), shard_bytes=2000)
    card = run(config)
    assert card.quarantined == {"duplicate_id": 200}
    assert ids_of(config) == ids_of(expected) == [f"d{i}" for i in range(1000) if i % 5 != 4]
    assert quarantined(config) == quarantined(expected)
    assert manifest_of(config) == manifest_of(expected)
    assert len(manifest_of(config)["shards"]) > 10
