"""Stage `evaluate_topics` on topics that a test decides: figures, tree, sheets, and what people say."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from tests.corpora import DAY, table_of
from tests.topic_tables import commit_clusters, topics_config
from theta_ray.config import Config
from theta_ray.errors import InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import list_names, read_bytes
from theta_ray.runcard import RunCard
from theta_ray.schemas import TOPIC_QUALITY, TOPIC_TREE
from theta_ray.topics import evaluate_topics
from theta_ray.topics.evidence import EvaluateJob
from theta_ray.topics.label_topics import label
from theta_ray.topics.task_sheets import PREFIXES

WORDS = {
    "bikes": "bicycle helmet saddle pedal chain wheel brakes cyclist spokes tyre",
    "bread": "dough oven yeast flour sourdough crust loaf knead bakery rye",
    "stars": "galaxy telescope comet nebula planet orbit eclipse meteor lens astronomer",
}
TOPICS = list(WORDS)


def make_records(count: int = 240, seed: int = 0) -> list[dict[str, Any]]:
    generator = random.Random(seed)
    records = []
    for number in range(count):
        topic = TOPICS[number % len(TOPICS)]
        text = " ".join(generator.choices(WORDS[topic].split(), k=12))
        records.append({"id": f"d{number:03d}", "text": f"{text}. {number}", "label": topic if number % 5 else None})
    return records


def cluster_of(row: dict[str, Any]) -> int:
    return int(row["doc_id"][1:]) % len(TOPICS)


def prepared(
    folder: Path, section: dict[str, Any] | None = None, of: Any = cluster_of, **resources: Any
) -> tuple[Config, EvaluateJob]:
    config = topics_config(folder, {DAY: make_records()}, {"max_words": 1}, **resources)
    settings = type(config.recipe.evaluate).model_validate({"num_resamples": 100, **(section or {})})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"evaluate": settings})})
    job = commit_clusters(config, of)
    label(config, job)
    return config, evaluate_topics.job_of(config, job)


def figures(job: EvaluateJob, metric: str) -> dict[int | None, dict[str, Any]]:
    rows = table_of(job.quality, TOPIC_QUALITY).to_pylist()
    return {row["topic_id"]: row for row in rows if row["metric"] == metric}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, EvaluateJob, RunCard]:
    """Not to be changed."""
    config, job = prepared(tmp_path_factory.mktemp("planted"), {"items_per_topic": 2})
    return config, job, evaluate_topics.evaluate(config, job)


def test_planted_topics_are_coherent_diverse_and_their_labels(planted: tuple[Config, EvaluateJob, RunCard]) -> None:
    _, job, card = planted
    for metric in ("nmi", "ari", "ami", "homogeneity", "completeness"):
        (found,) = figures(job, metric).values()
        assert found["value"] == pytest.approx(1), metric
        assert found["num_values"] == 192
    for metric in ("npmi", "c_v", "u_mass"):
        found = figures(job, metric)
        assert set(found) == {None, 0, 1, 2}
        assert all(row["low"] <= row["value"] <= row["high"] for row in found.values())
    assert figures(job, "npmi")[None]["value"] > 0.2
    assert figures(job, "diversity")[None]["value"] == figures(job, "exclusivity")[None]["value"] == 1
    assert card.figures["nmi"] == 1
    assert card.figures["documents"] == 240


def test_mixed_clusters_are_worse_in_every_figure(planted: tuple[Config, EvaluateJob, RunCard], tmp_path: Path) -> None:
    config, mixed = prepared(tmp_path / "mixed", of=lambda row: int(row["doc_id"][1:]) // 3 % 3)
    evaluate_topics.evaluate(config, mixed)
    for metric in ("npmi", "c_v", "diversity", "nmi", "ari", "frex"):
        good, bad = (figures(job, metric)[None]["value"] for job in (planted[1], mixed))
        assert bad < good, metric


def test_the_tree_has_all_topics_and_its_levels_are_told(planted: tuple[Config, EvaluateJob, RunCard]) -> None:
    job = planted[1]
    nodes = table_of(job.tree, TOPIC_TREE)
    assert nodes.num_rows == 5
    (whole,) = nodes.filter(pc.is_null(nodes["parent_id"])).to_pylist()
    assert (whole["topic_ids"], whole["size"], whole["persistence"]) == ([0, 1, 2], 240, None)
    assert figures(job, "tree_3_inertia_share")[None]["value"] == pytest.approx(1)
    assert figures(job, "tree_2_nmi")[None]["value"] < figures(job, "tree_3_nmi")[None]["value"] == pytest.approx(1)


def test_sheets_are_blind_and_their_keys_lie_apart(planted: tuple[Config, EvaluateJob, RunCard]) -> None:
    job = planted[1]
    manifest = read_manifest(job.quality)
    assert manifest is not None
    assert sorted({name.split("/")[0] for name in manifest["files"]}) == ["keys", "sheets"]
    for kind, prefix in PREFIXES.items():
        sheet = [name for name in manifest["files"] if name.startswith("sheets/") and name.endswith(f"{kind}.csv")]
        rows = list(csv.DictReader(io.StringIO(read_bytes(job.quality.at(*sheet)).decode("utf-8-sig"))))
        assert rows
        assert all(row["item_id"].startswith(prefix) and row["answer"] == "" for row in rows)
        assert "topic_id" not in rows[0]


def answered(job: EvaluateJob, folder: Path, *, right: bool) -> str:
    manifest = read_manifest(job.quality)
    assert manifest is not None
    keys = [name for name in manifest["files"] if name.startswith("keys/") and name.endswith(".jsonl")]
    rows = [json.loads(line) for name in keys for line in read_bytes(job.quality.at(name)).splitlines()]
    wrong = {"one": "mixed", "mixed": "one", "1": "2"}
    lines = [
        {"item_id": row["item_id"], "answer": row["answer"] if right else wrong.get(row["answer"], "1")} for row in rows
    ]
    path = folder / f"{'right' if right else 'wrong'}.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def test_filled_sheets_make_a_version_that_scores_them(tmp_path: Path) -> None:
    config, job = prepared(tmp_path, {"items_per_topic": 2})
    evaluate_topics.evaluate(config, job)
    paths = (answered(job, tmp_path, right=True), answered(job, tmp_path, right=False))
    evaluate = config.recipe.evaluate.model_copy(update={"answers": paths})
    filled = config.model_copy(update={"recipe": config.recipe.model_copy(update={"evaluate": evaluate})})
    again = evaluate_topics.job_of(filled, job.topics)
    assert again.quality == job.quality
    card = evaluate_topics.evaluate(filled, again, evaluate_topics.read_sheets(filled))
    for kind in PREFIXES:
        accuracy = figures(job, f"{kind}_accuracy")
        assert accuracy[None]["value"] == 0.5
        assert accuracy[None]["low"] < 0.5 < accuracy[None]["high"]
        assert set(accuracy) <= {None, 0, 1, 2}
    assert figures(job, "topic_word_mixing_f1")[None]["value"] is not None
    assert card.figures["word_intrusion_accuracy"] == 0.5
    manifest = read_manifest(job.quality)
    assert manifest is not None
    assert manifest["version"] == 2


def test_answers_to_the_sheets_of_other_topics_are_refused(
    planted: tuple[Config, EvaluateJob, RunCard], tmp_path: Path
) -> None:
    config, job, _ = planted
    sheet = b'{"item_id": "w0001-0000", "answer": "1"}'
    with pytest.raises(InputError, match="ann: item w0001-0000 is not on the sheet"):
        evaluate_topics.evaluate(config, job, {"ann": sheet})


def test_a_filled_sheet_that_is_not_there_is_told(tmp_path: Path) -> None:
    config, _ = prepared(tmp_path, {"answers": (str(tmp_path / "gone.csv"),)})
    with pytest.raises(InputError, match=r"gone.csv: no such filled sheet; correct evaluate.answers"):
        evaluate_topics.read_sheets(config)


def test_a_killed_run_goes_on_to_the_same_rows_and_a_second_one_finds_nothing_to_do(
    planted: tuple[Config, EvaluateJob, RunCard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, job = prepared(tmp_path, {"items_per_topic": 2})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluate_topics, "judge", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate_topics.evaluate(config, job)
    first = evaluate_topics.evaluate(config, job)
    for name, schema in (("quality", TOPIC_QUALITY), ("tree", TOPIC_TREE)):
        wanted, found = (table_of(getattr(each, name), schema) for each in (planted[1], job))
        assert found.equals(wanted)
    second = evaluate_topics.evaluate(config, job)
    assert (second.status, second.figures) == ("nothing to do", first.figures)
    assert list_names(job.quality.at("staging")) == []


def test_of_many_documents_a_share_is_looked_at_and_copies_with_their_text(tmp_path: Path) -> None:
    config, job = prepared(tmp_path)
    half = type(config.recipe.evaluate).model_construct(**{**dict(config.recipe.evaluate), "max_documents": 120})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"evaluate": half})})
    card = evaluate_topics.evaluate(config, evaluate_topics.job_of(config, job.topics))
    assert card.figures["documents"] == 240
    assert 80 < card.figures["documents_looked_at"] < 160


def test_topics_without_labels_or_sheets_have_no_such_figures(tmp_path: Path) -> None:
    config = topics_config(tmp_path, {DAY: [{**each, "label": None} for each in make_records(60)]}, {"num_terms": 1})
    settings = config.recipe.evaluate.model_copy(update={"num_resamples": 100, "items_per_topic": 0})
    config = config.model_copy(update={"recipe": config.recipe.model_copy(update={"evaluate": settings})})
    topics = commit_clusters(config, cluster_of)
    label(config, topics)
    job = evaluate_topics.job_of(config, topics)
    card = evaluate_topics.evaluate(config, job)
    assert not {"nmi", "npmi"} & set(card.figures)
    assert figures(job, "npmi")[None]["value"] is None
    assert figures(job, "nmi") == {}
    manifest = read_manifest(job.quality)
    assert manifest is not None
    assert manifest["files"] == []


def test_topics_that_are_not_committed_are_told(tmp_path: Path) -> None:
    config = topics_config(tmp_path, {DAY: make_records(30)})
    job = evaluate_topics.job_of(config, commit_clusters(config, cluster_of))
    with pytest.raises(InputError, match=r"not committed; run jobs/label_topics.py first"):
        evaluate_topics.evaluate(config, job)
