"""`theta-ray runs`: the run cards below a root, newest first by the store's clock; one of them, or two side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from theta_ray.console.text_table import TextTable
from theta_ray.errors import ConfigError, InputError
from theta_ray.objects import join, list_names, modified
from theta_ray.runcard import RunCard, load_run_card
from theta_ray.stale import compare_settings
from theta_ray.store import Partition

TABLE = re.compile(r"[a-z_]+")
FINGERPRINT = re.compile(r"[0-9a-f]{12}")
RUN = re.compile(r"(?P<table>[a-z_]+)/(?P<fingerprint>[0-9a-f]{12})/(?P<date>\d{4}-\d\d-\d\d)/(?P<version>\d{1,8})")
REQUESTS_AT_ONCE = 16
COLUMNS = ("stored", "stage", "seconds", "cost", "run")


@dataclass(frozen=True)
class Run:
    """One run card, and where it lies."""

    partition: Partition
    version: int
    stored: datetime
    card: RunCard

    @property
    def name(self) -> str:
        """What `runs show` and `runs diff` call it."""
        place = self.partition
        return f"{place.table}/{place.fingerprint}/{place.date}/{self.version}"


def list_runs(root: str, limit: int) -> list[Run]:
    """The newest runs below a root, by when the store got their cards; of so many days, and so many at most."""
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        tables = [name for name in list_names(root) if TABLE.fullmatch(name)]
        folders = [join(root, table) for table in tables]
        prints = [
            (table, name)
            for table, names in zip(tables, pool.map(list_names, folders), strict=True)
            for name in names
            if FINGERPRINT.fullmatch(name)
        ]
        days = pool.map(list_names, [join(root, table, name) for table, name in prints])
        partitions = [
            Partition(root, table, name, day.removeprefix("dt="))
            for (table, name), found in zip(prints, days, strict=True)
            for day in found
            if day.startswith("dt=")
        ]
        # the cards of years of nights are many: only the newest days are looked into
        newest = set(sorted({partition.date for partition in partitions}, reverse=True)[:limit])
        looked = [partition for partition in partitions if partition.date in newest]
        named = pool.map(list_names, [partition.at("run_cards") for partition in looked])
        cards = [(where, int(name[:8])) for where, names in zip(looked, named, strict=True) for name in names]
        runs = [run for run in pool.map(_load, cards) if run is not None]
    return sorted(runs, key=lambda run: (run.stored, run.name), reverse=True)[:limit]


def _load(place: tuple[Partition, int]) -> Run | None:
    partition, version = place
    card = load_run_card(partition, version)
    if card is None:
        return None  # removed between the listing and now
    return Run(partition, version, modified(partition.at("run_cards", f"{version:08d}.json")), card)


def runs_table(runs: Iterable[Run]) -> TextTable:
    """One row for each run."""
    rows = tuple(
        (
            f"{run.stored:%Y-%m-%d %H:%M}",
            run.card.stage,
            round(sum(run.card.seconds.values()), 1),
            cost_of(run.card),
            run.name,
        )
        for run in runs
    )
    return TextTable("runs", COLUMNS, rows, keep="run", spare="stage")


def cost_of(card: RunCard) -> float | None:
    """What the devices of a run cost, where its resources name a price: actors at work times the seconds they had."""
    price, actors = card.resources.get("price_per_device_hour"), card.figures.get("actors_that_worked")
    if price is None or actors is None:
        return None
    devices = actors * (card.resources.get("gpus_per_actor") or 1)
    return round(float(price * devices * card.seconds.get(card.stage, 0.0) / 3600), 4)


def find_run(root: str, name: str) -> Run:
    """A run by its name.

    Raises:
        ConfigError: no name of a run.
        InputError: there is no such run.
    """
    found = RUN.fullmatch(name)
    if found is None:
        raise ConfigError(f"{name}: is no run; take a name such as embeddings/0123456789ab/2026-01-31/1 from runs list")
    run = _load((Partition(root, found["table"], found["fingerprint"], found["date"]), int(found["version"])))
    if run is None:
        raise InputError(f"{root}: there is no run {name}; take a name from theta-ray runs list")
    return run


def diff_runs(before: Run, after: Run) -> list[TextTable]:
    """Where two runs differ: figures, rejected rows, seconds, recipe, resources, seeds and versions."""
    parts = ("figures", "quarantined", "seconds", "recipe", "resources", "inputs", "seeds", "versions")
    compare = partial(_compare, before.card, after.card)
    return [table for table in map(compare, parts) if table.rows]


def _compare(before: RunCard, after: RunCard, part: str) -> TextTable:
    lines = compare_settings(_tree(getattr(before, part)), _tree(getattr(after, part)))
    return TextTable(part, ("what differs",), tuple((line,) for line in lines), prose=True)


def _tree(value: Any) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(json.dumps(value))  # as a card that was stored
    return tree
