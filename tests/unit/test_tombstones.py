"""Lists of deleted ids: every format, exact, read whole or not at all; and no row of theirs is stored."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from theta_ray.config import Corpus
from theta_ray.corpus.document import Document, Rejected
from theta_ray.corpus.rows import RowBuilder, quarantine_row
from theta_ray.corpus.tombstones import Tombstones, identify, read, read_in_worker
from theta_ray.errors import InputError
from theta_ray.schemas import DAMAGED, FILTERED

TWEET = "1445880548472328193"
IDS = [TWEET, "t3_abc", "\U0001f600", "a,b"]


def put(root: Path, name: str, data: bytes) -> Path:
    """A file in the folder of tombstones."""
    path = root / "tombstones" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


FILES: dict[str, bytes] = {
    "a.txt": "\n".join(IDS).encode(),
    "b.txt.gz": ("\ufeff" + "\r\n".join(IDS) + "\r\n\r\n").encode(),
    "c.csv": ("why,doc_id\n" + "".join(f'asked,"{doc_id}"\n' for doc_id in IDS)).encode(),
    "d.csv.gz": "".join(f'"{doc_id}"\n' for doc_id in IDS).encode(),
    "e.jsonl": f'{{"doc_id": {TWEET}}}\n"t3_abc"\n"\\ud83d\\ude00"\n{{"doc_id": "a,b", "x": 1}}\n'.encode(),
    "deep/f.jsonl.gz": f'{TWEET}\n"t3_abc"\n"\U0001f600"\n"a,b"\n'.encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_holds_the_same_ids(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, FILES[name])
    found = read(str(tmp_path))
    assert len(found) == len(IDS)
    assert all(doc_id in found for doc_id in IDS)
    assert not any(doc_id in found for doc_id in ("1445880548472328192", "t3_abcd", "", "doc_id"))


@pytest.mark.parametrize("column", [pa.array([int(TWEET)]), pa.array([TWEET]), pa.array([TWEET]).dictionary_encode()])
def test_parquet_ids_are_exact(tmp_path: Path, column: pa.Array) -> None:
    path = put(tmp_path, "a.parquet", b"")
    pq.write_table(pa.table({"doc_id": column, "asked": [1]}), path)
    assert TWEET in read(str(tmp_path))
    assert "1445880548472328192" not in read(str(tmp_path))


def test_no_folder_and_empty_files_delete_nothing(tmp_path: Path) -> None:
    assert (len(read(str(tmp_path))), identify(str(tmp_path))) == (0, "")
    put(tmp_path, "a.txt", b"\n\n")
    put(tmp_path, "_SUCCESS", b"")
    found = read(str(tmp_path))
    assert len(found) == 0
    assert found.matches(pa.array(["1"])).tolist() == [False]
    assert "1" not in found


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt.gz", b"CUT"),
        ("a.txt", b"1\n\xff\n"),
        ("a.csv", b"id,why\n1,x\n"),
        ("a.csv", b"doc_id\n1.44588E+18,x\n\n"),
        ("a.csv", b'why,doc_id\nx,""\n'),
        ("a.jsonl", b'{"id": 1}\n'),
        ("a.jsonl", b'{"doc_id": 1445880548472328193.0}\n'),
        ("a.jsonl", b'{"doc_id": '),
        ("a.jsonl", b"[1]\n"),
        ("a.parquet", b"PAR1"),
        ("a.zip", b"PK"),
        ("notes", b"1"),
    ],
)
def test_a_list_that_cannot_be_read_whole_stops_the_job(tmp_path: Path, name: str, data: bytes) -> None:
    path = put(tmp_path, name, data)
    if data == b"CUT":
        path.write_bytes(gzip.compress(b"1\n" * 5000)[:-20])
    with pytest.raises(InputError, match=f"{name}.*: is no (id|list of deleted ids)"):
        read(str(tmp_path))


def test_the_identity_changes_with_the_lists_and_not_with_the_root(tmp_path: Path) -> None:
    for root in ("one", "two"):
        put(tmp_path / root, "a.txt", b"1\n")
    first = identify(str(tmp_path / "one"))
    assert first == identify(str(tmp_path / "two")) == read(str(tmp_path / "one")).identity
    put(tmp_path / "one", "b.txt", b"2\n")
    assert identify(str(tmp_path / "one")) != first
    put(tmp_path / "two", "a.txt", b"1\n2\n")
    assert identify(str(tmp_path / "two")) != first


def test_a_worker_that_sees_other_lists_than_the_driver_stops(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", b"1\n")
    identity = identify(str(tmp_path))
    assert "1" in read_in_worker(str(tmp_path), identity)
    put(tmp_path, "b.txt", b"2\n")
    assert "2" in read_in_worker(str(tmp_path), identify(str(tmp_path)))
    with pytest.raises(InputError, match="changed while the job ran"):
        read_in_worker(str(tmp_path), identity)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    deleted=st.sets(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1), max_size=30),
    asked=st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=30),
)
def test_exactly_the_listed_ids_match(tmp_path: Path, deleted: set[str], asked: list[str]) -> None:
    deleted = {doc_id for doc_id in deleted if doc_id.strip() == doc_id}
    put(tmp_path, "a.txt", "\n".join(deleted).encode())
    found = read(str(tmp_path))
    everyone = [*deleted, *asked]
    assert found.matches(pa.array(everyone, pa.string())).tolist() == [doc_id in deleted for doc_id in everyone]
    assert len(found) == len(deleted)


def build(deleted: Any, text: str) -> Any:
    corpus = Corpus.model_validate({"inputs": [{"reader": "text", "path": "x"}], "language": "none", "authors": "drop"})
    return RowBuilder(corpus, None, deleted).build(Document("secret-id", text, 7, "post"), "mine")


@pytest.mark.parametrize("text", ["a secret text", " ", "x" * 2_000_000])
def test_a_deleted_row_is_turned_away_before_any_other_reason_and_leaves_neither_id_nor_text(
    tmp_path: Path, text: str
) -> None:
    put(tmp_path, "a.txt", b"secret-id\n")
    rejected = build(read(str(tmp_path)), text)
    assert isinstance(rejected, Rejected)
    assert rejected == ("deleted_id", "", 7)
    assert quarantine_row(rejected, "/in/a.jsonl") == ("prepare", "/in/a.jsonl#7", "deleted_id", "")
    assert not isinstance(build(Tombstones(), "a secret text"), Rejected)


def test_a_deletion_is_no_damage() -> None:
    assert "deleted_id" in FILTERED
    assert "deleted_id" not in DAMAGED
