"""Why work has to be done: what differs between a committed version and what a recipe and its inputs ask for.

Pure functions on manifests and listings; `--plan` prints their lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from theta_ray.manifest import read_manifest
from theta_ray.objects import list_names
from theta_ray.store import Partition

MAX_LINES = 10
MAX_COMPARED = 20


@dataclass(frozen=True)
class InputChanges:
    """Files of the inputs that are new, gone or changed since a version was committed."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    changed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    def lines(self) -> list[str]:
        """One line for each kind of change, with its first file."""
        return [
            f"{len(files)} input file{'s' if len(files) > 1 else ''} {kind}: {_first(files)}"
            for kind, files in (("new", self.new), ("gone", self.gone), ("changed", self.changed))
            if files
        ]

    def of(self, files: Iterable[str]) -> str:
        """Why a shard of these files cannot be taken over."""
        mine = set(files)
        for kind, changed in (("new", self.new), ("changed", self.changed)):
            found = sorted(mine & set(changed))
            if found:
                return f"{_first(found)} {'is' if len(found) == 1 else 'are'} {kind}"
        return "its files were grouped otherwise, or library versions have changed"


def _first(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def compare_inputs(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> InputChanges:
    """Changes between two listings of files with `input`, `uri`, `bytes` and `identity`."""
    old = {(file["input"], file["uri"]): file for file in before}
    new = {(file["input"], file["uri"]): file for file in now}
    return InputChanges(
        new=tuple(sorted(uri for _, uri in new.keys() - old.keys())),
        gone=tuple(sorted(uri for _, uri in old.keys() - new.keys())),
        changed=tuple(sorted(key[1] for key in old.keys() & new.keys() if old[key] != new[key])),
    )


def compare_settings(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """One line for each value that differs between two trees of settings: `encoder.max_length: 256 before, 128 now`."""
    lines = []
    for key in sorted(before.keys() | now.keys()):
        old, new = _by_place(before.get(key)), _by_place(now.get(key))
        if isinstance(old, dict) and isinstance(new, dict):
            lines += compare_settings(old, new, f"{prefix}{key}.")
        elif old != new:
            lines.append(f"{prefix}{key}: {_short(old)} before, {_short(new)} now")
    return lines


def _by_place(value: Any) -> Any:
    """A list of sections by their places, as `--set` names them: its differences are told one by one."""
    is_sections = isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value)
    return {str(place): each for place, each in enumerate(value)} if is_sections else value


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "\u2026"


def against_other_fingerprints(partition: Partition, settings: dict[str, Any]) -> list[str]:
    """Why no shard of another fingerprint of the same table and day can be taken over; [] where there is none.

    `settings` are the recipe sections and inputs of the partition, as its manifest would hold them.
    """
    nearest: tuple[str, list[str]] | None = None
    folder = partition.path.rsplit("/", 2)[0]
    for name in [name for name in list_names(folder) if name != partition.fingerprint][-MAX_COMPARED:]:
        manifest = read_manifest(Partition(partition.root, partition.table, name, partition.date))
        if manifest is None:
            continue
        differences = compare_settings({key: manifest.get(key) for key in settings}, settings)
        if nearest is None or len(differences) < len(nearest[1]):
            nearest = name, differences
    if nearest is None:
        return []
    name, differences = nearest
    told = differences or ["the columns of the table, or the model's files"]
    return [f"{name} is another table: {line}" for line in cut(told)]


def cut(lines: list[str]) -> list[str]:
    """At most ten lines, and how many more there are."""
    return lines if len(lines) <= MAX_LINES else [*lines[:MAX_LINES], f"... and {len(lines) - MAX_LINES:,} more"]
