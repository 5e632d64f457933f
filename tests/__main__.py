"""All tests, in as many processes as there are cores (2 to 4), which share the test files: see tests/shares.py.

python -m tests [options of pytest]    # make test; the first is shown as it runs, the others when all have ended

Temporary files are in memory where there is room: tests write thousands of files, each of which waits for the disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEMORY = "/dev/shm"
ROOM = 8 * 2**30
"""Bytes; ten times what the tests' files take at once."""


def main(options: list[str]) -> int:
    """Run all tests; the exit code of the first process that fails."""
    with tempfile.TemporaryDirectory(prefix="theta-ray-tests-", dir=place()) as folder, contextlib.ExitStack() as stack:
        claims = Path(folder) / "claims"
        claims.mkdir()
        # unbuffered: what was told is there when it is stopped
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": folder}
        first, *rest = (share_command(claims, number, options) for number in range(num_processes()))
        others = [stack.enter_context(told_at_the_end(command, environment)) for command in rest]
        codes = [subprocess.run(first, check=False, env=environment).returncode, *(each.wait() for each in others)]
    return next((code for code in codes if code), 0)


def share_command(claims: Path, number: int, options: list[str]) -> list[str]:
    """What runs one share of the tests."""
    # in one word: pytest takes a word that is a path for the place of the tests, and looks for its settings there
    return [sys.executable, "-m", "pytest", "-p", "tests.shares", f"--claims={claims}", f"--share={number}", *options]


@contextlib.contextmanager
def told_at_the_end(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose words are kept until the end of the `with` block."""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT, env=environment)
        try:
            yield process
        finally:
            process.kill()  # only where this process is stopped
            process.wait()
            told.seek(0)
            sys.stdout.write(told.read())


def num_processes() -> int:
    """One for each core; two on one core, as tests wait."""
    return min(4, max(2, os.cpu_count() or 1))


def place() -> str | None:
    """Where temporary files go: None is the system's choice. Tests run programs that they write there."""
    if os.environ.get("TMPDIR") or not os.path.isdir(MEMORY):
        return None
    runs_programs = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    return MEMORY if runs_programs and shutil.disk_usage(MEMORY).free >= ROOM else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
