"""Stage `cluster` on the session's Ray cluster: the bytes of one process, also where a worker dies in the middle."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.clustered import TOPICS, committed, texts_of, topic_config
from tests.small_jobs import DAY
from theta_ray.config import Config
from theta_ray.topics import cluster, row_actors
from theta_ray.topics.cluster_worker import ClusterWorker, make_worker

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def _on_ray(config: Config, folder: Path, **resources: Any) -> Config:
    settings = config.resources.model_copy(update={"executor": "ray", **resources})
    return config.model_copy(update={"resources": settings, "root": str(folder)})


def test_centroids_and_assignments_are_those_of_one_process_on_any_number_of_workers(
    tmp_path: Path, bert: Path
) -> None:
    local = topic_config(tmp_path, bert, {DAY: texts_of(list(TOPICS), 600)})
    configs = [local, *(_on_ray(local, tmp_path / f"ray{count}", num_actors=count) for count in (1, 2))]
    cards = [cluster.run(config, DAY) for config in configs]
    manifests = [committed(config, DAY) for config in configs]
    assert len(manifests[0][1]["shards"]) > 2  # two workers have something to share
    assert manifests[0] == manifests[1] == manifests[2]
    assert [card.figures["clusters"] for card in cards] == [4, 4, 4]
    assert cards[1].upstream[0].stage == "embed"


class _Mortal(ClusterWorker):
    """Dies once, in the second step of the fit, after it has read its rows."""

    def step(self, *arguments: Any) -> Any:
        assert self.job is not None
        marks = Path(self.job.centroids.root) / "marks"
        marks.mkdir(parents=True, exist_ok=True)
        (marks / f"step-{len(list(marks.iterdir()))}").touch()
        if len(list(marks.iterdir())) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(*arguments)


def _make_mortal(*arguments: Any) -> ClusterWorker:
    worker = make_worker(*arguments)
    return _Mortal(worker.store, worker.spherical, worker.num_threads, worker.job, worker.folder)


def test_a_worker_killed_in_the_middle_of_a_step_changes_nothing(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = topic_config(tmp_path, bert, {DAY: texts_of(list(TOPICS), 600)})
    mortal = _on_ray(local, tmp_path / "killed", num_actors=2)
    cluster.run(local, DAY)

    class Actor(row_actors._RowActor):
        def __init__(self, *arguments: Any) -> None:
            self.worker = _make_mortal(*arguments)

    monkeypatch.setattr(row_actors, "_RowActor", Actor)
    cluster.run(mortal, DAY)
    assert len(list((tmp_path / "killed" / "marks").iterdir())) > 3  # it died, and was asked again
    assert committed(local, DAY)[0]["shards"] == committed(mortal, DAY)[0]["shards"]
    assert committed(local, DAY)[1]["shards"] == committed(mortal, DAY)[1]["shards"]
