"""Authors are forgotten: their documents, their ids under any name, and whatever of theirs comes later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.forgotten import (
    DAYS,
    account_of,
    config_of,
    holding,
    id_of,
    make_all,
    records_of,
    rows_of,
    small_config,
    tables_of,
    write_days,
)
from theta_ray.config import Config
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE, pseudonym
from theta_ray.corpus.survey import partition_of
from theta_ray.corpus.tombstones import digest_of_id
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import read_manifest
from theta_ray.nightly import forget, refresh

KEY, GONE = "k" * 32, account_of(4)
NEXT, EIGHTS = "2026-01-03", [range(start, start + 8) for start in range(0, 32, 8)]
MASKED = ("context_id", "parent_id", "parent_author_id", "mention_ids", "links")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


def with_network(config: Config, **corpus: Any) -> Config:
    """With a graph of mentions, files of the graphs, everybody on the page, and other settings of the corpus."""
    recipe = config.recipe
    assert recipe.network is not None
    network = recipe.network.model_copy(
        update={"graphs": ("comment_to_parent_author", "mention"), "max_export_edges": 1000}
    )
    report = recipe.report.model_copy(update={"min_cell": 1})
    section = {"network": network, "report": report, "corpus": recipe.corpus.model_copy(update=corpus)}
    return config.model_copy(update={"recipe": recipe.model_copy(update=section)})


def asking(folder: Path, *authors: str, **forget_: Any) -> dict[str, Any]:
    """The settings that forget them."""
    (folder / "authors.txt").write_text("".join(f"{author}\n" for author in authors))
    return {"author_ids": str(folder / "authors.txt"), **forget_}


def written_by(author: str, *days: list[dict[str, Any]]) -> set[str]:
    return {record["id"] for records in days for record in records if record["user"] == author}


def names_of(author: str) -> set[str]:
    """The id, and what stands for it in tables and on pages."""
    keyed = pseudonym(KEY.encode(), author)
    return {author, keyed, keyed[:12]}


def a_later_day(folder: Path) -> set[str]:
    """New documents of the author, answers to them that do not say whose they are, and others; ids of the first."""
    records = records_of(0, 32)
    for number, record in enumerate(records):
        record["id"], record["thread"] = id_of(5, number), id_of(5, number - number % 8)
        record["parent"] = None if number % 8 == 0 else id_of(5, number - 1)
        record["links"] = [f"https://example.org/{GONE}/status/{id_of(5, 4)}"] if number % 8 == 5 else []
        record["parent_user"] = None
        record["time"] = f"{NEXT}T{number % 24:02d}:00:00Z"
        if number % 8 == 0:
            record["user"] = GONE
    # what comes before it in the file names it as well
    (folder / f"raw-{NEXT}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in reversed(records)))
    return written_by(GONE, records)


def masked(record: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """What is known of a row of somebody else afterwards; whether a thread has a new name is checked apart."""
    link = any(doc_id in link for doc_id in gone for link in record["links"])
    return {
        "parent_id": None if record["parent"] in gone else record["parent"],
        "parent_author_id": None if record["parent_user"] in {GONE, None} else named(record["parent_user"]),
        "mention_ids": [named(each) for each in record["mentions"] if each != GONE and each != record["parent_user"]],
        "links": [] if link else record["links"],
    }


def named(author: str) -> str:
    return pseudonym(KEY.encode(), author)


def test_an_author_leaves_every_object_and_nothing_of_theirs_comes_back(tmp_path: Path, bert: Path) -> None:
    days = [records_of(day, 96) for day in (0, 1)]
    write_days(tmp_path, days)
    plain = with_network(config_of(tmp_path, bert))
    make_all(plain)
    gone = written_by(GONE, *days)
    before = {table: rows_of(place) for table, place in tables_of(plain, DAYS[0]).items() if table != "report"}
    texts = {record["text"] for records in days for record in records if record["id"] in gone}
    where = {name.split("/")[0] for name in holding(tmp_path / "root", names_of(GONE))}
    assert {"corpus", "edges", "nodes", "authors", "report"} <= where

    config = with_network(config_of(tmp_path, bert, **asking(tmp_path, GONE)))
    card = forget.run(config, DAYS[0])
    assert holding(tmp_path / "root", names_of(GONE) | gone | texts) == []
    assert (card.figures["authors_found"], card.figures["documents_of_authors"]) == (1, len(gone))
    after = {table: rows_of(place) for table, place in tables_of(plain, DAYS[0]).items() if table != "report"}
    others_are_as_they_were(before, after, days[0], gone)

    (told,) = (json.loads(path.read_bytes()) for path in (tmp_path / "root").glob("deletions/*/00000001.json"))
    assert (told["num_authors_requested"], told["num_authors_found"], told["num_requested"]) == (1, 1, 0)
    assert all(told["rows"][table] == len(gone) for table in ("corpus", "embeddings", "assignments"))
    assert told["references"]["edges"] > 0
    assert forget.run(config, DAYS[0]).status == "nothing to do"

    late = a_later_day(tmp_path)
    refresh.run(plain, NEXT)
    assert holding(tmp_path / "root", names_of(GONE) | gone | texts | late) == []
    rows, manifest = rows_of(partition_of(plain, NEXT)).to_pylist(), read_manifest(partition_of(plain, NEXT))
    assert manifest is not None
    assert manifest["quarantined"] == {"deleted_id": len(late)}
    assert len(rows) == 32 - len(late)
    threads = [{row["context_id"] for row in rows if int(row["doc_id"]) - int(id_of(5, 0)) in each} for each in EIGHTS]
    assert [len(names) for names in threads] == [1, 1, 1, 1]
    assert refresh.run(plain, NEXT).status == "nothing to do"
    verifying = with_network(config_of(tmp_path, bert, **asking(tmp_path, GONE, verify=True)))
    assert forget.run(verifying, DAYS[0]).status == "verified"


def others_are_as_they_were(
    before: dict[str, Any], after: dict[str, Any], records: list[dict[str, Any]], gone: set[str]
) -> None:
    for table in ("corpus", "embeddings", "assignments"):
        columns = [column for column in before[table].schema.names if column not in MASKED]
        kept = [row for row in before[table].select(columns).to_pylist() if row["doc_id"] not in gone]
        assert after[table].select(columns).to_pylist() == kept
    by_id = {record["id"]: record for record in records}
    threads = {row["doc_id"]: row["context_id"] for row in before["corpus"].to_pylist()}
    for row in after["corpus"].to_pylist():
        wanted = masked(by_id[row["doc_id"]], gone)
        assert {column: row[column] for column in wanted} == wanted
        assert (row["context_id"] == threads[row["doc_id"]]) == (threads[row["doc_id"]] not in gone)
    assert after["corpus"].num_rows == len(records) - len(gone & by_id.keys())
    people = {row["author_id"] for row in before["authors"].to_pylist()}
    assert {row["author_id"] for row in after["authors"].to_pylist()} == people - {named(GONE)}


@pytest.mark.parametrize("authors", ["raw", "drop"])
def test_authors_who_are_no_pseudonyms_are_forgotten_as_well(tmp_path: Path, authors: str) -> None:
    days = [records_of(0, 64)]
    write_days(tmp_path, days)
    plain = with_network(small_config(tmp_path), authors=authors)
    prepare.run(plain, DAYS[0])
    gone = written_by(GONE, *days)
    assert holding(tmp_path / "root", gone)
    card = forget.run(with_network(small_config(tmp_path, **asking(tmp_path, GONE)), authors=authors), DAYS[0])
    assert card.figures["documents_of_authors"] == len(gone)
    assert holding(tmp_path / "root", {GONE, *gone}) == []
    late = a_later_day(tmp_path)
    prepare.run(plain, NEXT)
    assert holding(tmp_path / "root", {GONE, *gone, *late}) == []


def test_a_document_that_was_turned_away_is_found_in_the_inputs_where_that_is_asked(tmp_path: Path) -> None:
    write_days(tmp_path, [records_of(0, 64)])
    record = {**records_of(1, 1)[0], "user": account_of(99) + "7", "text": "x" * 400}
    write_days(tmp_path, [records_of(0, 64), [*records_of(1, 8)[1:], record]])
    plain = small_config(tmp_path, max_chars=300)
    for day in DAYS:
        prepare.run(plain, day)
    (held,) = {name.split("/")[0] for name in holding(tmp_path / "root", {record["id"]})} - {"corpus"}
    assert held == "quarantine"
    asked = asking(tmp_path, record["user"], read_inputs=True)
    assert forget.run(small_config(tmp_path, max_chars=300, **asked), DAYS[0]).figures["documents_of_authors"] == 1
    assert [name for name in holding(tmp_path / "root", {record["id"]}) if name.startswith("quarantine")] == []


def test_another_key_cannot_bring_an_author_back_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_days(tmp_path, [records_of(0, 64)])
    config = small_config(tmp_path, **asking(tmp_path, GONE))
    prepare.run(config, DAYS[0])
    forget.run(config, DAYS[0])
    monkeypatch.setenv(KEY_VARIABLE, "n" * 32)
    with pytest.raises(InputError, match="1 authors were forgotten under another key, 0 under this one"):
        prepare.run(config, DAYS[0])
    forget.run(config, DAYS[0])
    prepare.run(config, DAYS[0])
    again = pseudonym(b"n" * 32, GONE)
    assert holding(tmp_path / "root", {*names_of(GONE), again, *written_by(GONE, records_of(0, 64))}) == []


def test_what_is_stored_of_a_request_hides_whom_it_names(tmp_path: Path) -> None:
    """Ids can be counted through, so digests of ids alone would name them."""
    write_days(tmp_path, [records_of(0, 64)])
    config = small_config(tmp_path, **asking(tmp_path, GONE))
    prepare.run(config, DAYS[0])
    forget.run(config, DAYS[0])
    kept = [path for path in (tmp_path / "root" / "tombstones").rglob("*") if path.is_file()]
    assert len(kept) == 2
    assert not any(digest_of_id(GONE) in path.read_bytes() for path in kept)
    assert any(digest_of_id(named(GONE)) in path.read_bytes() for path in kept)


def test_a_table_of_another_recipe_that_names_the_author_is_told(tmp_path: Path) -> None:
    write_days(tmp_path, [records_of(0, 64)])
    raw = with_network(small_config(tmp_path), authors="raw")
    prepare.run(small_config(tmp_path), DAYS[0])
    prepare.run(raw, DAYS[0])
    with pytest.raises(InputError, match="2 partitions hold deleted documents"):
        forget.run(small_config(tmp_path, **asking(tmp_path, GONE)), DAYS[0])
    assert {name.split("/")[1] for name in holding(tmp_path / "root", {*names_of(GONE)})} == {
        partition_of(raw, DAYS[0]).fingerprint
    }
    forget.run(with_network(small_config(tmp_path, **asking(tmp_path, GONE)), authors="raw"), DAYS[0])
    assert holding(tmp_path / "root", names_of(GONE)) == []


@pytest.mark.parametrize("leak", [GONE, named(GONE), named(GONE)[:12]])
def test_the_proof_finds_an_author_under_any_name(tmp_path: Path, leak: str) -> None:
    write_days(tmp_path, [])
    config = small_config(tmp_path, **asking(tmp_path, GONE, verify=True))
    page = tmp_path / "root" / "report" / "page.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<td>{leak}0</td>")
    assert forget.run(config, DAYS[0]).status == "verified"
    page.write_text(f"<td>{leak}</td>")
    with pytest.raises(StageError, match="1 of 1 objects"):
        forget.run(config, DAYS[0])
