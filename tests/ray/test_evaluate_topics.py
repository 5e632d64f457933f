"""Judging topics and numbers of clusters on the session's Ray cluster: the rows of one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clustered import TOPICS, texts_of, topic_config
from tests.corpora import table_of
from tests.small_jobs import DAY, read_table
from tests.unit.test_choose_k import SECTION
from tests.unit.test_evaluate_topics import prepared
from theta_ray.config_quality import ChooseK
from theta_ray.schemas import TOPIC_QUALITY, TOPIC_TREE
from theta_ray.topics import choose_k, evaluate_topics

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_the_cluster_judges_topics_as_one_process_does(tmp_path: Path) -> None:
    jobs = []
    for executor in ("local", "ray"):
        config, job = prepared(tmp_path / executor)
        resources = config.resources.model_copy(update={"executor": executor})
        evaluate_topics.evaluate(config.model_copy(update={"resources": resources}), job)
        jobs.append(job)
    for name, schema in (("quality", TOPIC_QUALITY), ("tree", TOPIC_TREE)):
        first, second = (table_of(getattr(job, name), schema) for job in jobs)
        assert first.equals(second)


def test_the_cluster_has_the_curve_of_one_process(tmp_path: Path, bert: Path) -> None:
    local = topic_config(tmp_path, bert, {DAY: texts_of(list(TOPICS), 400)})
    recipe = local.recipe.model_copy(update={"choose_k": ChooseK.model_validate(SECTION)})
    local = local.model_copy(update={"recipe": recipe})
    resources = local.resources.model_copy(update={"executor": "ray", "num_actors": 2})
    remote = local.model_copy(update={"resources": resources, "root": str(tmp_path / "ray")})
    cards = [choose_k.run(config, DAY) for config in (local, remote)]
    assert read_table(local.root, "k_curve").equals(read_table(remote.root, "k_curve"))
    assert cards[0].figures["because"] == cards[1].figures["because"]
