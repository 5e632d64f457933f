"""Two nights of planted topics, from raw files to `topics`: what was born, kept, split and died is told as such."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.clustered import rows_of, topic_config
from theta_ray.config import Config
from theta_ray.config_topics import Topics
from theta_ray.manifest import read_manifest
from theta_ray.topics import label_topics

NIGHTS = ("2026-01-01", "2026-01-02")
WORDS = {
    "football": "football goalkeeper penalty striker stadium league match referee",
    "tennis": "tennis racket serve wimbledon backhand court tournament umpire",
    "bread": "sourdough bread flour oven crust starter loaf baking",
    "stars": "telescope galaxy astronomer planet orbit nebula comet sky",
    "garden": "garden roses soil pruning seeds compost greenhouse tulips",
    "votes": "election poll senator ballot vote campaign debate parliament",
}
ONE = [("football", "tennis"), ("bread",), ("stars",), ("garden",)]
TWO = [("football",), ("tennis",), ("stars",), ("votes",)]


def _texts(topics: list[tuple[str, ...]], count: int, seed: int) -> list[str]:
    """Texts of six words, of all vocabularies of one topic; the topics in turn."""
    generator = random.Random(seed)
    words = [[word for name in names for word in WORDS[name].split()] for names in topics]
    return [" ".join(generator.sample(words[number % len(words)], 6)) for number in range(count)]


def _config(folder: Path, model: Path, nights: dict[str, list[str]], **section: Any) -> Config:
    config = topic_config(folder, model, nights, on_drift="fit", **section)
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"topics": Topics()})})


def _topics(config: Config, night: str) -> dict[str, dict[str, Any]]:
    """The night's topics by the vocabulary of their first term."""
    label_topics.run(config, night)
    rows = rows_of(label_topics.make_job(config, night).topics).to_pylist()
    of_word = {word: name for name, words in WORDS.items() for word in words.split()}
    return {of_word[row["terms"][0]["term"]]: row for row in rows}


def test_a_birth_a_split_and_a_death_are_recorded_as_such(tmp_path: Path, minilm: Path) -> None:
    config = _config(tmp_path, minilm, {NIGHTS[0]: _texts(ONE, 240, 0), NIGHTS[1]: _texts(TWO, 240, 1)})
    before, after = (_topics(config, night) for night in NIGHTS)
    assert {row["event"] for row in before.values()} == {"first"}
    sport = next(row["topic_id"] for name, row in before.items() if name in ("football", "tennis"))
    assert {name: row["event"] for name, row in after.items()} == {
        "football": "split",
        "tennis": "split",
        "stars": "kept",
        "votes": "born",
    }
    assert all(after[name]["previous_ids"] == [sport] for name in ("football", "tennis"))
    assert after["stars"]["topic_id"] == before["stars"]["topic_id"]
    assert after["votes"]["topic_id"] not in {row["topic_id"] for row in before.values()}
    manifest = read_manifest(label_topics.make_job(config, NIGHTS[1]).topics)
    assert manifest is not None
    ended = {topic["topic_id"]: topic["event"] for topic in manifest["ended"]}
    assert ended == {before[name]["topic_id"]: "died" for name in ("bread", "garden")}


def test_a_night_of_the_same_topics_keeps_every_id(tmp_path: Path, minilm: Path) -> None:
    config = _config(tmp_path, minilm, {night: _texts(ONE, 240, seed) for seed, night in enumerate(NIGHTS)})
    before, after = (_topics(config, night) for night in NIGHTS)
    for name in ("bread", "stars", "garden"):
        assert after[name]["topic_id"] == before[name]["topic_id"]
    assert {row["event"] for row in after.values()} == {"kept"}
