"""Labelling topics on the session's Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpora import DAY
from tests.topic_tables import commit_clusters, topics_config, topics_of
from tests.unit.test_label_topics import by_label, posts
from theta_ray.manifest import read_manifest

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_the_cluster_commits_the_bytes_of_one_process(tmp_path: Path) -> None:
    local = topics_config(tmp_path, {DAY: posts(200)}, {"diversity": 0.3})
    resources = local.resources.model_copy(update={"executor": "ray"})
    remote = local.model_copy(update={"root": str(tmp_path / "ray")})
    jobs = [commit_clusters(config, by_label) for config in (local, remote)]
    topics = [
        topics_of(config, job)
        for config, job in zip((local, remote.model_copy(update={"resources": resources})), jobs, strict=True)
    ]
    assert topics[0] == topics[1]
    for table in ("topics", "topic_counts"):
        first, second = (read_manifest(getattr(job, table)) for job in jobs)
        assert first is not None
        assert first == second
