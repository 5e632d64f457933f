"""Which tables a person means by a day, a publication, or nothing at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from theta_ray.config import Config
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import InputError
from theta_ray.objects import join, list_names
from theta_ray.publication import Publications
from theta_ray.report.tables import Committed, committed_of, find_tables, published_tables
from theta_ray.store import Partition

VERSION = re.compile(r"v(\d{1,8})")
# Each after those that it is made from.
MADE_BY_MODEL = ("embeddings", "centroids", "assignments", "topics", "topic_counts")


@dataclass(frozen=True)
class Night:
    """The tables of a day that belong together."""

    day: str
    version: int | None
    """Of the publication; None where the tables are committed and not published."""
    tables: dict[str, Committed]
    has_model: bool = True
    """Whether the recipe's model is on this machine, so that its tables are known by name."""

    @property
    def title(self) -> str:
        """The day, and where its tables are from."""
        if self.version is not None:
            return f"{self.day}  publication {self.version}"
        told = "" if self.has_model else "; the recipe's model is not here, these are the only tables of its corpus"
        return f"{self.day}  not published{told}"


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
    try:
        tables, has_model = find_tables(config, day), True
    except InputError as error:  # the model has a say in the names of tables
        tables, has_model = _made_from_corpus(config, day, error), False
    if not tables:
        hint = f"run a job of {day} first, or name the --set values that it had"
        raise InputError(f"{config.root}: nothing of {day} is committed for this recipe; {hint}")
    return Night(day, None, tables, has_model)


def _made_from_corpus(config: Config, day: str, error: InputError) -> dict[str, Committed]:
    """The tables of a day that were made from the recipe's corpus, one from the other.

    Raises:
        InputError: `error`, where a table is there more than once: the model would tell which is meant.
    """
    from theta_ray.network.analyze_network import make_job as network_job

    found = committed_of([partition_of(config, day), *network_job(config, day).tables.values()])
    for table in MADE_BY_MODEL:
        names = list_names(join(config.root, table))
        there = [committed_of([Partition(config.root, table, name, day)]).get(table) for name in names]
        mine = [each for each in there if each is not None and _is_made_from(each, found)]
        if len(mine) > 1:
            raise error
        if mine:
            found[table] = mine[0]
    return found


def _is_made_from(made: Committed, found: dict[str, Committed]) -> bool:
    inputs = made.manifest["inputs"]
    known = [name for name in inputs if name in found]
    return bool(known) and all(inputs[name]["fingerprint"] == found[name].partition.fingerprint for name in known)


def _published(config: Config, publication: dict[str, Any]) -> Night:
    return Night(publication["date"], publication["version"], published_tables(config.root, publication))


def _newest_day(config: Config) -> str:
    """The last day that has anything of the recipe's corpus."""
    folder = partition_of(config, "").path.rpartition("/")[0]
    days = [name.removeprefix("dt=") for name in list_names(folder) if name.startswith("dt=")]
    if not days:
        raise InputError(
            f"{folder}: nothing is committed for this recipe; run a job, or check --root, --config and --set"
        )
    return max(days)
