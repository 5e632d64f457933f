"""A plugin of pytest: processes share the test files, each takes the next one that no other has taken.

Files whose tests need the session's Ray cluster or S3 server stay with the first process. It begins with them, goes on
with the others that start processes, and then takes what is left from the end; the others begin at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest

SERVERS = {"ray", "ray_cluster", "s3", "s3_settings"}
STARTING = {"browser", "chaos", "k8s"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--claims", type=Path, help="folder of files that say which test files are taken")
    parser.addoption("--share", type=int, default=0, help="number of this process, from 0")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Share(config.getoption("claims"), config.getoption("share")), "share")


class Share:
    """What one process runs."""

    def __init__(self, claims: Path, number: int) -> None:
        self._claims, self._number = claims, number
        self._taken: dict[str, bool] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Order the parts of files; leave those that only the first process runs out of the others."""
        parts = [(name, list(part)) for name, part in groupby(sorted(items, key=part_of), part_of)]
        served, starting, rest = ([part for part in parts if kind(part[1]) == number] for number in range(3))
        first = not self._number
        config.hook.pytest_deselected(items=[] if first else _items(served))
        items[:] = _items([*served, *starting, *rest[::-1]] if first else [*rest, *starting[::-1]])

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Pass over the tests of a part that another process has taken."""
        part = part_of(item)
        if part not in self._taken:
            try:
                (self._claims / part.replace("/", "-")).touch(exist_ok=False)
            except FileExistsError:
                self._taken[part] = False
            else:
                self._taken[part] = True
        return None if self._taken[part] else True


def part_of(item: pytest.Item) -> str:
    """Its file, and whether it needs a server of the session."""
    return f"{item.nodeid.split('::')[0]}{'-served' if _words(item) & SERVERS else ''}"


def kind(part: list[pytest.Item]) -> int:
    """0: needs a server of the session; 1: starts processes; 2: neither."""
    words = set[str]().union(*map(_words, part))
    return 0 if words & SERVERS else 1 if words & STARTING else 2


def _words(item: pytest.Item) -> set[str]:
    """Its marks and fixtures."""
    return {*(mark.name for mark in item.iter_markers()), *getattr(item, "fixturenames", ())}


def _items(parts: Iterable[tuple[str, list[pytest.Item]]]) -> list[pytest.Item]:
    return [item for _, part in parts for item in part]
