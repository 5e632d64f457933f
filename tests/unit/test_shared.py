"""Texts that several shards of a run have are embedded once, with the vectors that each shard alone would make."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from tests.models import save_bert, save_roberta
from tests.small_jobs import DAY, all_records, find_partition, make_config, make_texts, read_table, write_jsonl
from theta_ray.config import Config
from theta_ray.encoder import embed, exports, map_shards, shared
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.job import make_job
from theta_ray.encoder.shard import tokenize_shard
from theta_ray.encoder.shard_embedder import ShardEmbedder
from theta_ray.encoder.shared import plan_sharing
from theta_ray.encoder.stored import read_vectors
from theta_ray.encoder.tokenize import TokenSequences
from theta_ray.encoder.tokenized import TokenizedShard, plan_tasks
from theta_ray.errors import StageError
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.store import Partition

SHARDS = {"shard_bytes": 1500}
VECTOR = "fixed_size_list<element: float>[32]"


def make_reposts(count: int = 150, share: float = 0.4) -> list[str]:
    """Texts of which a share repeats an earlier one, mostly of another shard."""
    texts, rng = make_texts(count, repeat_every=0), np.random.default_rng(0)
    for number in rng.choice(np.arange(10, count), int(share * count), replace=False).tolist():
        texts[number] = texts[int(rng.integers(0, number))]
    return texts


@pytest.fixture
def reposts(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "reposts.jsonl", make_reposts())


def run_alone(config: Config, root: str, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The same recipe, each shard for itself, below another root."""
    alone = config.model_copy(update={"root": root})
    with monkeypatch.context() as patch:
        patch.setattr(shared, "MIN_SHARE", 2.0)
        embed.run(alone, DAY)
    return alone


def manifest_of(config: Config, table: str = "embeddings") -> dict[str, Any]:
    manifest = read_manifest(find_partition(config.root, table))
    assert manifest is not None
    return manifest


def shared_files(partition: Partition) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(partition.path).glob("shared/*/*"))}


def assert_same_vectors(config: Config, alone: Config) -> None:
    mine, other = (read_table(each.root, "embeddings") for each in (config, alone))
    assert mine["doc_id"].equals(other["doc_id"])
    assert mine["num_tokens"].equals(other["num_tokens"])
    assert np.abs(read_vectors(mine) - read_vectors(other)).max() < 1e-6


def test_a_repeated_text_is_embedded_once_in_a_run(
    tmp_path: Path, reposts: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(reposts, str(tmp_path / "root"), bert, corpus=SHARDS)
    card = embed.run(config, DAY)
    table, texts = read_table(config.root, "embeddings"), make_reposts()
    tokens = dict(zip(table["doc_id"].to_pylist(), table["num_tokens"].to_pylist(), strict=True))
    of_text = {text: tokens[f"d{number}"] for number, text in enumerate(texts)}
    figures = card.figures
    assert figures["shards"] > 4
    assert figures["texts_embedded"] == len(of_text) < 100
    assert figures["tokens"] == sum(of_text.values())
    assert figures["tokens_saved_by_dedup"] == sum(tokens.values()) - sum(of_text.values())
    assert figures["share_saved_by_dedup"] == pytest.approx(1 - figures["tokens"] / sum(tokens.values()), abs=1e-4)
    assert figures["texts_between_shards"].endswith("% of texts repeat one of another shard")
    alone = run_alone(config, str(tmp_path / "alone"), monkeypatch)
    assert manifest_of(alone)["counts"]["num_tokens"] > 1.2 * figures["tokens"]
    assert_same_vectors(config, alone)


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder": {"long_documents": "windows", "window_length": 8, "window_stride": 4}},
        {"embed": {"store_dtype": "int8", "dim": 16}},
        {"embed": {"store_dtype": "binary", "dim": 16}},
        {"embed": {"store_dtype": "float16"}, "encoder": {"num_layers": 1}},
    ],
    ids=["windows", "int8", "binary", "layers"],
)
def test_shared_vectors_go_the_way_of_all_others(
    tmp_path: Path, reposts: Path, bert: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    config = make_config(reposts, str(tmp_path / "root"), bert, corpus=SHARDS, **changes)
    embed.run(config, DAY)
    alone = run_alone(config, str(tmp_path / "alone"), monkeypatch)
    if "embed" not in changes:
        assert_same_vectors(config, alone)
    mine, other = (read_vectors(read_table(each.root, "embeddings")) for each in (config, alone))
    assert (np.abs(mine - other) > 1e-6).mean() < 0.01  # a value at a rounding limit may go the other way


def test_texts_of_one_hash_keep_vectors_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cased = save_roberta(tmp_path / "cased")
    texts = make_texts(90, repeat_every=0)
    texts[3], texts[33], texts[63], texts[83] = "US polls move", "us polls move", "us polls move", "US polls move"
    for number in range(40, 60):
        texts[number] = texts[number - 38]
    raw = write_jsonl(tmp_path / "a.jsonl", texts)
    config = make_config(raw, str(tmp_path / "root"), cased, corpus=SHARDS)
    figures = embed.run(config, DAY).figures
    vectors = read_vectors(read_table(config.root, "embeddings"))
    assert np.abs(vectors[3] - vectors[33]).max() > 1e-3
    assert np.array_equal(vectors[3], vectors[83])
    # the owner of the hash has "US" only: "us" is embedded where it occurs
    assert figures["texts_embedded"] == len(set(texts)) + 1
    assert_same_vectors(config, run_alone(config, str(tmp_path / "alone"), monkeypatch))


@pytest.mark.parametrize("reason", ["non_finite_embedding", "zero_embedding"])
def test_shared_texts_without_a_vector_are_quarantined_in_every_shard(
    tmp_path: Path, reposts: Path, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = save_bert(tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    if reason == "zero_embedding":
        tensors["encoder.layer.1.output.LayerNorm.weight"][:] = 0
    else:
        galaxy = AutoTokenizer.from_pretrained(broken)("galaxy", add_special_tokens=False)["input_ids"]
        tensors["embeddings.word_embeddings.weight"][galaxy[0]] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    config = make_config(reposts, str(tmp_path / "root"), broken, corpus=SHARDS, embed={"max_damaged_share": 1})
    card = embed.run(config, DAY)
    alone = run_alone(config, str(tmp_path / "alone"), monkeypatch)
    assert card.quarantined == manifest_of(alone)["quarantined"]
    assert card.quarantined[reason] > 20
    assert card.figures["tokens_saved_by_dedup"] > 0


def test_any_order_of_shards_makes_the_same_bytes(tmp_path: Path, reposts: Path, bert: Path) -> None:
    manifests, files = [], []
    for name in ("forward", "backward", "through rows"):
        config = make_config(reposts, str(tmp_path / name), bert, corpus=SHARDS)
        embed.prepare.run(config, DAY)
        if name != "forward":
            job = make_job(config, DAY)
            corpus = read_manifest(job.corpus)
            assert corpus is not None
            tasks = plan_tasks(corpus, job.embed)
            job = replace(
                job, shared=plan_sharing((job.corpus, job.embeddings), corpus, tasks, config.resources).folder
            )
            embedder = ShardEmbedder(job)
            for task in reversed(tasks) if name == "backward" else tasks:
                embedder.embed(TokenizedShard.from_row(tokenize_shard(job, task).to_row()))
        embed.run(config, DAY)
        manifests.append(manifest_of(config))
        files.append(shared_files(find_partition(config.root, "embeddings")))
    assert manifests[0] == manifests[1] == manifests[2]
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize("lost", ["*.index.parquet", "part-0000[0-3]*", "*"], ids=["indexes", "some", "everything"])
def test_a_run_goes_on_where_shared_vectors_are_gone(config: Config, lost: str) -> None:
    embed.run(config, DAY)
    partition, manifest = find_partition(config.root, "embeddings"), manifest_of(config)
    before = shared_files(partition)
    for folder in ("manifests", "run_cards"):
        shutil.rmtree(partition.at(folder))
    for shard in sorted(all_records(partition))[1::2]:
        os.unlink(partition.at("records", f"{shard}.json"))
        os.unlink(partition.at(f"{shard}.parquet"))
    for path in Path(partition.path).glob(f"shared/*/{lost}"):
        path.unlink()
    embed.run(config, DAY)
    assert manifest_of(config) == manifest
    after = shared_files(partition)
    assert {name: before[name] for name in after} == after


def test_a_later_version_of_the_corpus_shares_anew(bert: Path, tmp_path: Path) -> None:
    texts = make_texts(120)
    write_jsonl(tmp_path / "raw" / "a.jsonl", texts)
    config = make_config(tmp_path / "raw" / "*.jsonl", str(tmp_path / "root"), bert, corpus=SHARDS)
    embed.run(config, DAY)
    late = [json.dumps({"id": f"late{number}", "text": text}) for number, text in enumerate(texts[:30])]
    (tmp_path / "raw" / "b.jsonl").write_text("\n".join(late) + "\n", encoding="utf-8")
    card = embed.run(config, DAY)
    partition = find_partition(config.root, "embeddings")
    assert list_versions(partition) == [1, 2]
    assert len(list(Path(partition.path).glob("shared/*"))) == 2
    table = read_table(config.root, "embeddings")
    vectors = dict(zip(table["doc_id"].to_pylist(), read_vectors(table), strict=True))
    assert card.figures["shards_made_by_this_run"] < card.figures["shards"]
    assert all(np.abs(vectors[f"late{number}"] - vectors[f"d{number}"]).max() < 1e-6 for number in range(30))


def test_few_repeats_between_shards_are_not_worth_it(
    tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_texts(100, repeat_every=0)
    texts[90:93] = texts[:3]
    card = embed.run(
        make_config(write_jsonl(tmp_path / "a.jsonl", texts), str(tmp_path / "a"), bert, corpus=SHARDS), DAY
    )
    assert card.figures["texts_between_shards"] == "at most 3.0% of rows repeat a text, below 5%"
    texts[1:10] = [texts[0]] * 9
    config = make_config(write_jsonl(tmp_path / "b.jsonl", texts), str(tmp_path / "b"), bert, corpus=SHARDS)
    card = embed.run(config, DAY)
    assert card.figures["texts_between_shards"] == "1.1% of texts repeat one of another shard, below 5%"
    assert not shared_files(find_partition(config.root, "embeddings"))
    monkeypatch.setattr(shared, "MAX_ROWS", 99)
    raw = write_jsonl(tmp_path / "c.jsonl", make_reposts(100))
    card = embed.run(make_config(raw, str(tmp_path / "c"), bert, corpus=SHARDS), DAY)
    assert card.figures["texts_between_shards"] == "100 rows, above the 99 whose hashes the driver can hold"


def test_an_actor_keeps_as_many_vectors_as_it_has_room_for(
    tmp_path: Path, reposts: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = []
    for room in (0, 2**28):
        monkeypatch.setattr(exports, "CACHE_BYTES", room)
        config = make_config(reposts, str(tmp_path / f"{room}"), bert, corpus=SHARDS)
        embed.run(config, DAY)
        manifests.append(manifest_of(config))
    assert manifests[0] == manifests[1]


def test_shared_vectors_of_another_kind_stop_the_run(config: Config) -> None:
    embed.run(config, DAY)
    path = sorted(Path(config.root).glob("embeddings/*/*/shared/*/part*-00000.parquet"))[0]
    table = pq.read_table(path)
    with pytest.raises(StageError, match=r"other bytes\); remove that object, then rerun"):
        exports.publish(str(path), table.slice(1))
    elsewhere = table.schema.metadata[b"theta_ray"].replace(b'"batch_tokens": 2048', b'"batch_tokens": 64')
    assert exports.publish(str(path), table.replace_schema_metadata({"theta_ray": elsewhere})).equals(table)
    with pytest.raises(StageError, match="other values of doc_id"):
        exports.publish(
            str(path), table.take(list(range(len(table)))[::-1]).replace_schema_metadata({"theta_ray": elsewhere})
        )


def test_an_index_that_is_removed_meanwhile_is_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def removing(*arguments: Any) -> Any:
        for path in Path(config.root).rglob("*.index.parquet"):
            path.unlink()
        return locally(*arguments)

    locally = map_shards._locally
    monkeypatch.setattr(map_shards, "_locally", removing)
    with pytest.raises(StageError, match=r"index.parquet: was removed while a run needed it; rerun"):
        embed.run(config, DAY)


def test_no_text_is_stored_beside_the_corpus(config: Config) -> None:
    embed.run(config, DAY)
    partition = find_partition(config.root, "embeddings")
    columns = [c for path in Path(partition.path).glob("shared/*/*") for c in pq.read_table(path).columns]
    strings = {value for column in columns if column.type == pa.string() for value in column.to_pylist()}
    assert {str(column.type) for column in columns} <= {"uint64", "string", "int32", "fixed_size_binary[16]", VECTOR}
    assert "" in strings
    assert strings <= {"", *all_records(partition)}


def test_a_shared_text_too_large_for_the_device_is_quarantined_in_every_shard(
    tmp_path: Path, reposts: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_sequences = TextEncoder.embed_sequences

    def small_device(self: TextEncoder, sequences: TokenSequences, *, batch_tokens: int) -> Any:
        vectors, work = embed_sequences(self, sequences, batch_tokens=batch_tokens)
        work.too_large = set(np.flatnonzero(sequences.tokens_per_text() > 20).tolist())
        vectors[sorted(work.too_large)] = np.nan
        return vectors, work

    monkeypatch.setattr(TextEncoder, "embed_sequences", small_device)
    config = make_config(reposts, str(tmp_path / "root"), bert, corpus=SHARDS, embed={"max_damaged_share": 1})
    card = embed.run(config, DAY)
    alone = run_alone(config, str(tmp_path / "alone"), monkeypatch)
    assert card.quarantined == manifest_of(alone)["quarantined"]
    assert card.quarantined["out_of_memory"] > 10
    assert_same_vectors(config, alone)
