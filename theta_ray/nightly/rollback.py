"""An earlier publication counts again: checked that all of it is still there, then published once more."""

from __future__ import annotations

from theta_ray.config import Config
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import identity_of
from theta_ray.objects import join, list_sizes
from theta_ray.publication import FOLDER, Publication, Publications
from theta_ray.report.tables import Committed, published_tables
from theta_ray.runcard import RunCard, versions
from theta_ray.store import Record, check_present


def roll_back(config: Config, version: int) -> RunCard:
    """Publish what a version holds again; those after it are withdrawn.

    Raises:
        InputError: there is no such publication, or a table of it is gone or another one.
    """
    publications = Publications(config.root, config.recipe.name)
    before, content = publications.read(), publications.read(version)
    assert content is not None, "a version that is not there is an error"
    assert before is not None, "there is a version"
    check_whole(config.root, content)
    made = publications.restore(version)
    is_new = made["version"] != before["version"]
    figures = {
        "publication": made["version"],
        "holds_version": version,
        "withdrawn": ", ".join(map(str, made["withdrawn"])) or "none",
        "tables": len(made["tables"]),
    }
    return RunCard(
        "refresh",
        "committed" if is_new else "nothing to do",
        join(config.root, FOLDER, config.recipe.name),
        made.get("recipe", ""),
        made["date"],
        figures,
        {},
        recipe=config.sections("refresh"),
        versions=versions(),
    )


def check_whole(root: str, publication: Publication) -> None:
    """Raise InputError unless all versions that a publication names are there with all their objects."""
    try:
        for table in published_tables(root, publication).values():
            _check_table(table, publication)
    except (InputError, StageError) as error:
        version, day, why = publication["version"], publication["date"], str(error).split(";")[0]
        hint = f"publish another version, or refresh {day} again"
        raise InputError(f"publication {version} is not whole: {why}; {hint}") from error


def _check_table(table: Committed, publication: Publication) -> None:
    place, manifest = table.partition, table.manifest
    if identity_of(manifest) != publication["tables"][place.table]:
        raise InputError(f"{place.path}: version {manifest['version']} is not the one that was published")
    check_present(place, [Record(**shard) for shard in manifest["shards"]])
    files = set(manifest.get("files", ())) - list_sizes(place.path).keys()
    if files:
        raise InputError(f"{place.at(min(files))}: is gone")
