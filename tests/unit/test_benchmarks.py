"""Benchmarks that cannot run everywhere are run here in miniature, so that they run where they can."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def test_the_table_for_a_gpu_is_printed_whole_in_miniature() -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--miniature", "--rounds", "1", "--no-jobs"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr
    assert "in miniature: no figure" in done.stdout
    rows = re.findall(r"^\| (ours, grouped|sentence-transformers) \|(.*)\|$", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == ["ours, grouped", "sentence-transformers"] * 2
    for _, cells in rows:
        assert float(cells.split("|")[5]) > 0.99  # both give the same vectors
        assert float(cells.split("|")[1].replace(",", "")) > 0
