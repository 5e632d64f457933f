"""Processes that create the same object at once: one wins, everyone else is told, and the bytes are the winner's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, S3
from tests.s3.racers import content
from theta_ray.objects import create, create_from_file, get_file, open_filesystem, read_many
from theta_ray.store import file_sha256

# s3fs uploads larger files in parts unless it is told not to
LARGE_BYTES = 100 * 2**20


def _race(root: str, *, racers: int, keys: int, files: list[str] | None = None) -> list[list[bool]]:
    """What each racer was told of each key."""
    settings = {"root": root, "racers": racers, "keys": keys, "files": files or []}
    command = [sys.executable, "-m", "tests.s3.racers", json.dumps(settings)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told: list[list[bool]] = json.loads(ended.stdout)
    assert [len(won) for won in told] == [keys] * racers
    return told


def _winners(told: list[list[bool]]) -> list[int]:
    """The one racer that won each key."""
    winners = [[name for name, won in enumerate(told) if won[key]] for key in range(len(told[0]))]
    assert [len(names) for names in winners] == [1] * len(winners)
    return [name for (name,) in winners]


def test_one_of_sixteen_processes_wins_each_of_two_hundred_files(tmp_path: Path) -> None:
    winners = _winners(_race(str(tmp_path), racers=16, keys=200))
    assert read_many([str(tmp_path / f"{key:04d}") for key in range(200)]) == [content(name) for name in winners]
    assert len(set(winners)) > 1  # it was a race
    assert sorted(os.listdir(tmp_path)) == [f"{key:04d}" for key in range(200)]  # and no temporary file is left


@pytest.mark.s3
def test_one_of_sixteen_processes_wins_each_of_a_hundred_objects(s3: S3) -> None:
    root = s3.root("race")
    winners = _winners(_race(root, racers=16, keys=100))
    assert read_many([f"{root}/{key:04d}" for key in range(100)]) == [content(name) for name in winners]
    assert len(set(winners)) > 1


@pytest.mark.s3
def test_one_of_four_processes_wins_an_object_of_a_hundred_megabytes(s3: S3, tmp_path: Path) -> None:
    root = s3.root("large")
    files = [str(tmp_path / str(name)) for name in range(4)]
    for name, file in enumerate(files):
        Path(file).write_bytes(bytes([name]) * (LARGE_BYTES + name))
    winners = _winners(_race(root, racers=4, keys=2, files=files))
    for key, winner in enumerate(winners):
        get_file(f"{root}/{key:04d}", str(tmp_path / "copy"))
        assert file_sha256(str(tmp_path / "copy")) == file_sha256(files[winner])
    assert not create_from_file(f"{root}/0000", files[0])
    fs, _ = open_filesystem(root)
    assert fs.list_multipart_uploads(s3.bucket) == []  # nothing was uploaded in parts, so none are left


def test_an_object_is_not_created_over_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    assert not create(str(tmp_path / "key"), b"data")
