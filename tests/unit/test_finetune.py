"""The fine-tuning stage in this process: what it makes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY
from tests.lockstep import Lockstep, Rank
from tests.tuned import tuning_config
from theta_ray.errors import ConfigError, InputError
from theta_ray.manifest import read_manifest
from theta_ray.objects import create, list_names, read_bytes, remove
from theta_ray.runcard import RunCard
from theta_ray.store import Partition
from theta_ray.training import finetune, loop


def adapter_of(config: Any) -> Partition:
    return finetune.make_job(config, DAY).job.adapter


def metrics_of(config: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read_bytes(adapter_of(config).at("metrics.json")))
    return found


@pytest.fixture(scope="module")
def tuned(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, RunCard]:
    config = tuning_config(tmp_path_factory.mktemp("tuned"), bert)
    return config, finetune.run(config, DAY)


def test_the_loss_falls_and_the_labels_come_closer(tuned: tuple[Any, RunCard]) -> None:
    config, card = tuned
    losses = metrics_of(config)["losses"]
    assert len(losses) == 12
    assert sum(losses[-3:]) < sum(losses[:3])
    comparison = metrics_of(config)["comparison"]
    assert comparison["alignment"]["verdict"] == "better"
    assert card.figures["steps"] == 12
    assert "knn_accuracy" in card.figures


def test_the_plan_tells_the_steps_that_a_run_takes(tuned: tuple[Any, RunCard]) -> None:
    config, card = tuned
    planned = finetune.plan(config, DAY).steps[-1].figures
    assert [planned[name] for name in ("training_pairs", "steps")] == [
        card.figures[name] for name in ("training_pairs", "steps")
    ]
    longer = config.recipe.finetune.model_copy(update={"epochs": 100, "max_steps": 7})
    recipe = config.recipe.model_copy(update={"finetune": longer})
    assert finetune.plan(config.model_copy(update={"recipe": recipe}), DAY).steps[-1].figures["steps"] == 7


def test_checkpoints_go_once_the_adapter_is_committed(tuned: tuple[Any, RunCard]) -> None:
    config, _ = tuned
    assert read_manifest(adapter_of(config)) is not None
    assert list_names(adapter_of(config).at("checkpoints")) == []


def test_evaluations_on_the_way_are_kept_and_change_nothing_of_the_training(
    tuned: tuple[Any, RunCard], bert: Path, tmp_path: Path
) -> None:
    config = tuning_config(tmp_path, bert, evaluation={"every": 5})
    finetune.run(config, DAY)
    watched, alone = metrics_of(config), metrics_of(tuned[0])
    assert [each["step"] for each in watched["evaluations"]] == [5, 10]
    assert watched["losses"] == alone["losses"]
    assert watched["tuned"] == alone["tuned"]
    assert watched["evaluations"][1]["metrics"].keys() == watched["tuned"].keys()


def test_a_second_run_finds_nothing_to_do(tuned: tuple[Any, RunCard]) -> None:
    config, card = tuned
    again = finetune.run(config, DAY)
    assert again.status == "nothing to do"
    assert again.figures == card.figures


@pytest.mark.parametrize("stop", [1, 6, 11])
def test_a_run_that_is_killed_goes_on_with_the_same_curve(
    stop: int, tuned: tuple[Any, RunCard], tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tuning_config(tmp_path, bert)
    steps: list[int] = []
    real = loop.add_gradients

    def stopping(step: Any, batch: Any, number: int) -> float:
        steps.append(number)
        if len(steps) == stop + 1:
            raise KeyboardInterrupt
        return real(step, batch, number)

    monkeypatch.setattr(loop, "add_gradients", stopping)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(config, DAY)
    finetune.run(config, DAY)
    assert steps == [*range(stop + 1), *range(stop // 4 * 4, 12)]
    assert metrics_of(config)["losses"] == metrics_of(tuned[0])["losses"]
    name = "adapter_model.safetensors"
    assert read_bytes(adapter_of(config).at(name)) == read_bytes(adapter_of(tuned[0]).at(name))


@pytest.mark.parametrize(
    ("section", "pairs", "message"),
    [
        ({"loss": {"name": "triplet"}}, {}, "has no negatives; set pairs.negatives, or finetune.loss.mining"),
        ({"loss": {"name": "supcon"}}, {"kind": "self"}, "finetune.loss supcon: needs texts of a label"),
        ({}, {"split": {"test_share": 0}}, "has no test pairs to evaluate on; raise pairs.split.test_share"),
    ],
)
def test_pairs_that_cannot_serve_are_refused_before_any_step(
    section: dict[str, Any], pairs: dict[str, Any], message: str, tmp_path: Path, bert: Path
) -> None:
    with pytest.raises((ConfigError, InputError), match=message):
        finetune.run(tuning_config(tmp_path, bert, pairs=pairs, **section), DAY)


def test_more_workers_than_pairs_are_refused(bert: Path, tmp_path: Path) -> None:
    config = tuning_config(tmp_path, bert)
    finetune.mine_pairs.run(config, DAY)
    rank = Rank(Lockstep(10_000), 0)
    with pytest.raises(InputError, match=r"10000 workers for \d+ training pairs; set num_actors to \d+ or less"):
        loop.Learner(finetune.make_job(config, DAY).job, rank)


def test_a_recipe_without_the_section_is_told_what_to_add(bert: Path, tmp_path: Path) -> None:
    config = tuning_config(tmp_path, bert)
    bare = config.model_copy(update={"recipe": config.recipe.model_copy(update={"finetune": None})})
    with pytest.raises(ConfigError, match="finetune: is missing in the recipe"):
        finetune.run(bare, DAY)


def scored(path: Path, **settings: Any) -> dict[str, Any]:
    return {"evaluation": {"scored": {"path": str(path), **settings}}}


def test_scored_texts_are_correlated_with_the_cosines(bert: Path, tmp_path: Path) -> None:
    path = tmp_path / "sts.csv"
    rows = [("the sun", "a sun", 5), ("the rain", "a river", 2), ("a road", "the coffee", 0), ("a bird", "", 3)]
    path.write_text("a,b,points\n" + "".join(f"{left},{right},{score}\n" for left, right, score in rows))
    config = tuning_config(tmp_path, bert, max_steps=1, **scored(path, first="a", second="b", score="points"))
    finetune.run(config, DAY)
    assert metrics_of(config)["comparison"]["spearman"]["base"]["num_queries"] == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"scored .*/sts\.csv: .*; give a parquet or CSV file"),
        ("a,b\nx,y\n", "has no column sentence1; it has a, b"),
        ("sentence1,sentence2,score\nx,y,high\n", "give a parquet or CSV file"),
    ],
)
def test_scored_texts_that_cannot_be_read_are_told(
    content: str | None, message: str, bert: Path, tmp_path: Path
) -> None:
    path = tmp_path / "sts.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        finetune.run(tuning_config(tmp_path, bert, **scored(path)), DAY)


def test_a_run_that_died_after_its_commit_is_tidied_up(tuned: tuple[Any, RunCard]) -> None:
    config, card = tuned
    adapter = adapter_of(config)
    create(adapter.at("checkpoints", "00000012.safetensors"), b"left")
    remove(adapter.at("run_cards", "00000001.json"))
    again = finetune.run(config, DAY)
    assert again.status == "nothing to do"
    assert again.figures == {name: value for name, value in card.figures.items() if name != "workers"}
    assert list_names(adapter.at("checkpoints")) == []


def test_a_run_that_waited_for_another_takes_its_adapter(
    tuned: tuple[Any, RunCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = tuned
    real, seen = finetune.read_manifest, iter([None])
    adapter = adapter_of(config)

    def not_yet(partition: Partition) -> Any:
        return next(seen, real(partition)) if partition == adapter else real(partition)

    monkeypatch.setattr(finetune, "read_manifest", not_yet)
    monkeypatch.setattr(finetune, "_train", lambda *_: pytest.fail("trained again"))
    assert finetune.run(config, DAY).status == "nothing to do"


def test_workers_know_how_many_of_them_failed() -> None:
    def work(rank: Rank) -> int:
        return finetune.count_failed(rank, InputError("lost") if rank.rank == 1 else None, "cpu")

    assert Lockstep(3).run(work) == [1, 1, 1]
