"""The embed stage without Ray: the same shards, one after another in this process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file, save_file

from tests.models import save_bert, save_qwen3
from tests.small_jobs import DAY, find_partition, make_config, make_texts, read_table, write_jsonl
from theta_ray.config import Config, Embed, Encoder
from theta_ray.encoder import embed
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.shard import ShardEmbedder, mean_cosine, tokenize_shard, vector_problems
from theta_ray.encoder.source import resolve_model
from theta_ray.encoder.tokenized import ShardTask, TokenizedShard, plan_tasks
from theta_ray.errors import InputError, StageError
from theta_ray.store import read_manifest


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def config(tmp_path: Path, bert: Path) -> Config:
    raw = write_jsonl(tmp_path / "raw" / "a.jsonl", make_texts(120))
    return make_config(raw, str(tmp_path / "root"), bert, corpus={"shard_bytes": 1500})


def vectors_of(table: pa.Table) -> np.ndarray:
    column = table.column("embedding").combine_chunks()
    return column.values.to_numpy().reshape(len(table), -1)


def break_weights(folder: Path, value: float, match: str = "embeddings.LayerNorm.weight") -> None:
    """Overwrite one tensor, so that every vector becomes what `value` makes of it."""
    tensors = load_file(folder / "model.safetensors")
    name = next(key for key in tensors if match in key)
    tensors[name][:] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_every_document_has_the_vector_of_its_text(config: Config, bert: Path) -> None:
    embed.run(config, DAY)
    table = read_table(config.root, "embeddings")
    texts = make_texts(120)
    encoder_config = Encoder(model=str(bert), pooling="mean")
    expected = TextEncoder(encoder_config, Embed(), resolve_model(encoder_config)).embed_texts(texts)
    assert table.column("doc_id").to_pylist() == [f"d{i}" for i in range(120)]
    assert np.abs(vectors_of(table) - expected).max() < 1e-5


def test_the_run_card_counts_add_up(config: Config) -> None:
    card = embed.run(config, DAY)
    figures = card.figures
    assert figures["documents_in"] == figures["embedded"] + sum(card.quarantined.values()) == 120
    assert figures["duplicates_collapsed"] == 120 - figures["distinct_texts"] > 0
    assert figures["smallest_cosine"] > 0.999999
    assert figures["rows_compared"] == 32
    assert 0 <= figures["padding_share"] < 0.5
    assert figures["shards"] > 3
    assert card.resources["devices"] == ["cpu"]


def test_missing_upstream_is_run_first_and_shown(config: Config) -> None:
    card = embed.run(config, DAY)
    assert [upstream.stage for upstream in card.upstream] == ["prepare"]
    assert "prepare" in card.page()


def test_a_second_run_has_nothing_to_do(config: Config) -> None:
    first = embed.run(config, DAY)
    again = embed.run(config, DAY)
    assert again.status == "nothing to do"
    assert again.figures == first.figures


def test_a_resumed_run_commits_the_same_bytes(config: Config) -> None:
    embed.run(config, DAY)
    partition = Path(find_partition(config.root, "embeddings").path)
    manifest = (partition / "manifest.json").read_bytes()
    for name in ("manifest.json", "run_card.json"):
        (partition / name).unlink()
    records = sorted((partition / "records").iterdir())
    shards = sorted(partition.glob("*.parquet"))
    records[0].unlink()  # killed between the object and its record
    records[1].unlink()
    shards[1].unlink()  # killed before the object
    card = embed.run(config, DAY)
    assert card.figures["shards_made_by_this_run"] == 2
    assert (partition / "manifest.json").read_bytes() == manifest


def test_a_run_killed_before_its_card_gets_one_later(config: Config) -> None:
    first = embed.run(config, DAY)
    Path(find_partition(config.root, "embeddings").at("run_card.json")).unlink()
    again = embed.run(config, DAY)
    rates = ("tokens_per_second", "documents_per_second", "shards_made_by_this_run")
    assert {n: v for n, v in again.figures.items() if n not in rates} == {
        n: v for n, v in first.figures.items() if n not in rates
    }
    assert again.figures["tokens_per_second"] is None
    assert "unknown" in again.page()


def test_other_resources_find_the_same_table(config: Config) -> None:
    embed.run(config, DAY)
    other = config.model_copy(update={"resources": config.resources.model_copy(update={"batch_tokens": 64})})
    assert embed.run(other, DAY).status == "nothing to do"


def test_the_path_of_a_model_does_not_matter_and_its_bytes_do(config: Config, bert: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bert, copy)

    def path_with(model: Path) -> str:
        encoder = config.recipe.encoder.model_copy(update={"model": str(model)})
        recipe = config.recipe.model_copy(update={"encoder": encoder})
        return embed.make_job(config.model_copy(update={"recipe": recipe}), DAY).embeddings.path

    before = path_with(copy)
    assert before == path_with(bert)
    break_weights(copy, 2.0)
    assert path_with(copy) != before


@pytest.mark.parametrize(
    ("value", "match", "reason"),
    [
        (float("nan"), "embeddings.LayerNorm.weight", "non_finite_embedding"),
        (0.0, "layer.1.output.LayerNorm.weight", "zero_embedding"),
    ],
)
def test_what_is_no_vector_is_quarantined_with_its_document(
    tmp_path: Path, value: float, match: str, reason: str
) -> None:
    broken = save_bert(tmp_path / "broken")
    break_weights(broken, value, match)
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    config = make_config(raw, str(tmp_path / "root"), broken)
    card = embed.run(config, DAY)
    quarantine = [
        row
        for path in (tmp_path / "root" / "quarantine").rglob("*.parquet")
        for row in pa.parquet.read_table(path).to_pylist()
    ]
    assert card.quarantined == {reason: 20}
    assert card.figures["embedded"] == 0
    assert sorted(row["source_ref"] for row in quarantine) == sorted(f"d{i}" for i in range(20))


def test_problem_vectors_are_told_apart() -> None:
    vectors = np.array([[1, 0], [0, 0], [np.nan, 1], [np.inf, 1]], np.float16)
    assert vector_problems(vectors).tolist() == ["", "zero_embedding", "non_finite_embedding", "non_finite_embedding"]


def test_a_float16_overflow_is_a_problem_and_not_a_number() -> None:
    with np.errstate(over="ignore"):
        assert vector_problems(np.array([[1e6, 1.0]], np.float32).astype(np.float16))[0] == "non_finite_embedding"


def test_a_cosine_below_the_bound_stops_the_run_and_commits_nothing(tmp_path: Path) -> None:
    model = save_qwen3(tmp_path / "qwen3")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    recipe = {"encoder": {"pooling": "last", "precision": "bfloat16"}, "embed": {"min_cosine": 0.9999999}}
    config = make_config(raw, str(tmp_path / "root"), model, **recipe)
    with pytest.raises(StageError, match="use encoder.precision: float32"):
        embed.run(config, DAY)
    assert read_manifest(embed.make_job(config, DAY).embeddings) is None


def test_vectors_that_are_all_alike_stop_the_run(tmp_path: Path) -> None:
    collapsed = save_bert(tmp_path / "collapsed")
    break_weights(collapsed, 1e4, match="layer.1.output.LayerNorm.bias")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    with pytest.raises(StageError, match="all vectors are alike"):
        embed.run(make_config(raw, str(tmp_path / "root"), collapsed), DAY)


def test_mean_cosine_is_that_of_all_pairs() -> None:
    vectors = np.random.default_rng(0).normal(size=(12, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[np.triu_indices(12, 1)]
    assert mean_cosine(vectors) == pytest.approx(pairs.mean(), abs=1e-6)
    assert mean_cosine(vectors[:3]) is None


def test_a_model_that_is_missing_stops_before_anything_is_written(config: Config) -> None:
    encoder = config.recipe.encoder.model_copy(update={"model": "/no/such/model"})
    recipe = config.recipe.model_copy(update={"encoder": encoder})
    with pytest.raises(InputError, match="no such folder"):
        embed.run(config.model_copy(update={"recipe": recipe}), DAY)
    assert not Path(config.root).exists()


def test_the_plan_names_what_would_run_and_starts_nothing(config: Config) -> None:
    page = embed.plan(config, DAY).page()
    assert not Path(config.root).exists()
    assert "prepare" in page
    assert "estimated tokens" in page
    embed.run(config, DAY)
    done = embed.plan(config, DAY)
    assert [step.status for step in done.steps][-1] == "nothing to do: committed"
    assert done.steps[-1].figures["rows_to_embed"] == 0


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


def test_other_tools_read_the_shards(config: Config) -> None:
    import duckdb
    import polars

    half = config.recipe.embed.model_copy(update={"store_dtype": "float16"})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"embed": half})})
    embed.run(config, DAY)
    pattern = find_partition(config.root, "embeddings").at("*.parquet")
    frame = polars.read_parquet(pattern)
    assert frame.height == 120
    assert frame.schema["embedding"].shape == (32,)
    rows = duckdb.sql(f"select count(*), max(len(embedding)) from read_parquet('{pattern}')").fetchall()
    assert rows == [(120, 32)]


def test_the_manifest_holds_the_recipe_and_the_smallest_cosine(config: Config) -> None:
    embed.run(config, DAY)
    partition = find_partition(config.root, "embeddings")
    manifest = json.loads(Path(partition.at("manifest.json")).read_text())
    assert manifest["min_cosine"] > 0.999999
    assert manifest["sections"]["encoder"]["pooling"] == "mean"
    assert manifest["inputs"]["corpus"]["fingerprint"] == find_partition(config.root, "corpus").fingerprint
    assert [shard["num_rows"] for shard in manifest["shards"]]


def test_workers_use_the_model_where_their_own_node_has_it(config: Config) -> None:
    embed.prepare.run(config, DAY)
    job = embed.make_job(config, DAY)
    elsewhere = replace(job, source=replace(job.source, folder="/only/on/the/driver"))
    manifest = read_manifest(job.corpus)
    assert manifest is not None
    task = plan_tasks(manifest, job.embed)[0]
    receipt = ShardEmbedder(elsewhere).embed(tokenize_shard(elsewhere, task))
    assert receipt["record"]["num_rows"] == task.num_rows


def test_a_node_with_another_model_stops(config: Config) -> None:
    job = embed.make_job(config, DAY)
    other = replace(job, source=replace(job.source, identity="sha256:0"))
    with pytest.raises(InputError, match="copy the same files to every node"):
        ShardEmbedder(other)


def test_a_reference_that_is_no_number_is_below_every_bound(config: Config) -> None:
    embed.prepare.run(config, DAY)
    job = embed.make_job(config, DAY)
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
