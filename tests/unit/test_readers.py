"""Files of every format become documents; what is broken in them is told, one row each."""

import bz2
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.corpora import documents, read, reasons, unit_of, write_jsonl
from theta_ray.config import COLUMN_READERS, Columns, Input, Reader
from theta_ray.corpus import files
from theta_ray.corpus.document import Rejected
from theta_ray.corpus.files import read_lines
from theta_ray.corpus.readers import READERS, has_authors
from theta_ray.errors import InputError

BIG = 1234567890123456789
COLUMNS = Columns(text="text", doc_id="id")
LINES = b"".join(b'{"id": %d, "text": "t%d"}\n' % (i, i) for i in range(2000))


def compress_zst(data: bytes, frame: int = 5000) -> bytes:
    """Several frames after each other, as in the Reddit dumps."""
    pieces = [data[i : i + frame] for i in range(0, len(data), frame)]
    return b"".join(zstandard.ZstdCompressor().compress(piece) for piece in pieces)


COMPRESS = {
    "gz": lambda data: gzip.compress(data[:9000]) + gzip.compress(data[9000:]),
    "bz2": lambda data: bz2.compress(data[:9000]) + bz2.compress(data[9000:]),
    "zst": compress_zst,
}


def test_every_reader_of_the_configuration_is_there():
    assert set(READERS) == set(Reader.__args__)


def test_inputs_with_authors_are_known():
    assert has_authors(Input(reader="reddit", path="x"))
    assert not has_authors(Input(reader="csv", path="x", columns=COLUMNS))
    assert has_authors(Input(reader="csv", path="x", columns=Columns(text="t", author_id="a")))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_files_read_as_plain_ones(tmp_path, suffix):
    plain, packed = tmp_path / "a.jsonl", tmp_path / f"a.jsonl.{suffix}"
    plain.write_bytes(LINES)
    packed.write_bytes(COMPRESS[suffix](LINES))
    assert read(packed, "jsonl", COLUMNS) == read(plain, "jsonl", COLUMNS)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_cut_off_file_keeps_the_rows_before_the_break(tmp_path, suffix):
    path = tmp_path / f"a.jsonl.{suffix}"
    data = COMPRESS[suffix](LINES)
    path.write_bytes(data[: len(data) * 3 // 4])
    rows = read(path, "jsonl", COLUMNS)
    assert reasons(rows) == ["truncated_file"]
    whole = [document.doc_id for document in documents(rows)]
    assert len(whole) > 100
    assert whole == [str(i) for i in range(len(whole))]


def test_bytes_that_are_no_gzip_are_a_truncated_file(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"not gzip")
    assert reasons(read(path, "jsonl", COLUMNS)) == ["truncated_file"]


def test_zeros_after_the_last_gzip_member_are_padding(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one\n") + b"\0" * 512)
    assert [row.text for row in read(path, "text")] == ["one"]


def test_a_decompression_bomb_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MIN_BOMB_BYTES", 2**20)
    path = tmp_path / "a.txt.bz2"
    path.write_bytes(bz2.compress((b"0" * 999 + b"\n") * 4000))
    rows = read_lines(unit_of(path))
    assert [row.reason for row in rows if isinstance(row, Rejected)] == ["decompression_bomb"]


def test_a_record_above_the_limit_is_skipped_and_the_next_one_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(files, "CHUNK_BYTES", 300)
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n" + b"x" * 5000 + b"\ntwo\n")
    rows = read(path, "text")
    assert [row.text for row in documents(rows)] == ["one", "two"]
    assert reasons(rows) == ["record_too_large"]


def test_whole_files_above_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_RECORD_BYTES", 10)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 50)
    assert reasons(read(path, "text", documents="files")) == ["record_too_large"]


@pytest.mark.parametrize("reader", ["jsonl", "text", "csv"])
def test_utf16_files_are_one_bad_encoding(tmp_path, reader):
    path = tmp_path / "a"
    path.write_bytes("id,text\n1,a\n".encode("utf-16"))
    assert reasons(read(path, reader, COLUMNS if reader in COLUMN_READERS else None)) == ["bad_encoding"]


def test_text_lines_and_files(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n  \ntwo \xff\nthree")
    rows = read(path, "text", kind="post")
    assert [(row.text, row.place, row.kind) for row in documents(rows)] == [("one", 0, "post"), ("three", 18, "post")]
    assert reasons(rows) == ["bad_encoding"]
    path.write_bytes(b"one\ntwo\n")
    assert [row.text for row in read(path, "text", documents="files")] == ["one\ntwo\n"]


def test_jsonl_reaches_nested_keys_and_joins_texts(tmp_path):
    record = {"id": BIG, "title": "T", "body": "B", "user": {"id": 7}, "a.b": "x", "n": None}
    path = write_jsonl(tmp_path / "a.jsonl", [record])
    columns = Columns(
        text=("title", "n", "body"), doc_id="id", author_id="user.id", label="a.b", container="user.no.way"
    )
    (row,) = read(path, "jsonl", columns)
    assert (row.doc_id, row.text, row.author, row.label, row.container) == (str(BIG), "T\n\nB", "7", "x", None)


def test_broken_json_lines_are_told_one_by_one(tmp_path):
    lines = [
        b'{"id": 1, "text": "ok"}',
        b'{"id": 2, "text": "cut',
        b'"a string"',
        b'{"id": null, "text": "no id"}',
        b'{"id": 1e400, "text": "infinite"}',
        b'{"id": 4, "text": ["a list"]}',
        b'{"id": 5, "text": "\xff"}',
        b"[" * 100_000,
        b'{"id": 6, "text": "\\ud800 and \\u0000"}',
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    rows = read(path, "jsonl", COLUMNS)
    expected = ["bad_record", "bad_record", "missing_id", "damaged_id", "bad_record", "bad_encoding", "bad_record"]
    assert reasons(rows) == expected
    assert [row.doc_id for row in documents(rows)] == ["1", "6"]


def test_details_say_where_a_record_is_broken_and_nothing_of_what_is_in_it(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + b"secret " * 100)
    (row,) = read(path, "jsonl", COLUMNS)
    assert row.detail == "Unterminated string starting at (character 9 of the record)"


def test_csv_has_quoted_newlines_a_bom_and_exact_ids(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(f'\ufeffid,text,score\r\n{BIG},"two\r\nlines, ""quoted""",5\r\n\r\n,no id,1\r\n'.encode())
    rows = read(path, "csv", Columns(text="text", doc_id="id", score="score"))
    assert [(row.doc_id, row.text, row.score) for row in documents(rows)] == [(str(BIG), 'two\r\nlines, "quoted"', 5)]
    assert reasons(rows) == ["missing_id"]


def test_csv_rows_of_another_width_and_encoding_are_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,text\n1,a,b\n2,\xff\n3,"x\n\xff"\n4,nul \0\n5.9E+17,damaged\n6,"open')
    rows = read(path, "csv", COLUMNS)
    assert reasons(rows) == ["bad_record", "bad_encoding", "bad_encoding", "damaged_id", "bad_record"]
    assert [row.text for row in documents(rows)] == ["nul \0"]


def test_quotes_that_a_file_leaves_open_do_not_reach_into_the_next(tmp_path):
    (tmp_path / "a.csv").write_text('id,text\n1,fine\n2,"open\n3,swallowed\n')
    rows = read(tmp_path / "a.csv", "csv", COLUMNS)
    assert [row.doc_id for row in documents(rows)] == ["1"]
    assert [row.detail for row in rows[1:]] == ["the file ends inside quotes"]


def test_a_csv_cell_above_the_limit_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("theta_ray.corpus.columns.MAX_RECORD_BYTES", 1000)
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1," + "x" * 2000 + "\n2,fine\n")
    rows = read(path, "csv", COLUMNS)
    assert reasons(rows) == ["record_too_large"]
    assert [row.doc_id for row in documents(rows)] == ["2"]


def test_tsv_files_are_split_at_tabs(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"id\ttext\n1\ta,b\n"))
    assert [row.text for row in read(path, "csv", COLUMNS)] == ["a,b"]


@pytest.mark.parametrize("reader", ["csv", "parquet"])
def test_a_mapped_column_that_is_not_there_is_named_with_those_that_are(tmp_path, reader):
    path = tmp_path / f"a.{reader}"
    path.write_text("tweet_id,body\n1,a\n")
    if reader == "parquet":
        pq.write_table(pa.table({"tweet_id": [1], "body": ["a"]}), path)
    with pytest.raises(InputError, match=r"no column text, id; map one of its columns: tweet_id, body$"):
        read(path, reader, COLUMNS)


def test_rows_without_an_id_column_get_ids_by_their_place(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "a"}])
    ids = [row.doc_id for row in read(path, "jsonl", Columns(text="text"))]
    assert len(set(ids)) == 2
    assert ids == [row.doc_id for row in read(path, "jsonl", Columns(text="text"))]


def test_parquet_keeps_big_ids_beside_nulls(tmp_path):
    path = tmp_path / "a.parquet"
    table = {"id": pa.array([BIG, None, 5]), "text": ["a", "b", "c"], "parent": pa.array([None, None, BIG])}
    pq.write_table(pa.table(table), path)
    rows = read(path, "parquet", Columns(text="text", doc_id="id", parent_id="parent"))
    assert [(row.doc_id, row.parent_id) for row in documents(rows)] == [(str(BIG), None), ("5", str(BIG))]
    assert reasons(rows) == ["missing_id"]


def test_parquet_float_ids_are_taken_where_they_are_exact(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [5.0, float(BIG), None], "text": ["a", "b", "c"]}), path)
    rows = read(path, "parquet", COLUMNS)
    assert [row.doc_id for row in documents(rows)] == ["5"]
    assert reasons(rows) == ["damaged_id", "missing_id"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_parquet_times_of_any_unit_are_the_same_moment(tmp_path, unit, zone):
    path = tmp_path / "a.parquet"
    times = pa.array([1, None], type=pa.timestamp("s")).cast(pa.timestamp(unit)).cast(pa.int64())
    pq.write_table(pa.table({"text": ["a", "b"], "at": times.cast(pa.timestamp(unit, tz=zone))}), path)
    rows = read(path, "parquet", Columns(text="text", created_at="at"))
    assert [row.created_at for row in rows] == [10**6, None]


def test_parquet_text_that_is_not_utf8_is_told_row_by_row(tmp_path):
    path = tmp_path / "a.parquet"
    text = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"\xff"]).buffers())
    pq.write_table(pa.table({"id": ["1", "2"], "text": text}), path)
    rows = read(path, "parquet", COLUMNS)
    assert [row.text for row in documents(rows)] == ["fine"]
    assert reasons(rows) == ["bad_encoding"]


def test_a_file_that_is_no_parquet_is_one_unreadable_file(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 but no more")
    assert reasons(read(path, "parquet", COLUMNS)) == ["unreadable_file"]


def test_parquet_units_are_row_groups(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [str(i) for i in range(100)]}), path, row_group_size=10)
    spec = Input(reader="parquet", path=str(path), columns=Columns(text="text"))
    rows = list(READERS["parquet"](unit_of(path, 2, 5), spec))
    assert [row.text for row in rows] == [str(i) for i in range(20, 50)]
    assert [row.place for row in rows] == list(range(20, 50))
    assert rows == list(READERS["parquet"](unit_of(path), spec))[20:50]


def test_json_values_may_be_pretty_printed(tmp_path):
    post = {"post": {"id": "p", "content": "x"}, "comments": []}
    path = tmp_path / "a.json"
    for text in (
        json.dumps(post),
        json.dumps(post, indent=2),
        json.dumps([post], indent=1),
        f"[\n{json.dumps(post)}\n]",
    ):
        path.write_text(text)
        assert [row.doc_id for row in read(path, "thread_json")] == ["p"]


@pytest.mark.parametrize("reader", ["reddit", "thread_json", "twitter_v1", "twitter_v2"])
def test_lines_that_are_no_json_are_told_by_every_platform_reader(tmp_path, reader):
    path = tmp_path / "a.json"
    path.write_text('{"cut off')
    assert reasons(read(path, reader)) == ["bad_record"]


@pytest.mark.parametrize("data", [gzip.compress(b"x" * 5000)[:20], b"no gzip"], ids=["cut off", "no gzip"])
def test_a_whole_file_that_is_cut_off_is_told(tmp_path, data):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(data)
    assert reasons(read(path, "text", documents="files")) == ["truncated_file"]
    assert reasons(read(path, "twitter_v1")) == ["truncated_file"]


def test_a_whole_file_in_utf16_is_told(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("text".encode("utf-16"))
    assert reasons(read(path, "text", documents="files")) == ["bad_encoding"]
