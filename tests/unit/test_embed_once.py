"""Embedding exactly once: attempts that differ, runs side by side, limits, and what a version is made of."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_jobs import DAY, all_records, find_partition, read_table
from theta_ray.config import Config, Resources
from theta_ray.encoder import embed, text_index
from theta_ray.encoder.job import make_job
from theta_ray.encoder.shard import tokenize_shard
from theta_ray.encoder.shard_embedder import ShardEmbedder
from theta_ray.encoder.stored import vector_difference
from theta_ray.encoder.tokenized import plan_tasks
from theta_ray.errors import ConflictError, CostLimitError, StageError
from theta_ray.manifest import identity_of, list_versions, read_manifest
from theta_ray.objects import list_names
from theta_ray.schemas import embeddings_schema
from theta_ray.store import canonical_json


def test_a_version_names_the_corpus_version_that_it_was_made_from(config: Config) -> None:
    embed.run(config, DAY)
    corpus = read_manifest(find_partition(config.root, "corpus"))
    manifest = read_manifest(find_partition(config.root, "embeddings"))
    assert corpus is not None
    assert manifest is not None
    assert manifest["inputs"]["corpus"] == identity_of(corpus)


def test_a_finished_shard_is_not_made_again(config: Config) -> None:
    embed.run(config, DAY)
    job = make_job(config, DAY)
    manifest = read_manifest(job.corpus)
    assert manifest is not None
    task = plan_tasks(manifest, job.embed)[0]
    embedder = ShardEmbedder(job)
    embedder.encoder = None  # type: ignore[assignment]  # nothing may be computed
    with pytest.raises(AttributeError, match="device_name"):
        embedder.embed(tokenize_shard(job, task))  # it comes to tell the device, and no further
    embedder = ShardEmbedder(job)
    assert embedder.embed(tokenize_shard(job, task))["made"] is False


def test_an_attempt_that_made_other_bytes_is_an_error_with_both_hashes(config: Config) -> None:
    embed.run(config, DAY)
    partition = find_partition(config.root, "embeddings")
    first = sorted(all_records(partition))[0]
    for folder in ("manifests", "run_cards"):
        os.unlink(partition.at(folder, "00000001.json"))
    os.unlink(partition.at("records", f"{first}.json"))
    shard = Path(partition.at(f"{first}.parquet"))
    shard.write_bytes(Path(partition.at(f"{sorted(all_records(partition))[0]}.parquet")).read_bytes())
    with pytest.raises(
        StageError, match=r"holds SHA-256 [0-9a-f]{64} where this attempt made [0-9a-f]{64} \(other values of doc_id\)"
    ):
        embed.run(config, DAY)
    assert read_manifest(partition) is None


@pytest.mark.parametrize(
    ("difference", "batch_tokens", "told"),
    [(1e-4, 64, None), (1e-2, 64, "vectors differ by up to 0.01"), (1e-4, 2048, "other bytes")],
    ids=["within the tolerance", "beyond it", "with the same batches"],
)
def test_an_attempt_with_other_batches_may_differ_in_the_last_bits(
    config: Config, difference: float, batch_tokens: int, told: str | None
) -> None:
    embed.run(config, DAY)
    partition = find_partition(config.root, "embeddings")
    for folder in ("manifests", "run_cards", "records"):
        shutil.rmtree(partition.at(folder))
    shard = sorted(Path(partition.path).glob("*.parquet"))[0]
    made = pq.read_table(shard)
    identity = json.loads(made.schema.metadata[b"theta_ray"])
    assert identity["made_on"]["batch_tokens"] == config.resources.batch_tokens
    identity["made_on"]["batch_tokens"] = batch_tokens
    flat = pa.array(made["embedding"].combine_chunks().flatten().to_numpy() + np.float32(difference))
    vectors = pa.FixedSizeListArray.from_arrays(flat, type=made.schema.field("embedding").type)
    made = made.set_column(1, made.schema.field("embedding"), vectors)
    pq.write_table(made.replace_schema_metadata({"theta_ray": canonical_json(identity)}), shard)
    before = shard.read_bytes()
    if told is None:
        embed.run(config, DAY)
        assert shard.read_bytes() == before
        assert all_records(partition)[shard.stem].sha256 == hashlib.sha256(before).hexdigest()
    else:
        with pytest.raises(StageError, match=rf"\({told}"):
            embed.run(config, DAY)


def table(vectors: Any, ids: tuple[str, ...] = ("a", "b")) -> pa.Table:
    flat = pa.array(np.asarray(vectors, np.float32).reshape(-1))
    columns = [pa.array(ids), pa.FixedSizeListArray.from_arrays(flat, 2), pa.array([3, 3], pa.int32())]
    return pa.Table.from_arrays(columns, schema=embeddings_schema(2, "float32"))


def test_attempts_on_gpus_may_differ_within_the_stated_tolerance() -> None:
    mine = table([[0.6, 0.8], [1.0, 0.0]])
    assert vector_difference(mine, mine) is None
    assert vector_difference(mine, table([[0.6005, 0.7996], [1.0, 0.0005]])) is None
    assert "differ by up to 0.01" in str(vector_difference(mine, table([[0.6, 0.8], [1.0, 0.01]])))
    assert vector_difference(mine, table([[0.6, 0.8], [1.0, 0.0]], ("a", "c"))) == "other values of doc_id"


def test_gpu_hours_are_limited_and_what_is_finished_stays(config: Config) -> None:
    limited = Resources(max_gpu_hours=2)
    embed.check_cost(limited, 1.9)
    embed.check_cost(Resources(), 1e9)
    with pytest.raises(CostLimitError, match=r"max_gpu_hours: 2 are used up \(2.10\); rerun to go on"):
        embed.check_cost(limited, 2.1)


def test_a_run_stops_at_its_cost_limit_and_the_next_goes_on(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise CostLimitError("used up")

    with monkeypatch.context() as patch:
        patch.setattr(embed, "check_cost", stop)
        with pytest.raises(CostLimitError):
            embed.run(config, DAY)
    card = embed.run(config, DAY)
    assert card.figures["shards_made_by_this_run"] == card.figures["shards"] - 1
    assert sorted(read_table(config.root, "embeddings")["doc_id"].to_pylist()) == sorted(f"d{i}" for i in range(120))


@pytest.mark.parametrize("on_conflict", ["wait", "join"])
def test_two_runs_at_once_commit_one_version(config: Config, on_conflict: str) -> None:
    resources = config.resources.model_copy(update={"on_conflict": on_conflict, "lease_seconds": 1.0})
    config = config.model_copy(update={"resources": resources})
    statuses, failures = [], []

    def run() -> None:
        try:
            statuses.append(embed.run(config, DAY).status)
        except Exception as error:  # noqa: BLE001  shown below
            failures.append(error)

    runs = [threading.Thread(target=run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    partition = find_partition(config.root, "embeddings")
    assert failures == []
    assert "committed" in statuses
    assert list_versions(partition) == [1]
    assert read_table(config.root, "embeddings").num_rows == 120


def test_a_run_that_loses_the_list_of_texts_to_another_takes_what_that_one_committed(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = config.resources.model_copy(update={"on_conflict": "join", "lease_seconds": 0.4})
    config = config.model_copy(update={"resources": resources})
    write_part, calls = text_index.write_part, []

    def taken_over(item: text_index.PartTask) -> Any:
        calls.append(item)
        if len(calls) == 1:
            Path(item.index.at("lease", f"{item.epoch:08d}.released")).touch()
            assert embed.run(config, DAY).status == "committed"
            threading.Event().wait(0.5)  # a sign of life finds the higher epoch
        return write_part(item)

    monkeypatch.setattr(text_index, "write_part", taken_over)
    assert embed.run(config, DAY).status == "committed"
    index = calls[0].index
    assert [item.epoch for item in calls] == [1, 2]
    assert list_versions(index) == [1]
    assert list_names(index.at("staging")) == []
    assert read_table(config.root, "embeddings").num_rows == 120


def test_a_run_that_was_taken_over_stops_at_the_next_shard(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    add = embed.Work.add

    def taken_over(self: Any, receipt: Any) -> Any:
        partition = find_partition(config.root, "embeddings")
        lease = Path(partition.at("lease", "00000001.json"))
        lease.with_name("00000002.json").write_bytes(lease.read_bytes())
        threading.Event().wait(0.5)
        return add(self, receipt)

    monkeypatch.setattr(embed.Work, "add", taken_over)
    resources = config.resources.model_copy(update={"lease_seconds": 0.4})
    with pytest.raises(ConflictError, match="another run took the lease over"):
        embed.run(config.model_copy(update={"resources": resources}), DAY)
    partition = find_partition(config.root, "embeddings")
    assert read_manifest(partition) is None
    assert len(all_records(partition)) == 2


def test_records_carry_the_epoch_of_the_run_that_made_them(config: Config) -> None:
    embed.run(config, DAY)
    partition = find_partition(config.root, "embeddings")
    os.unlink(partition.at("manifests", "00000001.json"))
    first, *_ = sorted(all_records(partition))
    os.unlink(partition.at("records", f"{first}.json"))
    embed.run(config, DAY)
    epochs = {name: record.epoch for name, record in all_records(partition).items()}
    assert epochs.pop(first) == 2
    assert set(epochs.values()) == {1}
    assert replace(all_records(partition)[first], epoch=0).facts() == all_records(partition)[first].facts()
