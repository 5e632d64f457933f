from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.small_jobs import DAY, make_config, make_texts, write_jsonl
from theta_ray.config import Config
from theta_ray.encoder import embed, preview
from theta_ray.encoder.job import make_job
from theta_ray.encoder.neighbours import nearest_neighbours
from theta_ray.errors import InputError


@pytest.fixture
def config(tmp_path: Path, bert: Path) -> Config:
    texts = [*make_texts(61), "the same text", "the same text"]
    raw = write_jsonl(tmp_path / "raw" / "a.jsonl", texts)
    return make_config(raw, str(tmp_path / "root"), bert)


def test_neighbours_equal_a_full_sort() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows, cosines = nearest_neighbours(vectors, np.array([3, 7]), np.arange(50), num_neighbours=4)
    for query, near, close in zip((3, 7), rows, cosines, strict=True):
        expected = [row for row in np.argsort(-(unit @ unit[query])) if row != query][:4]
        assert near.tolist() == expected
        assert close == pytest.approx(unit[expected] @ unit[query], abs=1e-6)


def test_copies_and_near_copies_are_no_neighbours() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0.01], [1, 1], [0, 1]], np.float32)
    rows, _ = nearest_neighbours(vectors, np.array([0]), np.array([0, 0, 1, 2, 3]), num_neighbours=2, below=0.9)
    assert rows.tolist() == [[3, 4]]


def test_the_page_shows_counts_places_and_three_examples(config: Config) -> None:
    embed.run(config, DAY)
    shown = preview.run(config, DAY)
    page = shown.page()
    assert len(shown.examples) == 3
    assert "documents in              63" in page
    assert make_job(config, DAY).embeddings.path in page
    values = json.loads(shown.json_line())
    assert values["embedded"] + sum(values["quarantined"].values()) == 63


def test_texts_cannot_steer_the_terminal() -> None:
    example = preview.Example("road \x1b[31mred \u202e\nbridge", ((0.5, "\x07 \x9b2J bell"),))
    page = preview.Preview("title", {"quarantined": 0}, {}, (example,)).page()
    assert not [c for c in page if not c.isprintable() and c != "\n"]
    assert "road" in page


def test_what_is_not_committed_is_told_with_its_job(config: Config) -> None:
    with pytest.raises(InputError, match="run jobs/embed.py"):
        preview.run(config, DAY)
