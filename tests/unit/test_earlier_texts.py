"""Texts of earlier nights are not embedded again: their vectors are taken over, and shards that stay are carried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.small_jobs import make_config, make_texts
from theta_ray.config import Config
from theta_ray.corpus import prepare
from theta_ray.encoder import embed, map_shards
from theta_ray.encoder.job import make_job
from theta_ray.encoder.stored import read_vectors
from theta_ray.manifest import list_versions, read_manifest
from theta_ray.runcard import RunCard
from theta_ray.store import Partition, read_shard

NIGHTS = ("2026-01-30", "2026-01-31", "2026-02-01")
SHARDS = {"shard_bytes": 1500}


def write(path: Path, ids: str, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": f"{ids}{number}", "text": text}) for number, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n")


def retweets(first: int, count: int, old: list[str]) -> list[str]:
    """Texts of which every third is new, and the others are among `old`."""
    new = make_texts(first + count, repeat_every=0)[first:]
    return [text if number % 3 == 0 else old[number * 7 % len(old)] for number, text in enumerate(new)]


@pytest.fixture
def nightly(tmp_path: Path, bert: Path) -> Config:
    """Two nights whose second is heavy with retweets of the first, and a third that has nothing new."""
    texts = make_texts(120)
    write(tmp_path / "raw" / f"{NIGHTS[0]}.jsonl", "a", texts)
    write(tmp_path / "raw" / f"{NIGHTS[1]}.jsonl", "b", retweets(1000, 90, texts))
    write(tmp_path / "raw" / f"{NIGHTS[2]}.jsonl", "c", retweets(1000, 90, texts)[::-1])
    return make_config(tmp_path / "raw" / "{date}.jsonl", str(tmp_path / "root"), bert, corpus=SHARDS)


def rows(config: Config, day: str) -> dict[str, tuple[bytes, int]]:
    """The stored bytes of each document's vector, and its tokens."""
    table = embeddings(config, day)
    stored = [str(values).encode() for values in table["embedding"].to_pylist()]
    scales = table["scale"].to_pylist() if "scale" in table.column_names else [0.0] * len(table)
    vectors = [vector + repr(scale).encode() for vector, scale in zip(stored, scales, strict=True)]
    tokens = table["num_tokens"].to_pylist()
    return dict(zip(table["doc_id"].to_pylist(), zip(vectors, tokens, strict=True), strict=True))


def embeddings(config: Config, day: str) -> pa.Table:
    partition = make_job(config, day).embeddings
    manifest = read_manifest(partition)
    assert manifest is not None
    return pa.concat_tables([read_shard(partition, shard["shard"]) for shard in manifest["shards"]])


def texts_of(config: Config, day: str) -> dict[str, str]:
    path = str(config.recipe.corpus.inputs[0].path).replace("{date}", day)
    return {line["id"]: line["text"] for line in map(json.loads, Path(path).read_text().splitlines())}


def index(config: Config, day: str) -> Partition:
    (folder,) = Path(config.root).glob("text_index/*")
    return Partition(config.root, "text_index", folder.name, day)


@pytest.mark.parametrize("store_dtype", ["float32", "int8"])
def test_a_retweet_has_the_vector_that_the_night_before_stored(
    nightly: Config, tmp_path: Path, store_dtype: str
) -> None:
    recipe = nightly.recipe.model_copy(
        update={"embed": nightly.recipe.embed.model_copy(update={"store_dtype": store_dtype})}
    )
    nightly = nightly.model_copy(update={"recipe": recipe})
    embed.run(nightly, NIGHTS[0])
    card = embed.run(nightly, NIGHTS[1])
    before = {text: rows(nightly, NIGHTS[0])[doc_id] for doc_id, text in texts_of(nightly, NIGHTS[0]).items()}
    after, texts = rows(nightly, NIGHTS[1]), texts_of(nightly, NIGHTS[1])
    repeated = [doc_id for doc_id, text in texts.items() if text in before]
    assert len(repeated) == 60
    assert all(after[doc_id] == before[texts[doc_id]] for doc_id in repeated)
    alone = nightly.model_copy(update={"root": str(tmp_path / "alone")})
    alone_card = embed.run(alone, NIGHTS[1])
    mine, other = embeddings(nightly, NIGHTS[1]), embeddings(alone, NIGHTS[1])
    assert mine.drop_columns("embedding").column_names == other.drop_columns("embedding").column_names
    assert mine["doc_id"].equals(other["doc_id"])
    assert mine["num_tokens"].equals(other["num_tokens"])
    if store_dtype == "float32":
        assert np.abs(read_vectors(mine) - read_vectors(other)).max() < 1e-5
    assert card.figures["embedded"] == 90
    assert card.figures["texts_embedded_by_this_run"] == 30
    saved = card.figures["tokens_taken_over"]
    assert saved > 0.3 * alone_card.figures["tokens"]
    assert card.figures["tokens_embedded_by_this_run"] == card.figures["tokens"] < alone_card.figures["tokens"]
    for figures in (card.figures, alone_card.figures):  # each document and each token is in one line
        texts = figures["texts_embedded"] + figures.get("texts_taken_over", 0)
        assert texts + figures["duplicates_collapsed"] == figures["documents_in"] == 90
        of_lines = figures["tokens"] + figures.get("tokens_taken_over", 0) + figures["tokens_saved_by_dedup"]
        assert of_lines == sum(mine["num_tokens"].to_pylist())
    assert card.figures["share_taken_over"] == round(saved / sum(mine["num_tokens"].to_pylist()), 4)
    assert card.figures["texts_taken_over_by_this_run"] == card.figures["texts_taken_over"] > 0
    assert not [name for name in alone_card.figures if "taken_over" in name or "carried" in name]


def test_a_night_without_a_new_text_loads_no_model(nightly: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in NIGHTS[:2]:
        embed.run(nightly, day)
    monkeypatch.setattr(map_shards, "ShardEmbedder", None)
    card = embed.run(nightly, NIGHTS[2])
    assert card.figures["shards_of_known_texts"] == card.figures["shards"] > 1
    assert card.figures["tokens_embedded_by_this_run"] == card.figures["texts_embedded_by_this_run"] == 0
    assert card.figures["padding_share"] == 0
    yesterday = rows(nightly, NIGHTS[1])
    assert rows(nightly, NIGHTS[2]) == {f"c{89 - int(doc_id[1:])}": row for doc_id, row in yesterday.items()}
    assert embed.run(nightly, NIGHTS[2]).status == "nothing to do"


def grown(tmp_path: Path, bert: Path, *, dated: bool) -> tuple[Config, Path]:
    """50 files, of which each makes a shard; one of 2 % more is to come into the folder."""
    folder = tmp_path / "raw" / NIGHTS[0] if dated else tmp_path / "raw"
    texts = make_texts(500, repeat_every=0)
    for number in range(50):
        write(folder / f"{number:03d}.jsonl", f"a{number}-", texts[10 * number : 10 * number + 10])
    path = tmp_path / "raw" / "{date}" / "*.jsonl" if dated else tmp_path / "raw" / "*.jsonl"
    return make_config(path, str(tmp_path / "root"), bert, corpus={"shard_bytes": 1300}), folder


@pytest.mark.parametrize("dated", [True, False], ids=["late files of the same day", "the next day has all of it"])
def test_two_percent_more_costs_three_percent_at_most(tmp_path: Path, bert: Path, dated: bool) -> None:
    config, folder = grown(tmp_path, bert, dated=dated)
    whole = embed.run(config, NIGHTS[0]).figures
    write(folder / "late.jsonl", "late", make_texts(2000, repeat_every=0)[1990:])
    day = NIGHTS[0] if dated else NIGHTS[1]
    prepare.run(config, day)
    plan = embed.plan(config, day).steps[-1].figures
    card = embed.run(config, day)
    more = card.figures
    assert more["embedded"] == 510
    assert 0 < more["texts_embedded_by_this_run"] <= 0.03 * whole["texts_embedded"]
    assert 0 < more["tokens_embedded_by_this_run"] <= 0.03 * whole["tokens"]
    assert 0 < more["shards_made_by_this_run"] <= 0.03 * more["shards"]
    assert more["shards_carried_over"] == (0 if dated else 50)
    assert list_versions(make_job(config, day).embeddings) == ([1, 2] if dated else [1])
    assert plan["rows_to_embed"] == 10
    assert "looked up" in plan["earlier_nights"]
    first = read_manifest(index(config, NIGHTS[0]), 1)
    second = read_manifest(index(config, day))
    assert first is not None
    assert second is not None
    assert (first["num_rows"], second["num_rows"]) == (500, 510 if dated else 10)


@pytest.mark.parametrize("how", ["removed", "no longer named"])
def test_a_text_whose_vector_is_gone_is_embedded_again(nightly: Config, how: str, bert: Path) -> None:
    embed.run(nightly, NIGHTS[0])
    before = make_job(nightly, NIGHTS[0]).embeddings
    if how == "removed":
        for path in Path(before.path).glob("*.parquet"):
            path.unlink()
    else:
        path = Path(str(nightly.recipe.corpus.inputs[0].path).replace("{date}", NIGHTS[0]))
        write(path, "z", ["nothing of before"])
        embed.run(nightly, NIGHTS[0])
    card = embed.run(nightly, NIGHTS[1])
    assert card.figures["texts_taken_over"] == card.figures["texts_taken_over_by_this_run"] == 0
    assert card.figures["texts_embedded_by_this_run"] == card.figures["texts_embedded"] > 0
    assert card.figures["embedded"] == 90
    last = embed.run(nightly, NIGHTS[2])
    assert last.figures["texts_embedded_by_this_run"] == 0  # known again


class Killed(Exception):
    """Stands for a SIGKILL."""


@pytest.mark.parametrize("stage", ["commit_index", "commit_embeddings"])
def test_a_run_killed_beside_either_commit_is_completed(
    nightly: Config, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    whole = nightly.model_copy(update={"root": str(tmp_path / "whole")})
    for config in (whole, nightly):
        embed.run(config, NIGHTS[0])
    embed.run(whole, NIGHTS[1])
    with monkeypatch.context() as patch:
        patch.setattr(embed, stage, kill)
        with pytest.raises(Killed):
            embed.run(nightly, NIGHTS[1])
    card = embed.run(nightly, NIGHTS[1])
    assert card.figures["texts_embedded_by_this_run"] == 0
    for table in ("embeddings", "text_index"):
        mine, other = (Path(config.root) / table for config in (nightly, whole))
        assert manifests(mine) == manifests(other)
    assert list_versions(index(nightly, NIGHTS[1])) == [1]
    assert not list(Path(nightly.root).glob("*/*/*/staging/*"))


def manifests(table: Path) -> dict[str, bytes]:
    return {path.relative_to(table).as_posix(): path.read_bytes() for path in table.glob("*/*/manifests/*")}


def test_recipes_of_one_encoder_share_the_index_and_others_do_not(nightly: Config, tmp_path: Path, bert: Path) -> None:
    embed.run(nightly, NIGHTS[0])
    inputs = tmp_path / "raw" / "{date}.jsonl"
    other = make_config(inputs, nightly.root, bert, corpus={"shard_bytes": 4000}, embed={"seed": 1})
    card = embed.run(other, NIGHTS[0])
    assert make_job(other, NIGHTS[0]).embeddings.fingerprint != make_job(nightly, NIGHTS[0]).embeddings.fingerprint
    assert card.figures["texts_embedded_by_this_run"] == 0
    assert list_versions(index(nightly, NIGHTS[0])) == [1, 2]
    assert embed.run(nightly, NIGHTS[0]).status == "nothing to do"
    narrow = make_config(inputs, nightly.root, bert, embed={"dim": 16}, corpus=SHARDS)
    assert "texts_taken_over" not in embed.run(narrow, NIGHTS[1]).figures


def test_nights_in_a_row_leave_few_lists(nightly: Config, tmp_path: Path) -> None:
    cards: list[RunCard] = []
    for number in range(1, 6):
        day = f"2026-03-{number:02d}"
        write(tmp_path / "raw" / f"{day}.jsonl", day, make_texts(600, repeat_every=0)[30 * number : 30 * number + 40])
        cards.append(embed.run(nightly, day))
    assert [card.figures.get("texts_taken_over", 0) for card in cards] == [0, *[10] * 4]
    manifest = read_manifest(index(nightly, "2026-03-05"))
    assert manifest is not None
    assert manifest["covers"] == {f"2026-03-{number:02d}": 1 for number in range(1, 5)}
