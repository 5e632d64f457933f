"""The prepare stage run again, interrupted, or cut into other shards: always the same result."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import DAY, config_of, corpus_of, jsonl_input, posts, quarantine_rows, write_jsonl
from theta_ray.config import Columns, Input
from theta_ray.corpus import prepare, staging
from theta_ray.corpus.phases import quarantine_of, write_shard
from theta_ray.corpus.survey import look, partition_of
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import manifest_digest, read_manifest
from theta_ray.store import finished_shards
from theta_ray.table import open_table


def manifest_bytes(config):
    with open(partition_of(config, DAY).at("manifests", "00000001.json"), "rb") as file:
        return file.read()


def test_a_second_run_does_nothing(tmp_path):
    config = config_of(tmp_path, jsonl_input(write_jsonl(tmp_path / "in" / "a.jsonl", posts(10))))
    first = prepare.run(config, DAY)
    before = sorted((file, file.stat().st_mtime_ns) for file in tmp_path.rglob("*") if file.is_file())
    second = prepare.run(config, DAY)
    assert second.status == "nothing to do"
    assert list(second.figures.items()) == list(first.figures.items())
    assert before == sorted((file, file.stat().st_mtime_ns) for file in tmp_path.rglob("*") if file.is_file())


def test_inputs_that_changed_after_the_commit_make_the_next_version(tmp_path):
    folder = tmp_path / "in"
    for name in "abc":
        write_jsonl(folder / f"{name}.jsonl", [{"id": f"{name}{i}", "text": f"text {name} {i}"} for i in range(3)])
    config = config_of(tmp_path, jsonl_input(folder), shard_bytes=100)
    prepare.run(config, DAY)
    partition = partition_of(config, DAY)
    first = read_manifest(partition)
    (folder / "b.jsonl").unlink()
    write_jsonl(folder / "c.jsonl", [{"id": "c9", "text": "another text"}])
    write_jsonl(folder / "d.jsonl", [{"id": "d0", "text": "a late text"}])
    step = prepare.plan(config, DAY).steps[0]
    card = prepare.run(config, DAY)
    second = read_manifest(partition)
    assert step.status == "would run: version 2 of this day"
    assert [line.split(":")[0] for line in step.reasons[:3]] == [
        "1 input file new",
        "1 input file gone",
        "1 input file changed",
    ]
    assert "part-00000 " not in " ".join(step.reasons)
    assert card.status == "committed"
    assert (second["version"], second["parent"]) == (2, {"version": 1, "sha256": manifest_digest(first)})
    assert second["shards"][0] == first["shards"][0]
    assert corpus_of(config)["doc_id"].to_pylist() == ["a0", "a1", "a2", "c9", "d0"]
    assert open_table(partition.path, 1).to_table()["doc_id"].to_pylist()[3:6] == ["b0", "b1", "b2"]
    assert prepare.run(config, DAY).status == "nothing to do"


def test_a_run_that_was_overtaken_before_it_held_the_lease_does_nothing(tmp_path, monkeypatch):
    config = config_of(tmp_path, jsonl_input(write_jsonl(tmp_path / "in" / "a.jsonl", posts(10))))
    found = look(config, DAY)
    prepare.run(config, DAY)
    monkeypatch.setattr(prepare, "read_shard", None)
    assert prepare.run(config, DAY, found).status == "nothing to do"


def test_an_input_that_changes_while_the_job_runs_stops_it(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(10))
    config = config_of(tmp_path, jsonl_input(path))
    found = look(config, DAY)
    write_jsonl(path, posts(11))
    with pytest.raises(InputError, match=r"a.jsonl: changed while the job ran \(content:\w+ when it was planned"):
        prepare.run(config, DAY, found)
    path.unlink()
    with pytest.raises(InputError, match=r"a.jsonl: changed while the job ran .* gone now\); rerun"):
        prepare.run(config, DAY, found)
    assert read_manifest(partition_of(config, DAY)) is None


def test_a_file_that_was_written_again_the_same_is_no_change(tmp_path):
    path = write_jsonl(tmp_path / "in" / "a.jsonl", posts(3))
    config = config_of(tmp_path, jsonl_input(path))
    prepare.run(config, DAY)
    path.unlink()
    write_jsonl(path, posts(3))
    assert prepare.run(config, DAY).status == "nothing to do"


def test_too_much_damage_stops_the_stage_and_a_mended_input_runs(tmp_path):
    path = tmp_path / "in" / "a.jsonl"
    write_jsonl(path, [*posts(8), {"id": "x"}, 5])
    config = config_of(tmp_path, jsonl_input(path))
    with pytest.raises(
        StageError, match=r"2 of 10 rows are damaged.*a.jsonl#\d+, then mend the input.*max_damaged_share"
    ):
        prepare.run(config, DAY)
    assert read_manifest(partition_of(config, DAY)) is None
    write_jsonl(path, posts(8))
    assert prepare.run(config, DAY).figures["documents_kept"] == 8


@pytest.mark.parametrize("kill_at", ["write", "record", "manifest", "card"])
def test_a_killed_run_is_taken_up_and_gives_the_same_manifest(tmp_path, kill_at, monkeypatch):
    rows = [*posts(300), *posts(20)]
    config = config_of(tmp_path, jsonl_input(write_jsonl(tmp_path / "in" / "a.jsonl", rows)), shard_bytes=2000)
    prepare.run(config, DAY)
    expected = manifest_bytes(config)
    shutil.rmtree(config.root)
    if kill_at == "write":
        calls = iter(range(100))

        def killed(task):
            if next(calls) == 3:
                raise KeyboardInterrupt
            return write_shard(task)

        monkeypatch.setattr(prepare, "write_shard", killed)
        killed.__name__ = "write_shard"
        with pytest.raises(KeyboardInterrupt):
            prepare.run(config, DAY)
        monkeypatch.undo()
        assert len(finished_shards(partition_of(config, DAY))) == 3
    else:
        prepare.run(config, DAY)
        partition = partition_of(config, DAY)
        for path in ("manifest.json", "run_card.json"):
            staging.remove(partition.at(path)) if kill_at != "card" or path == "run_card.json" else None
        if kill_at == "record":
            staging.remove(partition.at("records/part-00002.json"))
            staging.remove(quarantine_of(partition).at("manifests", "00000001.json"))
    prepare.run(config, DAY)
    assert manifest_bytes(config) == expected


def test_staged_shards_are_not_read_again(tmp_path, monkeypatch):
    config = config_of(tmp_path, jsonl_input(write_jsonl(tmp_path / "in" / "a.jsonl", posts(100))), shard_bytes=1000)
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "_resolve", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare.run(config, DAY)
        patch.undo()
    monkeypatch.setitem(prepare.read_shard.__globals__, "READERS", {})
    assert prepare.run(config, DAY).figures["documents_kept"] == 100


def test_one_shard_and_many_hold_the_same_rows(tmp_path):
    rows = [*posts(500), *posts(30, text="the same text"), 5]
    path = write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    tables, refused = [], []
    for shard_bytes in (2**26, 3000, 700):
        config = config_of(tmp_path, jsonl_input(path), shard_bytes=shard_bytes, duplicates="drop", max_damaged_share=1)
        card = prepare.run(config, DAY)
        tables.append(corpus_of(config))
        refused.append(sorted(quarantine_rows(config)))
    assert card.figures["shards"] > 20
    assert tables[0] == tables[1] == tables[2]
    assert refused[0] == refused[1] == refused[2]


def test_many_buckets_resolve_as_one(tmp_path, monkeypatch):
    rows = [*posts(500), *posts(30), *({"id": f"e{i}", "text": "same"} for i in range(9))]
    path = write_jsonl(tmp_path / "in" / "a.jsonl", rows)
    one = config_of(tmp_path / "one", jsonl_input(path), shard_bytes=3000, duplicates="drop")
    many = config_of(tmp_path / "many", jsonl_input(path), shard_bytes=3000, duplicates="drop")
    prepare.run(one, DAY)
    monkeypatch.setattr("theta_ray.corpus.duplicates.BUCKET_KEYS", 50)
    prepare.run(many, DAY)
    assert corpus_of(one).equals(corpus_of(many))
    assert sorted(quarantine_rows(one)) == sorted(quarantine_rows(many))


def test_parquet_is_cut_at_row_groups(tmp_path):
    path = tmp_path / "in" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(
        pa.table({"id": list(range(1000)), "text": [f"t{i}" for i in range(1000)]}), path, row_group_size=100
    )
    spec = Input(reader="parquet", path=str(path), columns=Columns(text="text", doc_id="id"))
    config = config_of(tmp_path, spec, shard_bytes=5000)
    assert prepare.run(config, DAY).figures["shards"] > 2
    assert corpus_of(config)["doc_id"].to_pylist() == [str(i) for i in range(1000)]


def test_a_kill_while_a_shards_counts_are_written_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    uri = str(tmp_path / "staging" / "part-00000" / "read.json")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            staging.write_json(uri, {"num_rows": 1})
    assert staging.read_json(uri) is None
    staging.write_json(uri, {"num_rows": 1})
    assert staging.read_json(uri) == {"num_rows": 1}
