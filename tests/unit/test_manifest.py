"""Versions of a partition, and tables opened by path and version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pytest

import theta_ray
from tests.small_jobs import all_records
from theta_ray.errors import ConflictError, InputError, SchemaError, StageError
from theta_ray.manifest import commit, list_versions, manifest_path, read_manifest
from theta_ray.schemas import CORPUS, QUARANTINE, STORE_TYPES, embeddings_schema, type_named
from theta_ray.store import Partition, ShardWriter, canonical_json

ROWS = pa.Table.from_pylist(
    [{"stage": "prepare", "source_ref": f"a#{i}", "reason": "bad_time", "detail": "x"} for i in range(3)],
    schema=QUARANTINE,
)


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    return Partition(str(tmp_path), "quarantine", "0123456789ab", "2026-01-31")


def write(partition: Partition, *shards: str, rows: pa.Table = ROWS) -> None:
    for shard in shards:
        with ShardWriter(partition, shard, QUARANTINE) as writer:
            writer.write(rows)
            writer.publish(epoch=7)


def commit_all(partition: Partition, **body: object) -> dict[str, object]:
    return commit(partition, QUARANTINE, list(all_records(partition).values()), body)


def test_other_content_makes_the_next_version_with_its_parent(partition: Partition) -> None:
    write(partition, "part-00000")
    first = commit_all(partition, inputs=["a"])
    write(partition, "part-00001")
    second = commit_all(partition, inputs=["a", "b"])
    data = Path(manifest_path(partition, 1)).read_bytes()
    assert (first["version"], first["parent"]) == (1, None)
    assert (second["version"], second["parent"]) == (2, {"version": 1, "sha256": hashlib.sha256(data).hexdigest()})
    assert list_versions(partition) == [1, 2]
    assert read_manifest(partition) == second
    assert read_manifest(partition, 1) == first


def test_equal_content_makes_no_version(partition: Partition) -> None:
    write(partition, "part-00000")
    assert commit_all(partition, inputs=["a"]) == commit_all(partition, inputs=["a"])
    assert list_versions(partition) == [1]


def test_a_manifest_holds_no_epoch_and_is_canonical(partition: Partition) -> None:
    write(partition, "part-00000")
    manifest = commit_all(partition)
    data = Path(manifest_path(partition, 1)).read_bytes()
    assert data == canonical_json(manifest)
    assert b"epoch" not in data
    assert all_records(partition)["part-00000"].epoch == 7


def test_a_version_that_another_run_has_just_committed_is_a_conflict(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_all(partition, inputs=["a"])
    monkeypatch.setattr("theta_ray.manifest.read_manifest", lambda *_: None)  # it came after our look
    with pytest.raises(ConflictError, match=r"00000001.json: another run committed [0-9a-f]{64} where .* [0-9a-f]{64}"):
        commit_all(partition, inputs=["b"])
    assert commit_all(partition, inputs=["a"])["inputs"] == ["a"]
    assert json.loads(Path(manifest_path(partition, 1)).read_bytes())["inputs"] == ["a"]


@pytest.mark.parametrize(("harm", "told"), [("remove", "is gone"), ("cut", "has 10 bytes where its record says")])
def test_a_shard_that_is_not_what_its_record_says_is_not_committed(partition: Partition, harm: str, told: str) -> None:
    write(partition, "part-00000", "part-00001")
    records = list(all_records(partition).values())
    shard = Path(partition.at("part-00001.parquet"))
    shard.unlink() if harm == "remove" else shard.write_bytes(b"0123456789")
    with pytest.raises(StageError, match=f"part-00001.parquet: {told}.*then rerun"):
        commit(partition, QUARANTINE, records, {})
    assert read_manifest(partition) is None


def test_a_version_that_is_not_there_is_told_with_those_that_are(partition: Partition) -> None:
    with pytest.raises(InputError, match="no version 1; nothing is committed"):
        read_manifest(partition, 1)
    commit_all(partition)
    with pytest.raises(InputError, match="no version 7; versions 1 is committed"):
        read_manifest(partition, 7)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"shards"'])
def test_a_damaged_manifest_is_told_in_one_line(partition: Partition, data: bytes) -> None:
    commit_all(partition)
    Path(manifest_path(partition, 1)).write_bytes(data)
    with pytest.raises(InputError, match="00000001.json: is .*; restore it, or open an older version"):
        read_manifest(partition)


def test_a_table_opens_by_its_path_and_version(partition: Partition) -> None:
    write(partition, "part-00000")
    commit_all(partition)
    write(partition, "part-00001", rows=ROWS.slice(0, 1))
    assert theta_ray.open_table(partition.path).count_rows() == 3
    commit_all(partition)
    assert theta_ray.open_table(partition.path).count_rows() == 4
    assert theta_ray.open_table(partition.path, version=1).to_table().equals(ROWS)


def test_all_days_of_a_table_open_together(partition: Partition) -> None:
    for day in ("2026-01-30", "2026-01-31"):
        other = Partition(partition.root, partition.table, partition.fingerprint, day)
        write(other, "part-00000")
        commit_all(other)
    write(Partition(partition.root, partition.table, partition.fingerprint, "2026-02-01"), "part-00000")
    table = partition.path.rsplit("/", 1)[0]
    assert theta_ray.open_table(table).count_rows() == 6
    assert len(theta_ray.list_files(table + "/")) == 2
    with pytest.raises(InputError, match="version 1 of which day"):
        theta_ray.open_table(table, 1)


def test_duckdb_and_polars_read_exactly_the_listed_files(partition: Partition, tmp_path: Path) -> None:
    write(partition, "part-00000", "part-00001")
    commit_all(partition)
    write(partition, "part-00002")
    listed = tmp_path / "files.txt"
    assert theta_ray.write_file_list(partition.path, str(listed)) == 2
    files = listed.read_text().splitlines()
    assert files == theta_ray.list_files(partition.path)
    assert polars.scan_parquet(files).collect().height == 6
    with duckdb.connect() as connection:
        found = connection.execute("select count(*) from read_parquet(?)", [files]).fetchone()
    assert found == (6,)


@pytest.mark.parametrize("path", ["/data", "s3://bucket/root", "/data/corpus/dt=2026-01-31", "corpus/0123456789ab"])
def test_a_path_that_is_no_table_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="is no table; give <root>/<table>/<fingerprint>"):
        theta_ray.open_table(path)


@pytest.mark.parametrize(
    "schema",
    [CORPUS, QUARANTINE, embeddings_schema(384, "float16"), *(embeddings_schema(8, kind) for kind in STORE_TYPES)],
)
def test_the_types_of_a_manifest_are_read_back(schema: pa.Schema, tmp_path: Path) -> None:
    assert [type_named(str(field.type)) for field in schema] == schema.types
    empty = Partition(str(tmp_path), "corpus", "0123456789ab", "2026-01-31")
    commit(empty, schema, [], {})
    assert theta_ray.open_table(empty.path).to_table().schema.types == schema.types


def test_a_column_type_of_another_version_is_refused() -> None:
    with pytest.raises(SchemaError, match="column type map<string, int8>: is not one of this version's"):
        type_named("map<string, int8>")


def test_the_package_offers_what_it_names_and_nothing_else() -> None:
    assert sorted(theta_ray.__all__) == theta_ray.__all__
    assert all(callable(getattr(theta_ray, name)) for name in theta_ray.__all__)
    with pytest.raises(AttributeError, match="no attribute open_tables"):
        _ = theta_ray.open_tables
