"""What readers of a recipe's results look at: for each refresh that ended, which versions of which tables it made.

    <root>/published/<recipe name>/00000001.json   the tables of one day, each by fingerprint, version and SHA-256
                                  /00000002.json   the next night, late files of an earlier one, or a rollback

A publication is created last and once. The highest says in `current` which one counts: itself, or an earlier one where
it is of an earlier day. In `withdrawn` are those that a rollback took back; what they hold is not published again
unless somebody asks for it. The bytes hold no time and no host: two runs that did the same publish the same, and
whoever comes second finds it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from theta_ray.errors import ConflictError, InputError
from theta_ray.manifest import manifest_digest
from theta_ray.objects import join, list_names, read_bytes, read_many
from theta_ray.steps import reached
from theta_ray.store import Partition, canonical_json, create_same

FOLDER = "published"
Publication = dict[str, Any]
# What a publication says of its place among the others, beside what it publishes.
PLACE = ("version", "parent", "current", "withdrawn")
PAGE = "report"
READ_AT_ONCE = 16


@dataclass(frozen=True)
class Publications:
    """All publications of one recipe, by its name."""

    root: str
    name: str

    def path(self, version: int) -> str:
        """Where a version lies."""
        return join(self.root, FOLDER, self.name, f"{version:08d}.json")

    def versions(self) -> list[int]:
        """All that are there, ascending."""
        names = list_names(join(self.root, FOLDER, self.name))
        return sorted(int(name.removesuffix(".json")) for name in names if name.endswith(".json"))

    def read(self, version: int | None = None) -> Publication | None:
        """A publication, or the one that counts; None where there is none yet.

        Raises:
            InputError: there is no such version, or it cannot be read as one.
        """
        if version is not None:
            return self._read(version, self.versions())
        highest = self.highest()
        return highest if highest is None else self.current(highest)

    def highest(self) -> Publication | None:
        """The one that was created last; None where there is none yet."""
        known = self.versions()
        return self._read(known[-1], known) if known else None

    def current(self, highest: Publication) -> Publication:
        """The one that counts, by what the highest says."""
        version: int = highest["current"] if "current" in highest else highest["version"]
        return highest if version == highest["version"] else self._read(version, self.versions())

    def _read(self, version: int, known: list[int]) -> Publication:
        if version not in known:
            there = f"published so far: {', '.join(map(str, known)) or 'nothing'}"
            raise InputError(f"{self.path(version)}: there is no such publication; {there}")
        return self._parse(read_bytes(self.path(version)), version)

    def _parse(self, data: bytes, version: int) -> Publication:
        try:
            found = json.loads(data)
        except ValueError as error:
            raise InputError(f"{self.path(version)}: is damaged ({error}); publish an older version again") from error
        if not isinstance(found, dict) or "tables" not in found:
            raise InputError(f"{self.path(version)}: is no publication; publish an older version again")
        return found

    def of_day(self, day: str) -> Publication | None:
        """The newest publication of a day that was not withdrawn; None where there is none."""
        highest = self.highest()
        if highest is None or day > self.current(highest)["date"]:
            return None
        withdrawn = highest.get("withdrawn", ())
        return next((each for each in self._backwards() if _is_of(each, day, withdrawn)), None)

    def _backwards(self) -> Iterator[Publication]:
        """All, the highest first, some at once."""
        versions = self.versions()[::-1]
        for start in range(0, len(versions), READ_AT_ONCE):
            some = versions[start : start + READ_AT_ONCE]
            found = read_many([self.path(version) for version in some])
            yield from (self._parse(data, version) for data, version in zip(found, some, strict=True))

    def withdrawn_version(self, content: Publication) -> int | None:
        """The withdrawn version that holds these tables, whatever its page says; None where it was not withdrawn."""
        highest = self.highest()
        withdrawn: list[int] = highest.get("withdrawn", []) if highest is not None else []
        for version in withdrawn:
            found = self.read(version)
            if found is not None and _tables_of(found) == _tables_of(content):
                return version
        return None

    def publish(self, content: Publication, highest: Publication | None) -> Publication:
        """Create the version after the `highest` one that was there before `content` was found.

        Args:
            content: `date`; `tables`, for each the identity of its manifest (`manifest.identity_of`); more at will.
            highest: as read before; what another run has published since is not overtaken unseen.

        Raises:
            ConflictError: another run has published something else since.
        """
        withdrawn = highest.get("withdrawn", []) if highest is not None else []
        current = self.current(highest) if highest is not None else None
        is_later = current is None or content["date"] >= current["date"]
        return self._create(content, highest, None if is_later or current is None else current["version"], withdrawn)

    def restore(self, version: int) -> Publication:
        """Publish what a version holds again, to be the one that counts; all later ones are withdrawn.

        One that was withdrawn is taken back into use by this, and withdraws nothing.

        Raises:
            InputError: there is no such version.
            ConflictError: another run has published something else at the same time.
        """
        content, highest = self.read(version), self.highest()
        assert content is not None, "a version that is not there is an error"
        assert highest is not None, "there is a version"
        if content_of(self.current(highest)) == content_of(content):
            return self.current(highest)
        before = highest.get("withdrawn", [])
        later = [] if version in before else [each for each in self.versions() if each > version]
        same = [each for each in [*before, *later] if content_of(self._read(each, [each])) == content_of(content)]
        return self._create(content_of(content), highest, None, sorted({*before, *later} - set(same)))

    def _create(
        self, content: Publication, highest: Publication | None, current: int | None, withdrawn: list[int]
    ) -> Publication:
        version, parent = 1, None
        if highest is not None:
            version = highest["version"] + 1
            parent = {"version": highest["version"], "sha256": manifest_digest(highest)}
        place = {"version": version, "parent": parent, "current": current or version, "withdrawn": withdrawn}
        made, uri = {**content, **place}, self.path(version)
        reached("all_done", FOLDER, str(version))
        if create_same(uri, canonical_json(made)) is not None:
            raise ConflictError(f"{uri}: another run has published something else; rerun to build on it")
        reached("manifest_created", FOLDER, str(version))
        return made


def newest_tables(root: str, count: int) -> Iterator[tuple[Partition, int]]:
    """Versions of tables that each recipe's newest publications name, so many of them, and the one that counts."""
    for name in list_names(join(root, FOLDER)):
        publications = Publications(root, name)
        found = [publications.read(version) for version in publications.versions()[-count:]]
        for publication in (*found, publications.read()):
            if publication is not None:
                for table, identity in publication["tables"].items():
                    yield Partition(root, table, identity["fingerprint"], publication["date"]), identity["version"]


def content_of(publication: Publication) -> Publication:
    """What is published, without its place among the others."""
    return {name: value for name, value in publication.items() if name not in PLACE}


def _tables_of(publication: Publication) -> tuple[str, Any]:
    """What a publication holds; of its page only which one: another night to compare with makes it anew."""
    tables = publication["tables"]
    page = {PAGE: tables[PAGE]["fingerprint"]} if PAGE in tables else {}
    return publication["date"], {**tables, **page}


def _is_of(publication: Publication, day: str, withdrawn: Any) -> bool:
    return publication["date"] == day and publication["version"] not in withdrawn
