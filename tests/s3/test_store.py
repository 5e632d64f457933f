"""The commit protocol on a real S3 server: the promises hold where requests race."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pyarrow as pa
import pytest

from tests.conftest import S3, s3_client
from tests.small_jobs import all_records
from theta_ray.config import Resources
from theta_ray.errors import InputError
from theta_ray.lease import holding, is_held
from theta_ray.manifest import commit, read_manifest
from theta_ray.objects import create, exists, open_filesystem, read_bytes
from theta_ray.store import Partition, ShardWriter, read_shard
from theta_ray.table import open_table

pytestmark = pytest.mark.s3
SCHEMA = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field("value", pa.int32())])
ROWS = pa.table({"doc_id": ["a", "b", "c"], "value": pa.array([1, 2, None], pa.int32())}, schema=SCHEMA)


@pytest.fixture
def partition(s3: S3) -> Partition:
    return Partition(s3.root("store"), "things", "0123456789ab", "2026-01-31")


def _write(partition: Partition, shard: str, rows: pa.Table = ROWS) -> None:
    with ShardWriter(partition, shard, SCHEMA) as writer:
        writer.write(rows)
        writer.publish(quarantined={"too_short": 1}, details={"tokens": 7})


def test_one_of_eight_racing_writers_wins_each_key(s3: S3) -> None:
    root = s3.root("race")
    start = threading.Barrier(8)

    def race(writer: int) -> list[bool]:
        start.wait()
        return [create(f"{root}/key-{key}", f"writer {writer}".encode() * 1000) for key in range(20)]

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, range(8)))

    for key in range(20):
        (winner,) = [writer for writer in range(8) if won[writer][key]]
        assert read_bytes(f"{root}/key-{key}") == f"writer {winner}".encode() * 1000


def test_a_shard_comes_back_as_it_was_written(partition: Partition) -> None:
    _write(partition, "part-00000")
    record = all_records(partition)["part-00000"]
    assert read_shard(partition, "part-00000").equals(ROWS)
    assert (record.num_rows, record.quarantined, record.details) == (3, {"too_short": 1}, {"tokens": 7})


def test_a_table_can_be_read_once_its_manifest_exists(partition: Partition) -> None:
    _write(partition, "part-00000")
    _write(partition, "part-00001")
    with pytest.raises(InputError, match="not committed; run its job for 2026-01-31 first"):
        open_table(partition.path, schema=SCHEMA)
    commit(partition, SCHEMA, list(all_records(partition).values()), {"recipe": "r"})
    assert open_table(partition.path, schema=SCHEMA).count_rows() == 6


def test_readers_see_only_the_shards_of_the_manifest(partition: Partition) -> None:
    _write(partition, "part-00000")
    commit(partition, SCHEMA, list(all_records(partition).values()), {})
    _write(partition, "part-00001")
    assert open_table(partition.path, schema=SCHEMA).count_rows() == 3


def test_a_shard_that_is_already_there_is_taken_over(partition: Partition) -> None:
    _write(partition, "part-00000")
    fs, path = fsspec.core.url_to_fs(partition.at("records", "part-00000.json"))
    before = read_bytes(partition.at("part-00000.parquet"))
    fs.rm_file(path)
    assert all_records(partition) == {}

    _write(partition, "part-00000")

    assert read_bytes(partition.at("part-00000.parquet")) == before
    assert all_records(partition)["part-00000"].num_bytes == len(before)


def test_an_equal_manifest_is_success_and_another_is_the_next_version(partition: Partition) -> None:
    _write(partition, "part-00000")
    records = list(all_records(partition).values())
    first = commit(partition, SCHEMA, records, {"recipe": "one"})
    assert commit(partition, SCHEMA, records, {"recipe": "one"}) == first == read_manifest(partition)
    second = commit(partition, SCHEMA, records, {"recipe": "two"})
    assert (second["version"], read_manifest(partition), read_manifest(partition, 1)) == (2, second, first)


def test_the_lease_goes_by_the_clock_of_the_server(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theta_ray.lease._machine", lambda: "")
    short, other = Resources(lease_seconds=2), Resources(lease_seconds=0.5)
    with holding(partition, short) as held:
        assert is_held(partition)
        assert held.epoch == 1
    open_filesystem(partition.path)[0].rm_file(open_filesystem(partition.at("lease", "00000001.released"))[1])
    assert is_held(partition)
    with holding(partition, other) as held:
        assert (held.epoch, held.waited) == (2, True)


def test_nothing_is_there_before_it_is_written(partition: Partition) -> None:
    assert read_manifest(partition) is None
    assert all_records(partition) == {}
    assert not exists(partition.at("manifests", "00000001.json"))


@pytest.fixture
def wrong_secret(s3: S3) -> Iterator[S3]:
    with s3_client({"AWS_SECRET_ACCESS_KEY": "not the secret"}):
        yield s3


def test_a_wrong_secret_is_refused_in_one_clear_line(wrong_secret: S3) -> None:
    with pytest.raises(InputError, match="check the credentials") as caught:
        create(f"{wrong_secret.root('refused')}/key", b"data")
    assert "\n" not in str(caught.value)


def test_a_missing_bucket_is_told_in_one_clear_line(s3: S3) -> None:
    with pytest.raises(InputError, match="create the bucket or correct its name") as caught:
        create("s3://no-such-bucket/key", b"data")
    assert "\n" not in str(caught.value)
