"""The tables of the night before: those that were published, else the newest earlier ones of the same fingerprints.

Topics of some nights more are the trend of a topic, where each night has documents of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from theta_ray.config import Config
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import join, list_names
from theta_ray.publication import Publications
from theta_ray.report.tables import Committed, published_tables
from theta_ray.store import Partition

Tables = Mapping[str, Committed]
# Nights of a trend, today included; publications that are looked through for the newest earlier day.
NUM_NIGHTS, NUM_PUBLICATIONS = 14, 32


def tables_before(config: Config, day: str, tables: Tables) -> Tables | None:
    """What a day is compared with; None where there is no earlier night with a corpus.

    Args:
        config: of the recipe, under whose name nights are published.
        day: of the tables.
        tables: of the day.
    """
    found = _published(config, day) or _newest_earlier(config.root, day, tables)
    # an earlier page is no part of what this one says
    return None if found is None else {name: table for name, table in found.items() if name != "report"}


def nights_before(topics: Committed) -> list[Committed]:
    """The topics of the newest earlier nights that have any, oldest first: ids are the same in all of them."""
    place, found = topics.partition, list[Committed]()
    for day in reversed([day for day in _days(place.root, place) if day < place.date]):
        partition = replace(place, date=day)
        manifest = read_manifest(partition)
        if manifest is not None:
            found.append(Committed(partition, manifest))
        if len(found) == NUM_NIGHTS - 1:
            break
    return found[::-1]


def _published(config: Config, day: str) -> Tables | None:
    """Those that were published of the newest earlier day; None where there are none, or they are no longer whole."""
    found = _newest_publication(Publications(config.root, config.recipe.name), day)
    if found is None:
        return None
    try:
        tables = published_tables(config.root, found)
    except InputError:
        return None  # cleaned up, or forgotten, since
    return tables if "corpus" in tables else None


def _newest_publication(publications: Publications, day: str) -> dict[str, Any] | None:
    """The last one of the newest earlier day; those that a rollback took back do not count."""
    versions = publications.versions()
    newest = publications.read(versions[-1]) if versions else None
    withdrawn = newest.get("withdrawn", ()) if newest is not None else ()
    yesterday = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    best: dict[str, Any] | None = None
    # late files of an older day may have been published last
    for version in [version for version in reversed(versions) if version not in withdrawn][:NUM_PUBLICATIONS]:
        found = publications.read(version)
        if found is not None and (best["date"] if best else "") < found["date"] < day:
            best = found
        if best is not None and best["date"] == yesterday:
            break
    return best


def _newest_earlier(root: str, day: str, tables: Tables) -> Tables | None:
    """Those of the newest earlier day that the same recipe has a corpus of."""
    for earlier in reversed(_days(root, tables["corpus"].partition)):
        if earlier >= day:
            continue
        found = {}
        for name, table in tables.items():
            partition = Partition(root, name, table.partition.fingerprint, earlier)
            manifest = read_manifest(partition)
            if manifest is not None:
                found[name] = Committed(partition, manifest)
        if "corpus" in found:
            return found
    return None


def _days(root: str, partition: Partition) -> list[str]:
    names = list_names(join(root, partition.table, partition.fingerprint))
    return sorted(name.removeprefix("dt=") for name in names if name.startswith("dt="))
