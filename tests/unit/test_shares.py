"""Processes that share the test files run each test once, and those that need a server in the first."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

from tests.__main__ import share_command
from tests.conftest import REPOSITORY

TESTS = """
import os, time
import pytest

@pytest.fixture
def s3(): ...

def ran(name):
    with open("ran", "a") as file:
        file.write(f"{os.environ['SHARE']} {name}\\n")
    time.sleep(0.01)

@pytest.mark.parametrize("number", range(4))
def test_one(number): ran(f"one {FILE} {number}")

@pytest.mark.parametrize("number", range(2))
def test_served(s3, number): ran(f"served {FILE} {number}")
"""


def test_each_test_is_run_once_and_those_with_a_server_in_the_first_process(tmp_path: Path) -> None:
    claims, folder = tmp_path / "claims", tmp_path / "tests"
    claims.mkdir()
    folder.mkdir()
    for number in range(6):
        (folder / f"check_{number}.py").write_text(f"FILE = {number}\n{TESTS}")
    # settings that are found where pytest is called
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\npython_files = "check_*.py"\n')
    running = [
        subprocess.Popen(
            share_command(claims, share, ["-q", "-p", "no:cacheprovider"]),
            cwd=folder,
            env={**os.environ, "SHARE": str(share), "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
        )
        for share in range(3)
    ]
    told = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], told
    ran = [line.split(maxsplit=1) for line in (folder / "ran").read_text().splitlines()]
    expected = [f"one {file} {number}" for file in range(6) for number in range(4)]
    expected += [f"served {file} {number}" for file in range(6) for number in range(2)]
    assert Counter(name for _, name in ran) == Counter(expected)
    assert {share for share, name in ran if name.startswith("served")} == {"0"}
