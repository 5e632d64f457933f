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


def test_the_table_of_training_shapes_is_printed_whole_in_miniature_and_without_ray(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('no Ray here')\n")
    command = [sys.executable, "benchmarks/finetune_shapes.py", "--shapes", "miniature", "--steps", "1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr
    header, _, *rows = done.stdout.splitlines()[2:]
    assert header == "| shape | gradient checkpointing | passes | tokens/s | pairs/s | peak GiB | MFU |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:2] for row in cells] == [["miniature", "no"], ["miniature", "yes"]]
    for row in cells:
        assert min(float(cell.replace(",", "").rstrip("%")) for cell in row[2:]) > 0
