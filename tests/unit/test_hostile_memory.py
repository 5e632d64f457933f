"""Inputs made to fill the memory: each is read in a process of its own, whose peak stays below a stated bound.

The bounds are growth over what the imports take (87 MiB), in MiB.
"""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.hostile import measured, read_measured

MIB, GIB = 2**20, 2**30
ZEROS = b"0" * MIB


def sparse(path: Path, before: bytes, hole: int, after: bytes) -> Path:
    """A file with a hole of zero bytes: large to read, and nothing on the disk."""
    with path.open("wb") as file:
        file.write(before)
        file.seek(hole, 1)
        file.write(after)
    return path


@pytest.mark.parametrize("size", [100 * MIB, GIB])
def test_a_json_line_of_a_gigabyte_is_passed_over_and_the_next_is_read(tmp_path: Path, size: int) -> None:
    path = sparse(tmp_path / "a.jsonl", b'{"id": 1, "text": "', size, b'"}\n{"id": 2, "text": "fine"}\n')
    found = read_measured(path, "jsonl", doc_id="id", text="text")
    assert found["result"] == {"record_too_large": 1, "document": 1}
    assert found["growth_mib"] < 150, found


def test_a_csv_row_of_a_hundred_megabytes_is_passed_over_and_the_next_is_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.csv", b"id,text\n1,", 100 * MIB, b"\n2,fine\n")
    found = read_measured(path, "csv", doc_id="id", text="text")
    assert found["result"] == {"record_too_large": 1, "document": 1}
    assert found["growth_mib"] < 150, found


def test_a_csv_row_that_quotes_hold_open_for_ever_ends_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,text\n1,"' + (b"x" * 1000 + b'\n","') * 150_000)
    found = read_measured(path, "csv", doc_id="id", text="text")
    assert found["result"]["record_too_large"] == 1
    assert found["growth_mib"] < 400, found


def test_a_parquet_cell_of_a_hundred_megabytes_is_turned_away_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["x" * 100 * MIB, "fine"]}), path)
    found = read_measured(path, "parquet", doc_id="id", text="text")
    assert found["result"] == {"record_too_large": 1, "document": 1}
    assert found["growth_mib"] < 900, found


@pytest.mark.parametrize("suffix", ["gz", "bz2", "zst"])
def test_a_file_that_unfolds_ten_thousandfold_is_left_at_the_limit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.txt.{suffix}"
    if suffix == "gz":  # deflate reaches a factor of 1,030: with 1,000 as the limit, 2 GiB are needed
        member = gzip.compress(b"0" * 64 * MIB)
        path.write_bytes(member * 32)
    elif suffix == "bz2":
        path.write_bytes(bz2.compress(b"0" * 64 * MIB) * 32)
    else:
        compressor = zstandard.ZstdCompressor().compressobj()
        with path.open("wb") as file:
            for _ in range(2048):
                file.write(compressor.compress(ZEROS))
            file.write(compressor.flush())
    found = read_measured(path, "text")
    assert "decompression_bomb" in found["result"], found
    assert found["growth_mib"] < 400, found


def test_a_frame_that_asks_for_a_window_of_two_gigabytes_gets_what_it_fills(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    path = tmp_path / "a.txt.zst"
    path.write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(b"a line\n" * 1000))
    found = read_measured(path, "text")
    assert found["result"] == {"document": 1000}
    assert found["growth_mib"] < 100, found


def test_a_whole_file_that_unfolds_is_left_at_the_record_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b"[\n" + b"0" * 256 * MIB))
    found = read_measured(path, "twitter_v1")
    assert found["result"] == {"record_too_large": 1}
    assert found["growth_mib"] < 250, found


def test_a_parquet_dictionary_that_unfolds_to_half_a_terabyte_is_held_once(tmp_path: Path) -> None:
    indices = pa.array([0] * 20_000, pa.int32())
    text = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 32 * MIB]))
    path = tmp_path / "a.parquet"
    table = pa.table({"id": pa.array(range(20_000)), "text": text})
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=GIB, store_schema=False)
    assert path.stat().st_size < 10 * MIB
    found = read_measured(path, "parquet", doc_id="id", text="text")
    assert found["result"] == {"document": 20_000}
    assert found["growth_mib"] < 700, found


def test_parquet_pages_that_unfold_a_thousandfold_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    text = pa.array(["0" * 16 * MIB] * 20)
    pq.write_table(pa.table({"id": pa.array(range(20)), "text": text}), path, compression="zstd", use_dictionary=False)
    found = read_measured(path, "parquet", doc_id="id", text="text")
    assert found["result"] == {"decompression_bomb": 1}
    assert found["growth_mib"] < 100, found


def test_json_nested_a_hundred_thousand_deep_is_told_and_the_next_line_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    deep = b"[" * 100_000, b'{"a":' * 100_000, b'{"id": 1, "text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path.write_bytes(b"\n".join(deep) + b'\n{"id": 2, "text": "fine"}\n')
    found = read_measured(path, "jsonl", doc_id="id", text="text")
    assert found["result"] == {"bad_record": 3, "document": 1}
    assert found["growth_mib"] < 100, found


def test_a_csv_of_a_hundred_thousand_columns_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    names = ",".join(f"c{i}" for i in range(100_000))
    path.write_text(f"id,{names},text\n1{',' * 100_001}one\n2,too few\n")
    found = read_measured(path, "csv", doc_id="id", text="text")
    assert found["result"] == {"document": 1, "bad_record": 1}
    assert found["growth_mib"] < 150, found


WHOLE_JOB = """
from pathlib import Path
from tests.corpora import config_of, jsonl_input
from tests.hostile import run
before = peak()
config = config_of(Path(sys.argv[1]), jsonl_input(Path(sys.argv[1], "in")), max_damaged_share=1)
card = run(config)
result = {**card.quarantined, "kept": card.figures["documents_kept"]}
"""


def test_a_whole_job_over_such_files_stays_below_a_gigabyte(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sparse(tmp_path / "in" / "a.jsonl", b'{"id": 1, "text": "', GIB, b'"}\n{"id": 2, "text": "fine"}\n')
    (tmp_path / "in" / "b.jsonl.bz2").write_bytes(bz2.compress(b"0" * 64 * MIB) * 20)
    (tmp_path / "in" / "c.jsonl").write_bytes(b'{"id": 3, "text": "' + b"word " * 12 * MIB + b'"}\n' + b"[" * 100_000)
    found = measured(WHOLE_JOB, str(tmp_path))
    expected = {"record_too_large": 1, "decompression_bomb": 1, "too_long": 1, "bad_record": 1, "kept": 1}
    assert found["result"] == expected
    assert found["peak_mib"] < 1024, found
