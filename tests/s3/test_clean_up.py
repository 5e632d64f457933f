"""Clean-up on a real S3 server: unfinished uploads are ended, and ages are those of the server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import S3
from tests.small_jobs import DAY, make_config
from theta_ray import clean_up
from theta_ray.config import CleanUp, Config
from theta_ray.lease import store_now
from theta_ray.objects import create, exists, list_names, open_filesystem
from theta_ray.store import Partition

pytestmark = pytest.mark.s3


def cleaning(root: str, **settings: float) -> Config:
    config = make_config(Path("unused.jsonl"), root, Path("/unused"))
    return config.model_copy(
        update={"recipe": config.recipe.model_copy(update={"clean_up": CleanUp(remove=True, **settings)})}
    )


def uploads(root: str) -> list[str]:
    fs, path = open_filesystem(root)
    bucket, _, prefix = path.partition("/")
    found = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
    return [upload["Key"] for upload in found.get("Uploads") or ()]


def test_uploads_that_nobody_finished_are_ended_once_they_are_old(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    root = s3.root("uploads")
    fs, path = open_filesystem(f"{root}/corpus/0123456789ab/dt={DAY}/part-00000.parquet")
    bucket, _, key = path.partition("/")
    begun = fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    fs.call_s3("upload_part", Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * 1000)
    assert clean_up.run(cleaning(root), DAY).figures()["unfinished_uploads"] == 0
    assert uploads(root) == [key]
    monkeypatch.setattr(clean_up, "store_now", lambda folder: store_now(folder) + timedelta(hours=100))
    assert clean_up.run(cleaning(root), DAY).figures()["unfinished_uploads"] == 1
    assert uploads(root) == []


def test_what_a_dead_run_left_goes_by_the_time_of_the_server(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    root = s3.root("orphans")
    partition = Partition(root, "embeddings", "0123456789ab", DAY)
    names = ["part-00000.parquet", "records/part-00000.json", "staging/ab/rows/part-00000.parquet"]
    for name in names:
        create(partition.at(name), b"left behind")
    clean_up.run(cleaning(root, min_age_hours=1), DAY)
    assert all(exists(partition.at(name)) for name in names)
    monkeypatch.setattr(clean_up, "store_now", lambda folder: store_now(folder) + timedelta(hours=1.1))
    report = clean_up.run(cleaning(root, min_age_hours=1), DAY)
    assert report.figures()["objects"] == 3
    assert not any(exists(partition.at(name)) for name in names)
    assert "part-00000.parquet" not in list_names(partition.path)
