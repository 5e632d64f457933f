"""Which tables a person means by a day, a publication, or nothing at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import InputError
from theta_ray.objects import list_names
from theta_ray.publication import Publications
from theta_ray.report.tables import Committed, find_tables, published_tables

VERSION = re.compile(r"v(\d{1,8})")


@dataclass(frozen=True)
class Night:
    """The tables of a day that belong together."""

    day: str
    version: int | None
    """Of the publication; None where the tables are committed and not published."""
    tables: dict[str, Committed]

    @property
    def title(self) -> str:
        """The day, and where its tables are from."""
        return f"{self.day}  {'not published' if self.version is None else f'publication {self.version}'}"


def find_night(config: Config, asked: str | None) -> Night:
    """The tables of a day, `v7` for the seventh publication; None: of the newest publication, or else the newest day.

    Of a day the newest publication counts, and where there is none, what is committed.

    Raises:
        InputError: nothing is committed or published of it.
    """
    publications = Publications(config.root, config.recipe.name)
    version = VERSION.fullmatch(asked or "")
    if version:
        found = publications.read(int(version[1]))
    else:
        found = publications.read() if asked is None else publications.of_day(asked)
    if found is not None:
        return _published(config, found)
    day = asked or _newest_day(config)
    tables = find_tables(config, day)
    if not tables:
        raise InputError(f"{config.root}: nothing of {day} is committed for this recipe; run a job of {day} first")
    return Night(day, None, tables)


def _published(config: Config, publication: dict[str, Any]) -> Night:
    return Night(publication["date"], publication["version"], published_tables(config.root, publication))


def _newest_day(config: Config) -> str:
    """The last day that has anything of the recipe's corpus."""
    folder = partition_of(config, "").path.rpartition("/")[0]
    days = [name.removeprefix("dt=") for name in list_names(folder) if name.startswith("dt=")]
    if not days:
        raise InputError(f"{folder}: nothing is committed for this recipe; run a job, or check --root and --config")
    return max(days)
