"""Ids go out for a platform's compliance job, and its result comes back as deletions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.forgotten import DAYS, holding, id_of, records_of, rows_of, small_config, write_days
from theta_ray.config import Config
from theta_ray.config_nightly import Compliance
from theta_ray.corpus import prepare
from theta_ray.corpus.authors import KEY_VARIABLE
from theta_ray.corpus.survey import partition_of
from theta_ray.corpus.tombstones import read_list
from theta_ray.errors import InputError
from theta_ray.nightly import compliance, forget

EVENTS = ["deleted", "protected", "suspended", "deactivated", "bounced", "scrub_geo"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)


def asking(config: Config, **settings: object) -> Config:
    section = {"compliance": Compliance.model_validate(settings)}
    return config.model_copy(update={"recipe": config.recipe.model_copy(update=section)})


def lines(folder: str) -> list[list[str]]:
    return [path.read_text().splitlines() for path in sorted(Path(folder).glob("*.txt"))]


def answer(path: Path, events: dict[str, str]) -> str:
    """A result file of X."""
    rows = [
        {"id": doc_id, "action": "delete", "created_at": "2026-01-01T00:00:00.000Z", "reason": reason}
        for doc_id, reason in events.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_ids_of_all_days_go_out_once_and_what_comes_back_leaves(tmp_path: Path) -> None:
    write_days(tmp_path, [records_of(0, 40), [*records_of(1, 40), *records_of(0, 8)]])
    config = asking(small_config(tmp_path), max_ids=32)
    for day in DAYS:
        prepare.run(config, day)
    card = compliance.run(config, DAYS[0])
    files = lines(card.path)
    assert (card.figures["documents"], card.figures["ids"], card.figures["files"]) == (88, 80, len(files))
    assert sorted(doc_id for ids in files for doc_id in ids) == sorted(id_of(d, n) for d in (0, 1) for n in range(40))
    assert all(ids == sorted(ids) and len(ids) <= 32 for ids in files)
    assert compliance.run(config, DAYS[0]).status == "nothing to do"

    events = {id_of(0, number): reason for number, reason in enumerate(EVENTS)}
    result = answer(tmp_path / "result.json", events)
    forget.run(small_config(tmp_path, ids=result), DAYS[0])
    gone = {doc_id for doc_id, reason in events.items() if reason != "scrub_geo"}
    assert holding(tmp_path / "root", gone) == []  # the files of ids as well
    left = {doc_id for day in DAYS for doc_id in rows_of(partition_of(config, day))["doc_id"].to_pylist()}
    assert left == {id_of(d, n) for d in (0, 1) for n in range(40)} - gone
    assert compliance.run(config, DAYS[0]).figures["ids"] == 75


def test_only_documents_of_one_source_are_asked_about(tmp_path: Path) -> None:
    write_days(tmp_path, [records_of(0, 8)])
    config = small_config(tmp_path)
    prepare.run(config, DAYS[0])
    assert compliance.run(asking(config, source="jsonl"), DAYS[0]).figures["ids"] == 8
    with pytest.raises(InputError, match="source twitter"):
        compliance.run(asking(config, source="twitter"), DAYS[0])


@pytest.mark.parametrize("row", [{"action": "edit", "reason": "deleted"}, {"action": "delete", "reason": "moon"}])
def test_an_action_that_nobody_knows_stops_the_job(tmp_path: Path, row: dict[str, str]) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"id": "1", **row}) + "\n")
    with pytest.raises(InputError, match="is not known"):
        read_list(str(path))
