"""What readers of a recipe's results look at: for each refresh that ended, which versions of which tables it made.

    <root>/published/<recipe name>/00000001.json   the tables of one day, each by fingerprint, version and SHA-256
                                  /00000002.json   the next night, or an earlier one again (a rollback)

A publication is created last and once; the highest is what counts, so that nobody ever sees half a night. Its bytes
hold no time and no host: two runs that did the same publish the same, and whoever comes second finds it there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from theta_ray.errors import ConflictError, InputError
from theta_ray.manifest import manifest_digest
from theta_ray.objects import join, list_names, read_bytes
from theta_ray.steps import reached
from theta_ray.store import canonical_json, create_same

FOLDER = "published"


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

    def read(self, version: int | None = None) -> dict[str, Any] | None:
        """A publication, or the newest one; None where there is none yet.

        Raises:
            InputError: there is no such version, or it cannot be read as one.
        """
        known = self.versions()
        if version is None and not known:
            return None
        wanted = known[-1] if version is None else version
        if wanted not in known:
            there = f"versions {', '.join(map(str, known))}" if known else "nothing"
            raise InputError(f"{self.path(wanted)}: there is no such publication; {there} is published")
        try:
            found = json.loads(read_bytes(self.path(wanted)))
        except ValueError as error:
            raise InputError(f"{self.path(wanted)}: is damaged ({error}); publish an older version again") from error
        if not isinstance(found, dict) or "tables" not in found:
            raise InputError(f"{self.path(wanted)}: is no publication; publish an older version again")
        return found

    def of_day(self, day: str) -> dict[str, Any] | None:
        """The newest publication of a day; None where there is none."""
        for version in reversed(self.versions()):
            found = self.read(version)
            if found is not None and found["date"] == day:
                return found
        return None

    def publish(self, content: dict[str, Any]) -> dict[str, Any]:
        """Create the next version of `content`; where the newest one says the same, that one stays.

        Args:
            content: `date`; `tables`, for each the identity of its manifest (`manifest.identity_of`); more at will.

        Raises:
            ConflictError: another run has published something else at the same time.
        """
        newest = self.read()
        if newest is not None and {**newest, "version": 0, "parent": None} == {
            **content,
            "version": 0,
            "parent": None,
        }:
            return newest
        parent = None if newest is None else {"version": newest["version"], "sha256": manifest_digest(newest)}
        made = {"version": 1 if newest is None else newest["version"] + 1, "parent": parent, **content}
        uri = self.path(made["version"])
        reached("all_done", FOLDER, str(made["version"]))
        if create_same(uri, canonical_json(made)) is not None:
            raise ConflictError(f"{uri}: another run has published something else; rerun to build on it")
        reached("manifest_created", FOLDER, str(made["version"]))
        return made
