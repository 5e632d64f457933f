"""Labelling topics in a bucket: the same rows as on a disk, ids of the day before included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import S3
from tests.corpora import DAY
from tests.topic_tables import commit_clusters, topics_config, topics_of
from tests.unit.test_label_topics import NEXT_DAY, by_label, posts
from theta_ray.objects import open_filesystem

pytestmark = pytest.mark.s3


def test_topics_in_a_bucket_are_those_on_a_disk(s3: S3, tmp_path: Path) -> None:
    local = topics_config(tmp_path, {DAY: posts(60), NEXT_DAY: posts(60, 1)})
    remote = local.model_copy(update={"root": s3.root("topics")})
    for day in (DAY, NEXT_DAY):
        jobs = [commit_clusters(config, by_label, day) for config in (local, remote)]
        topics = [topics_of(config, job) for config, job in zip((local, remote), jobs, strict=True)]
        assert topics[0] == topics[1]
        fs, path = open_filesystem(jobs[1].topics.at("staging"))
        assert [name for name in fs.find(path) if "." in name.removeprefix(path)] == []  # folders may stay
    assert {topic["event"] for topic in topics[1][0]} == {"kept"}
