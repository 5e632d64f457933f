"""Broken and hostile parquet: what cannot be read is told with what was lost, and the rest is kept."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import config_of, documents, read, reasons
from tests.hostile import COLUMNS, ids_of, input_of, patch_footer, quarantined, read_measured, run, varint
from theta_ray.config import Columns, OnDamage
from theta_ray.corpus.document import Rejected
from theta_ray.corpus.parquet import cause_of
from theta_ray.errors import InputError

ROWS, GROUP = 400, 100


def save(path: Path, num_rows: int = ROWS, **options: Any) -> Path:
    """A file of row groups of 100 rows."""
    table = pa.table({"id": [f"d{i}" for i in range(num_rows)], "text": [f"text number {i}" for i in range(num_rows)]})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=GROUP, **options)
    return path


def overwrite_column(path: Path, group: int, new: bytes) -> None:
    """Put bytes over the text column of one row group."""
    chunk = pq.read_metadata(path).row_group(group).column(1)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    size = chunk.total_compressed_size
    data[start : start + size] = (new * size)[:size]
    path.write_bytes(data)


def lost(path: Path) -> list[str]:
    """Details of what could not be read."""
    rows = [row for row in read(path, "parquet", COLUMNS) if isinstance(row, Rejected)]
    assert {row.reason for row in rows} == {"unreadable_file"}
    return [row.detail for row in rows]


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PAR1" + b"\0" * 50 + b"PAR1", b"PK\3\4 a zip archive", b"\0" * 4096, b"PAR1\xff\xff\xff\xffPAR1"],
    ids=["zero bytes", "magic alone", "no footer", "a zip", "zeros", "a footer of 4 GiB"],
)
def test_a_file_that_is_no_parquet_is_one_row_whose_detail_says_why(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(data)
    (detail,) = lost(tmp_path / "a.parquet")
    assert detail.isprintable()
    assert detail


@pytest.mark.parametrize("cut", [1, 4, 8, 100, 5000])
def test_a_file_whose_end_is_missing_is_unreadable(tmp_path: Path, cut: int) -> None:
    path = save(tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(lost(path)) == 1


def test_a_footer_of_garbage_is_unreadable(tmp_path: Path) -> None:
    path = save(tmp_path / "a.parquet")
    data = bytearray(path.read_bytes())
    data[-300:-8] = b"\x5a" * 292
    path.write_bytes(data)
    assert len(lost(path)) == 1


@pytest.mark.parametrize("new", [b"\0", b"\xff", b"garbage"])
@pytest.mark.parametrize("shard_bytes", [2**26, 3000])
def test_a_broken_page_loses_its_row_group_and_no_other_however_the_file_is_cut(
    tmp_path: Path, new: bytes, shard_bytes: int
) -> None:
    overwrite_column(save(tmp_path / "in" / "a.parquet"), 1, new)
    values = {"on_damage": OnDamage(unreadable_file="quarantine"), "max_damaged_share": 1, "shard_bytes": shard_bytes}
    config = config_of(tmp_path, input_of(tmp_path / "in"), **values)
    run(config)
    assert ids_of(config) == [f"d{i}" for i in range(ROWS) if not GROUP <= i < 2 * GROUP]
    ((reason, detail),) = quarantined(config)
    assert reason == "unreadable_file"
    assert detail.startswith("row group 1, rows 100 to 199 are lost: ")


def test_a_page_with_another_checksum_is_not_believed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.parquet", compression="none", use_dictionary=False, write_page_checksum=True)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"text number 7", b"text number 8", 1))
    (detail,) = lost(path)
    assert "CRC" in detail


@pytest.mark.parametrize("told", [101, 2000])
@pytest.mark.parametrize("dictionary", [True, False])
def test_a_row_group_that_holds_fewer_rows_than_the_footer_says_is_told(
    tmp_path: Path, told: int, dictionary: bool
) -> None:
    path = save(tmp_path / "a.parquet", use_dictionary=dictionary)
    patch_footer(path, varint(GROUP), varint(told))
    patch_footer(path, varint(ROWS), varint(told * ROWS // GROUP), which=0)
    rows = read(path, "parquet", COLUMNS)
    assert [row.doc_id for row in documents(rows)] == [f"d{i}" for i in range(ROWS)]
    assert reasons(rows) == ["unreadable_file"] * (ROWS // GROUP)


def test_a_footer_that_contradicts_itself_is_not_believed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.parquet")
    patch_footer(path, varint(ROWS), varint(500), which=0)
    assert lost(path) == ["the footer promises 500 rows, its row groups 400"]


def test_a_file_of_no_rows_is_no_damage(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.parquet", 0)
    config = config_of(tmp_path, input_of(tmp_path / "in"))
    assert run(config).figures["documents_in"] == 0


def test_pickles_in_a_file_are_never_loaded(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "was-run",)

    extension = {b"ARROW:extension:name": b"arrow.py_extension_type"}
    extension[b"ARROW:extension:metadata"] = pickle.dumps(Payload())
    fields = [pa.field("id", pa.string()), pa.field("text", pa.string(), metadata=extension)]
    pandas = {b"pandas": pickle.dumps(Payload()), b"PANDAS_ATTRS": pickle.dumps(Payload())}
    pq.write_table(pa.table([["1"], ["one"]], schema=pa.schema(fields, metadata=pandas)), tmp_path / "a.parquet")
    assert [row.text for row in documents(read(tmp_path / "a.parquet", "parquet", COLUMNS))] == ["one"]
    assert not (tmp_path / "was-run").exists()


def test_an_arrow_schema_that_lies_cannot_change_what_is_stored(tmp_path: Path) -> None:
    path = save(tmp_path / "a.parquet")
    metadata = pq.read_metadata(path).metadata
    data = path.read_bytes()
    path.write_bytes(data.replace(metadata[b"ARROW:schema"], b"A" * len(metadata[b"ARROW:schema"])))
    assert len(lost(path)) == 1


def test_a_schema_nested_deeper_than_arrow_reads_is_refused(tmp_path: Path) -> None:
    kind: pa.DataType = pa.int32()
    for _ in range(150):
        kind = pa.struct([("a", kind)])
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1"], "text": ["one"], "deep": pa.array([None], kind)}), path)
    (detail,) = lost(path)
    assert "too deeply nested" in detail


def test_hostile_columns_do_not_reach_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    columns = {f"c{i}": pa.array([1], pa.int8()) for i in range(100_000)}
    pq.write_table(
        pa.table({"id": ["1"], "text": ["one"], **columns}), path, write_statistics=False, store_schema=False
    )
    found = read_measured(path, "parquet", doc_id="id", text="text")
    assert found["result"] == {"document": 1}
    assert found["growth_mib"] < 400


def test_a_footer_of_too_many_columns_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"c{i}": [1] for i in range(200)}), path)
    monkeypatch.setattr("theta_ray.corpus.parquet.MAX_FOOTER_ITEMS", 100)
    assert len(lost(path)) == 1


def test_a_mapped_column_that_is_gone_from_one_file_is_named_with_it(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.parquet")
    pq.write_table(pa.table({"id": ["1"], "body": ["renamed"]}), tmp_path / "in" / "b.parquet")
    with pytest.raises(InputError, match=r"b.parquet: no column text; map one of its columns: id, body$"):
        run(config_of(tmp_path, input_of(tmp_path / "in")))


def test_a_column_name_cannot_steer_a_terminal(tmp_path: Path) -> None:
    pq.write_table(pa.table({"\x1b[2Jid\n": ["1"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError) as told:
        read(tmp_path / "a.parquet", "parquet", Columns(text="text"))
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "input/output error"), ConnectionResetError("reset"), TimeoutError()]
)
def test_a_store_that_fails_is_no_damage_of_the_file(error: OSError) -> None:
    with pytest.raises(type(error)):
        cause_of(error)
    assert cause_of(OSError("Couldn't deserialize thrift: \x1b\nmore")) == "Couldn't deserialize thrift: \\x1b"
