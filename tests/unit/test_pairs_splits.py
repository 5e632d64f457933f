"""Splits of pairs: nothing of one side is on the other, and reruns go on from what is there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import DAY, write_jsonl
from tests.mined import dropped, mine, pairs_config
from theta_ray import lease, store
from theta_ray import manifest as manifest_module
from theta_ray.config import Config
from theta_ray.manifest import read_manifest
from theta_ray.objects import list_names
from theta_ray.training import mine_pairs, pair_phases
from theta_ray.training.mine_pairs import make_job
from theta_ray.training.pair_buckets import PairTask, pair_bucket

TAGS = [f"tag{number}" for number in range(12)]


def posts() -> list[dict[str, Any]]:
    """240 posts of 12 tags by 30 authors over 240 hours, every fourth with a second tag."""
    return [
        {
            "id": f"d{n}",
            "text": f"post{n} about #{TAGS[n % 12]}" + (f" #{TAGS[(n // 4) % 12]}" if n % 4 == 0 else ""),
            "user": f"u{n % 30}",
            "label": f"label{n % 3}",
            "time": datetime.fromtimestamp(1_760_000_000 + 3600 * n, UTC).isoformat(),
            "thread": f"t{n // 8}",
            "parent": f"d{n - 1}" if n % 8 else None,
        }
        for n in range(240)
    ]


def sides_of(pairs: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Documents of the train and of the test side."""
    found: dict[str, set[str]] = {"train": set(), "test": set()}
    for pair in pairs:
        found[pair["split"]] |= {pair["anchor_id"], pair["positive_id"]}
    return found["train"], found["test"]


@pytest.mark.parametrize("kind", ["hashtag", "label", "reply", "self", "thread"])
@pytest.mark.parametrize("by", ["author", "time", "text"])
def test_no_document_author_or_hour_is_on_both_sides(tmp_path: Path, kind: str, by: str) -> None:
    section: dict[str, Any] = {"kind": kind, "split": {"by": by, "test_share": 0.3}, "seed": 1}
    if kind == "hashtag":
        section["hashtag"] = {"min_tag_count": 10}
    card, pairs = mine(pairs_config(tmp_path, posts(), section))
    train, test = sides_of(pairs)
    assert train
    assert test
    assert not train & test
    known = {record["id"]: record for record in posts()}
    if by == "author":
        assert not {known[name]["user"] for name in train} & {known[name]["user"] for name in test}
    if by == "time":
        assert max(known[name]["time"] for name in train) < min(known[name]["time"] for name in test)
    assert dropped(card).get("no_split_key", 0) == 0


def test_tags_of_the_test_side_are_in_no_post_of_the_train_side(tmp_path: Path) -> None:
    section = {"kind": "hashtag", "hashtag": {"min_tag_count": 10}, "split": {"test_share": 0.3}, "seed": 1}
    card, pairs = mine(pairs_config(tmp_path, posts(), section))
    train, test = sides_of(pairs)
    held_out = {pair["group"] for pair in pairs if pair["split"] == "test"}
    known = {record["id"]: record["text"] for record in posts()}
    assert held_out
    assert test
    assert not [name for name in train for tag in held_out if f"#{tag} " in f"{known[name]} "]
    assert dropped(card)["crosses_split"] > 0


def test_threads_are_split_whole(tmp_path: Path) -> None:
    for kind in ("reply", "thread"):
        section = {"kind": kind, "split": {"test_share": 0.3}}
        card, pairs = mine(pairs_config(tmp_path / kind, posts(), section))
        groups = [{pair["group"] for pair in pairs if pair["split"] == split} for split in ("train", "test")]
        assert all(groups)
        assert not groups[0] & groups[1]
        assert len(pairs) == 240 - 30
        assert dropped(card) == {}


def config_of_tags(folder: Path, **changes: Any) -> Config:
    section = {"kind": "hashtag", "hashtag": {"min_tag_count": 10}, "split": {"test_share": 0.3}, "seed": 1}
    return pairs_config(folder, posts(), {**section, "shard_candidates": 60, **changes}, shard_bytes=8000)


def manifest_of(config: Config) -> dict[str, Any]:
    manifest = read_manifest(make_job(config, DAY).partition)
    assert manifest is not None
    return manifest


def test_the_pairs_are_the_same_however_the_work_is_cut(tmp_path: Path) -> None:
    rows = []
    for name, changes in (("many", {}), ("one", {"shard_candidates": 10**6})):
        config = config_of_tags(tmp_path / name, **changes)
        _, pairs = mine(config)
        rows.append(sorted(pairs, key=str))
    assert rows[0] == rows[1]
    assert len(manifest_of(config_of_tags(tmp_path / "many"))["shards"]) == 5


def test_a_stopped_run_goes_on_and_ends_with_the_same_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = config_of_tags(tmp_path / "whole")
    mine(whole)
    config = whole.model_copy(update={"root": str(tmp_path / "stopped")})
    made: list[str] = []

    def stops_at_third(task: PairTask) -> Any:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(task.name)
        return pair_bucket(task)

    with monkeypatch.context() as patch:
        patch.setattr(mine_pairs, "pair_bucket", stops_at_third)
        with pytest.raises(KeyboardInterrupt):
            mine_pairs.run(config, DAY)
    assert read_manifest(make_job(config, DAY).partition) is None
    monkeypatch.setattr(
        pair_phases, "_batches", lambda *_: pytest.fail("a shard whose candidates are staged was read again")
    )
    card = mine_pairs.run(config, DAY)
    assert manifest_of(config) == manifest_of(whole)
    assert card.status == "committed"
    assert list_names(make_job(config, DAY).partition.at("staging")) == []


def test_a_second_run_has_nothing_to_do_and_changed_inputs_make_a_version(tmp_path: Path) -> None:
    config = config_of_tags(tmp_path)
    mine(config)
    assert mine_pairs.run(config, DAY).status == "nothing to do"
    assert mine_pairs.plan(config, DAY).steps[-1].status == "nothing to do: committed"
    write_jsonl(tmp_path / "raw.jsonl", posts()[:200])
    step = mine_pairs.plan(config, DAY).steps[-1]
    assert step.status == "would run after prepare"
    mine_pairs.run(config, DAY)
    manifest = manifest_of(config)
    assert manifest["version"] == 2
    assert manifest["inputs"]["corpus"]["version"] == 2
    assert manifest["counts"]["num_documents"] == 200


def test_another_seed_makes_another_table_of_other_pairs(tmp_path: Path) -> None:
    config = config_of_tags(tmp_path, max_pairs_per_group=5)
    other = config_of_tags(tmp_path, max_pairs_per_group=5, seed=2)
    (_, first), (_, second) = mine(config), mine(other)
    assert make_job(config, DAY).partition != make_job(other, DAY).partition
    assert sorted(first, key=str) != sorted(second, key=str)


def test_the_plan_starts_nothing_and_names_the_rules(tmp_path: Path) -> None:
    config = config_of_tags(tmp_path)
    plan = mine_pairs.plan(config, DAY)
    assert [step.stage for step in plan.steps] == ["prepare", "mine_pairs"]
    assert plan.steps[-1].figures == {"kind": "hashtag", "split_by": "group"}
    assert not Path(config.root).exists()


class _StopAt:
    """Stands in for `steps.reached`: notes the steps, and stops the run the first time that it comes to one."""

    def __init__(self, target: str | None) -> None:
        self.target, self.seen = target, list[str]()

    def __call__(self, step: str, table: str, what: str) -> None:
        self.seen.append(f"{table}:{step}")
        if self.seen[-1] == self.target:
            self.target = None
            raise KeyboardInterrupt


def run_until(config: Config, target: str | None) -> list[str]:
    """Run the stage until a step, or to its end; the steps that it came to."""
    reached = _StopAt(target)
    with pytest.MonkeyPatch.context() as patch:
        for module in (lease, manifest_module, pair_phases, store):
            patch.setattr(module, "reached", reached)
        try:
            mine_pairs.run(config, DAY)
        except KeyboardInterrupt:
            assert target is not None
    return [step for step in dict.fromkeys(reached.seen) if step.startswith("pairs:")]


def test_a_run_that_stops_at_any_step_ends_with_the_same_manifest_when_repeated(tmp_path: Path) -> None:
    whole = config_of_tags(tmp_path / "whole")
    steps = run_until(whole, None)
    assert [step.removeprefix("pairs:") for step in steps] == [
        "lease_taken",
        "rows_staged",
        "shard_computed",
        "shard_created",
        "record_created",
        "all_done",
        "manifest_created",
    ]
    for number, step in enumerate(steps):
        config = whole.model_copy(update={"root": str(tmp_path / str(number))})
        run_until(config, step)
        run_until(config, None)
        assert manifest_of(config) == manifest_of(whole), step
        assert list_names(make_job(config, DAY).partition.at("staging")) == []
