"""Distillation: a teacher's stored vectors, where they come from, and what a student has of them."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.corpora import DAY, table_of
from tests.models import save_qwen3
from tests.tuned import tuning_config
from theta_ray.config import Config, Embed
from theta_ray.config_finetune import Finetune
from theta_ray.corpus.survey import partition_of
from theta_ray.encoder.encoder import TextEncoder
from theta_ray.encoder.neighbours import measure_recall
from theta_ray.encoder.source import resolve_model
from theta_ray.encoder.stored import read_vectors, to_stored
from theta_ray.errors import ConfigError, InputError
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.schemas import CORPUS, embeddings_schema
from theta_ray.store import Partition, ShardWriter, read_shard
from theta_ray.training import finetune, mine_pairs, teacher
from theta_ray.training.local_copy import LocalCopy
from theta_ray.training.teacher import TeacherVectors, find_teacher

WIDTH = 24
SECTION: dict[str, Any] = {
    "projection": WIDTH,
    "batch_size": 32,
    "epochs": 20,
    "learning_rate": 1e-2,
    "checkpoint_every": 1000,
}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A corpus with a teacher's embeddings, and a recipe whose student is a small Qwen3."""
    folder = tmp_path_factory.mktemp("taught")
    config = tuning_config(folder, save_qwen3(folder / "qwen3"), pairs={"kind": "self"}, max_steps=None, **SECTION)
    mine_pairs.run(config, DAY)
    return with_loss(config, {"name": "distill", "teacher": f"embeddings/{commit_teacher(config)}/dt={DAY}"})


def commit_teacher(config: Config) -> str:
    """Embeddings of the corpus by a teacher to whom a text is the letters it has; their fingerprint."""
    corpus = partition_of(config, DAY)
    manifest, rows = read_manifest(corpus), table_of(corpus, CORPUS)
    assert manifest is not None
    texts = rows.column("text").to_pylist()
    counts = np.array([[text.count(letter) for letter in ascii_lowercase] for text in texts])
    of_letters = np.random.default_rng(0).normal(size=(len(ascii_lowercase), WIDTH))
    vectors = ((counts - counts.mean(axis=0)) @ of_letters).astype(np.float32)
    stored = to_stored(vectors, "float16")
    columns = {"doc_id": rows.column("doc_id"), **stored.columns(), "num_tokens": pa.array([5] * len(rows), pa.int32())}
    partition, schema = Partition(config.root, "embeddings", "0123456789ab", DAY), embeddings_schema(WIDTH, "float16")
    with ShardWriter(partition, "part-00000", schema) as writer:
        writer.write(pa.table(columns))
        record = writer.publish()
    commit(partition, schema, [record], {"inputs": {"corpus": identity_of(manifest)}, "sections": {}})
    return partition.fingerprint


def with_loss(config: Config, loss: dict[str, Any], **section: Any) -> Config:
    assert config.recipe.finetune is not None
    values = {**config.recipe.finetune.model_dump(), **section, "loss": loss}
    recipe = config.recipe.model_copy(update={"finetune": Finetune.model_validate(values)})
    return config.model_copy(update={"recipe": recipe})


def loss_of(config: Config, **changes: Any) -> dict[str, Any]:
    assert config.recipe.finetune is not None
    return {**config.recipe.finetune.loss.model_dump(), **changes}


def vectors_of_teacher(config: Config) -> tuple[list[str], Any]:
    where = find_teacher(loss_of(config)["teacher"], config.root)
    manifest = read_manifest(where)
    assert manifest is not None
    tables = [read_shard(where, shard["shard"]) for shard in manifest["shards"]]
    ids = [doc_id for table in tables for doc_id in table.column("doc_id").to_pylist()]
    return ids, np.concatenate([read_vectors(table) for table in tables])


def test_a_student_has_more_of_its_teachers_neighbours_than_before(taught: Config) -> None:
    finetune.run(taught, DAY)
    job = finetune.make_job(taught, DAY).job
    ids, expected = vectors_of_teacher(taught)
    texts = {row["doc_id"]: row["text"] for row in table_of(job.corpus, CORPUS).to_pylist()}
    recalls = []
    for adapter in (None, job.adapter.path):
        recipe = taught.recipe.encoder.model_copy(update={"adapter": adapter})
        encoder = TextEncoder(recipe, Embed(), resolve_model(recipe))
        recall = measure_recall(expected, encoder.embed_texts([texts[doc_id] for doc_id in ids]), max_queries=240)
        recalls.append(recall.at_10 or 0)
    assert recalls[1] > recalls[0] + 0.3
    manifest = read_manifest(job.adapter)
    assert manifest is not None
    assert manifest["inputs"]["teacher"]["fingerprint"] == "0123456789ab"
    losses = json.loads(Path(job.adapter.at("metrics.json")).read_text())["losses"]
    assert sum(losses[-5:]) < sum(losses[:5]) / 2


def test_a_row_of_the_documents_leads_to_its_vector(taught: Config) -> None:
    job = finetune.make_job(taught, DAY).job
    assert job.teacher is not None
    copy = LocalCopy(job.corpus, job.pairs)
    vectors = TeacherVectors(copy, job.teacher)
    ids, expected = vectors_of_teacher(taught)
    pairs = copy.pairs("train")
    rows = np.array(pairs.values("anchor", np.arange(len(pairs))[::-3]))
    places = [ids.index(doc_id) for doc_id in copy.documents.values("doc_id", rows)]
    assert np.array_equal(vectors.of(rows), expected[places])
    assert vectors.width == expected.shape[1]


def test_documents_without_a_vector_are_counted_and_one_is_named(
    taught: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finetune.make_job(taught, DAY).job
    assert job.teacher is not None
    monkeypatch.setattr(teacher, "read_shard", lambda *args: read_shard(*args).slice(50))
    monkeypatch.setattr(teacher, "manifest_digest", lambda _: "another copy")
    with pytest.raises(
        InputError, match=r"lacks the vectors of \d\d documents of the training pairs, such as d\d+; look"
    ):
        TeacherVectors(LocalCopy(job.corpus, job.pairs), job.teacher)


def test_an_adapter_is_named_after_its_teacher_wherever_that_lies(taught: Config) -> None:
    reference = loss_of(taught)["teacher"]
    moved = with_loss(taught, loss_of(taught, teacher=f"{taught.root}/{reference}"))
    names = {finetune.make_job(config, DAY).job.adapter.fingerprint for config in (taught, moved)}
    assert len(names) == 1
    plain = with_loss(taught, {"name": "simcse"})
    assert finetune.make_job(plain, DAY).job.adapter.fingerprint not in names


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("embeddings/0123456789ab", "is no partition of embeddings; name .../embeddings/<fingerprint>/dt=<day>"),
        ("/data/vectors.npy", "is no partition of embeddings; name"),
        (f"embeddings/ba9876543210/dt={DAY}", "is not committed; run jobs/embed.py with the teacher's recipe first"),
    ],
)
def test_a_teacher_that_is_not_there_is_told_before_pairs_are_mined(
    reference: str, message: str, taught: Config
) -> None:
    with pytest.raises(InputError, match=message):
        finetune.run(with_loss(taught, loss_of(taught, teacher=reference)), DAY)


def test_a_teacher_of_another_corpus_is_refused(taught: Config, tmp_path: Path) -> None:
    reference = f"{taught.root}/{loss_of(taught)['teacher']}"
    other = tuning_config(tmp_path, Path(taught.recipe.encoder.model), pairs={"kind": "self"}, **SECTION)
    mine_pairs.run(other, DAY)
    with pytest.raises(InputError, match=r"is of corpus .* version 1, the pairs are of .* version 1; embed that one"):
        finetune.make_job(with_loss(other, loss_of(taught, teacher=reference)), DAY)


@pytest.mark.parametrize(
    ("pairs", "loss", "section", "message"),
    [
        ({}, {}, {"projection": None}, "teacher's vectors have 24 values, the model's 64; set finetune.projection: 24"),
        (
            {},
            {"imitated": "margin_mse"},
            {},
            "has no negatives; set pairs.negatives, or finetune.loss.imitated",
        ),
        ({"kind": "ict"}, {}, {}, "a teacher's vector is of one whole document, pairs.kind ict makes other texts"),
    ],
)
def test_what_a_teacher_cannot_teach_is_refused(
    pairs: dict[str, Any], loss: dict[str, Any], section: dict[str, Any], message: str, taught: Config
) -> None:
    assert taught.recipe.pairs is not None
    mined = taught.recipe.pairs.model_copy(update=pairs)
    config = taught.model_copy(update={"recipe": taught.recipe.model_copy(update={"pairs": mined})})
    with pytest.raises((ConfigError, InputError), match=message):
        finetune.run(with_loss(config, loss_of(config, **loss), **section), DAY)
