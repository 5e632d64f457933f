"""All tests in two processes at once: those that start clusters, servers and browsers, and beside them the others.

python -m tests [options of pytest]    # make test; the first half is shown as it runs, the second when it has ended
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

STARTING = "browser or chaos or k8s or ray or s3"


def main(options: list[str]) -> int:
    """Run both halves; the exit code of the first that fails."""
    command = [sys.executable, "-m", "pytest", *options]
    with tempfile.TemporaryFile("w+") as told:
        unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}  # what was told is there when it is stopped
        others = subprocess.Popen(
            [*command, "-m", f"not ({STARTING})"], stdout=told, stderr=subprocess.STDOUT, env=unbuffered
        )
        try:
            starting = subprocess.run([*command, "-m", STARTING], check=False).returncode
            rest = others.wait()
        finally:
            others.kill()  # only where this process is stopped
            told.seek(0)
            sys.stdout.write(told.read())
    return starting or rest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
