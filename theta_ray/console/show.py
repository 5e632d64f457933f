"""`theta-ray show`: a night's documents, topics and networks as tables in the terminal, or as one line of JSON."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping

from theta_ray.config import Config
from theta_ray.console import read_tables
from theta_ray.console.days import Night, find_night
from theta_ray.console.text_table import TextTable
from theta_ray.errors import ConfigError

ROWS_SHOWN = 12
SHOWN_WHOLE = ("statistics", "versions", "rows", "quarantine", "settings")
NARROWEST = 40
# What each is read from.
NEEDED = {
    "documents": "corpus",
    "quarantine": "corpus",
    "languages": "corpus",
    "topics": "topics",
    "communities": "communities",
    "statistics": "network_stats",
    "hubs": "nodes",
    "versions": None,
}


def make_tables(night: Night, min_cell: int, only: str | None = None) -> list[TextTable]:
    """The tables of a night that there is something to tell of, or the one that is asked for, whole."""
    tables = night.tables
    makers: dict[str, Callable[[], TextTable]] = {
        "documents": lambda: read_tables.documents(tables),
        "quarantine": lambda: read_tables.quarantine(tables),
        "languages": lambda: read_tables.languages(tables, min_cell),
        "topics": lambda: read_tables.topics(tables, min_cell),
        "communities": lambda: read_tables.communities(tables, min_cell),
        "statistics": lambda: read_tables.statistics(tables, whole=only == "statistics"),
        "hubs": lambda: read_tables.hubs(tables, min_cell),
        "versions": lambda: read_tables.versions(tables),
    }
    there = [name for name, needed in NEEDED.items() if needed is None or needed in tables]
    if only is None:
        return [table for table in (makers[name]() for name in there) if table.rows]
    if only not in there:
        known = ", ".join(there)
        raise ConfigError(f"--table {only}: there is none of {night.day}; choose one of {known}, or run its job first")
    return [makers[only]()]


def show(config: Config, asked: str | None, *, only: str | None = None, as_json: bool = False) -> None:
    """Write a night's tables to stdout.

    Raises:
        InputError: nothing is committed of that day.
        ConfigError: there is no such table.
    """
    night = find_night(config, asked)
    tables = make_tables(night, config.recipe.report.min_cell, only)
    if as_json:
        write_json({"date": night.day, "publication": night.version}, tables)
    else:
        write_tables(night.title, tables, whole=only is not None)


def write_tables(title: str, tables: list[TextTable], *, whole: bool = False) -> None:
    """Write tables as text that fits the terminal."""
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    parts = [title]
    for table in tables:
        parts.append("\n".join(table.lines(width, None if whole or table.name in SHOWN_WHOLE else ROWS_SHOWN)))
    sys.stdout.write("\n\n".join(parts) + "\n")


def write_json(facts: Mapping[str, object], tables: list[TextTable]) -> None:
    """Write tables as one line of JSON."""
    sys.stdout.write(json.dumps({**facts, "tables": {table.name: table.to_json() for table in tables}}) + "\n")
