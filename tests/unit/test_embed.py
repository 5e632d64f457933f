"""The embed stage without Ray: the same shards, one after another in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file, save_file

from tests.models import save_bert, save_qwen3
from tests.small_jobs import DAY, find_partition, make_config, make_texts, read_table, write_jsonl
from theta_ray.config import Config, Embed, Encoder
from theta_ray.encoder import embed
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.job import make_job
from theta_ray.encoder.rates import Made, rates
from theta_ray.encoder.source import resolve_model
from theta_ray.errors import InputError, StageError
from theta_ray.manifest import read_manifest


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
    assert figures["duplicates_collapsed"] == 120 - figures["texts_embedded"] > 0
    assert figures["smallest_cosine"] > 0.999999
    assert figures["rows_compared"] == 32
    assert 0 <= figures["padding_share"] < 0.5
    assert figures["shards"] > 3
    (kernels,) = card.resources["kernels"]
    assert (kernels["device"], kernels["attention"], kernels["precision"]) == ("cpu", "grouped", "float32")
    assert kernels["difference"] < 1e-4
    assert (figures["actors_that_worked"], figures["ramp_seconds"] > 0) == (1, True)
    assert set(card.stall_seconds) == {"weights", "read", "tokens", "check", "write"}
    assert card.stall_seconds["weights"] > 0


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
    manifest = (partition / "manifests" / "00000001.json").read_bytes()
    for name in ("manifests", "run_cards"):
        shutil.rmtree(partition / name)
    records = sorted((partition / "records").iterdir())
    shards = sorted(partition.glob("*.parquet"))
    records[0].unlink()  # killed between the object and its record
    records[1].unlink()
    shards[1].unlink()  # killed before the object
    card = embed.run(config, DAY)
    assert card.figures["shards_made_by_this_run"] == 2
    assert (partition / "manifests" / "00000001.json").read_bytes() == manifest


def test_a_run_killed_before_its_card_gets_one_later(config: Config) -> None:
    first = embed.run(config, DAY)
    Path(find_partition(config.root, "embeddings").at("run_cards", "00000001.json")).unlink()
    again = embed.run(config, DAY)
    of_the_run = {
        *rates(Made(), 0, 0, []),
        "shards_made_by_this_run",
        "texts_embedded_by_this_run",
        "tokens_embedded_by_this_run",
        "actors_that_worked",
        "ramp_seconds",
    }
    assert {n: v for n, v in again.figures.items() if n not in of_the_run} == {
        n: v for n, v in first.figures.items() if n not in of_the_run
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
        return make_job(config.model_copy(update={"recipe": recipe}), DAY).embeddings.path

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
    strict = make_config(raw, str(tmp_path / "strict"), broken)
    with pytest.raises(StageError, match=rf"20 of 20 rows have no usable vector \({reason} 20\), more than embed.max"):
        embed.run(strict, DAY)
    assert read_manifest(make_job(strict, DAY).embeddings) is None
    config = make_config(raw, str(tmp_path / "root"), broken, embed={"max_damaged_share": 1})
    card = embed.run(config, DAY)
    quarantine = [
        row
        for path in (tmp_path / "root" / "quarantine").rglob("*.parquet")
        for row in pa.parquet.read_table(path).to_pylist()
    ]
    assert card.quarantined == {reason: 20}
    assert card.figures["embedded"] == 0
    assert sorted(row["source_ref"] for row in quarantine) == sorted(f"d{i}" for i in range(20))


def test_a_cosine_below_the_bound_stops_the_run_and_commits_nothing(tmp_path: Path) -> None:
    model = save_qwen3(tmp_path / "qwen3")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    recipe = {"encoder": {"pooling": "last", "precision": "bfloat16"}, "embed": {"min_cosine": 0.9999999}}
    config = make_config(raw, str(tmp_path / "root"), model, **recipe)
    with pytest.raises(StageError, match="use encoder.precision: float32"):
        embed.run(config, DAY)
    assert read_manifest(make_job(config, DAY).embeddings) is None


def test_vectors_that_are_all_alike_stop_the_run(tmp_path: Path) -> None:
    collapsed = save_bert(tmp_path / "collapsed")
    break_weights(collapsed, 1e4, match="layer.1.output.LayerNorm.bias")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    with pytest.raises(StageError, match="all vectors are alike"):
        embed.run(make_config(raw, str(tmp_path / "root"), collapsed), DAY)


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
    manifest = json.loads(Path(partition.at("manifests", "00000001.json")).read_text())
    assert manifest["min_cosine"] > 0.999999
    assert manifest["sections"]["encoder"]["pooling"] == "mean"
    assert manifest["inputs"]["corpus"]["fingerprint"] == find_partition(config.root, "corpus").fingerprint
    assert [shard["num_rows"] for shard in manifest["shards"]]
