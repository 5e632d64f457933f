"""What the recipe says about damaged rows is what happens: fail, quarantine or skip, within a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.corpora import config_of, jsonl_input, write_jsonl
from tests.hostile import ids_of, input_of, manifest_of, quarantined, run
from theta_ray.config import Config, Corpus, OnDamage
from theta_ray.corpus.damage import check_balance, check_damage, check_vectors, failure, policy_of
from theta_ray.errors import ConfigError, InputError, StageError
from theta_ray.recipe_files import load_config
from theta_ray.schemas import DAMAGED, DAMAGED_INPUT, DAMAGED_VECTORS, FILTERED

RECIPE = """\
name: tiny
corpus:
  inputs:
    - {reader: text, path: a.txt}
  on_damage: {%s}
encoder: {model: package:tiny/model}
"""


def a_dump(folder: Path, *, broken: int, whole: int = 20, **corpus: Any) -> Config:
    """JSON lines of which some are cut off."""
    path = write_jsonl(folder / "in" / "a.jsonl", [{"id": f"d{i}", "text": f"text {i}"} for i in range(whole)])
    with path.open("a") as file:
        file.writelines('{"id": "secret text, cut\n' for _ in range(broken))
    return config_of(folder, jsonl_input(path), **corpus)


def test_every_cause_that_an_input_can_have_has_a_policy() -> None:
    assert set(OnDamage.model_fields) == set(DAMAGED_INPUT)
    assert {**DAMAGED_INPUT, **DAMAGED_VECTORS} == DAMAGED


def test_rows_go_to_quarantine_and_unreadable_files_stop_the_job_unless_the_recipe_says_otherwise() -> None:
    defaults = OnDamage().model_dump()
    assert defaults.pop("unreadable_file") == "fail"
    assert set(defaults.values()) == {"quarantine"}


def test_filtered_rows_have_no_policy_but_quarantine() -> None:
    corpus = Corpus.model_validate({"inputs": [{"reader": "text", "path": "x"}]})
    assert {policy_of(corpus, reason) for reason in FILTERED} == {"quarantine"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("bad_recrod: skip", "corpus.on_damage.bad_recrod is not a key; did you mean bad_record?"),
        ("bad_record: ignore", "corpus.on_damage.bad_record is 'ignore'; choose 'fail', 'quarantine' or 'skip'"),
        ("zero_embedding: skip", "corpus.on_damage.zero_embedding is not a key"),
    ],
)
def test_an_unknown_cause_or_policy_is_told_with_its_line(tmp_path: Path, said: str, told: str) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE % said)
    with pytest.raises(ConfigError, match=f"r.yaml:5: {told}".replace("?", r"\?")):
        load_config(str(tmp_path / "r.yaml"), root="/tables")


def test_quarantine_keeps_place_and_reason_and_counts_against_the_budget(tmp_path: Path) -> None:
    config = a_dump(tmp_path, broken=2, max_damaged_share=0.1)
    card = run(config)
    assert card.quarantined == {"bad_record": 2}
    assert [reason for reason, _ in quarantined(config)] == ["bad_record", "bad_record"]
    assert "skipped" not in card.figures


def test_skip_stores_nothing_and_counts_in_record_manifest_and_run_card(tmp_path: Path) -> None:
    config = a_dump(tmp_path, broken=5, on_damage=OnDamage(bad_record="skip"))
    card, manifest = run(config), manifest_of(config)
    assert quarantined(config) == []
    assert card.figures["skipped"] == "bad_record 5"
    assert manifest["skipped"] == manifest["shards"][0]["details"]["skipped"] == {"bad_record": 5}
    counts = manifest["counts"]
    assert (counts["num_rows_in"], counts["num_rows"], counts["num_quarantined"], counts["num_skipped"]) == (
        25,
        20,
        0,
        5,
    )
    assert len(ids_of(config)) == 20


def test_fail_stops_at_the_first_one_with_its_place_and_without_its_text(tmp_path: Path) -> None:
    config = a_dump(tmp_path, broken=1, on_damage=OnDamage(bad_record="fail"))
    with pytest.raises(
        StageError, match=r"a.jsonl#\d+: bad_record \(.*\); mend the input, or set corpus.on_dam"
    ) as told:
        run(config)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(("policy", "error"), [("fail", InputError), ("quarantine", None), ("skip", None)])
@pytest.mark.parametrize("shard_bytes", [2**26, 10])
def test_an_unreadable_file_is_what_the_policy_says(
    tmp_path: Path, policy: Any, error: type[Exception] | None, shard_bytes: int
) -> None:
    write_jsonl(tmp_path / "in" / "a.parquet", [{"no": "parquet"}])
    values = {"on_damage": OnDamage(unreadable_file=policy), "max_damaged_share": 1, "shard_bytes": shard_bytes}
    config = config_of(tmp_path, input_of(tmp_path / "in"), **values)
    if error:
        with pytest.raises(error, match="a.parquet: not readable as parquet .*; fetch it again, mend"):
            run(config)
        return
    card = run(config)
    assert card.figures["documents_in"] == 1
    assert card.quarantined == ({"unreadable_file": 1} if policy == "quarantine" else {})


def test_more_damage_than_the_budget_stops_the_job_which_says_what_it_saw(tmp_path: Path) -> None:
    config = a_dump(tmp_path, whole=998, broken=2)
    with pytest.raises(StageError, match=r"2 of 1000 rows are damaged \(bad_record 2\).*max_damaged_share to 0\.002$"):
        run(config)


def test_one_row_in_a_thousand_is_within_the_budget(tmp_path: Path) -> None:
    assert run(a_dump(tmp_path, whole=999, broken=1)).quarantined == {"bad_record": 1}


def test_the_share_that_is_told_is_enough() -> None:
    summaries = [{"num_rows_in": 7001, "quarantined": {"bad_time": 11}, "examples": {"bad_time": "a#1"}}]
    with pytest.raises(StageError) as told:
        check_damage("/data", summaries, 0.001)
    share = float(str(told.value).rsplit(" ", 1)[1])
    check_damage("/data", summaries, share)


def test_filtered_rows_do_not_count_as_damage() -> None:
    check_damage("/data", [{"num_rows_in": 2, "quarantined": {"too_short": 2}, "examples": {}}], 0)


def test_rows_that_do_not_add_up_stop_the_job() -> None:
    check_balance("/data", 10, 7, 2, 1)
    with pytest.raises(StageError, match="10 rows in, 7 kept, 2 quarantined and 0 skipped"):
        check_balance("/data", 10, 7, 2, 0)


def test_vectors_that_are_none_have_a_budget_too() -> None:
    counts = {"non_finite_embedding": 1, "zero_embedding": 3}
    check_vectors("/data/embeddings", counts, 4000, 0.001, "d1")
    with pytest.raises(StageError, match=r"4 of 3999 rows .*\(zero_embedding 3, non_finite_embedding 1\).*look at d1"):
        check_vectors("/data/embeddings", counts, 3999, 0.001, "d1")


def test_what_an_unreadable_file_says_cannot_steer_a_terminal() -> None:
    error = failure("unreadable_file", "/in/a\x1b[2J\n.parquet", 0, "\x1b]0;x\x07")
    assert str(error).isprintable()
