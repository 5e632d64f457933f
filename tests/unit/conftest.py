"""The small job that most tests of the embed stage run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small_jobs import make_config, make_texts, write_jsonl
from theta_ray.config import Config


@pytest.fixture
def config(tmp_path: Path, bert: Path) -> Config:
    """120 short documents in `tmp_path / "raw"`, enough for several shards; tables in `tmp_path / "root"`."""
    raw = write_jsonl(tmp_path / "raw" / "a.jsonl", make_texts(120))
    return make_config(raw, str(tmp_path / "root"), bert, corpus={"shard_bytes": 1500})
