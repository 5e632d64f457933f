"""`label_topics` killed at each of its steps goes on to the bytes of an undisturbed run, labels of a model included."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.processes import PROCESSES
from tests.corpora import DAY, table_of
from tests.topic_tables import commit_clusters, topics_config
from tests.unit.test_label_topics import by_label, posts
from tests.unit.test_topic_labels import Endpoint, endpoint, says
from theta_ray.config import Config
from theta_ray.config_topics import Labels
from theta_ray.schemas import TOPICS
from theta_ray.steps import FOLDER_VARIABLE
from theta_ray.topics.label_topics import label
from theta_ray.topics.topic_tasks import TopicsJob

__all__ = ["endpoint"]
pytestmark = pytest.mark.chaos
COMMIT = {"shard_computed", "shard_created", "record_created", "all_done", "manifest_created"}
STEPS = {
    *(f"topics:{step}" for step in {"lease_taken", "rows_staged", *COMMIT}),
    *(f"topic_counts:{step}" for step in COMMIT),
}


def _run(config: Config, job: TopicsJob, steps: Path) -> None:
    os.environ[FOLDER_VARIABLE] = str(steps)
    label(config, job)


def run(config: Config, job: TopicsJob, steps: Path) -> int:
    """Exit code of a process that labels topics."""
    process = PROCESSES.Process(target=_run, args=(config, job, steps))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def copy_of(config: Config, job: TopicsJob, root: Path) -> tuple[Config, TopicsJob]:
    """The committed clusters below another root."""
    shutil.copytree(config.root, root)
    tables = {name: getattr(job, name) for name in ("corpus", "centroids", "assignments", "topics", "topic_counts")}
    moved = {name: replace(table, root=str(root)) for name, table in tables.items()}
    return config.model_copy(update={"root": str(root)}), replace(job, **moved)


def made(job: TopicsJob) -> dict[str, bytes]:
    """Every object of both tables, but for the lease and how long it took."""
    return {
        f"{table.table}/{path.relative_to(table.path)}": path.read_bytes()
        for table in (job.topics, job.topic_counts)
        for path in Path(table.path).rglob("*")
        if path.is_file() and not {"lease", "run_cards", "records"} & set(path.parts)
    }


def test_a_kill_at_any_step_on_first_try_and_on_retry_changes_nothing(tmp_path: Path) -> None:
    config = topics_config(tmp_path, {DAY: posts(40)}, shard_bytes=3000)
    job = commit_clusters(config, by_label)
    whole_config, whole = copy_of(config, job, tmp_path / "whole")
    (tmp_path / "steps").mkdir()
    assert run(whole_config, whole, tmp_path / "steps") == 0
    reached = {line.split()[1] for line in (tmp_path / "steps" / "log").read_text().splitlines()}
    assert reached == STEPS
    expected = made(whole)
    assert len(expected) == 4
    for step in sorted(STEPS):
        mine_config, mine = copy_of(config, job, tmp_path / step)
        steps = tmp_path / f"steps-{step}"
        steps.mkdir()
        (steps / "kill").write_text(f"{step} 2")
        codes = [run(mine_config, mine, steps) for _ in range(3)]
        # a rerun takes a shard that has its record, and a table that has its manifest
        kills = 1 if step.endswith(("record_created", "manifest_created")) else 2
        assert codes == [-signal.SIGKILL] * kills + [0] * (3 - kills), step
        assert made(mine) == expected, step


def test_labels_that_a_model_gave_before_a_kill_are_the_labels(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.replies = [says(f"answer {word}") for word in ("one", "two", "three", "four")]
    config = topics_config(tmp_path, {DAY: posts(40)}, {"labels": Labels(endpoint=endpoint.url, model="tiny")})
    job = commit_clusters(config, by_label)
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "kill").write_text("topic_counts:shard_computed 1")
    assert [run(config, job, steps) for _ in range(2)] == [-signal.SIGKILL, 0]
    assert len(endpoint.asked) == 3
    labels = {topic["label"] for topic in table_of(job.topics, TOPICS).to_pylist()}
    assert labels == {"answer one", "answer two", "answer three"}
