"""The commit protocol on local disk: created once, whole or not at all, visible through the manifest."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from tests.conftest import REPOSITORY
from tests.small_jobs import all_records
from theta_ray.errors import ConfigError, InputError, SchemaError, StageError
from theta_ray.manifest import commit, read_manifest
from theta_ray.objects import access, create, exists, join, open_filesystem, read_bytes
from theta_ray.schemas import CORPUS, check_schema
from theta_ray.store import (
    ROWS_PER_GROUP,
    Partition,
    ShardWriter,
    canonical_json,
    file_sha256,
    fingerprint,
    read_shard,
)
from theta_ray.table import open_table

SCHEMA = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field("value", pa.int32())])
ROWS = pa.table({"doc_id": ["a", "b", "c"], "value": pa.array([1, 2, None], pa.int32())}, schema=SCHEMA)


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    return Partition(str(tmp_path), "things", "0123456789ab", "2026-01-31")


def _write(partition: Partition, shard: str = "part-00000", rows: pa.Table = ROWS) -> None:
    with ShardWriter(partition, shard, SCHEMA) as writer:
        writer.write(rows)
        writer.publish()


def _names(folder: str | Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in Path(folder).rglob("*") if file.is_file())


def test_one_of_sixteen_racing_writers_wins_each_name(tmp_path: Path) -> None:
    start = threading.Barrier(16)

    def race(writer: int) -> list[bool]:
        start.wait()
        return [create(str(tmp_path / f"key-{key}"), bytes([writer]) * 10_000) for key in range(10)]

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(race, range(16)))

    for key in range(10):
        (winner,) = [writer for writer in range(16) if won[writer][key]]
        assert read_bytes(str(tmp_path / f"key-{key}")) == bytes([winner]) * 10_000
    assert _names(tmp_path) == [f"key-{key}" for key in range(10)]


def test_an_object_is_never_replaced(tmp_path: Path) -> None:
    uri = str(tmp_path / "folder" / "object")
    assert create(uri, b"first")
    assert not create(uri, b"second")
    assert read_bytes(uri) == b"first"


def test_others_may_read_what_was_created(tmp_path: Path) -> None:
    create(str(tmp_path / "object"), b"data")
    assert stat.S_IMODE((tmp_path / "object").stat().st_mode) == 0o644


def test_a_writer_that_dies_in_the_middle_leaves_no_torn_object(tmp_path: Path) -> None:
    code = f"""
        import os, theta_ray.objects
        os.fsync = lambda handle: os._exit(9)  # after all bytes were written, before they are durable
        theta_ray.objects.create({str(tmp_path / "object")!r}, b"x" * 10_000_000)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=REPOSITORY, check=False)
    assert result.returncode == 9
    assert not exists(str(tmp_path / "object"))
    assert create(str(tmp_path / "object"), b"whole")
    assert read_bytes(str(tmp_path / "object")) == b"whole"


def test_a_failed_copy_leaves_neither_object_nor_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"No space left on device \([\d,]+ of [\d,]+ bytes free\); make room there"):
        create(str(tmp_path / "object"), b"data")
    assert _names(tmp_path) == []


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file"), KeyError("a bug"), OSError(5, "I/O error")])
def test_what_the_user_cannot_mend_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)), access("s3://bucket/key"):
        raise error


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Forbidden; check the credentials and what they allow$"), access("s3://b/k"):
        raise PermissionError("Forbidden")


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="scheme ftp is not read; use a local path or one of s3"):
        open_filesystem("ftp://host/folder")


def test_parts_are_joined_by_single_slashes() -> None:
    assert join("s3://bucket/", "a", "b") == "s3://bucket/a/b"


def test_a_shard_comes_back_as_it_was_written(partition: Partition) -> None:
    with ShardWriter(partition, "part-00000", SCHEMA) as writer:
        writer.write(ROWS)
        writer.write(ROWS.slice(0, 1))
        record = writer.publish(quarantined={"too_short": 2}, details={"tokens": 7})

    path = partition.at("part-00000.parquet")
    assert read_shard(partition, "part-00000").equals(pa.concat_tables([ROWS, ROWS.slice(0, 1)]))
    assert record.num_rows == 4
    assert (record.num_bytes, record.sha256) == (os.path.getsize(path), file_sha256(path))
    assert all_records(partition) == {"part-00000": record}


def test_equal_rows_make_equal_bytes(tmp_path: Path) -> None:
    for run in ("one", "two"):
        _write(Partition(str(tmp_path / run), "things", "0123456789ab", "2026-01-31"))
    names = _names(tmp_path / "one")
    assert names == _names(tmp_path / "two")
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_a_shard_says_whose_it_is(partition: Partition) -> None:
    _write(partition)
    metadata = pa.parquet.read_schema(partition.at("part-00000.parquet")).metadata[b"theta_ray"]
    identity = {"table": "things", "fingerprint": "0123456789ab", "shard": "part-00000"}
    assert metadata == canonical_json(identity)


def test_row_groups_are_small_enough_to_read_apart(partition: Partition) -> None:
    count = ROWS_PER_GROUP + 10
    rows = pa.table({"doc_id": [str(i) for i in range(count)], "value": pa.nulls(count, pa.int32())}, schema=SCHEMA)
    _write(partition, rows=rows)
    second = read_shard(partition, "part-00000", row_groups=[1], columns=["doc_id"])
    assert second.column("doc_id").to_pylist() == [str(i) for i in range(ROWS_PER_GROUP, count)]
    assert second.column_names == ["doc_id"]


def test_nothing_is_visible_before_publish(partition: Partition) -> None:
    with ShardWriter(partition, "part-00000", SCHEMA) as writer:
        writer.write(ROWS)
        assert not Path(partition.path).exists()
    assert not Path(partition.path).exists()


def test_rows_of_another_type_are_refused(partition: Partition) -> None:
    with ShardWriter(partition, "part-00000", SCHEMA) as writer, pytest.raises(pa.ArrowInvalid):
        writer.write(pa.table({"doc_id": ["a"], "value": ["no number"]}))


def test_a_shard_without_its_record_is_not_finished(partition: Partition) -> None:
    _write(partition)
    os.unlink(partition.at("records", "part-00000.json"))
    assert all_records(partition) == {}


def test_an_object_that_is_already_there_is_taken_over(partition: Partition) -> None:
    _write(partition)
    before = read_bytes(partition.at("part-00000.parquet"))
    record = all_records(partition)["part-00000"]
    os.unlink(partition.at("records", "part-00000.json"))

    _write(partition)

    assert read_bytes(partition.at("part-00000.parquet")) == before
    assert all_records(partition)["part-00000"] == record


def test_an_object_with_other_rows_is_not_taken_over(partition: Partition) -> None:
    _write(partition)
    os.unlink(partition.at("records", "part-00000.json"))
    with pytest.raises(StageError, match="holds SHA-256 [0-9a-f]{64} where this attempt made [0-9a-f]{64}"):
        _write(partition, rows=ROWS.slice(0, 2))
    assert all_records(partition) == {}


def test_a_table_cannot_be_opened_before_its_manifest(partition: Partition) -> None:
    _write(partition)
    assert read_manifest(partition) is None
    with pytest.raises(InputError, match="not committed; run its job for 2026-01-31 first"):
        open_table(partition.path, schema=SCHEMA)


def test_readers_see_exactly_the_shards_of_the_manifest(partition: Partition) -> None:
    _write(partition, "part-00000")
    _write(partition, "part-00001")
    commit(partition, SCHEMA, list(all_records(partition).values()), {})
    _write(partition, "part-00002")
    assert open_table(partition.path, schema=SCHEMA).count_rows() == 6


def test_a_table_of_no_shards_is_empty_and_readable(partition: Partition) -> None:
    commit(partition, SCHEMA, [], {})
    assert open_table(partition.path, schema=SCHEMA).to_table().num_rows == 0


def test_the_order_in_which_shards_finish_does_not_show(tmp_path: Path) -> None:
    data = []
    for run in ("one", "two"):
        partition = Partition(str(tmp_path / run), "things", "0123456789ab", "2026-01-31")
        _write(partition, "part-00000")
        _write(partition, "part-00001", ROWS.slice(0, 1))
        records = list(all_records(partition).values())
        commit(partition, SCHEMA, records if run == "one" else records[::-1], {"recipe": "r"})
        data.append(read_bytes(partition.at("manifests", "00000001.json")))
    assert data[0] == data[1]


def test_committing_an_equal_manifest_again_is_success(partition: Partition) -> None:
    _write(partition)
    records = list(all_records(partition).values())
    first = commit(partition, SCHEMA, records, {"recipe": "r"})
    assert commit(partition, SCHEMA, records, {"recipe": "r"}) == first
    assert read_manifest(partition) == first
    assert first["num_rows"] == 3


def test_a_table_with_other_columns_is_refused_with_every_difference(partition: Partition) -> None:
    _write(partition)
    commit(partition, SCHEMA, list(all_records(partition).values()), {})
    wanted = pa.schema([("doc_id", pa.string()), ("value", pa.float32()), ("lang", pa.string())])
    with pytest.raises(SchemaError, match="value is int32, not float; no column lang; write it again"):
        open_table(partition.path, schema=wanted)


def test_a_schema_is_checked_for_columns_that_nobody_asked_for() -> None:
    wider = CORPUS.append(pa.field("mood", pa.string()))
    with pytest.raises(SchemaError, match="^here: unknown column mood; write it again with this version's stage$"):
        check_schema(wider, CORPUS, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"table": "other"},
        {"schema": SCHEMA.append(pa.field("more", pa.int8()))},
        {"sections": {"embed": {"seed": 1}}},
        {"inputs": {"corpus": "fff"}},
    ],
)
def test_a_fingerprint_depends_on_everything_that_decides_a_table(change: dict[str, object]) -> None:
    identity = {"table": "things", "schema": SCHEMA, "sections": {"embed": {"seed": 0}}, "inputs": {"corpus": "eee"}}
    assert fingerprint(**identity) == fingerprint(**identity)
    assert fingerprint(**{**identity, **change}) != fingerprint(**identity)
    assert len(fingerprint(**identity)) == 12


def test_json_has_one_form() -> None:
    assert (
        canonical_json({"b": 1, "a": "ü"})
        == canonical_json({"a": "ü", "b": 1})
        == '{\n "a": "ü",\n "b": 1\n}\n'.encode()
    )
