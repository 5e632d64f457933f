"""Ids, encodings, numbers and file names made to be misread: exact, or told, and never a path or a command."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import config_of, documents, jsonl_input, read, reasons, write_jsonl
from tests.hostile import COLUMNS, ids_of, input_of, quarantined, run
from theta_ray.config import Columns
from theta_ray.corpus.drift import drift, kind_of
from theta_ray.errors import ConfigError, InputError

TWEET = "1445880548472328193"  # a double makes ...192 of it
HOSTILE_IDS = [
    "../../etc/passwd",
    "/abs",
    "a/b",
    "..%2f",
    "nul\0byte",
    "x" * 10_000,
    "CON",
    "a\u2215b",
    "\u202eevil",
    "\x1b[31m",
    " padded ",
    "e\u0301",
    "\u00e9",
    "\U0001f600",
    "a\u200bb",
    "=1+1",
]


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([int(TWEET), None]),
        pa.array([TWEET, None]),
        pa.array([TWEET, None], pa.large_string()),
        pa.array([TWEET, None]).dictionary_encode(),
        pa.array([int(TWEET), None]).dictionary_encode(),
        pa.array([Decimal(TWEET), None], pa.decimal128(38, 0)),
        pa.array([Decimal(TWEET), None], pa.decimal128(38, 2)),
        pa.array([TWEET.encode(), None]),
        pa.array([int(TWEET), None], pa.uint64()),
    ],
    ids=lambda column: str(column.type),
)
def test_ids_in_parquet_keep_their_last_digits_beside_nulls(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"id": column, "text": ["one", "two"]}), tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet", "parquet", COLUMNS)
    assert [row.doc_id for row in documents(rows)] == [TWEET]
    assert reasons(rows) == ["missing_id"]


@pytest.mark.parametrize("column", [pa.array([float(TWEET)]), pa.array([Decimal(TWEET + ".5")], pa.decimal128(38, 1))])
def test_ids_that_have_lost_their_digits_are_turned_away(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"id": column, "text": ["one"]}), tmp_path / "a.parquet")
    assert reasons(read(tmp_path / "a.parquet", "parquet", COLUMNS)) == ["damaged_id"]


def test_ids_in_csv_and_json_keep_their_last_digits_beside_nulls(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'id,text\n{TWEET},a\n,b\n"{TWEET}",c\n1.44588E+18,d\n{TWEET}.0,e\n')
    rows = read(tmp_path / "a.csv", "csv", COLUMNS)
    assert [row.doc_id for row in documents(rows)] == [TWEET, TWEET]
    assert reasons(rows) == ["missing_id", "damaged_id", "damaged_id"]
    lines = [f'"{TWEET}"', TWEET, "null", f"{TWEET}.0", "1e9999", "-Infinity", "NaN"]
    (tmp_path / "a.jsonl").write_text("".join(f'{{"id": {line}, "text": "x"}}\n' for line in lines))
    rows = read(tmp_path / "a.jsonl", "jsonl", COLUMNS)
    assert [row.doc_id for row in documents(rows)] == [TWEET, TWEET]
    assert reasons(rows) == ["missing_id", "damaged_id", "damaged_id", "damaged_id", "missing_id"]


def test_ids_of_several_types_in_one_input_are_the_same_text_and_the_drift_is_told(tmp_path: Path) -> None:
    texts = {"text": ["one"]}
    for name, column in {
        "a": pa.array([int(TWEET)]),
        "b": pa.array(["b1"], pa.large_string()),
        "c": pa.array(["c1"]).dictionary_encode(),
        "d": pa.nulls(1),
    }.items():
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(pa.table({"id": column, **texts, "extra": [1]}), tmp_path / "in" / f"{name}.parquet")
    config = config_of(tmp_path, input_of(tmp_path / "in"), max_damaged_share=1)
    run(config)
    assert ids_of(config) == [TWEET, "b1", "c1"]
    seen = _columns_seen(tmp_path)
    (line,) = drift([seen])
    assert line.startswith("corpus.inputs.0: column id is integer in ")
    assert "a.parquet, text in " in line


def _columns_seen(folder: Path) -> Any:
    from theta_ray.corpus.document import Unit
    from theta_ray.corpus.drift import ColumnKinds

    kinds = ColumnKinds()
    for path in sorted((folder / "in").iterdir()):
        kinds.add(Unit(str(path), 0, 1), input_of(path))
    return kinds.seen


def test_files_that_agree_have_no_drift_however_they_store_their_columns() -> None:
    assert kind_of(pa.dictionary(pa.int8(), pa.large_string())) == kind_of(pa.string()) == "text"
    assert drift([{"0": {"id": {"text": "a", "null": "b"}}}, {"0": {"id": {"text": "c"}}}]) == []
    assert len(drift([{"0": {"id": {"text": "a"}}}, {"0": {"id": {"integer": "c"}}}])) == 1


def test_hostile_ids_are_kept_as_they_are_and_never_become_paths(tmp_path: Path) -> None:
    rows = [{"id": doc_id, "text": f"text {i}", "user": doc_id} for i, doc_id in enumerate(HOSTILE_IDS)]
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [*rows, {"id": "", "text": "none"}])
    config = config_of(tmp_path, jsonl_input(path, author_id="user", container="user"), max_damaged_share=1)
    run(config)
    plain = config_of(tmp_path / "plain", jsonl_input(write_jsonl(tmp_path / "p.jsonl", [{"id": "1", "text": "x"}])))
    run(plain)
    assert ids_of(config) == HOSTILE_IDS
    assert [reason for reason, _ in quarantined(config)] == ["missing_id"]
    names = {name.rsplit("/", 1)[-1] for name in files_below(Path(config.root))}
    assert not {name for name in names if any(doc_id in name for doc_id in HOSTILE_IDS[:5])}
    assert not Path("/abs").exists()
    assert {name.split("/")[0] for name in files_below(Path(config.root))} <= {"corpus", "quarantine"}


def test_what_is_quarantined_of_a_hostile_row_is_one_printable_line(tmp_path: Path) -> None:
    doc_id = "\x1b]0;owned\x07\u202e\n\r" + "x" * 1000
    path = write_jsonl(tmp_path / "in" / "\x1b[2J\u202e.jsonl", [{"id": doc_id, "text": " "}])
    config = config_of(tmp_path, jsonl_input(path.parent), max_damaged_share=1)
    run(config)
    ((_, detail),) = quarantined(config)
    assert detail.isprintable()
    assert len(detail) <= 200


@pytest.mark.parametrize("normalize", ["raw", "basic"])
def test_every_encoding_trick_is_stored_or_told(tmp_path: Path, normalize: Any) -> None:
    texts = {
        "rtl": "\u202eabc\u202c",
        "zero width": "a\u200b\u200d\ufeffb",
        "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "nfd": "Ame\u0301lie",
        "nul": "a\0b",
        "surrogate": "a\ud800b",
        "crlf": "a\r\nb",
    }
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": key, "text": text} for key, text in texts.items()])
    with path.open("ab") as file:
        file.write(b'{"id": "invalid", "text": "\xff\xfe"}\r\n{"id": "crlf line", "text": "fine"}\r\n')
    config = config_of(tmp_path, jsonl_input(path), max_damaged_share=1, normalize=normalize)
    run(config)
    found = dict(zip(ids_of(config), _texts(config), strict=True))
    expected = {**texts, "nul": "a\ufffdb", "surrogate": "a\ufffdb", "crlf line": "fine"}
    if normalize == "basic":
        expected |= {"nfd": "Am\u00e9lie", "nul": "ab", "crlf": "a b"}
    assert found == expected
    assert [reason for reason, _ in quarantined(config)] == ["bad_encoding"]


def _texts(config: Any) -> list[str]:
    files = sorted(Path(config.root, "corpus").glob("*/dt=*/part-*.parquet"))
    return [text for file in files for text in pq.ParquetFile(file).read(["text"])["text"].to_pylist()]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("reader", ["csv", "jsonl"])
def test_files_in_other_encodings_yield_no_document(tmp_path: Path, reader: str, encoding: str) -> None:
    text = "id,text\n1,one\n" if reader == "csv" else '{"id": "1", "text": "one"}\n'
    (tmp_path / "a").write_bytes(text.encode(encoding))
    if reader == "csv" and encoding.endswith("e"):  # without its mark, what is seen first are names of columns
        with pytest.raises(InputError, match="no column text, id"):
            read(tmp_path / "a", reader, COLUMNS)
        return
    rows = read(tmp_path / "a", reader, COLUMNS)
    assert set(reasons(rows)) <= {"bad_encoding", "bad_record"}
    assert reasons(rows)
    assert documents(rows) == []


@pytest.mark.parametrize("reader", ["csv", "jsonl", "text", "twitter_v1", "twitter_v2", "reddit", "thread_json"])
def test_an_empty_file_of_any_reader_has_no_rows_or_says_what_it_lacks(tmp_path: Path, reader: str) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert read(tmp_path / "a", reader, COLUMNS if reader in ("csv", "jsonl") else None) == []


def test_the_last_of_two_equal_keys_counts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "one", "id": "2", "text": "two"}\n')
    assert [(row.doc_id, row.text) for row in documents(read(tmp_path / "a.jsonl", "jsonl", COLUMNS))] == [("2", "two")]


def test_infinite_numbers_are_no_text_name_time_or_score(tmp_path: Path) -> None:
    keys = ("text", "lang", "at", "votes")
    rows = [{"id": "1", "text": "x", key: "INFINITE"} for key in keys] + [{"id": "2", "text": "fine", "votes": "NAN"}]
    data = "\n".join(json.dumps(row) for row in rows).replace('"INFINITE"', "1e9999").replace('"NAN"', "NaN")
    (tmp_path / "a.jsonl").write_text(data)
    columns = Columns(text="text", doc_id="id", lang="lang", created_at="at", score="votes")
    found = read(tmp_path / "a.jsonl", "jsonl", columns)
    assert reasons(found) == ["bad_record", "bad_record", "bad_time", "bad_score"]
    assert [row.doc_id for row in documents(found)] == ["2"]


def test_a_file_that_is_gone_when_it_is_read_is_named(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "text": "x"}])
    config = config_of(tmp_path, jsonl_input(path))
    rows = iter(_reader(path, config))
    path.unlink()
    with pytest.raises(InputError, match="a.jsonl: is gone since it was listed; put it back"):
        next(rows)


def _reader(path: Path, config: Any) -> Any:
    from tests.corpora import unit_of
    from theta_ray.corpus.readers import READERS

    return READERS["jsonl"](unit_of(path), config.recipe.corpus.inputs[0])


def test_a_root_behind_a_link_or_dots_is_still_seen_in_the_input(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "data" / "a.jsonl", [{"id": "1", "text": "x"}])
    (tmp_path / "link").symlink_to(tmp_path / "data")
    config = config_of(tmp_path, jsonl_input(tmp_path / "data"))
    for root in (tmp_path / "link" / "out", tmp_path / "other" / ".." / "data" / "out"):
        with pytest.raises(ConfigError, match="lies in the input folder"):
            run(config.model_copy(update={"root": str(root)}))
    assert files_below(tmp_path / "data") == {"a.jsonl"}


def test_an_input_behind_a_link_is_still_seen_in_a_table(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "results" / "corpus" / "a.jsonl", [{"id": "1", "text": "x"}])
    (tmp_path / "link").symlink_to(tmp_path / "results" / "corpus")
    with pytest.raises(ConfigError, match="lies in a table of root"):
        run(config_of(tmp_path, jsonl_input(tmp_path / "link" / "a.jsonl")))
