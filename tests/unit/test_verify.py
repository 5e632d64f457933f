"""The search for what was forgotten: it finds every leak that is planted, in any format, and nothing that is none."""

from __future__ import annotations

import gzip
import html
import io
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.forgotten import small_config, write_days
from theta_ray.config import Config
from theta_ray.errors import ConfigError, StageError
from theta_ray.nightly import forget, verify_search
from theta_ray.nightly.verify_search import Needles, search_object

ID, SHORT, ODD = "1445880548472328193", "d7", "\U0001f600"
TEXT = 'Caf\u00e9 & "bread" <b>by night</b>'


def parquet(values: pa.Array, metadata: dict[str, str] | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": values}).replace_schema_metadata(metadata), sink)
    return sink.getvalue()


NESTED = pa.array(
    [[{"who": "a", "ids": ["b", ID]}]], pa.list_(pa.struct([("who", pa.string()), ("ids", pa.list_(pa.string()))]))
)
LEAKS = {
    "corpus/a.parquet": parquet(pa.array(["x", ID])),
    "corpus/dictionary.parquet": parquet(pa.array([ID, "y"]).dictionary_encode()),
    "corpus/nested.parquet": parquet(NESTED),
    "corpus/binary.parquet": parquet(pa.array([ID.encode()])),
    "corpus/number.parquet": parquet(pa.array([1, int(ID)])),
    "corpus/short.parquet": parquet(pa.array([SHORT])),
    "corpus/footer.parquet": parquet(pa.array(["x"]), {"note": f"of {ID}"}),
    "corpus/damaged.parquet": b"PAR1 " + ID.encode(),
    "a.json": json.dumps({"deep": [{f"post {ID}": 1}]}).encode(),
    "number.json": json.dumps({"id": int(ID)}).encode(),
    "short.jsonl": b'{"a": 1}\n{"id": "d7"}\n',
    "b.json.gz": gzip.compress(json.dumps([TEXT]).encode()),
    "c.jsonl": json.dumps({"text": f"so: {TEXT}!"}, ensure_ascii=True).encode(),
    "page.html": f"<p>{html.escape(TEXT)}</p>".encode(),
    "raw.html": f"<script>var x = {json.dumps(TEXT)}</script>".encode(),
    "graph.graphml": f'<node id="{ID}"/>'.encode(),
    "weights.safetensors": b"\x00\xff" * 50 + ID.encode() + b"\x00",
    "odd.csv": f"1,{ODD * 6}\n".encode(),
}
CLEAN = {
    "corpus/b.parquet": parquet(pa.array(["x", f"{ID}0", f"9{ID}", "d70", "xd7"])),
    "d.json": json.dumps({"about d7": f"{ID}1", "n": 7}).encode(),
    "e.html": f"<p>d7 {ID}2 caf\u00e9 bread by night</p>".encode(),
    "tombstones/mine.txt": ID.encode(),
    "corpus/x/dt=2026-01-01/lease/00000001.json": ID.encode(),
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_days(tmp_path, [])
    (tmp_path / "ids.txt").write_text(f"{ID}\n{SHORT}\n{ODD * 6}\n")
    (tmp_path / "texts.txt").write_text(f"{TEXT}\n")
    for name, data in CLEAN.items():
        put(tmp_path / "root" / name, data)
    return small_config(tmp_path, ids=str(tmp_path / "ids.txt"), texts=str(tmp_path / "texts.txt"), verify=True)


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_what_only_looks_alike_is_none(config: Config) -> None:
    figures = forget.run(config, "2026-01-01").figures
    assert (figures["verified"], figures["objects"]) == ("nothing was found", 3)
    assert figures["bytes"] == sum(len(CLEAN[name]) for name in ("corpus/b.parquet", "d.json", "e.html"))
    assert "would search" in forget.plan(config, "2026-01-01").page()


def test_every_planted_leak_is_told_by_its_place_and_none_by_its_text(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    for name, data in LEAKS.items():
        put(Path(config.root, name), data)
    with caplog.at_level(logging.ERROR), pytest.raises(StageError, match=rf": {len(LEAKS)} of ") as failure:
        forget.run(config, "2026-01-01")
    assert failure.value.exit_code == 4
    assert all(f"{config.root}/{name}" in caplog.text for name in LEAKS)
    assert f"{config.root}/corpus/nested.parquet, column x: 1" in caplog.text
    assert ID not in caplog.text
    assert "bread" not in caplog.text


def test_a_name_that_is_also_a_word_counts_alone_and_not_in_texts() -> None:
    needles = Needles.of([], [], lambda texts: texts, ["python"])
    found = {"a.json": b'{"author_id": "python"}', "b.graphml": b'<node id="python"/>', "c.html": b"<td>python</td>"}
    clean = {"a.json": b'{"text": "we like python"}', "b.html": b"<p>python and more</p>", "c.csv": b"a,pythons\n"}
    assert all(search_object(name, io.BytesIO(data), needles) for name, data in found.items())
    assert not any(search_object(name, io.BytesIO(data), needles) for name, data in clean.items())


def test_an_object_that_cannot_be_read_is_no_proof(config: Config) -> None:
    put(Path(config.root, "cut.json.gz"), gzip.compress(b"x" * 9999)[:20])
    with pytest.raises(StageError, match="1 could not be read"):
        forget.run(config, "2026-01-01")


def test_nothing_to_look_for_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"forget\.ids=FILE"):
        forget.run(small_config(tmp_path, verify=True), "2026-01-01")


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_no_leak_hides_between_two_pieces_of_a_large_object(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    monkeypatch.setattr(verify_search, "PIECE_BYTES", 64)
    monkeypatch.setattr(verify_search, "MAX_WORD_BYTES", 32)
    needles = Needles.of([ID], [TEXT], lambda texts: texts)
    for leak, other in ((ID, f"{ID}9"), (TEXT, "Caf\u00e9 & bread")):
        assert search_object("x.bin", io.BytesIO(b" " * place + leak.encode() + b" " * 99), needles)
        assert not search_object("x.bin", io.BytesIO(b" " * place + other.encode() + b" " * 99), needles)
