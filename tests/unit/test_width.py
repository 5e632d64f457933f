"""Narrow vectors end to end: int8 and binary tables, Matryoshka prefixes and fewer layers, with what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import theta_ray
from tests.models import SENTENCES, save_bert
from tests.small_jobs import DAY, find_partition, make_config, make_texts, write_jsonl
from tests.unit.test_embed import break_weights
from theta_ray.config import Config, Embed, Encoder
from theta_ray.encoder import embed, preview
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.source import resolve_model
from theta_ray.encoder.stored import read_vectors
from theta_ray.errors import ConfigError, StageError

WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()})
TEXTS = [" ".join(np.random.default_rng(number).choice(WORDS, 4 + number % 9)) for number in range(120)]


@pytest.fixture
def make(tmp_path: Path, bert: Path) -> Any:
    """Makes a job of a few shards over 120 texts with these recipe values."""

    def made(root: str = "root", **changes: Any) -> Config:
        raw = write_jsonl(tmp_path / "raw.jsonl", TEXTS)
        changes["embed"] = {"shard_tokens": 1000, **changes.get("embed", {})}
        return make_config(raw, str(tmp_path / root), bert, **changes)

    return made


def manifest_of(config: Config) -> dict[str, Any]:
    path = find_partition(config.root, "embeddings").at("manifests", "00000001.json")
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


def exact_vectors(model: Path, **changes: Any) -> np.ndarray:
    recipe = Encoder(model=str(model), pooling="mean", precision="float32")
    return TextEncoder(recipe, Embed(**changes), resolve_model(recipe)).embed_texts(TEXTS)


def test_int8_tables_are_read_by_other_tools_with_their_scale(make: Any, bert: Path) -> None:
    import duckdb
    import polars

    config = make(embed={"store_dtype": "int8"})
    embed.run(config, DAY)
    path = find_partition(config.root, "embeddings").path
    exact = exact_vectors(bert)
    table = theta_ray.open_table(path).to_table()
    frame = polars.scan_parquet(theta_ray.list_files(path)).collect()
    by_hand = frame["embedding"].to_numpy().astype(np.float32) * frame["scale"].to_numpy()[:, None]
    assert np.array_equal(read_vectors(table), by_hand)
    assert np.abs(by_hand - exact).max() <= frame["scale"].to_numpy().max() * 0.51
    with duckdb.connect() as connection:
        query = "select typeof(embedding), max(scale), list_max(list_transform(embedding, lambda x: abs(x))) as most "
        query += "from read_parquet(?) group by all"
        rows = connection.execute(query, [theta_ray.list_files(path)]).fetchall()
    assert {(kind, most) for kind, _, most in rows} == {("TINYINT[]", 127)}


def test_binary_tables_are_read_by_other_tools_bit_by_bit(make: Any, bert: Path) -> None:
    import duckdb
    import polars

    config = make(embed={"store_dtype": "binary"})
    embed.run(config, DAY)
    path = find_partition(config.root, "embeddings").path
    exact = exact_vectors(bert)
    table = theta_ray.open_table(path).to_table()
    assert np.array_equal(read_vectors(table) > 0, exact > 0)
    frame = polars.scan_parquet(theta_ray.list_files(path)).collect()
    assert np.array_equal(np.unpackbits(frame["embedding"].to_numpy(), axis=1), exact > 0)
    with duckdb.connect() as connection:
        query = "select doc_id, embedding[1] // 128 from read_parquet(?)"
        first_bits = dict(connection.execute(query, [theta_ray.list_files(path)]).fetchall())
    assert [first_bits[f"d{i}"] for i in range(120)] == (exact[:, 0] > 0).astype(int).tolist()


@pytest.mark.parametrize(
    ("changes", "least", "most"),
    [
        ({"store_dtype": "float32"}, 1.0, 1.0),
        ({"store_dtype": "float16"}, 0.97, 1.0),
        ({"store_dtype": "int8"}, 0.9, 0.9999),
        ({"store_dtype": "float32", "dim": 16}, 0.3, 0.97),
        ({"store_dtype": "binary", "dim": 16}, 0.1, 0.9),
    ],
)
def test_the_manifest_and_the_run_card_say_what_the_width_costs(
    make: Any, changes: dict[str, Any], least: float, most: float
) -> None:
    config = make(embed=changes)
    card = embed.run(config, DAY)
    recall = manifest_of(config)["recall_at_10"]
    assert recall["value"] == round(recall["hits"] / (10 * recall["queries"]), 4)
    assert least <= recall["value"] <= most
    assert 0 < recall["queries"] <= recall["texts"] <= card.figures["texts_embedded"]
    assert card.figures["recall_at_10"] == recall["value"]
    assert "recall at 10" in card.page()
    assert manifest_of(config)["layers"] is None


def test_parity_is_that_of_the_vectors_before_they_were_quantised(make: Any) -> None:
    for store_dtype in ("int8", "binary"):
        card = embed.run(make(root=store_dtype, embed={"store_dtype": store_dtype, "min_cosine": 0.999999}), DAY)
        assert card.figures["smallest_cosine"] > 0.999999


def test_a_short_corpus_has_no_figure(tmp_path: Path, bert: Path) -> None:
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    config = make_config(raw, str(tmp_path / "root"), bert, encoder={"num_layers": 1})
    card = embed.run(config, DAY)
    assert manifest_of(config)["recall_at_10"] == {"value": None, "hits": 0, "queries": 0, "texts": 0}
    assert manifest_of(config)["layers"]["recall_at_10"] is None
    assert "unknown" in card.page()


def test_the_same_recipe_makes_the_same_bytes(make: Any) -> None:
    manifests = []
    for root in ("one", "two"):
        config = make(root=root, embed={"store_dtype": "int8", "dim": 24}, encoder={"num_layers": 1})
        embed.run(config, DAY)
        path = find_partition(config.root, "embeddings").at("manifests", "00000001.json")
        manifests.append(Path(path).read_bytes())
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("store_dtype", ["binary", "int8", "float16"])
@pytest.mark.parametrize(
    ("value", "match", "reason"),
    [
        (float("nan"), "embeddings.LayerNorm.weight", "non_finite_embedding"),
        (0.0, "layer.1.output.LayerNorm.weight", "zero_embedding"),
    ],
)
def test_what_is_no_vector_is_found_before_it_gets_a_sign_or_a_scale(
    tmp_path: Path, store_dtype: str, value: float, match: str, reason: str
) -> None:
    broken = save_bert(tmp_path / "broken")
    break_weights(broken, value, match)
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    changes = {"store_dtype": store_dtype, "max_damaged_share": 1}
    card = embed.run(make_config(raw, str(tmp_path / "root"), broken, embed=changes), DAY)
    assert card.quarantined == {reason: 20}


def test_binary_vectors_that_are_all_alike_stop_the_run(tmp_path: Path) -> None:
    collapsed = save_bert(tmp_path / "collapsed")
    break_weights(collapsed, 1e4, match="layer.1.output.LayerNorm.bias")
    raw = write_jsonl(tmp_path / "a.jsonl", make_texts(20))
    with pytest.raises(StageError, match="all vectors are alike"):
        embed.run(make_config(raw, str(tmp_path / "root"), collapsed, embed={"store_dtype": "binary"}), DAY)


def test_a_width_that_makes_no_whole_bytes_is_refused_before_anything_starts(make: Any) -> None:
    config = make(embed={"store_dtype": "binary", "dim": 20})
    with pytest.raises(ConfigError, match=r"have 20 values; set embed.dim to a multiple of 8, such as 16"):
        embed.plan(config, DAY)


@pytest.mark.parametrize("store_dtype", ["binary", "int8"])
def test_a_preview_reads_narrow_vectors(make: Any, store_dtype: str) -> None:
    config = make(embed={"store_dtype": store_dtype})
    embed.run(config, DAY)
    shown = preview.run(config, DAY)
    assert len(shown.examples) == 3
    limit = {"binary": 0.59, "int8": 0.8}[store_dtype]
    assert f"(cosine below {limit:.3g}:" in shown.page()
    assert all(cosine < limit + 0.001 for example in shown.examples for cosine, _ in example.neighbours)


def test_fewer_layers_are_compared_with_the_whole_model(make: Any) -> None:
    config = make(encoder={"num_layers": 1})
    card = embed.run(config, DAY)
    layers = manifest_of(config)["layers"]
    assert (layers["num_layers"], layers["of"], layers["queries"]) == (1, 2, min(64, layers["texts"]))
    assert 0.05 < layers["recall_at_10"] < 0.95
    assert 0 < layers["mean_cosine"] < 0.999
    assert card.figures["layers"] == "1 of 2"
    assert card.figures["recall_at_10_of_layers"] == layers["recall_at_10"]
    assert card.figures["smallest_cosine"] > 0.999999  # the reference has as many layers
    whole = make(encoder={"num_layers": 2}, root="whole")
    embed.run(whole, DAY)
    assert manifest_of(whole)["layers"]["recall_at_10"] == manifest_of(whole)["layers"]["mean_cosine"] == 1


def test_layers_that_a_model_has_not_are_refused_before_anything_starts(make: Any) -> None:
    config = make(encoder={"num_layers": 3})
    with pytest.raises(ConfigError, match="the model has 2 layers; set 2 or less"):
        embed.run(config, DAY)
    assert not Path(config.root).exists()
