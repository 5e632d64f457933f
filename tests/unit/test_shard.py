"""One shard: planning, the way between its halves, its checks, and the model on its node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.small_jobs import DAY, make_texts
from theta_ray.config import Config, Embed, Encoder
from theta_ray.encoder import embed
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.job import make_job
from theta_ray.encoder.shard import tokenize_shard
from theta_ray.encoder.shard_embedder import ShardEmbedder
from theta_ray.encoder.source import resolve_model
from theta_ray.encoder.stored import mean_cosine, vector_problems
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard, plan_tasks
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import read_manifest


def test_problem_vectors_are_told_apart() -> None:
    vectors = np.array([[1, 0], [0, 0], [np.nan, 1], [np.inf, 1]], np.float16)
    assert vector_problems(vectors).tolist() == ["", "zero_embedding", "non_finite_embedding", "non_finite_embedding"]


def test_a_float16_overflow_is_a_problem_and_not_a_number() -> None:
    with np.errstate(over="ignore"):
        assert vector_problems(np.array([[1e6, 1.0]], np.float32).astype(np.float16))[0] == "non_finite_embedding"


def test_mean_cosine_is_that_of_all_pairs() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[np.triu_indices(12, 1)]
    assert mean_cosine(vectors) == pytest.approx(pairs.mean(), abs=1e-6)
    assert mean_cosine(vectors[:3]) is None


def make_manifest(groups: list[list[tuple[int, int]]]) -> dict[str, Any]:
    shards = []
    for number, rows in enumerate(groups):
        details = {"row_groups": [{"num_rows": n, "text_bytes": b} for n, b in rows]}
        shards.append({"shard": f"part-{number:05d}", "details": details})
    return {"shards": shards}


def test_shards_are_planned_by_tokens_and_cover_every_row_group_once() -> None:
    manifest = make_manifest([[(100, 4000)] * 5, [], [(100, 400_000)]])
    tasks = plan_tasks(manifest, Embed(shard_tokens=2000, parity_rows=50))
    assert [(task.shard, task.row_groups) for task in tasks] == [
        ("part-00000-00000", (0, 1)),
        ("part-00000-00001", (2, 3)),
        ("part-00000-00002", (4,)),
        ("part-00002-00000", (0,)),
    ]
    assert sum(task.num_rows for task in tasks) == 600


def test_rows_to_compare_are_drawn_over_the_whole_run_without_repeats() -> None:
    tasks = plan_tasks(make_manifest([[(100, 4000)] * 10]), Embed(shard_tokens=1000, parity_rows=64))
    drawn = [(task.shard, row) for task in tasks for row in task.parity_rows]
    assert len(drawn) == len(set(drawn)) == 64
    assert all(0 <= row < task.num_rows for task in tasks for row in task.parity_rows)
    assert len({shard for shard, _ in drawn}) > 5
    assert tasks != plan_tasks(make_manifest([[(100, 4000)] * 10]), Embed(shard_tokens=1000, parity_rows=64, seed=1))


def test_a_tokenised_shard_survives_its_row(bert: Path) -> None:
    config = Encoder(model=str(bert), pooling="mean", long_documents="windows", window_length=8, window_stride=4)
    encoder = TextEncoder(config, Embed(), resolve_model(config))
    texts = make_texts(9)
    task = ShardTask("part-00000-00000", "part-00000", (0, 2), 9, 100, (1, 4))
    shard = TokenizedShard(
        task, pa.array([f"d{i}" for i in range(9)]), np.arange(9, dtype=np.int32), encoder.tokenizer.encode(texts),
        (texts[1], texts[4]), {"read": 0.5},
    )  # fmt: skip
    back = TokenizedShard.from_row(shard.to_row())
    assert back.task == task
    assert back.doc_ids.equals(shard.doc_ids)
    assert back.parity_texts == shard.parity_texts
    for name in ("tokens", "offsets", "text_index"):
        assert np.array_equal(getattr(back.sequences, name), getattr(shard.sequences, name))


def test_workers_use_the_model_where_their_own_node_has_it(config: Config) -> None:
    embed.prepare.run(config, DAY)
    job = make_job(config, DAY)
    elsewhere = replace(job, source=replace(job.source, folder="/only/on/the/driver"))
    manifest = read_manifest(job.corpus)
    assert manifest is not None
    task = plan_tasks(manifest, job.embed)[0]
    receipt = ShardEmbedder(elsewhere).embed(tokenize_shard(elsewhere, task))
    assert receipt["record"]["num_rows"] == task.num_rows


def test_a_node_with_another_model_stops(config: Config) -> None:
    job = make_job(config, DAY)
    other = replace(job, source=replace(job.source, identity="sha256:0"))
    with pytest.raises(InputError, match="copy the same files to every node"):
        ShardEmbedder(other)


def test_a_reference_that_is_no_number_is_below_every_bound(config: Config) -> None:
    embed.prepare.run(config, DAY)
    job = make_job(config, DAY)
    manifest = read_manifest(job.corpus)
    assert manifest is not None
    task = next(task for task in plan_tasks(manifest, job.embed) if len(task.parity_rows) > 1)
    embedder, first = ShardEmbedder(job), [True]

    class NanFirst:
        def embed(self, text: str) -> Any:
            vector = reference.embed(text) * (float("nan") if first else 1.0)
            first.clear()
            return vector

    reference = embedder.reference
    embedder._reference = NanFirst()  # type: ignore[assignment]
    with pytest.raises(StageError, match="cosine nan"):
        embedder.embed(tokenize_shard(job, task))
