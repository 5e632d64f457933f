"""Clustering in a bucket: the same centroids and assignments as on a disk, with the centroids of the day before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clustered import TOPICS, committed, rows_of, texts_of, topic_config
from tests.conftest import S3
from tests.small_jobs import DAY
from theta_ray.topics import cluster

pytestmark = pytest.mark.s3
NEXT_DAY = "2026-02-01"


def test_clusters_in_a_bucket_are_those_on_a_disk(s3: S3, tmp_path: Path, bert: Path) -> None:
    days = {day: texts_of(list(TOPICS), 120, seed) for seed, day in enumerate((DAY, NEXT_DAY))}
    local = topic_config(tmp_path, bert, days)
    remote = local.model_copy(update={"root": s3.root("cluster")})
    modes = []
    for day in days:
        found = []
        for config in (local, remote):
            assert cluster.run(config, day).status == "committed"
            assert cluster.run(config, day).status == "nothing to do"
            job = cluster.make_job(config, day)
            found.append((rows_of(job.centroids), rows_of(job.assignments), committed(config, day)[0]["mode"]))
        assert found[0] == found[1]
        modes.append(found[1][2])
    assert modes[0] == "fit"
    assert modes[1] in {"assign", "warm"}  # from the bucket's own day before
