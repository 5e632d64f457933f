"""Deletions after a whole pipeline: no object holds an id or a text, and the rows of others are as they were."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.conftest import environment
from tests.forgotten import (
    DAYS,
    config_of,
    holding,
    id_of,
    make_all,
    recipe_of,
    records_of,
    rows_of,
    tables_of,
    write_days,
)
from tests.small_jobs import save_recipe
from theta_ray.config import Config
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE
from theta_ray.encoder.text_keys import text_digest
from theta_ray.manifest import identity_of, list_versions, read_manifest
from theta_ray.nightly import forget
from theta_ray.publication import Publications
from theta_ray.report.tables import committed_of, published_tables
from theta_ray.runtime import main

COUNT = 96
RESOURCES = "executor: local\nthreads_per_actor: 1\n"
# Rows of these are of one document each, and nobody else's may change.
OF_DOCUMENTS = ("corpus", "embeddings", "assignments")
REFERENCES = ["context_id", "parent_id", "links"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Iterator[Path]:
    """Raw files, a recipe, and a root with every table of two days; each test deletes from a day of its own."""
    folder = tmp_path_factory.mktemp("forget")
    write_days(folder, [records_of(day, COUNT) for day in (0, 1)])
    save_recipe(folder / "recipe.yaml", recipe_of(folder, bert))
    (folder / "here.yaml").write_text(RESOURCES)
    with environment({KEY_VARIABLE: "k" * 32}):
        make_all(config_of(folder, bert))
        yield folder


def run(folder: Path, *settings: str) -> int:
    """The job itself; its exit code."""
    arguments = ["--config", str(folder / "recipe.yaml"), "--resources", str(folder / "here.yaml")]
    arguments += ["--root", str(folder / "root"), "--date", DAYS[0]]
    for setting in (f"forget.ids={folder / 'ids.txt'}", *settings):
        arguments += ["--set", setting]
    with pytest.raises(SystemExit) as end:
        main(forget, arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def objects(root: Path) -> set[str]:
    """All but leases, which each run takes anew."""
    found = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {name for name in found if "/lease/" not in name}


def chosen(config: Config) -> set[str]:
    """Thirty ids: first posts of threads, representatives of topics, and posts between."""
    representatives = rows_of(tables_of(config, DAYS[0])["topics"])["representative_ids"].to_pylist()
    first = [id_of(0, number) for number in range(0, 40, 8)]
    wanted = [*first, *(ids[0] for ids in representatives), *(id_of(0, number) for number in range(41, 80))]
    return set(list(dict.fromkeys(wanted))[:30])


def without(rows: pa.Table, ids: set[str]) -> pa.Table:
    return rows.filter(pc.invert(pc.is_in(rows["doc_id"], pa.array(sorted(ids))))).combine_chunks()


def test_thirty_documents_leave_every_object_and_other_rows_are_as_they_were(
    folder: Path, bert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, root = config_of(folder, bert), folder / "root"
    gone = chosen(config)
    texts = {record["text"] for record in records_of(0, COUNT) if record["id"] in gone}
    (folder / "ids.txt").write_text("".join(f"{doc_id}\n" for doc_id in sorted(gone)))
    (folder / "texts.txt").write_text("\n".join(sorted(texts)))
    before = {table: rows_of(place) for table, place in tables_of(config, DAYS[0]).items() if table != "report"}
    untouched = {table: list_versions(place) for table, place in tables_of(config, DAYS[1]).items()}
    assert {"corpus", "embeddings", "pairs", "topics"} <= {name.split("/")[0] for name in holding(root, gone)}

    assert run(folder) == 0
    assert holding(root, gone | texts) == []
    stored = {row["doc_id"]: row["text"] for row in before["corpus"].to_pylist()}
    hashes = {doc_id: text_digest(text) for doc_id, text in stored.items()}
    assert hashes_below(root) & set(hashes.values()) == {hashes[doc_id] for doc_id in stored.keys() - gone}
    after = {table: rows_of(place) for table, place in tables_of(config, DAYS[0]).items() if table != "report"}
    for table in OF_DOCUMENTS:
        kept, columns = without(before[table], gone), [c for c in before[table].schema.names if c not in REFERENCES]
        assert after[table].select(columns).combine_chunks().equals(kept.select(columns))
    assert after["centroids"]["centroid"].equals(before["centroids"]["centroid"])
    topics = [{row["cluster_id"]: row["topic_id"] for row in found["topics"].to_pylist()} for found in (before, after)]
    assert topics[1].items() <= topics[0].items()
    assert sum(after["topics"]["size"].to_pylist()) == after["corpus"].num_rows == COUNT - len(gone)
    for table, versions in untouched.items():
        assert table == "report" or list_versions(tables_of(config, DAYS[1])[table]) == versions

    reports = [json.loads(path.read_bytes()) for path in root.glob("deletions/*/00000001.json")]
    (report,) = [each for each in reports if each["num_requested"] == 30]
    assert report["num_found"] == 30
    assert all(report["rows"][table] == 30 for table in OF_DOCUMENTS)
    assert report["raw_files"] == [str(folder / f"raw-{DAYS[0]}.jsonl")]

    known = objects(root)
    assert run(folder) == 0
    assert objects(root) == known
    assert run(folder, "forget.verify=true", f"forget.texts={folder / 'texts.txt'}") == 0
    assert '"verified": "nothing was found"' in capsys.readouterr().out

    shutil.copy(folder / f"raw-{DAYS[0]}.jsonl", folder / "raw-2026-01-03.jsonl")  # a backup that comes late
    prepare.run(config, "2026-01-03")
    manifest = read_manifest(forget_corpus(config))
    assert manifest is not None
    assert manifest["quarantined"] == {"deleted_id": 30}
    assert holding(root, gone | texts) == []


def hashes_below(root: Path) -> set[bytes]:
    """Of the texts that any object of the text index knows."""
    tables = [pq.read_table(path, partitioning=None) for path in root.glob("text_index/*/*/*.parquet")]
    rows = [row for table in tables for row in table.to_pylist()]
    assert rows
    return {struct.pack(">QQ", row["text_high"], row["text_low"]) for row in rows}


def forget_corpus(config: Config) -> forget.Partition:
    """Of the day of the backup."""
    return tables_of(config, "2026-01-03")["corpus"]


def test_a_day_without_any_document_left_keeps_the_tables_that_can_be_made_of_nothing(folder: Path, bert: Path) -> None:
    config, root = config_of(folder, bert), folder / "root"
    gone = {record["id"] for record in records_of(1, COUNT)}
    (folder / "ids.txt").write_text("".join(f"{doc_id}\n" for doc_id in sorted(gone)))
    tables = tables_of(config, DAYS[1])
    publish(config, DAYS[1], tables)
    assert run(folder) == 0
    assert holding(root, gone) == []
    assert rows_of(tables["corpus"]).num_rows == 0
    assert rows_of(tables["assignments"]).num_rows == 0
    assert rows_of(tables["centroids"]).num_rows > 0  # of the day before
    assert list_versions(tables["pairs"]) == []
    newest = Publications(config.root, config.recipe.name).read()
    assert newest is not None
    there = published_tables(config.root, newest)
    assert {"corpus", "assignments", "centroids", "topics", "report"} <= there.keys() <= tables.keys() - {"pairs"}
    assert run(folder) == 0


def publish(config: Config, day: str, tables: dict[str, forget.Partition]) -> None:
    """As a refresh does."""
    content = {name: identity_of(committed.manifest) for name, committed in committed_of(tables.values()).items()}
    Publications(config.root, config.recipe.name).publish({"date": day, "tables": content}, None)
