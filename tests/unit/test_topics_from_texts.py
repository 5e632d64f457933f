"""From texts to topics by one command: what runs first, what `--plan` says, and what a second day keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.clustered import TOPICS as TEXTS
from tests.clustered import texts_of, topic_config
from tests.corpora import table_of
from theta_ray.config_topics import Topics
from theta_ray.errors import ConfigError
from theta_ray.manifest import read_manifest
from theta_ray.schemas import TOPIC_COUNTS, TOPICS
from theta_ray.topics import label_topics

FIRST, SECOND = "2026-01-30", "2026-01-31"


def test_a_command_makes_everything_and_a_day_later_ids_last(tmp_path: Path, minilm: Path) -> None:
    names = list(TEXTS)
    days = {FIRST: texts_of(names, 80), SECOND: texts_of(names, 80, seed=1)}
    config = topic_config(tmp_path, minilm, days)
    steps = label_topics.plan(config, FIRST).steps
    assert [step.stage for step in steps] == ["prepare", "embed", "cluster", "label_topics"]
    assert steps[-1].status == "would run after cluster"
    card = label_topics.run(config, FIRST)
    assert card.status == "committed"
    assert [upstream.stage for upstream in card.upstream] == ["cluster"]
    assert card.figures["first"] == 4
    assert "topics" in card.page()
    job = label_topics.make_job(config, FIRST)
    topics = table_of(job.topics, TOPICS).to_pylist()
    shown = {frozenset(term["term"] for term in topic["terms"][:2]) for topic in topics}
    assert all(any(words <= set(text.split()) for text in TEXTS.values()) for words in shown)
    assert sum(table_of(job.topic_counts, TOPIC_COUNTS)["count"].to_pylist()) == 80
    assert label_topics.plan(config, FIRST).steps[-1].status == "nothing to do: committed"
    again = label_topics.run(config, FIRST)
    assert (again.status, again.upstream) == ("nothing to do", [])
    second = label_topics.run(config, SECOND)
    assert second.figures["kept"] == 4
    assert second.figures["ids_from"] == FIRST
    same = table_of(replace(job.topics, date=SECOND), TOPICS).to_pylist()
    terms = {topic["topic_id"]: topic["terms"][0]["term"] for topic in topics}
    for topic in same:
        assert terms[topic["topic_id"]] in {term["term"] for term in topic["terms"]}


def test_ids_go_on_from_the_topics_that_a_recipe_names(tmp_path: Path, bert: Path) -> None:
    days = {FIRST: texts_of(list(TEXTS), 40), SECOND: texts_of(list(TEXTS), 40)}
    config = topic_config(tmp_path, bert, days)
    label_topics.run(config, FIRST)
    named = label_topics.make_job(config, FIRST).topics.fingerprint
    recipe = config.recipe.model_copy(update={"topics": Topics(previous=named, num_terms=5)})
    other = config.model_copy(update={"recipe": recipe})
    card = label_topics.run(other, SECOND)
    assert card.fingerprint != named
    assert card.figures["ids_from"] == FIRST
    manifest = read_manifest(label_topics.make_job(other, SECOND).topics)
    assert manifest is not None
    assert manifest["before"]["fingerprint"] == named
    recipe = config.recipe.model_copy(update={"topics": Topics(previous="0" * 12)})
    with pytest.raises(ConfigError, match="topics.previous 000000000000: no topics of a day before 2026-01-31"):
        label_topics.run(config.model_copy(update={"recipe": recipe}), SECOND)


def test_a_recipe_without_clusters_is_told_so(tmp_path: Path, bert: Path) -> None:
    config = topic_config(tmp_path, bert, {FIRST: texts_of(list(TEXTS), 8)})
    without = config.model_copy(update={"recipe": config.recipe.model_copy(update={"cluster": None})})
    with pytest.raises(ConfigError, match="has no section cluster"):
        label_topics.run(without, FIRST)
